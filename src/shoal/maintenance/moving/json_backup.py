"""Reads the tables of an old system's backup: ``{"version", "data": {table: {"columns", "rows"}}}``."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

import msgspec

from shoal.errors import InvalidInput
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.tables import OldTables

_BOM: Final = b"\xef\xbb\xbf"
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL)


class _Backup(msgspec.Struct):
    """The tables, each of them still as it stands in the file."""

    data: dict[str, msgspec.Raw]


class _Table(msgspec.Struct):
    columns: list[Any]
    rows: list[msgspec.Raw]
    """Each row still as it stands in the file: so only one at a time costs more memory than the file."""


def read_json_backup(data: bytes, wanted: Collection[str]) -> OldTables:
    """Return the rows of the wanted tables. Raises ``InvalidInput``: ``moving_not_json``, ``moving_no_tables``."""
    try:
        tables = _tables(data.removeprefix(_BOM))
        found = OldTables()
        for name in wanted:
            if name in tables:
                _take(found, name, tables[name])
        for name in sorted(tables.keys() - set(wanted)):
            found.left_out(name, _count(tables[name]))
    except msgspec.ValidationError:
        raise InvalidInput("there are no tables in it", code="moving_no_tables") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"this is no JSON: {error}", code="moving_not_json", why=str(error)) from None
    return found


def _tables(data: bytes) -> dict[str, msgspec.Raw]:
    try:
        return msgspec.json.decode(data, type=_Backup).data
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:  # it may be for half of a surrogate pair, which Python writes
        return msgspec.json.decode(_ESCAPE.sub(_as_nul, data), type=_Backup).data


def _as_nul(escape: re.Match[bytes]) -> bytes:
    """Return a NUL for half of a surrogate pair: it is left out, and told, like one."""
    return b"\\u0000" if escape["half"] else escape[0]


def _take(found: OldTables, name: str, raw: msgspec.Raw) -> None:
    found.rows[name] = []
    try:
        table = msgspec.json.decode(raw, type=_Table)
    except msgspec.ValidationError:
        found.oddities.append(Oddity(table=name, row="", code="table_unreadable", fate=Fate.SKIPPED))
        return
    names = [str(column) for column in table.columns]
    for one in table.rows:
        row = msgspec.json.decode(one)
        values = [row.get(column) for column in names] if isinstance(row, dict) else row
        found.add(name, names, values if isinstance(values, list) else [])


def _count(raw: msgspec.Raw) -> int:
    """Return how many rows a table has that is not read; of one in no known form 1, so that it is reported."""
    try:
        return len(msgspec.json.decode(raw, type=_Table).rows)
    except msgspec.ValidationError:
        return 1
