"""Limits how often something may begin, for all owners together. Owners take turns, however much one owner asks for."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

_ROUNDING = 1e-9


class _Waiting:
    """The waiting turns of one owner. ``late`` ones are given when no other is left."""

    __slots__ = ("_late", "_prompt")

    def __init__(self) -> None:
        self._prompt: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._late: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._prompt or self._late)

    def add(self, turn: asyncio.Future[None], *, late: bool) -> None:
        (self._late if late else self._prompt)[turn] = None

    def discard(self, turn: asyncio.Future[None]) -> None:
        self._prompt.pop(turn, None)
        self._late.pop(turn, None)

    def pop(self) -> asyncio.Future[None]:
        return (self._prompt or self._late).popitem(last=False)[0]


class FairLimiter:
    """Gives at most ``per_second`` turns, of which ``burst`` may come at once. Each step takes constant time.

    An owner who waits gets a turn after at most one turn of each other owner. Belongs to one event loop.
    """

    def __init__(self, per_second: float, *, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._used = 0.0
        self._used_at = 0.0
        self._owners: OrderedDict[int, _Waiting] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def has_room(self) -> bool:
        """Return whether a turn requested now comes at once."""
        return not self._owners and self._wait_seconds() <= 0

    async def acquire(self, owner_id: int, *, late: bool = False) -> None:
        """Wait for a turn of that owner. ``late``: after all other turns of the same owner, later requests included."""
        if self.has_room():
            self._used += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._owners.setdefault(owner_id, _Waiting()).add(turn, late=late)
        self._set_timer()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(owner_id, turn)
            else:  # the caller was cancelled after the turn was given: pass it to the next one
                self._used -= 1
                self._serve()
            raise

    def _wait_seconds(self) -> float:
        """Return the seconds until the next turn may be given."""
        now = asyncio.get_running_loop().time()
        self._used = max(0.0, self._used - (now - self._used_at) * self._per_second)
        self._used_at = now
        over = self._used + 1 - self._burst
        return over / self._per_second if over > _ROUNDING else 0.0

    def _serve(self) -> None:
        """Give every turn that may be given now: one to each owner, then again from the first owner."""
        while self._owners and self._wait_seconds() <= 0:
            owner_id, waiting = self._owners.popitem(last=False)
            turn = waiting.pop()
            if waiting:
                self._owners[owner_id] = waiting
            if not turn.done():
                turn.set_result(None)
                self._used += 1
        self._set_timer()

    def _set_timer(self) -> None:
        if self._owners and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._wait_seconds(), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._serve()

    def _leave(self, owner_id: int, turn: asyncio.Future[None]) -> None:
        waiting = self._owners.get(owner_id)
        if waiting is not None:
            waiting.discard(turn)
            if not waiting:
                del self._owners[owner_id]
        if not self._owners and self._timer is not None:
            self._timer.cancel()
            self._timer = None


def in_bursts(per_second: float) -> FairLimiter:
    """Return a limiter of so many turns per second; the turns of one second may come at once."""
    return FairLimiter(per_second, burst=max(1.0, per_second))


def evenly(per_second: float) -> FairLimiter:
    """Return a limiter that spaces turns evenly, for calls that the site watches closely."""
    return FairLimiter(per_second, burst=1.0)


class StartLimiters:
    """Limits how fast connections start: the first connection of an account slowly, reconnects faster."""

    def __init__(self, *, first_per_second: float = 20.0, again_per_second: float = 200.0) -> None:
        self.first = in_bursts(first_per_second)
        self.again = in_bursts(again_per_second)
