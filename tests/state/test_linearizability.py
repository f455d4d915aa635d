"""The history checker accepts what can be explained and rejects what cannot."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import pytest

from state.linearizability import Operation, linearization

Call = tuple[str, int]


def register(state: int, call: Call) -> Iterator[tuple[int, Hashable]]:
    """A register: ``write`` answers with what stood there, ``read`` with what stands there."""
    name, value = call
    yield (value, state) if name == "write" else (state, state)


def done(name: str, value: int, answer: int, began: int, ended: int) -> Operation[Call]:
    return Operation(call=(name, value), answer=answer, began=began, ended=ended)


GOOD = {
    "empty": [],
    "one after the other": [done("write", 1, 0, 0, 1), done("read", 0, 1, 2, 3)],
    "a read beside a write may be old": [done("write", 1, 0, 0, 5), done("read", 0, 0, 1, 2)],
    "a read beside a write may be new": [done("write", 1, 0, 0, 5), done("read", 0, 1, 1, 2)],
    "writes side by side, in the other order": [done("write", 1, 2, 0, 9), done("write", 2, 0, 1, 8)],
}
BAD = {
    "a lost update": [done("write", 1, 0, 0, 9), done("write", 2, 0, 0, 9)],
    "a value that nobody wrote": [done("write", 1, 0, 0, 1), done("read", 0, 7, 2, 3)],
    "an old value after the write was acknowledged": [done("write", 1, 0, 0, 1), done("read", 0, 0, 2, 3)],
    "new, then old again": [
        done("write", 1, 0, 0, 9),
        done("read", 0, 1, 1, 2),
        done("read", 0, 0, 3, 4),
    ],
    "a value from the future": [done("read", 0, 1, 0, 1), done("write", 1, 0, 2, 3)],
    "two readers who see two orders": [
        done("write", 1, 0, 0, 1),
        done("write", 2, 1, 2, 20),
        done("write", 3, 2, 3, 20),
        done("read", 0, 3, 4, 5),
        done("read", 0, 2, 6, 7),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_accepts(name: str) -> None:
    found = linearization(GOOD[name], 0, register)
    assert found is not None
    assert sorted(map(repr, found)) == sorted(map(repr, GOOD[name]))


@pytest.mark.parametrize("name", BAD)
def test_rejects(name: str) -> None:
    assert linearization(BAD[name], 0, register) is None
