"""Deletes old rows step by step: each step is found on a reader and is one short transaction of the writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, Connection, Table, delete, select

from shoal.storage.database import Database

Also = Callable[[Connection, Sequence[int]], None]


async def delete_in_steps(
    database: Database, table: Table, old: ColumnElement[bool], rows: int, *, also: Also | None = None
) -> int:
    """Delete the rows that are ``old``, at most ``rows`` in each transaction; return how many there were.

    They are looked for on a reader, because that may read the whole table. ``also`` is called with their ids, in the
    same transaction.
    """
    query = select(table.c.id).where(old).order_by(table.c.id).limit(rows)
    deleted, last = 0, rows
    while last == rows:
        ids = await database.read(lambda connection: connection.scalars(query).all())
        last = len(ids)
        if ids:
            deleted += await database.write(_step(table, old, ids, also))
    return deleted


def _step(table: Table, old: ColumnElement[bool], ids: Sequence[int], also: Also | None) -> Callable[[Connection], int]:
    step = delete(table).where(table.c.id.between(ids[0], ids[-1]), old)

    def job(connection: Connection) -> int:
        if also is not None:
            also(connection, ids)
        return connection.execute(step).rowcount

    return job
