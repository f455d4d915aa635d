"""The lease on a PostgreSQL database: one server at a time serves it, with any data directory.

A row has the holder and the expiry, by the database's clock. The holder renews it every few seconds and acts for
accounts only while it certainly holds the lease; another server starts only after the lease expired. A process on the
same data directory takes over at once: the lock on the directory shows that its predecessor has ended. A session lock
would be free as soon as the database restarts, while the holder still has its connections.

Several nodes on one database have another ``Ownership`` (``cluster_ownership.py``); neither starts beside the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from shoal.accounts.ownership import Fence
from shoal.cluster.deadline_timer import DeadlineTimer
from shoal.cluster.last_life import place_of
from shoal.cluster.node_rows import decide_alone, live_nodes, older_nodes
from shoal.errors import ConfigError
from shoal.storage.migrations import newest

log = structlog.get_logger("shoal.lease")

FACT: Final = "server_lease"
"""The row's key in ``store_meta``; its ``counter`` is the expiry of the lease, in ms."""
_NOW: Final = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
_TAKE: Final = text(f"""
    INSERT INTO store_meta (key, value, counter) VALUES (:fact, :me, {_NOW} + :lease)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, counter = excluded.counter
    WHERE store_meta.counter < {_NOW} OR store_meta.value::json ->> 'place' = :place
    RETURNING counter
""")  # noqa: S608  no value from a request is in it
_RENEW: Final = text(
    f"UPDATE store_meta SET counter = {_NOW} + :lease WHERE key = :fact AND value = :me"  # noqa: S608
)
_RELEASE: Final = text("UPDATE store_meta SET counter = 0 WHERE key = :fact AND value = :me")
_END: Final = text(
    f"UPDATE store_meta SET counter = 0 WHERE key = :fact AND counter > {_NOW} AND value::json ->> 'place' = :place"  # noqa: S608
)
_HOLDER: Final = text("SELECT value, counter FROM store_meta WHERE key = :fact")


class LeaseTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long a lease is valid, how often it is renewed, and how long before its expiry its holder stops."""

    lease_seconds: float = 30.0
    renew_seconds: float = 5.0
    margin_seconds: float = 3.0


class ServerLease:
    """An ``Ownership`` of every account while the lease is certainly valid."""

    is_shared = False

    def __init__(self, lock_file: Path, times: LeaseTimes | None = None) -> None:
        """``lock_file``: the file that a process locks while it serves its directory."""
        self._lock_file = lock_file
        self._times = times or LeaseTimes()
        self._engine: Engine | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shoal-lease")
        self._me = self._place = ""
        self._deadline = 0.0
        self._lost = False
        self._keeping: asyncio.Task[None] | None = None
        self._lapse = DeadlineTimer(_clock, lambda: self._deadline, self._lapsed)
        self._changed: Callable[[], None] = lambda: None
        self._reported = True
        """The last reported value: whether accounts may be acted for."""

    def owns(self, account_id: str) -> bool:  # noqa: ARG002  the port's signature
        """Return whether the lease is certainly valid now."""
        return _clock() < self._deadline

    def fence(self, account_id: str) -> Fence | None:  # noqa: ARG002  the port's signature
        """Return ``None``: the idle limit ends a transaction of its own before another server takes over."""
        return None

    # ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, engine: Engine) -> None:
        """Take the lease, on a thread, while the directory is locked; do nothing yet on a database without tables.

        Waits for the lease of another server to expire. Raises ``ConfigError`` as soon as that server renews it.
        """
        self._engine = engine
        place = self._place = self._place or place_of(self._lock_file)
        self._me = self._me or json.dumps({
            "place": place, "host": socket.gethostname(), "pid": os.getpid(),
            "data_dir": str(self._lock_file.parent.absolute()), "nonce": secrets.token_hex(8),
        })  # fmt: skip
        seen: int | None = None
        while True:
            with engine.connect() as connection, connection.begin():
                if not inspect(connection).has_table("store_meta"):
                    return
                decide_alone(connection)
                if names := sorted(live_nodes(connection)):
                    raise ConfigError("startup.nodes_run", names=", ".join(names), code="nodes_run")
                holder = self._try(connection, place)
            if holder is None:
                return
            if seen is not None and holder.counter != seen:
                raise _taken(str(holder.value))
            if seen is None:
                log.warning("another server held this database a moment ago: waiting to see whether it lives")
            seen = holder.counter
            time.sleep(min(1.0, self._times.renew_seconds / 4))

    def _try(self, connection: Connection, place: str) -> Any:
        """Take the lease if it is free. Return its holder if it is not."""
        before = _clock()
        values = {"fact": FACT, "me": self._me, "place": place, "lease": self._lease_ms}
        if connection.execute(_TAKE, values).first() is None:
            return connection.execute(_HOLDER, {"fact": FACT}).one()
        self._hold(before)
        return None

    @property
    def _lease_ms(self) -> int:
        return round(self._times.lease_seconds * 1000)

    def _hold(self, since: float) -> None:
        """The lease is valid from the time before the request; the margin covers clocks of different speed."""
        self._deadline = since + self._times.lease_seconds - self._times.margin_seconds

    # ── keeping ─────────────────────────────────────────────────────────────────────────────────────────────────

    def keep(self, changed: Callable[[], None]) -> None:
        """Renew from now on. ``changed`` is called when accounts may no longer be acted for, or may be again."""
        self._changed = changed
        self._watch_deadline()
        self._keeping = asyncio.create_task(self._keep(), name="server lease")

    async def _keep(self) -> None:
        pause = self._times.renew_seconds
        while not self._lost:
            await asyncio.sleep(pause)
            renewed = await asyncio.get_running_loop().run_in_executor(self._thread, self._renew)
            pause = self._times.renew_seconds if renewed else min(1.0, self._times.renew_seconds)
            if renewed:
                self._watch_deadline()
            self._publish()

    def _renew(self) -> bool:
        if self._engine is None:
            return False
        before = _clock()
        try:
            with self._engine.connect() as connection, connection.begin():
                values = {"fact": FACT, "me": self._me, "lease": self._lease_ms}
                if connection.execute(_RENEW, values).rowcount == 1:
                    self._hold(before)
                    return True
                holder = connection.execute(_HOLDER, {"fact": FACT}).first()
        except SQLAlchemyError as error:
            log.warning("the lease on the database was not renewed", why=type(error).__name__)
            return False
        self._lost, self._deadline = True, 0.0
        log.error(
            "another server has taken over this database: this one acts for no account any more; stop it",
            holder=None if holder is None else str(holder.value),
        )
        return False

    def _watch_deadline(self) -> None:
        """Stop all accounts when the lease expires, also while the database does not answer."""
        self._lapse.arm()

    def _lapsed(self) -> None:
        if not self.owns(""):
            log.warning("the lease on the database has run out: no account is connected until the database answers")
        self._publish()

    def _publish(self) -> None:
        """Report a change since the last report; the lease may expire and be valid again within one renewal."""
        held = self.owns("")
        if held is not self._reported:
            self._reported = held
            self._changed()

    async def close(self) -> None:
        """Give up the lease, so that another server can start at once."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        self._lapse.cancel()
        self._deadline = 0.0
        await asyncio.get_running_loop().run_in_executor(self._thread, self._release)
        await asyncio.to_thread(self._thread.shutdown)

    def _release(self) -> None:
        if self._engine is None:
            return
        try:
            with self._engine.connect() as connection, connection.begin():
                connection.execute(_RELEASE, {"fact": FACT, "me": self._me})
        except SQLAlchemyError as error:
            log.warning("the lease on the database was not given up; it runs out by itself", why=type(error).__name__)
        finally:
            self._engine.dispose()


def is_leased(connection: Connection, place: str = "") -> bool:
    """Return whether a single server serves the database now.

    ``place``: where this process holds the lock of a data directory. A single server there certainly has ended, so its
    lease is ended too.
    """
    if not inspect(connection).has_table("store_meta"):
        return False
    if place and connection.execute(_END, {"fact": FACT, "place": place}).rowcount:
        log.info("the single server on this data directory has ended: its lease is not waited for")
    query = text(f"SELECT 1 FROM store_meta WHERE key = :fact AND counter > {_NOW}")  # noqa: S608
    return connection.execute(query, {"fact": FACT}).first() is not None


def _clock() -> float:
    """Return seconds that continue while the machine sleeps, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _taken(holder: str) -> ConfigError:
    known = json.loads(holder)
    return ConfigError(
        "startup.database_taken",
        pid=str(known["pid"]),
        host=known["host"],
        directory=known["data_dir"],
        code="database_taken",
    )


def older_servers(connection: Connection) -> list[str]:
    """Return their names; none joins until this transaction ends. Raises ``ConfigError`` beside a single server."""
    decide_alone(connection)
    if is_leased(connection):
        raise ConfigError("startup.one_server_runs", code="database_taken")
    return older_nodes(connection, newest())
