"""Fair turns at a resource with few places: the next place goes to the user who has had none for longest.

A context variable, set once per request, holds the user; work without a user shares one queue. The queues are bounded:
a user with a full queue is refused, and when all queues together are full, every user who already waits is refused. A
user with nothing waiting is never refused; otherwise a few users could fill the queue for all others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

from shoal.errors import TooManyAttempts, TooManyCalls

RETRY_AFTER_SECONDS: Final = 5
asking_user: ContextVar[int | None] = ContextVar("asking_person", default=None)
"""The id of the user for whom the current work is done."""


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
        self._waiting = 0
        self._queues: dict[int | None, deque[asyncio.Future[None]]] = {}  # the first key is the next user
        self._having: set[int | None] = set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises ``TooManyCalls`` (``too_much_work``) or ``ServerBusy``."""
        user = await self.take()
        try:
            yield
        finally:
            self.give_back(user)

    async def take(self, user: int | None = None) -> int | None:
        """Wait for a place as ``user``, or as the current user. Return the user, for ``give_back``."""
        user = asking_user.get() if user is None else user
        if self._free and user not in self._having and not self._queues.get(user):
            self._have(user)
            return user
        queue = self._queues.get(user, ())
        if len(queue) >= self._waiting_each:
            raise TooManyCalls(retry_after=RETRY_AFTER_SECONDS, code="too_much_work", limit=self._waiting_each)
        if queue and self._waiting >= self._waiting_all:
            raise ServerBusy(retry_after=RETRY_AFTER_SECONDS)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(user, deque()).append(turn)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(user, turn)
            else:
                self.give_back(user)  # the place was given at the moment of the cancellation
            raise
        return user

    def give_back(self, user: int | None) -> None:
        """Release the place and give it to the next user."""
        self._free += 1
        self._having.discard(user)
        self._next()

    def _have(self, user: int | None) -> None:
        self._free -= 1
        self._having.add(user)

    def _next(self) -> None:
        while self._free:
            for user in self._queues:
                if user not in self._having:
                    break
            else:
                return
            queue = self._queues.pop(user)
            turn = queue.popleft()
            self._waiting -= 1
            if queue:
                self._queues[user] = queue  # at the end of the round
            if not turn.done():
                self._have(user)
                turn.set_result(None)

    def _leave(self, user: int | None, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(user)
        if queue is None or turn not in queue:
            return
        queue.remove(turn)
        self._waiting -= 1
        if not queue:
            del self._queues[user]
