"""Limits the open console pages and event streams of each user.

Each costs a connection, and work at every change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from shoal.errors import TooManyCalls

RETRY_AFTER_SECONDS = 30


class LiveStreams:
    """The number of open streams of each user."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: dict[int, int] = {}

    @property
    def open(self) -> int:
        """Return how many streams are open."""
        return sum(self._open.values())

    @contextmanager
    def one_more(self, user_id: int) -> Iterator[None]:
        """Count one more open stream until the context ends. Raise ``TooManyCalls`` (``too_many_streams``)."""
        if self._open.get(user_id, 0) >= self._limit:
            raise TooManyCalls(retry_after=RETRY_AFTER_SECONDS, code="too_many_streams", limit=self._limit)
        self._open[user_id] = self._open.get(user_id, 0) + 1
        try:
            yield
        finally:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]
