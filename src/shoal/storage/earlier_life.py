"""A journal that was dumped from one PostgreSQL server and restored into another."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection, Engine, text

from shoal.storage.migrations import take_migration_lock

log = structlog.get_logger("shoal.database")

_IS_FOREIGN = text("""
    SELECT xid8 >= pg_snapshot_xmax(pg_current_snapshot()) FROM journal ORDER BY xid8 DESC, rev DESC LIMIT 1
""")


def forget_earlier_life(engine: Engine) -> None:
    """Let such a journal be in the order of its revs, before anything is added to it.

    Its transaction ids belong to the other server's life: entries that follow would come before them in the stream.
    """
    with engine.begin() as connection:
        if connection.scalar(_IS_FOREIGN):
            take_migration_lock(connection)
            entries = _forget(connection)
            log.info("the history comes from another PostgreSQL server; its order is that of its numbers", rows=entries)


def _forget(connection: Connection) -> int:
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    return connection.execute(text("UPDATE journal SET xid8 = '0'")).rowcount
