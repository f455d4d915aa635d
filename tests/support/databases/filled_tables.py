"""Rows in every table of a store, with values of every kind: what a copy of a database must bring over as it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, Connection, SmallInteger, Table, insert

from shoal.maintenance.backup.snapshot import heads
from shoal.maintenance.store_migration.copying import TABLES, set_heads
from shoal.storage.sealed_values import sealed_columns
from shoal.storage.vault import Vault

ROWS = 4
_NULL_IN = 3
"""The row whose columns are empty where they may be."""


def fill_every_table(connection: Connection, vault: Vault, rows: int = ROWS) -> None:
    """Add rows to every table; each refers to rows of the tables above it."""
    sealed = {(place.table.name, place.name): place for place in sealed_columns()}
    for table in TABLES:
        made = [{str(column.name): value(column, number) for column in table.columns} for number in range(rows)]
        for (name, column), place in sealed.items():
            if name == table.name:
                for row in made:
                    row[column] = vault.seal("秘密", column=place.label, **_owner(table, row))
        connection.execute(insert(table), made)
    set_heads(connection, heads(connection))


def _owner(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {"user_id": 1} if table.name == "users" else {}


def value(column: Column[Any], number: int) -> Any:
    """Return what stands in a column of row ``number``."""
    if column.foreign_keys:
        other = next(iter(column.foreign_keys)).column
        if other.table is column.table:
            return None if number == 0 else value(other, 0)
        return value(other, number)
    if column.nullable and number == _NULL_IN:
        return None
    is_small = column.primary_key or isinstance(column.type, SmallInteger) or not isinstance(column.type, BigInteger)
    values: dict[type, Any] = {
        bool: number % 2 == 1,
        bytes: bytes([0, 255, number]) + column.name.encode(),
        float: number + 0.1,
        int: number + 1 if is_small else 2**53 + number,
        str: f"{column.name} {number} 在吗\n'\"\\N\t🐟" if number else "",
    }
    return values[column.type.python_type]
