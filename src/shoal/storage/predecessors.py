"""Work of a killed server in PostgreSQL: its last COMMIT may still be in progress there."""

from __future__ import annotations

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from shoal.storage.schema import store_meta

log = structlog.get_logger("shoal.predecessors")

WRITER_ROWS = "writer:"
"""The prefix of the keys of the rows that each writer locks in every transaction."""


def await_predecessors(engine: Engine) -> None:
    """Wait until no transaction of another writer is in progress, for as long as one statement may take.

    A read after that cannot be overtaken by it. A longer transaction belongs to a program whose machine is gone: its
    COMMIT never comes.
    """
    rows = select(store_meta.c.key).where(store_meta.c.key.startswith(WRITER_ROWS, autoescape=True))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.execute(rows.with_for_update(read=True)).all()
    except DBAPIError as error:
        log.warning("a transaction of another server is under way and does not end", why=type(error).__name__)
