"""Reads the tables of an old system's SQLite file. The file is opened read-only and never changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Final

from shoal.errors import InvalidInput
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.tables import OldTables, too_much

MAGIC: Final = b"SQLite format 3\x00"
_LONGEST_BYTES: Final = 1 << 25
"""How long a value may be: all codes of a card are one text."""
_LISTS_TABLES: Final = (3, 37)
"""The first version of SQLite that tells a virtual table from another one."""
_WAL_MODE: Final = b"\x02\x02"
"""Bytes 18 and 19 of a file whose newest rows may stand in a second file beside it."""


def read_sqlite(path: Path, wanted: Collection[str], *, with_log: bool = False) -> OldTables:
    """Return the rows of the wanted tables that the file has, in the order in which they were added.

    ``with_log``: the rows in a ``-wal`` file beside it count too. When the file says that there may be such rows and
    the log did not come, that is an oddity. Raises ``InvalidInput``: ``moving_damaged`` when it cannot be read, and
    ``moving_computed`` when the rows of a wanted table are not stored but computed: a small file can compute for ever.
    """
    try:
        found = _read(path, wanted, with_log=with_log)
        if not with_log and _head(path)[18:20] == _WAL_MODE:
            found.oddities.append(Oddity(table="", row="", code="log_not_seen", fate=Fate.CHANGED))
    except sqlite3.DataError:
        raise too_much() from None
    except sqlite3.Error as error:
        raise InvalidInput(f"the database cannot be read: {error}", code="moving_damaged", why=str(error)) from None
    return found


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


def _read(path: Path, wanted: Collection[str], *, with_log: bool) -> OldTables:
    found = OldTables()
    mode = "mode=ro" if with_log else "mode=ro&immutable=1"
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as opened:
        opened.text_factory = _text
        opened.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_BYTES)
        opened.execute("PRAGMA trusted_schema = OFF")
        known = {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}
        stored = _stored_tables(opened)
        for name in wanted:
            if name in known:
                _must_be_stored(opened, name, stored)
                _take(opened, name, found)
        for name in sorted(known & stored - set(wanted)):
            _left_out(opened, name, found)
    return found


def _stored_tables(opened: sqlite3.Connection) -> set[str]:
    """Return the tables that are neither views nor virtual, as SQLite itself knows them."""
    if sqlite3.sqlite_version_info < _LISTS_TABLES:  # then the bounds of this process are enough
        return {name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE rootpage > 0")}
    return {row[1] for row in opened.execute("PRAGMA table_list") if row[2] == "table"}


def _must_be_stored(opened: sqlite3.Connection, name: str, stored: Collection[str]) -> None:
    """Refuse a view, a virtual table, and a table with generated columns."""
    columns = opened.execute("SELECT hidden FROM pragma_table_xinfo(?)", (name,))
    if name not in stored or any(hidden for (hidden,) in columns):
        raise InvalidInput(f"the rows of {name} are computed", code="moving_computed", table=name)


def _left_out(opened: sqlite3.Connection, name: str, found: OldTables) -> None:
    """Note a table that is not imported and has rows."""
    quoted = name.replace('"', '""')
    (count,) = opened.execute(f'SELECT count(*) FROM "{quoted}"').fetchone()  # noqa: S608  quoted
    if not name.startswith("sqlite_"):
        found.left_out(name, count)


def _take(opened: sqlite3.Connection, name: str, found: OldTables) -> None:
    """Read one table. Rows behind a damaged page are lost; those before it count, and the loss is reported."""
    found.rows[name] = []
    try:
        rows = opened.execute(f'SELECT * FROM "{name}" ORDER BY rowid')  # noqa: S608  a name of ours
        columns = [column for column, *_ in rows.description]
        for row in rows:
            found.add(name, columns, row)
    except sqlite3.DatabaseError as error:
        if "malformed" not in str(error):
            raise
        read = len(found.rows[name])
        lost = Oddity(table=name, row=f"#{read + 1}", code="table_damaged", fate=Fate.SKIPPED, params={"count": read})
        found.oddities.append(lost)


def _text(value: bytes) -> str:
    """Return a text, also one that is no UTF-8: it is shown as what it is instead of ending the import."""
    return value.decode("utf-8", "replace")
