"""INSERTs that leave or renew an existing row, for the connected database."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_or(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that supports ``on_conflict_do_nothing`` and ``on_conflict_do_update`` on the connected
    database."""
    return insert_for(connection.dialect.name, table)


def insert_for(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT as ``insert_or`` does, for the database of that dialect."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_new(connection: Connection, table: Table, *key: str) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that leaves a row with the same ``key`` (the primary key without one) as it is.

    It is built once for each process.
    """
    return _insert_new(connection.dialect.name, table, key)


def insert_or_renew(
    connection: Connection, table: Table, renewed: tuple[str, ...]
) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that sets ``renewed`` in a row with the same primary key. It is built once for each process."""
    return _insert_or_renew(connection.dialect.name, table, renewed)


@cache
def _insert_new(dialect: str, table: Table, key: tuple[str, ...]) -> sqlite.Insert | postgresql.Insert:
    columns = [table.c[name] for name in key] or list(table.primary_key)
    return insert_for(dialect, table).on_conflict_do_nothing(index_elements=columns)


@cache
def _insert_or_renew(dialect: str, table: Table, renewed: tuple[str, ...]) -> sqlite.Insert | postgresql.Insert:
    statement = insert_for(dialect, table)
    values = {name: statement.excluded[name] for name in renewed}
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)
