"""The figures of one part of the proof of delivery."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from faults.delivery_count import Counted


@dataclass(kw_only=True)
class Figures:
    """What a part did and found."""

    counted: Counted = field(default_factory=Counted)
    kills: int = 0
    store_failures: int = 0
    looks: int = 0
    """How often the invariants were asked."""
    owner: Counter[str] = field(default_factory=Counter)
    """What the owner had to see to, by problem."""
    open_refused: int = 0
    """How many orders whose refund is open were asked for by their owner in vain, as must be."""
    ways: Counter[str] = field(default_factory=Counter)
    """How many buyers asked for a refund or cancelled, by how that went on."""
    ended: Counter[str] = field(default_factory=Counter)
    """By what refunds ended, as the timelines say: ``card``, ``card_update``, ``detail`` (the page), the owner."""
    left: Counter[str] = field(default_factory=Counter)
    """The problems of orders that were not served in the end."""
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    kept: str = ""

    def row(self) -> dict[str, Any]:
        """As a line for the file of figures."""
        counted = {name: value for name, value in vars(self.counted).items() if name != "unexplained"}
        rest = {name: value for name, value in vars(self).items() if name != "counted"}
        counters = {name: dict(value) for name, value in rest.items() if isinstance(value, Counter)}
        return {**rest, **counted, **counters, "seconds": round(self.seconds, 1)}
