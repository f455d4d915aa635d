"""Each worker of a run has its share of the long tests, and begins with them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from support.runs.even_shares import SECONDS, shared_out

FILES = {"api/test_a.py": 300, "browser/test_b.py": 12, "browser/test_c.py": 9, "browser/test_d.py": 10,
         "browser/test_e.py": 2, "faults/test_f.py": 6, "outside/test_g.py": 14, "unit/test_h.py": 400}  # fmt: skip


@dataclass(frozen=True)
class Numbered:
    path: Path
    number: int


def _pieces(items: list[Numbered], workers: int) -> list[list[Numbered]]:
    """What each worker is given at first: xdist divides what is left by the workers that are left."""
    pieces, rest = [], list(items)
    for number in range(workers):
        size = len(rest) // (workers - number)
        pieces.append(rest[:size])
        rest = rest[size:]
    return pieces


@pytest.mark.parametrize("workers", [1, 2, 3, 5, 7])
def test_every_worker_begins_with_its_share_of_the_long_tests(workers: int) -> None:
    items = [Numbered(Path("tests", name), number) for name, count in FILES.items() for number in range(count)]
    ordered = shared_out(items, workers)
    assert sorted(ordered, key=str) == sorted(items, key=str)
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for piece in _pieces(ordered, workers):
        directories = [one.path.parent.name for one in piece]
        kinds = [name in SECONDS for name in directories]
        assert kinds == sorted(kinds, reverse=True), "long ones come first"
        seconds["browser" in directories].append(sum(SECONDS.get(name, 0) for name in directories))
    assert len(seconds[True]) == -(-workers // 3)
    longest_file = max(SECONDS.get(Path(name).parent.name, 0) * count for name, count in FILES.items())
    for alike in filter(None, seconds.values()):
        assert max(alike) - min(alike) <= longest_file
    where = [one.path for one in ordered if one.path.parent.name in SECONDS]
    assert sum(a != b for a, b in pairwise(where)) == len(set(where)) - 1, "a file stays together"


def test_each_directory_of_long_tests_is_there() -> None:
    assert [name for name in SECONDS if not (Path(__file__).parents[1] / name).is_dir()] == []
