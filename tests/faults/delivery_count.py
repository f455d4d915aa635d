"""Counts a delivery at the buyers' side: what the sandbox says that each buyer holds, beside what was ordered."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MARKER = "PROOFUNIT"
"""What every unit of a run contains, and nothing else does."""
UNIT = re.compile(rf"{MARKER}-(\w+)-\d+")
THANKS = "感谢购买，祝您使用愉快。"
"""The last message of every order."""
Held = Mapping[tuple[str, str], Sequence[str]]
"""The texts that each buyer received, by seller and buyer."""


def unit_text(goods: str, number: int) -> str:
    """Return the text of a unit of goods."""
    return f"{MARKER}-{goods}-{number:07}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Bought:
    """One paid order: how many units of which goods it must get."""

    order_id: str
    shop: str
    unb: str
    buyer_id: str
    goods: str
    wanted: int
    undone: str = ""
    """how the buyer undid the purchase; empty: not at all"""
    way: str = ""
    """what the buyer did after the payment, whether that undid the purchase or not"""


@dataclass(kw_only=True)
class Counted:
    """What became of the orders. Every field from ``not_served`` on must be 0 in the end."""

    orders: int = 0
    units_ordered: int = 0
    complete: int = 0
    units_received: int = 0
    undone: int = 0
    """orders whose buyers asked for a refund or cancelled: each has all, a part, or nothing"""
    not_served: int = 0
    """orders whose buyers received nothing, and that are not confirmed"""
    lost: int = 0
    """units that orders which were served, or confirmed, did not get"""
    doubled: int = 0
    """units that a buyer received more than once"""
    in_two_orders: int = 0
    """units that two buyers hold"""
    of_another_spec: int = 0
    too_many: int = 0
    """units beyond those that were ordered"""
    without_thanks: int = 0
    """orders whose last message did not come exactly once"""
    confirmed_incomplete: int = 0
    confirmed_twice: int = 0
    unexplained: list[str] = field(default_factory=list)
    """a sentence for each order that is not as it must be"""

    @property
    def breaches(self) -> int:
        """How much is wrong, apart from orders that were not served at all."""
        names = ("lost", "doubled", "in_two_orders", "of_another_spec", "too_many", "without_thanks")
        return sum(getattr(self, name) for name in (*names, "confirmed_incomplete", "confirmed_twice"))


def texts_by_buyer(receipts: Mapping[str, Any]) -> dict[tuple[str, str], list[str]]:
    """Return the texts that each buyer holds, by seller and buyer, from the sandbox's answer."""
    return {
        (row["account"], row["buyer_id"]): [one["text"] for one in row["received"] if one["kind"] == "text"]
        for row in receipts["items"]
    }


def units_in(texts: Iterable[str]) -> list[tuple[str, str]]:
    """Return the units in some texts, in order: each with its goods."""
    return [(found.group(0), found.group(1)) for text in texts for found in UNIT.finditer(text)]


def units_of(one: Bought, held: Held) -> int:
    """Return how many units the buyer of an order holds."""
    return len({unit for unit, _ in units_in(held.get((one.unb, one.buyer_id), ()))})


def count(bought: Sequence[Bought], held: Held, orders: Mapping[str, Mapping[str, Any]]) -> Counted:
    """Count what each buyer holds. Each buyer ordered once. ``orders`` are the sandbox's, by id."""
    result = Counted(orders=len(bought), units_ordered=sum(one.wanted for one in bought))
    holders: Counter[str] = Counter()
    for one in bought:
        texts = held.get((one.unb, one.buyer_id), ())
        units = units_in(texts)
        distinct = {unit for unit, _ in units}
        holders.update(distinct)
        attempts = orders[one.order_id]["attempts"]
        accepted = sum(attempt["ret"].startswith("SUCCESS") for attempt in attempts)
        is_confirmed = accepted > 0 or orders[one.order_id]["status"] in {"shipped", "completed"}
        thanks = sum(text == THANKS for text in texts)
        wrong = {
            "doubled": len(units) - len(distinct),
            "of_another_spec": sum(goods != one.goods for _, goods in units),
            "too_many": max(0, len(distinct) - one.wanted),
            "confirmed_twice": max(0, accepted - 1),
        }
        result.units_received += len(distinct)
        if one.undone:
            result.undone += 1
            wrong["confirmed_incomplete"] = int(accepted > 0 and (len(distinct) < one.wanted or thanks < 1))
        elif texts or is_confirmed:
            wrong["lost"] = max(0, one.wanted - len(distinct))
            wrong["without_thanks"] = int(thanks != 1)
            wrong["confirmed_incomplete"] = int(is_confirmed and (len(distinct) < one.wanted or thanks < 1))
        else:
            result.not_served += 1
        result.complete += int(bool(texts) and not one.undone and not any(wrong.values()))
        for name, number in wrong.items():
            setattr(result, name, getattr(result, name) + number)
        if any(wrong.values()):
            told = ", ".join(f"{name} {number}" for name, number in wrong.items() if number)
            result.unexplained.append(f"{one.shop} order {one.order_id} of {one.wanted} {one.goods}: {told}")
    result.in_two_orders = sum(number > 1 for number in holders.values())
    return result
