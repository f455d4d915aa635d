"""The pace that all nodes share of what begins from one outgoing address: first connections, reconnects, token calls.

The database gives out slots, one row for each address and kind. A node reserves as many slots at a time as it has turns
that wait, for at most ``BLOCK_SECONDS``; an address without waiting shops asks nothing. A slot whose turn has gone is
lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from contextvars import Context
from typing import Final

import structlog
from sqlalchemy import Connection, text

from shoal.cluster.node_rows import NOW
from shoal.cluster.short_writes import ShortWrites
from shoal.concurrency.fair_limiter import Turns
from shoal.concurrency.fair_queues import FairQueues
from shoal.errors import StoreError

log = structlog.get_logger("shoal.paces")

BLOCK_SECONDS: Final = 5.0
"""For how long slots are reserved at a time: so long the others may wait for a node that died with its slots."""
LATE_SECONDS: Final = 1.0
"""A slot that is used later than this is the last of its block: the process stood still, and others go on by now."""
RETRY_SECONDS: Final = 1.0
_KEPT_MS: Final = 24 * 3600 * 1000
"""How long the row of an unused address stays."""
_SWEEP_SECONDS: Final = 3600.0
_RESERVE: Final = text(f"""
    INSERT INTO paces (address, kind, next_at_ms) VALUES (:address, :kind, {NOW} - :slack + :span)
    ON CONFLICT (address, kind) DO UPDATE SET next_at_ms = greatest(paces.next_at_ms, {NOW} - :slack) + :span
    RETURNING next_at_ms - :span AS first, {NOW} AS now
""")  # noqa: S608  no value from a request is in it
_SWEEP: Final = text(f"DELETE FROM paces WHERE next_at_ms < {NOW} - :kept")  # noqa: S608


class _Line:
    """The turns of one address that wait here."""

    def __init__(self) -> None:
        self.queues = FairQueues()
        self.serving: asyncio.Task[None] | None = None

    def pass_on(self) -> None:
        """Give the turn of a caller who has gone to the next one."""
        self.queues.give()


class Paces:
    """The paces of this node; each kind has one."""

    def __init__(self, writes: ShortWrites, address: str) -> None:
        """``address``: the name of the outgoing address of accounts without a proxy."""
        self._writes = writes
        self._address = address
        self._swept_at = -math.inf

    def of(self, kind: str, per_second: float, *, burst: float = 1.0) -> SharedPace:
        """Return the pace of a kind: at most ``per_second``, of which ``burst`` may come at once."""
        return SharedPace(self, kind, per_second, burst=burst)

    def name_of(self, proxy: str) -> str:
        """Return the name of an outgoing address in the database: that of a proxy has no secret in it."""
        if not proxy:
            return self._address
        return f"proxy:{hashlib.sha256(proxy.encode()).hexdigest()[:32]}"

    async def reserve(self, name: str, kind: str, count: int, step_ms: float, slack_ms: int) -> tuple[int, int]:
        """Reserve slots. Return the time of the first one, and the time now. Raises ``StoreError``."""
        values = {"address": name, "kind": kind, "span": math.ceil(count * step_ms), "slack": slack_ms}
        now = asyncio.get_running_loop().time()
        sweeps = now - self._swept_at >= _SWEEP_SECONDS
        if sweeps:
            self._swept_at = now

        def job(connection: Connection) -> tuple[int, int]:
            if sweeps:
                connection.execute(_SWEEP, {"kept": _KEPT_MS})
            row = connection.execute(_RESERVE, values).one()
            return row.first, row.now

        return await self._writes.run(job)


class SharedPace:
    """``Turns`` that all nodes share for each outgoing address. Without an answer of the database no turn comes."""

    def __init__(self, paces: Paces, kind: str, per_second: float, *, burst: float) -> None:
        self._paces = paces
        self._kind = kind
        self._step_ms = 1000 / per_second
        self._slack_ms = round(max(0.0, burst - 1) * self._step_ms)
        self._block = max(1, math.floor(BLOCK_SECONDS * per_second))
        self._lines: dict[str, _Line] = {}

    def has_room(self, address: str = "") -> bool:
        """Return whether no shop waits for that address here. Another node may still have the next slots."""
        line = self._lines.get(self._paces.name_of(address))
        return line is None or not line.queues

    async def acquire(self, owner_id: int = 0, *, late: bool = False, address: str = "") -> None:
        """Wait for a turn of that owner. ``late``: after all other turns of the same owner, later requests included."""
        name = self._paces.name_of(address)
        line = self._lines.setdefault(name, _Line())
        if line.serving is None:
            # In a context of its own: the fence of the account that happens to ask first is not that of the others.
            line.serving = asyncio.create_task(self._serve(name, line), name=f"pace:{self._kind}", context=Context())
        await line.queues.wait(owner_id, line.pass_on, late=late)

    async def close(self) -> None:
        """End what still reserves slots."""
        serving = [line.serving for line in self._lines.values() if line.serving is not None]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, name: str, line: _Line) -> None:
        """Give the turns of an address as their slots come, until no shop waits."""
        try:
            await asyncio.sleep(0)  # those that ask in the same turn of the loop have their slots in one block
            while waiting := len(line.queues):
                await self._give_block(line, await self._slots(name, min(waiting, self._block)))
        finally:
            del self._lines[name]

    async def _give_block(self, line: _Line, slots: list[float]) -> None:
        loop = asyncio.get_running_loop()
        for at in slots:
            if (wait := at - loop.time()) > 0:
                await asyncio.sleep(wait)
            if line.queues.give() is None or loop.time() - at > LATE_SECONDS:
                return

    async def _slots(self, name: str, count: int) -> list[float]:
        """Return the times of so many slots, by the loop's clock, waiting for the database as long as it takes."""
        loop = asyncio.get_running_loop()
        failed = False
        while True:
            try:
                first, now = await self._paces.reserve(name, self._kind, count, self._step_ms, self._slack_ms)
            except StoreError as error:
                if not failed:
                    log.warning("no slots: nothing of the kind begins until the database answers", kind=self._kind,
                                why=error.code)  # fmt: skip
                failed = True
                await asyncio.sleep(RETRY_SECONDS)
                continue
            answered = loop.time()
            due_in = (first - now + number * self._step_ms for number in range(count))
            return [answered + max(0.0, milliseconds) / 1000 for milliseconds in due_in]


class NodeStarts:
    """``Turns`` of connections that start on this node: at its own pace, and at that of the outgoing address."""

    def __init__(self, own: Turns, shared: SharedPace) -> None:
        self._own = own
        self._shared = shared

    def has_room(self, address: str = "") -> bool:
        """Return whether a turn requested now comes as soon as the database answers."""
        return self._own.has_room() and self._shared.has_room(address)

    async def acquire(self, owner_id: int = 0, *, late: bool = False, address: str = "") -> None:
        """Wait for a turn of that owner. ``late``: after all other turns of the same owner, later requests included."""
        await self._own.acquire(owner_id, late=late)
        await self._shared.acquire(owner_id, late=late, address=address)
