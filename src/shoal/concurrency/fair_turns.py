"""Turns at what only a few can have at once: the next is that of the person who had none for longest.

Whoever calls is known by a context variable, which a request sets once; what nobody in particular asked for shares one
place in the round. Queues are bounded: who has much waiting is asked to come again, and when all have much, so is who
has anything waiting. A person with nothing waiting is never refused: else a few could fill the queue for all others.
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
"""The id of whoever asked for what is being done."""


class ServerBusy(TooManyAttempts):
    """Everybody together has so much waiting that nothing more is taken at the moment."""

    code = "server_busy"


class FairTurns:
    """A few places, of which a person has one at a time, and queues by person. Belongs to one event loop."""

    def __init__(self, places: int, *, waiting_each: int, waiting_all: int) -> None:
        """``waiting_each`` and ``waiting_all``: how many may wait, of one person and in all (but the first of each)."""
        self._free = places
        self._waiting_each = waiting_each
        self._waiting_all = waiting_all
        self._waiting = 0
        self._queues: dict[int | None, deque[asyncio.Future[None]]] = {}  # the next in the round is the first
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
        """Wait for a place, as that person or as who asks; returns whose it is, to be given back."""
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
                self.give_back(user)  # it came in the very moment in which they left
            raise
        return user

    def give_back(self, user: int | None) -> None:
        """Let the next have the place."""
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
