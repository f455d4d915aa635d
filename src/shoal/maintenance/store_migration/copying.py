"""Copies every row of a store into another database as it is, in steps; what an earlier run copied stays.

The rows of a table are copied in the order of its key. So the rows that are there already are the first ones of the
source, if it is still as it was: their digest shows it. If it is not, the copy starts from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Table, delete, text

from shoal.errors import ConfigError
from shoal.maintenance.backup.loading import TableFiller
from shoal.maintenance.backup.records import Tally
from shoal.maintenance.backup.snapshot import (
    counted,
    heads,
    is_of_the_place,
    parents_first,
    plain_rows,
    read_encoded,
)
from shoal.storage.node_tables import OF_THE_NODES
from shoal.storage.picture_table import AS_FILES
from shoal.storage.schema import metadata, store_meta
from shoal.storage.storable_cursors import storable_values

Tallies = dict[str, tuple[int, str]]
"""Rows and checksum of each table. The checksum is of the values, so it is the same in both databases."""
Progress = Callable[[int], None]
"""Is called with how many rows were just looked at."""
TABLES: Final = [table for table in metadata.sorted_tables if table.name not in OF_THE_NODES | AS_FILES]
"""The tables that are moved; the others are about servers that ran on the source, and pictures become files or rows."""
COLUMNS: Final = {str(table.name): [str(column.name) for column in table.columns] for table in TABLES}
_ROWS_PER_COMMIT: Final = 5_000
_ROWS_AT_ONCE: Final = 500


def copy_rows(old: Connection, new: Connection, progress: Progress) -> tuple[Tallies, int]:
    """Copy every table. Return what the source holds, and how many rows were in the target before."""
    there = counted(new, COLUMNS)
    new.commit()
    if (tallies := _copy_tables(old, new, there, progress)) is not None:
        return tallies, sum(rows for rows, _ in there.values())
    empty(new)
    new.commit()
    tallies = _copy_tables(old, new, dict.fromkeys(COLUMNS, Tally().result), progress)
    if tallies is None:  # it cannot be: nothing was there
        raise ConfigError("migrate_store.differs", table="", code="store_differs")
    return tallies, 0


def empty(connection: Connection) -> None:
    """Delete every row of the tables that are moved."""
    for table in reversed(TABLES):
        connection.execute(delete(table))


def _copy_tables(old: Connection, new: Connection, there: Tallies, progress: Progress) -> Tallies | None:
    """Return what the source holds; ``None`` when the rows that are there are not its first ones."""
    found: Tallies = {}
    for table in TABLES:
        tally = _copy_table(old, new, table, there[table.name], progress)
        if tally is None:
            return None
        found[table.name] = tally.result
    return found


def _copy_table(
    old: Connection, new: Connection, table: Table, there: tuple[int, str], progress: Progress
) -> Tally | None:
    name, columns, (known, _) = str(table.name), COLUMNS[table.name], there
    tally, uncommitted, encode = Tally(), 0, msgspec.msgpack.Encoder().encode
    new.begin()
    filler = TableFiller(new, name, columns)
    with closing(_pages(old, table)) as pages:
        for rows in pages:
            encoded, fresh = [encode(row) for row in rows], rows
            if tally.rows < known:
                left = known - tally.rows
                tally.add(encoded[:left])
                encoded, fresh = encoded[left:], rows[left:]
                if tally.rows == known and tally.result != there:
                    new.rollback()
                    return None
            if fresh:
                filler.add(fresh)
                tally.add(encoded)
                uncommitted += len(fresh)
            progress(len(rows))
            if uncommitted >= _ROWS_PER_COMMIT:
                new.commit()
                new.begin()
                uncommitted = 0
    new.commit()
    return tally if tally.rows >= known else None


def _pages(connection: Connection, table: Table) -> Generator[list[Sequence[Any]], None, None]:
    """Yield the rows of a table in the order of its key, some at a time, with texts that every database can store."""
    columns = ", ".join(f'"{column}"' for column in COLUMNS[table.name])
    found = iter(plain_rows(connection, f'SELECT {columns} FROM "{table.name}"{_in_order(table)}'))  # noqa: S608
    while rows := list(islice(found, _ROWS_AT_ONCE)):
        yield [storable_values(row) for row in rows if table is not store_meta or not is_of_the_place(row[0])]


def _in_order(table: Table) -> str:
    """Return the order of the key, with rows before those of the same table that refer to them."""
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
    first = parents_first(table)
    return f"{first}, {keys}" if first else f" ORDER BY {keys}"


def set_heads(connection: Connection, given: dict[str, int]) -> None:
    """Let every table go on with the number after the last one that was given."""
    for name, head in given.items():
        table = metadata.tables[name]
        if connection.dialect.name == "postgresql":
            column = table.autoincrement_column
            values = {
                "table": name, "column": column.name if column is not None else "",
                "next": max(head, 1), "given": head > 0,
            }  # fmt: skip
            connection.execute(text("SELECT setval(pg_get_serial_sequence(:table, :column), :next, :given)"), values)
        elif table.dialect_options["sqlite"]["autoincrement"]:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": name})
            if head:
                values = {"table": name, "head": head}
                connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :head)"), values)


def compare(new: Connection, tallies: Tallies, given: dict[str, int], progress: Progress) -> None:
    """Raise ``ConfigError`` unless the target holds exactly what the source holds, and goes on with its numbers."""
    for name, columns in COLUMNS.items():
        tally = Tally()
        for rows in read_encoded(new, name, columns):
            tally.add(rows)
            progress(len(rows))
        if tally.result != tallies[name]:
            raise ConfigError("migrate_store.differs", table=name, code="store_differs")
    now = heads(new)
    for name, head in given.items():
        if now[name] != head and _keeps_heads(new, metadata.tables[name]):
            raise ConfigError("migrate_store.differs", table=name, code="store_differs")


def _keeps_heads(connection: Connection, table: Table) -> bool:
    """Return whether a table remembers the last number that it gave; some of SQLite go on after their last row."""
    return connection.dialect.name == "postgresql" or bool(table.dialect_options["sqlite"]["autoincrement"])
