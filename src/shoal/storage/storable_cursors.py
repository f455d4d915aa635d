"""The border of the database: cursors that give it only texts that every database can store.

Whatever way a text came, from a request, the site, a file or another program: PostgreSQL would refuse the whole
transaction for a NUL in it, and an SQLite file that has one can never be moved to PostgreSQL. Values of accounts are
cleaned when they are made (``Account.evolve``), because memory and the journal hold them too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from shoal.language.storable_texts import storable

if TYPE_CHECKING:
    import psycopg


def storable_values(values: Any) -> Any:
    """Return the values of a statement with storable texts: the same object when all of them are."""
    for value in values.values() if isinstance(values, dict) else values:
        if value.__class__ is str and not (value.isascii() and "\0" not in value) and storable(value) is not value:
            break
    else:
        return values
    if isinstance(values, dict):
        return {name: _cleaned(value) for name, value in values.items()}
    return tuple(map(_cleaned, values))


def _cleaned(value: Any) -> Any:
    return storable(value) if isinstance(value, str) else value


def _has_nul(values: Any) -> bool:
    """Return whether a text has a NUL; a driver itself finds half of a surrogate pair, before it does anything."""
    for value in values.values() if isinstance(values, dict) else values:
        if value.__class__ is str and "\0" in value:
            return True
    return False


class StorableCursor(sqlite3.Cursor):
    """Cleans the values of each statement."""

    def execute(self, sql: str, parameters: Any = (), /) -> StorableCursor:
        """See ``sqlite3.Cursor.execute``."""
        if _has_nul(parameters):
            parameters = storable_values(parameters)
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            return super().execute(sql, storable_values(parameters))

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> StorableCursor:
        """See ``sqlite3.Cursor.executemany``."""
        return super().executemany(sql, map(storable_values, parameters))


class StorableConnection(sqlite3.Connection):
    """Works with such cursors."""

    def cursor(self, factory: Any = StorableCursor) -> Any:
        """See ``sqlite3.Connection.cursor``."""
        return super().cursor(factory)

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """See ``sqlite3.Connection.execute``, which makes a cursor of its own."""
        return self.cursor().execute(sql, parameters)  # type: ignore[no-any-return]

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """See ``sqlite3.Connection.executemany``, which makes a cursor of its own."""
        return self.cursor().executemany(sql, parameters)  # type: ignore[no-any-return]


@cache
def storable_cursor_of_postgresql() -> type[psycopg.Cursor[Any]]:
    """Return the same cursor for PostgreSQL, whose driver is loaded only where it is used."""
    import psycopg  # noqa: PLC0415

    class StorableCursorOfPostgresql(psycopg.Cursor[Any]):
        """Cleans the values of each statement."""

        def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
            if params and _has_nul(params):
                params = storable_values(params)
            try:
                return super().execute(query, params, **how)
            except UnicodeEncodeError:
                return super().execute(query, storable_values(params), **how)

        def executemany(self, query: Any, params_seq: Iterable[Any], **how: Any) -> None:
            super().executemany(query, map(storable_values, params_seq), **how)

    return StorableCursorOfPostgresql
