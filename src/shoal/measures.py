"""Counts and times that a server keeps of itself, as plain numbers: each costs a fraction of a microsecond.

``api/metrics/`` shows them. They begin at 0 with the server, and only rise.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

MOST_KINDS: Final = 200
"""How many kinds of things a tally distinguishes; all later ones count together."""
OTHER: Final = "other"


class Tally:
    """How often each kind of thing happened. A kind is named by a few words, always as many."""

    __slots__ = ("times",)

    def __init__(self) -> None:
        self.times: dict[tuple[str, ...], int] = {}

    def add(self, *kind: str) -> None:
        """Count one of that kind. Kinds that come from outside cannot make the tally grow without end."""
        times = self.times
        if kind in times:
            times[kind] += 1
        elif len(times) < MOST_KINDS:
            times[kind] = 1
        else:
            other = (OTHER,) * len(kind)
            times[other] = times.get(other, 0) + 1


class Histogram:
    """How many values fell between each two bounds, and their sum. A value at a bound lies below it."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
