"""Finds out the outcome of a failed COMMIT, and whether PostgreSQL still has what was committed before."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection, Engine, bindparam, delete, select, update

from shoal.storage.change_statements import statements_of
from shoal.storage.database_errors import kind_of
from shoal.storage.database_life import IN_RECOVERY
from shoal.storage.engines import dispose
from shoal.storage.schema import store_meta
from shoal.storage.upserts import insert_or

log = logging.getLogger("shoal.storage.group_writer")

SETTLE_SECONDS = 5.0
"""How long to look for the outcome of a failed COMMIT before it is reported as unknown."""
REOPEN_SECONDS = (1.0, 30.0)
"""First and longest wait between attempts to reopen a degraded store."""

_BARRIER = update(store_meta).where(store_meta.c.key == bindparam("b_key")).values(counter=store_meta.c.counter + 1)


class CommitsLostError(Exception):
    """PostgreSQL does not have what this writer committed: another server without it answers now."""


class CommitOutcome:
    """One writer's row of ``store_meta``: every transaction writes a token into it, which shows its outcome.

    After a failed COMMIT a barrier transaction updates the same row on a new connection: it waits for a commit in
    progress, supersedes one that only partly reached the disk, and reads whether the token, and with it the group's ops
    and journal rows, is stored.

    Each new connection must find the token of the last commit in the row. If it does not, a standby that lacked the
    last transactions was promoted, or an earlier copy restored: nothing is written any more.
    """

    def __init__(self, engine: Engine, key: str, point: Callable[[str], None]) -> None:
        self._engine = engine
        self._key = key
        self._point = point
        self._committed: str | None = None
        self._found_on: Connection | None = None
        """The connection that found it."""
        self.on_lost: Callable[[], None] | None = None
        """Called on the writer's thread when commits are lost; nothing is looked for without it."""

    def stamp(self, connection: Connection, token: str) -> None:
        """Write the token in the transaction that it represents. Raises ``CommitsLostError``."""
        if connection is not self._found_on:
            self._look_for_last(connection)
        if not statements_of(connection).stamp(self._key, token):
            connection.execute(insert_or(connection, store_meta).values(key=self._key, value=token))

    def committed(self, token: str) -> None:
        """Take in that the token was committed."""
        self._committed = token

    def _look_for_last(self, connection: Connection) -> None:
        if self.on_lost is not None and self._committed is not None:
            if connection.scalar(IN_RECOVERY):
                return  # a standby may not have applied yet all that it has; it takes no changes either
            found = connection.scalar(select(store_meta.c.value).where(store_meta.c.key == self._key))
            if found != self._committed:
                self.on_lost()
                raise CommitsLostError
        self._found_on = connection

    def forget(self, connection: Connection) -> None:
        """Delete the row of a writer that ends."""
        connection.execute(delete(store_meta).where(store_meta.c.key == self._key))

    def ask_within(self, token: str, seconds: float) -> bool | None:
        """Return whether the token was committed; ``None`` when the database does not answer in time."""
        deadline = time.monotonic() + seconds
        while True:
            applied = self._ask(token)
            if applied is not None or time.monotonic() >= deadline:
                return applied
            time.sleep(min(0.1, seconds / 10))

    def ask_for_ever(self, token: str, waits: tuple[float, float], stop: threading.Event) -> bool | None:
        """Ask with growing waits until the database answers; ``None`` only when stopped."""
        wait, longest = waits
        while not stop.wait(wait):
            applied = self._ask(token)
            if applied is not None:
                return applied
            wait = min(wait * 2, longest)
        return None

    def _ask(self, token: str) -> bool | None:
        """Return whether the token was committed; ``None`` while the database does not answer."""
        connection: Connection | None = None
        try:
            self._point("barrier")
            connection = self._engine.connect()
            connection.begin()
            moved = connection.execute(_BARRIER, {"b_key": self._key})
            found = connection.scalar(select(store_meta.c.value).where(store_meta.c.key == self._key))
            connection.commit()
        except Exception as error:  # noqa: BLE001 - any failure means the same: not known yet
            log.warning("the database does not answer yet: %s", kind_of(error)[0])
            return None
        finally:
            if connection is not None:
                dispose(connection)
        applied = moved.rowcount == 1 and found == token
        if applied:
            self.committed(token)
        return applied
