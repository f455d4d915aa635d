"""A history checker: is there an order of the operations that explains every answer and respects real time?

The search is Wing and Gong's, with memory of (what is left, state). A step that leaves the state as it is, and whose
answer fits, is taken at once: taking it early can only loosen what remains.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)
C = TypeVar("C")


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation(Generic[C]):
    """What was called, what was answered, and between which two instants."""

    call: C
    answer: Hashable
    began: int
    ended: int


Apply = Callable[[S, C], Iterable[tuple[S, Hashable]]]
"""From a state and a call to every ``(next state, answer)`` that the specification allows."""


def linearization(history: Sequence[Operation[C]], initial: S, apply: Apply[S, C]) -> list[Operation[C]] | None:
    """An order that explains the history, or ``None`` when there is none."""
    ordered = sorted(history, key=lambda operation: operation.began)
    everything = (1 << len(ordered)) - 1
    seen: set[tuple[int, S]] = set()
    stack: list[tuple[int, S, tuple[int, ...]]] = [(everything, initial, ())]
    while stack:
        left, state, path = stack.pop()
        if not left:
            return [ordered[index] for index in path]
        if (left, state) in seen:
            continue
        seen.add((left, state))
        following: list[tuple[int, S, tuple[int, ...]]] = []
        for index in _first(ordered, left):
            operation = ordered[index]
            nexts = [after for after, answer in apply(state, operation.call) if answer == operation.answer]
            if state in nexts:
                following = [(left & ~(1 << index), state, (*path, index))]
                break
            following += [(left & ~(1 << index), after, (*path, index)) for after in nexts]
        stack += reversed(following)
    return None


def _first(ordered: Sequence[Operation[C]], left: int) -> list[int]:
    """Those that nothing else must come before: they began before any of the others ended."""
    first: list[int] = []
    first_end: float = inf
    while left:
        lowest = left & -left
        index = lowest.bit_length() - 1
        if ordered[index].began > first_end:
            break  # all others begin later still, and end after they begin
        first.append(index)
        first_end = min(first_end, ordered[index].ended)
        left ^= lowest
    return first
