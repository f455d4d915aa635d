"""The wall clock, in milliseconds since 1970: the machine's, unless whoever starts something gives it another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _machine_ms() -> int:
    return time.time_ns() // 1_000_000


_source: ContextVar[Callable[[], int]] = ContextVar("shoal wall clock", default=_machine_ms)


def now_ms() -> int:
    """Wall-clock milliseconds since 1970."""
    return _source.get()()


@contextmanager
def reading(source: Callable[[], int]) -> Iterator[None]:
    """Let ``now_ms`` read ``source`` here and in every task that is started from here: a server on virtual time.

    Other threads keep the machine's clock. What runs there is given its clock by hand (``MessageLog``, …).
    """
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)
