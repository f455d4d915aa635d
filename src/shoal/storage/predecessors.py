"""What a server that was killed had sent to its PostgreSQL: the last COMMIT may still be under way there."""

from __future__ import annotations

import structlog
from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError

from shoal.storage.schema import store_meta

log = structlog.get_logger("shoal.predecessors")

WRITER_ROWS = "writer:"
"""With this begin the keys of the rows of which each writer holds its own in every transaction."""


def await_predecessors(engine: Engine) -> None:
    """Wait until no transaction of another writer is under way, for as long as one statement may take.

    What is read after that is not overtaken by it. A transaction that takes longer belongs to a program whose machine
    is gone: its COMMIT never comes.
    """
    rows = select(store_meta.c.key).where(store_meta.c.key.startswith(WRITER_ROWS, autoescape=True))
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
            connection.execute(rows.with_for_update(read=True)).all()
    except DBAPIError as error:
        log.warning("a transaction of another server is under way and does not end", why=type(error).__name__)
