"""Databases of PostgreSQL that a test has used, emptied for the next one: quicker than another copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import sql

FEW_ROWS = 500
"""The pages of removed rows stay, so that who counts pages would see those of another test."""
USES = 50
"""After so many tests a database is dropped, for the same reason."""
PATIENCE_MS = 60_000
_OURS = 16_384
"""The least number of an object that is none of PostgreSQL's own."""
_CATALOGUES = {
    "pg_class": "oid", "pg_attribute": "attrelid", "pg_index": "indexrelid", "pg_constraint": "oid",
    "pg_trigger": "oid", "pg_proc": "oid", "pg_namespace": "oid", "pg_statistic": "starelid", "pg_policy": "oid",
    "pg_rewrite": "oid",
}  # fmt: skip
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version' ORDER BY 1"
_OTHERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
_RESET_NUMBERS = """SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE last_value IS NOT NULL"""

Connection = psycopg.Connection[Any]


def _question() -> sql.Composed:
    """Return the query for all that a change of the schema or of the database's own settings changes."""
    settings = sql.SQL("""SELECT concat(datallowconn, datconnlimit, datacl) FROM pg_database
        WHERE datname = current_database()
        UNION ALL SELECT count(*)::text FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase
        WHERE datname = current_database()
        UNION ALL SELECT string_agg(version_num, ' ') FROM alembic_version""")
    counted = sql.SQL("SELECT concat(count(*), ' ', max(xmin::text::bigint)) FROM {} WHERE {} >= {}")
    catalogues = [
        counted.format(sql.Identifier(catalogue), sql.Identifier(number), sql.Literal(_OURS))
        for catalogue, number in _CATALOGUES.items()
    ]
    return sql.SQL(" UNION ALL ").join([settings, *catalogues])


_SHAPE = _question()


class UsedDatabases:
    """The migrated databases of one server that wait for another test of this process.

    Each has a connection that stays open: a new one would read the whole catalogue of its database first.
    """

    def __init__(self, connect: Callable[[str], Connection]) -> None:
        """``connect``: opens a connection to the database of a name."""
        self._connect = connect
        self._waiting: list[str] = []
        self._connections: dict[str, Connection] = {}
        self._uses = Counter[str]()
        self._shape: list[Any] = []
        self._emptied = sql.Composed([])

    def close(self) -> None:
        """Close the connections."""
        for name in [*self._connections]:
            self._left(name)

    def taken(self) -> str | None:
        """Take one that waits; ``None``: there is none."""
        return self._waiting.pop() if self._waiting else None

    def made(self, name: str) -> None:
        """Learn from the first copy of the template how each is."""
        if self._shape:
            return
        connection = self._connection(name)
        self._shape = connection.execute(_SHAPE).fetchall()
        tables = [sql.Identifier(table) for (table,) in connection.execute(_TABLES)]
        self._emptied = sql.SQL(";").join(sql.SQL("DELETE FROM {}").format(table) for table in tables)

    def given_back(self, name: str) -> bool:
        """Empty a database, so that the next test can have it. Returns ``False`` when it is to be dropped instead."""
        self._uses[name] += 1
        try:
            emptied = self._uses[name] < USES and self._empty(self._connection(name))
        except psycopg.Error:  # a test has ended all connections, or lets none in
            emptied = False
        if emptied:
            self._waiting.append(name)
        else:
            self._left(name)
        return emptied

    def _connection(self, name: str) -> Connection:
        if name not in self._connections:
            connection = self._connections[name] = self._connect(name)
            connection.execute("SET session_replication_role = replica")  # empties in any order, without our triggers
        return self._connections[name]

    def _left(self, name: str) -> None:
        if connection := self._connections.pop(name, None):
            connection.close()

    def _empty(self, connection: Connection) -> bool:
        for (pid,) in connection.execute(_OTHERS).fetchall():
            connection.execute("SELECT pg_terminate_backend(%s, %s)", (pid, PATIENCE_MS))
        if connection.execute(_SHAPE).fetchall() != self._shape:
            return False
        removed = 0
        cursor = connection.execute(self._emptied)
        while True:
            removed += cursor.rowcount
            if not cursor.nextset():
                break
        connection.execute(_RESET_NUMBERS)
        return removed <= FEW_ROWS
