"""Limits how often something may begin, for all owners together. Owners take turns, however much one owner asks for."""

from __future__ import annotations

import asyncio
from typing import Protocol

from shoal.concurrency.fair_queues import FairQueues

_ROUNDING = 1e-9


class Turns(Protocol):
    """Limits how often something may begin. ``address``: that from which the site is called; servers may share it."""

    def has_room(self, address: str = "") -> bool:
        """Return whether a turn requested now comes at once."""

    async def acquire(self, owner_id: int = 0, *, late: bool = False, address: str = "") -> None:
        """Wait for a turn of that owner. ``late``: after all other turns of the same owner, later requests included."""


class FairLimiter:
    """Gives at most ``per_second`` turns, of which ``burst`` may come at once; in fair turns (``FairQueues``)."""

    def __init__(self, per_second: float, *, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._used = 0.0
        self._used_at = 0.0
        self._queues = FairQueues()
        self._timer: asyncio.TimerHandle | None = None

    def has_room(self, address: str = "") -> bool:  # noqa: ARG002  the protocol's signature
        """Return whether a turn requested now comes at once."""
        return not self._queues and self._wait_seconds() <= 0

    async def acquire(
        self,
        owner_id: int = 0,
        *,
        late: bool = False,
        address: str = "",  # noqa: ARG002  the protocol's signature
    ) -> None:
        """Wait for a turn of that owner. ``late``: after all other turns of the same owner, later requests included."""
        if self.has_room():
            self._used += 1
            return
        self._set_timer()
        await self._queues.wait(owner_id, self._give_back, late=late)

    def _give_back(self) -> None:
        """Pass a turn to the next one: its caller was cancelled after it was given."""
        self._used -= 1
        self._serve()

    def _wait_seconds(self) -> float:
        """Return the seconds until the next turn may be given."""
        now = asyncio.get_running_loop().time()
        self._used = max(0.0, self._used - (now - self._used_at) * self._per_second)
        self._used_at = now
        over = self._used + 1 - self._burst
        return over / self._per_second if over > _ROUNDING else 0.0

    def _serve(self) -> None:
        """Give every turn that may be given now: one to each owner, then again from the first owner."""
        while self._wait_seconds() <= 0 and self._queues.give() is not None:
            self._used += 1
        if self._queues:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._wait_seconds(), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._serve()


def in_bursts(per_second: float) -> FairLimiter:
    """Return a limiter of so many turns per second; the turns of one second may come at once."""
    return FairLimiter(per_second, burst=max(1.0, per_second))


def evenly(per_second: float) -> FairLimiter:
    """Return a limiter that spaces turns evenly, for calls that the site watches closely."""
    return FairLimiter(per_second, burst=1.0)


class StartLimiters:
    """Limits how fast connections start: the first connection of an account slowly, reconnects faster."""

    def __init__(self, first: Turns, again: Turns) -> None:
        self.first = first
        self.again = again
