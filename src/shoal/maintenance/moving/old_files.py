"""Recognises what file of an old system came, by its content, and reads it."""

from __future__ import annotations

import codecs
from dataclasses import replace
from pathlib import Path
from typing import Final

from shoal.errors import InvalidInput
from shoal.maintenance.moving import legacy, mysql_form, ydisks_form
from shoal.maintenance.moving.json_backup import read_json_backup
from shoal.maintenance.moving.mysql_dump import read_mysql_dump
from shoal.maintenance.moving.old_shop import OldShop, Source
from shoal.maintenance.moving.postgres_dump import ARCHIVE_MAGIC, is_postgres_dump, read_postgres_dump
from shoal.maintenance.moving.sqlite_file import MAGIC, read_sqlite
from shoal.maintenance.moving.tables import OldTables

_TABLES: Final = tuple(dict.fromkeys((*legacy.TABLES, *mysql_form.TABLES, *ydisks_form.TABLES)))
_SQL_WORDS: Final = ("insert into", "create table", " from stdin;")
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""How a text begins that PowerShell wrote."""


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
    if not any(tables.has(name) for name in ("cookies", "keywords", "cards")):
        raise InvalidInput("the file has none of the tables", code="moving_other_database")
    return replace(legacy.old_shop_of(tables), source=source)


def _tables(path: Path, *, with_log: bool) -> OldTables:
    try:
        with path.open("rb") as file:
            head = file.read(65_536)
        if not head:
            raise InvalidInput("the file is empty", code="moving_empty_file")
        if head.startswith(MAGIC):
            return read_sqlite(path, _TABLES, with_log=with_log)
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"the file cannot be read: {error}", code="moving_unreadable", why=error.strerror) from None
    if head.startswith(ARCHIVE_MAGIC):
        raise InvalidInput("only pg_restore reads it", code="moving_pg_archive")
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return read_json_backup(data, legacy.TABLES)
    text = data.decode("utf-16" if head.startswith(_UTF16) else "utf-8-sig", "replace")
    lowered = text.lower()
    if not any(word in lowered for word in _SQL_WORDS):
        raise InvalidInput("the file is of no known kind", code="moving_unknown_file")
    return read_postgres_dump(text, _TABLES) if is_postgres_dump(text) else read_mysql_dump(text, _TABLES)
