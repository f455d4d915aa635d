"""The order of the tests in which each worker has its share of the long ones, and begins with them.

Workers take the list in even pieces and then from each other, always from the end (``--dist worksteal``). In the order
of the directories one of them had nearly all long tests, and worked on for minutes when the others had ended.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, TypeVar

SECONDS = {"faults": 2.4, "browser": 2.0, "outside": 1.7, "endurance": 0.8, "image": 0.5, "state": 0.5}
"""What a test takes of a processor in the directories with long ones; elsewhere it is 0.05 to 0.15."""
IN_A_BROWSER = "browser"
WITH_A_BROWSER = 3
"""One of so many workers begins with tests in a browser: each pays for a browser and its first page in each look."""


class HasPath(Protocol):
    """What is needed of a test."""

    @property
    def path(self) -> Path:
        """Its file."""


Item = TypeVar("Item", bound=HasPath)


def shared_out(items: Sequence[Item], workers: int) -> list[Item]:
    """Return the tests so that each of ``workers`` pieces begins with as many seconds of long tests.

    A file stays together, because tests share what its fixtures start.
    """
    long = defaultdict[Path, list[Item]](list)
    short: list[Item] = []
    for item in items:
        (long[item.path] if item.path.parent.name in SECONDS else short).append(item)
    shares: list[list[Item]] = [[] for _ in range(workers)]
    seconds = [0.0] * workers
    some = -(-workers // WITH_A_BROWSER)
    for path in sorted(long, key=lambda path: (-_seconds(path, long[path]), path)):
        able = seconds[:some] if path.parent.name == IN_A_BROWSER else seconds
        least = able.index(min(able))
        shares[least] += long[path]
        seconds[least] += _seconds(path, long[path])
    return _filled(shares, short)


def _seconds(path: Path, items: Sequence[object]) -> float:
    return SECONDS[path.parent.name] * len(items)


def _filled(shares: list[list[Item]], short: list[Item]) -> list[Item]:
    """Fill each share with short tests to the size of the piece that its worker is given."""
    left = len(short) + sum(map(len, shares))
    ordered: list[Item] = []
    for number, share in enumerate(shares):
        size = left // (len(shares) - number)
        more = max(0, size - len(share))
        ordered += [*share, *short[:more]]
        del short[:more]
        left -= len(share) + more
    return ordered + short
