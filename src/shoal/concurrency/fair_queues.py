"""Turns that wait, in one queue for each user: the next turn goes to the user who has had none for longest."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Container


class _Queue:
    """The turns of one user, oldest first. ``late`` ones are given when no other is left."""

    __slots__ = ("_late", "_prompt")

    def __init__(self) -> None:
        self._prompt: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._late: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._prompt) + len(self._late)

    def add(self, turn: asyncio.Future[None], *, late: bool) -> None:
        (self._late if late else self._prompt)[turn] = None

    def remove(self, turn: asyncio.Future[None]) -> bool:
        turns = self._prompt if turn in self._prompt else self._late
        return turn in turns and turns.pop(turn) is None

    def pop(self) -> asyncio.Future[None]:
        return (self._prompt or self._late).popitem(last=False)[0]


class FairQueues:
    """The waiting turns of all users. A user who waits gets a turn after at most one turn of each other user.

    Each step takes constant time. Belongs to one event loop.
    """

    def __init__(self) -> None:
        self._queues: OrderedDict[int, _Queue] = OrderedDict()  # the first key is the next user
        self._waiting = 0

    def __len__(self) -> int:
        return self._waiting

    def waiting_of(self, user: int) -> int:
        """Return how many turns of that user wait."""
        return len(self._queues.get(user, ()))

    async def wait(self, user: int, undo: Callable[[], None], *, late: bool = False) -> None:
        """Wait until ``give`` gives this turn. ``late``: after all other turns of the same user, later ones included.

        ``undo`` is called when the caller is cancelled at the moment in which the turn is given.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(user, _Queue()).add(turn, late=late)
        self._waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(user, turn)
            else:
                undo()
            raise

    def give(self, but: Container[int] = ()) -> int | None:
        """Give a turn to the next user who is not among ``but``, and return the user; ``None``: no one waits."""
        while (user := next((one for one in self._queues if one not in but), None)) is not None:
            queue = self._queues.pop(user)
            turn = queue.pop()
            self._waiting -= 1
            if queue:
                self._queues[user] = queue  # at the end of the round
            if not turn.done():  # else its caller was cancelled and has not left yet
                turn.set_result(None)
                return user
        return None

    def _leave(self, user: int, turn: asyncio.Future[None]) -> None:
        queue = self._queues.get(user)
        if queue is not None and queue.remove(turn):
            self._waiting -= 1
            if not queue:
                del self._queues[user]
