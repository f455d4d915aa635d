"""Recognises what file of an old system came, by its content, and reads it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

from shoal.errors import InvalidInput
from shoal.maintenance.moving import legacy, mysql_form, ydisks_form
from shoal.maintenance.moving.dump_text import DumpText
from shoal.maintenance.moving.json_backup import read_json_backup
from shoal.maintenance.moving.mysql_dump import read_mysql_dump
from shoal.maintenance.moving.old_shop import OldShop, Source
from shoal.maintenance.moving.postgres_dump import ARCHIVE_MAGIC, BEGINNING, COPY, read_postgres_dump
from shoal.maintenance.moving.sqlite_file import MAGIC, read_sqlite
from shoal.maintenance.moving.tables import OldTables

_TABLES: Final = tuple(dict.fromkeys((*legacy.TABLES, *mysql_form.CONTRACT.tables, *ydisks_form.TABLES)))
_SQL_WORDS: Final = ("insert into", "create table", " from stdin;")
_HEAD_BYTES: Final = 4096
_LONGEST_LINE: Final = 16_384
"""How many characters a line has that begins the rows of a table."""


def read_old_file(path: Path, *, with_log: bool = False, key: str = "") -> OldShop:
    """Return what a file of xianyu-auto-reply holds, or of its descendant Ydisks-Xianyu-Helper.

    Of the first it may be the SQLite file, the JSON backup, or a dump of its MySQL database; of the second the SQLite
    file, or a dump of its MySQL or PostgreSQL database. ``with_log``: a SQLite file's ``-wal`` file lies beside it.
    ``key`` opens what the second sealed.

    Raises ``InvalidInput`` for a file that is none of these, or that cannot be read; its sentence says what to do.
    """
    tables = _tables(path, with_log=with_log)
    source = Source.LEGACY
    if ydisks_form.is_ydisks_form(tables):
        tables, source = ydisks_form.as_sqlite_form(tables, key=key), Source.YDISKS
    elif mysql_form.is_mysql_form(tables):
        tables = mysql_form.as_sqlite_form(tables)
    else:
        tables = legacy.CONTRACT.apply(tables)
    if not any(tables.has(name) for name in ("cookies", "keywords", "cards")):
        raise InvalidInput("the file has none of the tables", code="moving_other_database")
    return replace(legacy.old_shop_of(tables), source=source)


def _tables(path: Path, *, with_log: bool) -> OldTables:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if not head:
            raise InvalidInput("the file is empty", code="moving_empty_file")
        if head.startswith(MAGIC):
            return read_sqlite(path, _TABLES, with_log=with_log)
        if head.startswith(ARCHIVE_MAGIC):
            raise InvalidInput("only pg_restore reads it", code="moving_pg_archive")
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            return read_json_backup(path.read_bytes(), legacy.TABLES)
        with DumpText(path) as text:
            read = _reader_of(text)
        with DumpText(path) as text:
            return read(text, _TABLES)
    except OSError as error:
        raise InvalidInput(f"the file cannot be read: {error}", code="moving_unreadable", why=error.strerror) from None


def _reader_of(text: DumpText) -> Callable[[DumpText, Collection[str]], OldTables]:
    """Return what reads a dump. Raises ``InvalidInput`` (``moving_unknown_file``) for a file that is none."""
    is_dump = False
    for piece in text.pieces(_LONGEST_LINE):
        if BEGINNING in text.head or COPY.search(piece) is not None:
            return read_postgres_dump
        is_dump = is_dump or any(word in piece.lower() for word in _SQL_WORDS)
    if not is_dump:
        raise InvalidInput("the file is of no known kind", code="moving_unknown_file")
    return read_mysql_dump
