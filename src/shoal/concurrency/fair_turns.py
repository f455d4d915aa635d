"""Fair turns at a resource with few places: the next place goes to the user who has had none for longest.

A context variable, set once per request, holds the user; work without a user shares one queue. The queues are bounded:
a user with a full queue is refused, and when all queues together are full, every user who already waits is refused. A
user with nothing waiting is never refused; otherwise a few users could fill the queue for all others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

from shoal.concurrency.fair_queues import FairQueues
from shoal.errors import TooManyAttempts, TooManyCalls

RETRY_AFTER_SECONDS: Final = 5
asking_user: ContextVar[int | None] = ContextVar("asking_user", default=None)
"""The id of the user for whom the current work is done."""


_NO_USER: Final = 0


class ServerBusy(TooManyAttempts):
    """All users together have so much work waiting that the server accepts no more at the moment."""

    code = "server_busy"


class FairTurns:
    """A few places and a queue for each user. A user has at most one place at a time. Belongs to one event loop."""

    def __init__(self, places: int, *, waiting_each: int, waiting_all: int) -> None:
        """Set the number of places and the bounds of the queues.

        ``waiting_each``: how many turns of one user may wait. ``waiting_all``: how many of all users together; the
        first one of each user does not count against this bound.
        """
        self._free = places
        self._waiting_each = waiting_each
        self._waiting_all = waiting_all
        self._queues = FairQueues()
        self._having: set[int] = set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises ``TooManyCalls`` (``too_much_work``) or ``ServerBusy``."""
        user = await self.take()
        try:
            yield
        finally:
            self.give_back(user)

    async def take(self, user: int | None = None) -> int:
        """Wait for a place as ``user``, or as the current user. Return the user, for ``give_back``."""
        user = user or asking_user.get() or _NO_USER
        waiting = self._queues.waiting_of(user)
        if self._free and user not in self._having and not waiting:
            self._free -= 1
            self._having.add(user)
            return user
        if waiting >= self._waiting_each:
            raise TooManyCalls(retry_after=RETRY_AFTER_SECONDS, code="too_much_work", limit=self._waiting_each)
        if waiting and len(self._queues) >= self._waiting_all:
            raise ServerBusy(retry_after=RETRY_AFTER_SECONDS)
        await self._queues.wait(user, lambda: self.give_back(user))
        return user

    def give_back(self, user: int) -> None:
        """Release the place and give it to the next user."""
        self._free += 1
        self._having.discard(user)
        while self._free and (following := self._queues.give(self._having)) is not None:
            self._free -= 1
            self._having.add(following)
