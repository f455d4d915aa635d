"""One made-up output of a language model, and the prices that its maker knows."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """An output. ``rail``: which must hold it back; ``bad``: no output at all; neither: it may leave.

    ``around``: what the rails compare with, beside what all cases share.
    """

    raw: str
    rail: str = ""
    bad: bool = False
    kind: str = ""
    around: dict[str, Any] = field(default_factory=dict)


def raw(text: str, offered: int | None = None, facts: tuple[int, ...] = ()) -> str:
    """Write a reply as the JSON of an output."""
    return json.dumps({"action": "reply", "text": text, "offered_fen": offered, "facts": facts}, ensure_ascii=False)


def priced(rng: Random) -> tuple[int, int, dict[str, Any]]:
    """Return a price and the lowest amount in yuan, and both as the rails get them: with a floor, or without one."""
    price = rng.randrange(60, 5_000)
    if rng.random() < 0.3:
        return price, price, {"price_fen": price * 100, "floor_fen": None}
    lowest = rng.randrange(price * 6 // 10, price)
    return price, lowest, {"price_fen": price * 100, "floor_fen": lowest * 100}
