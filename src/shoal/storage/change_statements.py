"""The statements of every change and observation, given to the driver: built once, with rows by position.

SQLAlchemy's work for a statement costs more than the database's. All other statements go through it; both kinds share
the writer's transaction (see ``engines.begin``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from shoal.accounts.account import OBSERVED_FIELDS
from shoal.storage.engines import driver_of
from shoal.storage.history_tables import journal, observed, ops, state_moves
from shoal.storage.storable_cursors import storable_values

if TYPE_CHECKING:
    import psycopg

Values = Sequence[Any]

JOURNAL_COLUMNS = ("account_id", "owner_id", "generation", "changes", "actor", "op_id", "at_ms", "origin")
OP_COLUMNS = ("op_id", "actor", "account_id", "generation", "rev", "changed", "at_ms")
MOVE_COLUMNS = ("account_id", "at_ms", "state", "reason")
SEEN_FIELDS = tuple(name for name in OBSERVED_FIELDS if name != "parked_for")
OBSERVED_COLUMNS = ("account_id", "parked_for_cookie", "parked_for_nonce", *SEEN_FIELDS)
STAMP_COLUMNS = ("generation", "rev")
_FILLED = ("account_id", "generation", "rev", "changed", "at_ms")
_SQLITE_GENERATIONS = """SELECT id, generation FROM accounts
    WHERE id IN (SELECT value FROM json_each(?)) AND NOT deleted"""
_POSTGRESQL_GENERATIONS = "SELECT id, generation FROM accounts WHERE id = ANY(%s) AND NOT deleted"
_LOCK_ACCOUNTS = "SELECT id FROM accounts WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"
_JOURNAL_LOCK = 0x53686F616C  # "Shoal": any number works, as long as every node uses the same


class ChangeStatements(Protocol):
    """The statements, on one connection of the writer."""

    def stamp(self, key: str, token: str) -> bool:
        """Set a value of ``store_meta``. Return whether the key exists."""

    def lock_accounts(self, names: Sequence[str]) -> None:
        """Lock the rows of accounts against other writers, in the given order."""

    def generations(self, names: Iterable[str]) -> dict[str, int]:
        """Return the generation of each of these accounts that exists and is not deleted."""

    def add_entries(self, rows: Sequence[Values], *, in_turn: bool = True) -> Sequence[int]:
        """Insert rows of ``JOURNAL_COLUMNS``, with the changes in bytes: a text of thousands of rules is not copied.

        Return their positions, which rise in the order of the rows.
        ``in_turn``: wait until no other writer has uncommitted positions.
        """

    def update_accounts(self, names: tuple[str, ...], rows: Sequence[Values]) -> int:
        """Update accounts that exist and have the given generation. Return how many.

        A row: the values of ``names``, those of ``STAMP_COLUMNS``, the id, the generation until now.
        """

    def store_ops(self, rows: Sequence[Values]) -> None:
        """Insert rows of ``OP_COLUMNS``, or fill in rows that are reserved for an idempotency key."""

    def store_observations(self, rows: Sequence[Values]) -> None:
        """Insert or renew rows of ``OBSERVED_COLUMNS``."""

    def add_moves(self, rows: Sequence[Values]) -> int | None:
        """Insert those rows of ``MOVE_COLUMNS`` that are new. Return the highest id, or ``None`` without a new one."""


def statements_of(connection: Connection) -> ChangeStatements:
    """Return the statements for a connection."""
    raw = driver_of(connection)
    return OnSqlite(raw) if isinstance(raw, sqlite3.Connection) else OnPostgresql(raw)


@cache
def _update(names: tuple[str, ...], mark: str) -> str:
    values = ", ".join(f"{name} = {mark}" for name in (*names, *STAMP_COLUMNS))
    return f"UPDATE accounts SET {values} WHERE id = {mark} AND generation = {mark} AND NOT deleted"  # noqa: S608


# ── SQLite ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_STORE_OP = f"""INSERT INTO ops ({", ".join(OP_COLUMNS)}) {{rows}}
    ON CONFLICT (op_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _FILLED)}
    WHERE ops.account_id IS NULL"""
_STORE_OBSERVATION = f"""INSERT INTO observed ({", ".join(OBSERVED_COLUMNS)}) {{rows}}
    ON CONFLICT (account_id) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in OBSERVED_COLUMNS[1:])}"""
_ADD_MOVE = f"""INSERT INTO state_moves ({", ".join(MOVE_COLUMNS)}) {{rows}}
    ON CONFLICT (account_id, at_ms, state) DO NOTHING"""


def _marks(columns: tuple[str, ...]) -> str:
    return f"VALUES ({', '.join('?' * len(columns))})"


_SQLITE_ENTRY = f"INSERT INTO journal ({', '.join(JOURNAL_COLUMNS)}) VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?, ?, ?)"  # noqa: S608
_SQLITE_OP = _STORE_OP.format(rows=_marks(OP_COLUMNS))
_SQLITE_OBSERVATION = _STORE_OBSERVATION.format(rows=_marks(OBSERVED_COLUMNS))
_SQLITE_MOVE = _ADD_MOVE.format(rows=_marks(MOVE_COLUMNS))


class OnSqlite:
    """The statements for SQLite."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def stamp(self, key: str, token: str) -> bool:
        """See ``ChangeStatements``."""
        return self._raw.execute("UPDATE store_meta SET value = ? WHERE key = ?", (token, key)).rowcount == 1

    def lock_accounts(self, names: Sequence[str]) -> None:
        """See ``ChangeStatements``. There is one writer."""

    def generations(self, names: Iterable[str]) -> dict[str, int]:
        """See ``ChangeStatements``."""
        listed = msgspec.json.encode(list(names)).decode()
        return dict(self._raw.execute(_SQLITE_GENERATIONS, (listed,)).fetchall())

    def add_entries(self, rows: Sequence[Values], *, in_turn: bool = True) -> Sequence[int]:  # noqa: ARG002
        """See ``ChangeStatements``. There is one writer, and AUTOINCREMENT leaves no gap within a transaction."""
        self._raw.executemany(_SQLITE_ENTRY, rows)
        last: int = self._raw.execute("SELECT last_insert_rowid()").fetchone()[0]
        return range(last - len(rows) + 1, last + 1)

    def update_accounts(self, names: tuple[str, ...], rows: Sequence[Values]) -> int:
        """See ``ChangeStatements``."""
        return self._raw.executemany(_update(names, "?"), rows).rowcount

    def store_ops(self, rows: Sequence[Values]) -> None:
        """See ``ChangeStatements``."""
        self._raw.executemany(_SQLITE_OP, rows)

    def store_observations(self, rows: Sequence[Values]) -> None:
        """See ``ChangeStatements``."""
        self._raw.executemany(_SQLITE_OBSERVATION, rows)

    def add_moves(self, rows: Sequence[Values]) -> int | None:
        """See ``ChangeStatements``."""
        if not self._raw.executemany(_SQLITE_MOVE, rows).rowcount:
            return None
        highest: int = self._raw.execute("SELECT max(id) FROM state_moves").fetchone()[0]
        return highest


# ── PostgreSQL ──────────────────────────────────────────────────────────────────────────────────────────────────────


class OnPostgresql:
    """The statements for PostgreSQL. Inserted rows are one JSON text: one prepared statement serves any number."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self._raw = raw

    def stamp(self, key: str, token: str) -> bool:
        """See ``ChangeStatements``."""
        update = "UPDATE store_meta SET value = %s WHERE key = %s"
        return self._raw.execute(update, (token, key), prepare=True).rowcount == 1

    def lock_accounts(self, names: Sequence[str]) -> None:
        """See ``ChangeStatements``."""
        self._raw.execute(_LOCK_ACCOUNTS, (list(names),), prepare=True)

    def generations(self, names: Iterable[str]) -> dict[str, int]:
        """See ``ChangeStatements``."""
        return dict(self._raw.execute(_POSTGRESQL_GENERATIONS, (list(names),), prepare=True))

    def add_entries(self, rows: Sequence[Values], *, in_turn: bool = True) -> Sequence[int]:
        """See ``ChangeStatements``. In turn: the lock is held until the commit is visible, so positions become visible
        in order. Otherwise readers follow the stream (``stream_rows.py``)."""
        given = [(*row[:3], row[3].decode(), *row[4:]) for row in rows]
        found = self._execute(_postgresql_entries(in_turn=in_turn), JOURNAL_COLUMNS, given).fetchall()
        return sorted(rev for (rev,) in found)

    def update_accounts(self, names: tuple[str, ...], rows: Sequence[Values]) -> int:
        """See ``ChangeStatements``. Row by row: a join with the rows would read all accounts."""
        statement = _update(names, "%s")
        if len(rows) == 1:
            return self._raw.execute(statement, rows[0], prepare=True).rowcount
        cursor = self._raw.cursor()
        cursor.executemany(statement, rows)
        return cursor.rowcount

    def store_ops(self, rows: Sequence[Values]) -> None:
        """See ``ChangeStatements``."""
        self._execute(_postgresql(_STORE_OP, ops, OP_COLUMNS), OP_COLUMNS, rows)

    def store_observations(self, rows: Sequence[Values]) -> None:
        """See ``ChangeStatements``."""
        self._execute(_postgresql(_STORE_OBSERVATION, observed, OBSERVED_COLUMNS), OBSERVED_COLUMNS, rows)

    def add_moves(self, rows: Sequence[Values]) -> int | None:
        """See ``ChangeStatements``."""
        statement = _postgresql(f"{_ADD_MOVE} RETURNING id", state_moves, MOVE_COLUMNS)
        return max((row_id for (row_id,) in self._execute(statement, MOVE_COLUMNS, rows)), default=None)

    def _execute(self, statement: str, names: tuple[str, ...], rows: Sequence[Values]) -> psycopg.Cursor[Any]:
        given = [dict(zip(names, storable_values(row), strict=True)) for row in rows]
        text = msgspec.json.encode(given).decode()
        return self._raw.execute(statement, (text,), prepare=True)


@cache
def _postgresql_entries(*, in_turn: bool) -> str:
    names = ", ".join(JOURNAL_COLUMNS)
    lock = f"(SELECT pg_advisory_xact_lock({_JOURNAL_LOCK}) OFFSET 0) AS locked," if in_turn else ""
    return f"""INSERT INTO journal ({names}) SELECT {names}
        FROM {lock}
            ROWS FROM (json_to_recordset(%s::json) AS ({_typed(journal, JOURNAL_COLUMNS)}))
            WITH ORDINALITY AS given ({names}, place)
        ORDER BY place RETURNING rev"""  # noqa: S608


@cache
def _postgresql(statement: str, table: Table, names: tuple[str, ...]) -> str:
    """Return the statement with rows of these columns from a JSON text, in their order."""
    given = f"ROWS FROM (json_to_recordset(%s::json) AS ({_typed(table, names)})) WITH ORDINALITY"
    columns = ", ".join(names)
    return statement.format(rows=f"SELECT {columns} FROM {given} AS given ({columns}, place) ORDER BY place")  # noqa: S608


def _typed(table: Table, names: tuple[str, ...]) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    return ", ".join(f"{name} {table.c[name].type.compile(dialect=dialect)}" for name in names)
