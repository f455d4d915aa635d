"""Reads the tables of an old system's backup: ``{"version", "data": {table: {"columns", "rows"}}}``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from shoal.errors import InvalidInput
from shoal.maintenance.moving.old_shop import Fate, Oddity
from shoal.maintenance.moving.tables import OldTables


def read_json_backup(data: bytes, wanted: Collection[str]) -> OldTables:
    """Return the rows of the wanted tables. Raises ``InvalidInput``: ``moving_not_json``, ``moving_no_tables``."""
    try:
        whole = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"this is no JSON: {error}", code="moving_not_json", why=str(error)) from None
    tables = whole.get("data") if isinstance(whole, dict) else None
    if not isinstance(tables, dict):
        raise InvalidInput("there are no tables in it", code="moving_no_tables")
    found = OldTables()
    for name in wanted:
        if name in tables:
            _take(found, name, tables[name])
    return found


def _take(found: OldTables, name: str, table: Any) -> None:
    found.rows[name] = []
    columns = table.get("columns") if isinstance(table, dict) else None
    rows = table.get("rows") if isinstance(table, dict) else None
    if not isinstance(columns, list) or not isinstance(rows, list):
        found.oddities.append(Oddity(table=name, row="", code="table_unreadable", fate=Fate.SKIPPED))
        return
    names = [str(column) for column in columns]
    for row in rows:
        values = [row.get(column) for column in names] if isinstance(row, dict) else row
        found.add(name, names, values if isinstance(values, list) else [])
