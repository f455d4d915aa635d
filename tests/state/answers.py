"""What callers were told, and what two answers to one op come to."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from state.demands import demand
from state.model import CHANGED, UNCHANGED, Call

GONE = "gone"
"""The caller got no answer."""
UNSURE = frozenset({GONE, "outcome_unknown"})
NO_OUTCOME = {"not_applied", "lock_timeout", "store_degraded", "store_closed", "store_error"}
"""Answers that any call may get at any time."""


def told_twice(op_id: str, first: Hashable, second: Hashable) -> Hashable:
    """What both answers to one op come to."""
    if first in {CHANGED, UNCHANGED}:
        allowed = second in {first, "unknown_account"} or second in NO_OUTCOME or second in UNSURE
        demand(allowed, f"{op_id} was answered {first}, and then {second}")
        return first
    if second in {CHANGED, UNCHANGED} or (first == second and first not in NO_OUTCOME):
        return second
    return GONE


@dataclass(slots=True)
class Said:
    """What a caller was told, of one account."""

    call: Call
    account: str
    op_id: str
    answer: Hashable
    began: int
    ended: int
