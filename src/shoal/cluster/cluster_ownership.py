"""The ``Ownership`` of one node among several on one PostgreSQL database.

A node holds one lease, its row, and renews it on a connection and a thread of its own, so that no slow write delays it.
It claims shards of nodes that are dead, and gives up those beyond its share after their accounts have ended here. Its
accounts act only until the deadline, which lies before the lease's end and is counted from before the renewal was sent.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from shoal.accounts.ownership import Fence, ShardListener, Standing, shard_of
from shoal.cluster.clock_offset import ClockOffset
from shoal.cluster.deadline_timer import DeadlineTimer
from shoal.cluster.handover import Handover
from shoal.cluster.last_life import Life, LifeFile
from shoal.cluster.lease_watchdog import LOOK_SECONDS, LeaseWatchdog, NodeTimes, boot_clock, end_process, lease_check
from shoal.cluster.node_rows import NodeRows, Share, decide_alone, end_life, join, live_nodes
from shoal.cluster.server_lease import is_leased
from shoal.errors import ConfigError
from shoal.storage.migrations import is_enough, newest

log = structlog.get_logger("shoal.lease")
T = TypeVar("T")

HOLD_STILL_SECONDS: Final = 5.0
"""How long the end waits for shards that come or go at that moment."""


class ClusterOwnership:
    """The shards of this node. Methods run on the loop, but for ``take``, which runs on a thread before it starts."""

    is_shared = True

    def __init__(
        self,
        name: str,
        times: NodeTimes | None = None,
        *,
        version: str = "",
        address: str = "",
        data_dir: Path | None = None,
        stays_drained: bool = False,
        end: Callable[[], None] = end_process,
    ) -> None:
        """``address``: where other nodes call this one. ``data_dir``: locked by this process before ``take``, so that
        its last life need not be waited for. ``stays_drained``: the life before it may have been drained, and this one
        is then too. ``end`` ends the process when its loop stands still after the deadline."""
        self.name = name
        self._times = times or NodeTimes()
        self._facts = {"host": socket.gethostname(), "address": address, "version": version}
        self._life_file = LifeFile(data_dir, name) if data_dir is not None else None
        self._stays_drained = stays_drained
        self._engine: Engine | None = None
        self._rows: NodeRows | None = None
        self._renewals = ThreadPoolExecutor(1, thread_name_prefix="shoal-lease")
        self._claims = ThreadPoolExecutor(1, thread_name_prefix="shoal-claims")
        self._asked_at = 0.0
        self._database_clock = 0
        self._deadline = 0.0
        self._mine: dict[int, int] = {}
        self._handover = Handover(self._times)
        self._leaving: set[int] = set()
        """Shards that were given up, while the database has not confirmed it: they may be free at any moment."""
        self._listener: ShardListener | None = None
        self._keeping: list[asyncio.Task[None]] = []
        self._lapse = DeadlineTimer(boot_clock, lambda: self._deadline, self._publish)
        self._still = False
        self._shifting = asyncio.Lock()
        """Held while shards come or go, so that none comes back before its accounts have ended."""
        self._reported = True
        self._draining = False
        self.clock = ClockOffset()
        self._look_soon = asyncio.Event()
        self._watchdog = LeaseWatchdog(lambda: self._deadline, end=end)

    # ── asked all the time ──────────────────────────────────────────────────────────────────────────────────────

    def owns(self, account_id: str) -> bool:
        """Return whether the account's shard is held, and the lease certainly valid."""
        return shard_of(account_id) in self._mine and boot_clock() < self._deadline

    def owns_shard(self, shard: int) -> bool:
        """Return whether that shard is held, and the lease certainly valid: work of the whole database has a shard."""
        return shard in self._mine and boot_clock() < self._deadline

    def fence(self, account_id: str) -> Fence | None:
        """Return the fence of the account's shard. One that is not held has a fence that never stands."""
        return self.shard_fence(shard_of(account_id))

    def shard_fence(self, shard: int) -> Fence:
        """Return the fence of a shard; one that never stands when it is not held."""
        return Fence(shard, self._mine.get(shard, -1))

    @property
    def shards(self) -> frozenset[int]:
        """Return the shards that are held."""
        return frozenset(self._mine)

    @property
    def life(self) -> Life | None:
        """Return the present life of this node."""
        return self._rows.life if self._rows is not None else None

    def me(self) -> tuple[str, int]:
        """Return the name of this node, and the number of its life; -1 before its first one."""
        return self.name, -1 if self.life is None else self.life.inc

    @property
    def lease_seconds(self) -> float:
        """Return how long the lease is valid after a renewal."""
        return self._times.lease_seconds

    def standing(self) -> Standing:
        """Return whether the present life goes on, asked before a change is committed."""
        return lease_check(lambda: self._rows, lambda: self._deadline, self._times)

    def database_ms(self) -> int:
        """Return the time by the database's clock, as it was returned at the last renewal."""
        return self._database_clock + round(boot_clock() * 1000)

    @property
    def draining(self) -> bool:
        """Return whether this node was asked to give up its shards and to take none."""
        return self._draining

    # ── joining ─────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, engine: Engine) -> None:
        """Join the nodes; do nothing yet on a database without their tables.

        Waits for the lease of an earlier life of this name to run out, unless that life certainly has ended. Raises
        ``ConfigError`` when it goes on, a single server serves the database, or other nodes run another schema.
        """
        self._engine = engine
        seen: int | None = None
        last = self._life_file.read() if self._life_file is not None and self._rows is None else None
        while self._rows is None:
            with engine.connect() as connection, connection.begin():
                decide_alone(connection)
                if last is not None and end_life(connection, last):
                    log.info("the last process of this node has ended: its lease is not waited for", node=last.name)
                live = live_nodes(connection)
                if not is_enough(connection):
                    return  # it is migrated first, as far as the living nodes allow
                if is_leased(connection, self._life_file.place if self._life_file is not None else ""):
                    raise ConfigError("startup.one_server_runs", code="database_taken")
                rows = self._join(connection)
            if rows is not None:
                self._begin(rows)
                return
            host, expires_at_ms = live.get(self.name, ("", 0))
            if seen is not None and expires_at_ms > seen:
                raise ConfigError("startup.node_taken", name=self.name, host=host, code="node_taken")
            seen = seen or expires_at_ms
            time.sleep(min(1.0, self._times.renew_seconds / 4))

    def _join(self, connection: Connection, *, again: bool = False) -> NodeRows | None:
        """Write the row of a new life; it begins once that is committed."""
        self._asked_at, wall_ms = boot_clock(), self.clock.wall_ms()
        facts = {**self._facts, "schema": newest()}
        rows = join(connection, self.name, self._lease_ms, facts, again=again, stays_drained=self._stays_drained)
        if rows is not None:
            self.clock.note(wall_ms, rows.life.started_at_ms, boot_clock() - self._asked_at)
            self.clock.check()
        return rows

    def _begin(self, rows: NodeRows) -> None:
        self._rows = rows
        self._database_clock = rows.life.started_at_ms - round(self._asked_at * 1000)
        self._hold(self._asked_at)
        if self._life_file is not None:
            self._life_file.write(rows.life)

    @property
    def _lease_ms(self) -> int:
        return round(self._times.lease_seconds * 1000)

    def _hold(self, since: float) -> None:
        self._deadline = since + self._times.acting_seconds

    # ── keeping ─────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Renew the lease from now on. No shard is claimed before ``keep``."""
        self._arm()
        self._watchdog.start()
        self._keeping = [
            asyncio.create_task(self._keep_renewing(), name="node lease"),
            asyncio.create_task(self._keep_alive(), name="node watchdog"),
        ]

    def keep(self, listener: ShardListener) -> None:
        """Claim shards and give them up from now on, and let ``listener`` run the accounts."""
        self._listener = listener
        self._keeping.append(asyncio.create_task(self._keep_claiming(), name="node claims"))

    async def _keep_alive(self) -> None:
        while True:
            self._watchdog.alive()
            await asyncio.sleep(LOOK_SECONDS)

    async def _keep_renewing(self) -> None:
        while True:
            await asyncio.sleep(self._times.renew_seconds)
            while (renewed := await self._on(self._renewals, self._renew)) is None:  # noqa: ASYNC110  no event reports it
                await asyncio.sleep(min(1.0, self._times.renew_seconds / 5))  # the database does not answer
            if renewed:
                self._arm()
            else:
                await self._begin_anew()

    def _renew(self) -> bool | None:
        """Renew the lease. Return ``None`` when the database did not answer: the lease may have been renewed or not."""
        if self._engine is None or self._rows is None:
            return None
        before, wall_ms = boot_clock(), self.clock.wall_ms()
        try:
            with self._engine.connect() as connection, connection.begin():
                database_ms = self._rows.renew(connection, self._lease_ms, self.clock.ms)
        except SQLAlchemyError as error:
            log.warning("the node's lease was not renewed", why=type(error).__name__)
            self._engine.dispose()  # the next try is a connection of its own
            return None
        if database_ms is None:
            return False
        self.clock.note(wall_ms, database_ms, boot_clock() - before)
        self._database_clock = database_ms - round(before * 1000)
        self._hold(before)
        return True

    def _arm(self) -> None:
        """Stop all accounts at the deadline, also while the database does not answer."""
        self._lapse.arm()
        self._publish()

    def _publish(self) -> None:
        held = boot_clock() < self._deadline
        if held is not self._reported:
            self._reported = held
            if not held:
                log.warning("the node's lease has run out: no account is connected until the database answers")
            if self._listener is not None:
                self._listener.lapsed()

    async def _begin_anew(self) -> None:
        """End all accounts, for others may own them by now; then join again as a new life."""
        log.error("this node was declared dead: it ends its accounts, and joins again", node=self.name)
        self._deadline = 0.0
        self._publish()
        async with self._shifting:
            gone, self._mine = frozenset(self._mine), {}
            self._leaving.clear()
            if self._listener is not None and gone:
                await self._listener.lost(gone)
            while not self._still and not await self._on(self._renewals, self._rejoin):  # noqa: ASYNC110  no event reports it
                await asyncio.sleep(min(1.0, self._times.renew_seconds))
        self._arm()

    def _rejoin(self) -> bool:
        if self._engine is None:
            return False
        try:
            with self._engine.connect() as connection, connection.begin():
                decide_alone(connection)
                rows = None if is_leased(connection) else self._join(connection, again=True)
        except (SQLAlchemyError, ConfigError) as error:
            log.warning("the node could not join again", why=type(error).__name__)
            self._engine.dispose()
            return False
        if rows is not None:
            self._begin(rows)
        return rows is not None

    # ── shards ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep_claiming(self) -> None:
        while True:
            if not self._still and boot_clock() < self._deadline:
                async with self._shifting:
                    await self._look()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_soon.wait(), self._times.look_seconds)
            self._look_soon.clear()

    def look_now(self) -> None:
        """Look for shards without an owner at once: a node has just been declared dead."""
        self._look_soon.set()

    async def _look(self) -> None:
        rows = self._rows
        if self._leaving:
            await self._on(self._claims, self._free)
        share = None if self._leaving else await self._on(self._claims, self._claim)
        if share is None or rows is not self._rows or self._listener is None:
            return
        if share.draining is not self._draining:
            self._draining = share.draining
            log.info("this node is drained" if share.draining else "this node takes shards again", node=self.name)
        if gone := frozenset(self._mine) - share.held.keys():
            log.error("shards were taken from this node while its lease was valid", node=self.name, count=len(gone))
            for shard in gone:
                del self._mine[shard]
            await self._listener.lost(gone)
        if share.waits:  # what it says of shards that are not held here may be older than what their owner knows
            return
        fresh = {shard: epoch for shard, epoch in share.held.items() if self._mine.get(shard) != epoch}
        if fresh:
            self._mine.update(fresh)
            log.info("shards claimed", node=self.name, count=len(fresh), held=len(self._mine))
            await self._listener.claimed(frozenset(fresh))
        self._handover.note(share)
        if surplus := self._handover.surplus(share, set(self._mine)):
            await self._give_up(surplus)

    def _claim(self) -> Share | None:
        if self._engine is None or self._rows is None:
            return None
        try:
            with self._engine.connect() as connection, connection.begin():
                return self._rows.claim(connection, takes_back=self._handover.takes_back, wait_ms=self._lease_ms)
        except SQLAlchemyError as error:
            log.warning("no shards could be claimed", why=type(error).__name__)
            return None

    async def _give_up(self, shards: Collection[int]) -> None:
        """Give up shards once their accounts have ended here."""
        if self._listener is not None:
            await self._listener.losing(shards)
        for shard in shards:
            self._mine.pop(shard, None)
        log.info("shards given up", node=self.name, count=len(shards), held=len(self._mine))
        self._leaving.update(shards)
        await self._on(self._claims, self._free)

    def _free(self) -> None:
        """Free the shards that leave. While no answer came they are neither run again nor forgotten: a COMMIT of which
        no answer was received may arrive later, but not after another transaction wrote the same rows."""
        if self._engine is None or self._rows is None:
            return
        try:
            with self._engine.connect() as connection, connection.begin():
                self._rows.give_up(connection, self._leaving)
        except SQLAlchemyError as error:
            log.warning("shards are not given up yet", why=type(error).__name__)
            return
        self._leaving.clear()

    async def _on(self, threads: ThreadPoolExecutor, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, job)

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def hold_still(self) -> None:
        """Claim and give up nothing any more: the accounts are about to end. The lease is renewed until ``close``."""
        self._still = True
        with suppress(TimeoutError):  # of what is still under way the manager ends what it can
            async with asyncio.timeout(HOLD_STILL_SECONDS), self._shifting:
                pass

    async def close(self) -> None:
        """Leave the nodes, after all accounts have ended: others claim the shards at once."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self._lapse.cancel()
        self._deadline, self._mine = 0.0, {}
        self._watchdog.close()
        await self._on(self._renewals, self._leave)
        for threads in (self._renewals, self._claims):
            await asyncio.to_thread(threads.shutdown)
        if self._engine is not None:
            self._engine.dispose()  # a claim that waited for its turn has connected since

    def _leave(self) -> None:
        if self._engine is None:
            return
        try:
            if self._rows is not None:
                with self._engine.connect() as connection, connection.begin():
                    self._rows.leave(connection, was_refused=self._listener is None)
        except SQLAlchemyError as error:
            log.warning("the node could not leave; its lease runs out by itself", why=type(error).__name__)
        finally:
            self._engine.dispose()
