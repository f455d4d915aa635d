"""Facts of the store: rows of ``store_meta``, each stored once unless it is replaced on purpose."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from shoal.storage.schema import store_meta
from shoal.storage.upserts import insert_or


def fact_of(key: str) -> Any:
    """Return the query for a fact."""
    return select(store_meta.c.value).where(store_meta.c.key == key)


def remember_fact(connection: Connection, key: str, value: str) -> str:
    """Store a fact unless there is one. Return the stored one."""
    stored = connection.scalar(fact_of(key))
    if stored is not None:
        return str(stored)
    connection.execute(
        insert_or(connection, store_meta).on_conflict_do_nothing(index_elements=[store_meta.c.key]),
        [{"key": key, "value": value}],
    )
    return str(connection.scalar(fact_of(key)))
