"""Puts the rows of a backup into a database without tables: as they were, then migrated to this program's schema."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy import Connection, inspect

from shoal.errors import ConfigError
from shoal.maintenance.backup.records import (
    End,
    FileBegins,
    FileBytes,
    Heads,
    Keys,
    Record,
    Replacement,
    Rows,
    TableBegins,
    replaced,
)
from shoal.storage.data_directory import PICTURE_DIRECTORY
from shoal.storage.engines import driver_of
from shoal.storage.migrations.steps import build_schema
from shoal.storage.storable_cursors import storable_values

_PRIVATE: Final = 0o600


@dataclass(slots=True)
class Loaded:
    """What a backup held."""

    keys: list[bytes] = field(default_factory=list)
    heads: dict[str, int] = field(default_factory=dict)
    columns: dict[str, list[str]] = field(default_factory=dict)
    tables: dict[str, tuple[int, str]] = field(default_factory=dict)
    files: int = 0

    @property
    def rows(self) -> int:
        """How many rows it held."""
        return sum(rows for rows, _ in self.tables.values())


def load(records: Iterable[Record], connection: Connection, schema: str, files: Path) -> Loaded:
    """Build the schema of the backup, and put its rows and files in. Raises ``ConfigError`` when a part is missing.

    A text that PostgreSQL cannot store is cleaned there, and counts as it is stored. Whether each row is there is seen
    by comparing the result with what the backup counted (``snapshot.counted``).
    ``connection``: in a transaction on a database without tables. ``files``: an own directory for its files.
    """
    build_schema(connection, schema)
    known = _tables_of(connection)
    for name in known:  # a migration may have put rows there
        connection.exec_driver_sql(f'DELETE FROM "{name}"')  # noqa: S608  names of our own tables
    loaded, table = Loaded(), TableFiller(connection, "", ())
    cleaned: defaultdict[str, list[Replacement]] = defaultdict(list)
    with closing(_Files(files)) as written:
        for record in records:
            match record:
                case Keys(keys):
                    loaded.keys = keys
                case Heads(heads):
                    loaded.heads = heads
                case TableBegins(name, columns):
                    if name not in known:
                        raise ConfigError("backup.damaged", code="backup_damaged")
                    table, loaded.columns[name] = TableFiller(connection, name, columns), columns
                case Rows(rows):
                    cleaned[table.name] += table.add(rows)
                case FileBegins(path):
                    written.begin(path)
                case FileBytes(data):
                    written.add(data)
                case End(tables, count):
                    loaded.files = count
                    loaded.tables = tables | {
                        name: replaced(tables[name], rows) for name, rows in cleaned.items() if rows
                    }
    if loaded.columns.keys() != loaded.tables.keys() or written.count != loaded.files or not loaded.keys:
        raise ConfigError("backup.damaged", code="backup_damaged")
    return loaded


def _tables_of(connection: Connection) -> list[str]:
    names = [name for name, _ in inspect(connection).get_sorted_table_and_fkc_names() if name is not None]
    return [name for name in reversed(names) if name != "alembic_version"]


class TableFiller:
    """Adds rows to one table, by the driver: they are as the database gave them."""

    def __init__(self, connection: Connection, name: str, columns: Sequence[str]) -> None:
        self.name = name
        self._raw = driver_of(connection)
        self._is_sqlite = connection.dialect.name == "sqlite"
        if name:
            known = connection.exec_driver_sql(f'SELECT * FROM "{name}" LIMIT 0').keys()  # noqa: S608  it is in the schema
            if not columns or not set(columns) <= set(known):
                raise ConfigError("backup.damaged", code="backup_damaged")
        names = ", ".join(f'"{column}"' for column in columns)
        marks = ", ".join("?" * len(columns))
        self._insert = f'INSERT INTO "{name}" ({names}) VALUES ({marks})'  # noqa: S608  names that the schema has
        self._copy = f'COPY "{name}" ({names}) FROM STDIN'

    def add(self, rows: Sequence[Sequence[Any]]) -> list[Replacement]:
        """Add rows. Return those that were cleaned for PostgreSQL, each with what is stored in its place."""
        if self._is_sqlite:
            self._raw.executemany(self._insert, rows)
            return []
        stored = list(map(storable_values, rows))
        with self._raw.cursor() as cursor, cursor.copy(self._copy) as copy:
            for row in stored:
                copy.write_row(row)
        return [(old, new) for old, new in zip(rows, stored, strict=True) if old is not new]


class _Files:
    """Writes the files of a backup into one directory, and nowhere else."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: BinaryIO | None = None
        self.count = 0

    def begin(self, path: str) -> None:
        self.close()
        parent, _, name = path.rpartition("/")
        if parent != PICTURE_DIRECTORY or not name or name.startswith("."):
            raise ConfigError("backup.damaged", code="backup_damaged")
        target = self._directory / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._file = target.open("xb")
        except (ValueError, FileExistsError):  # no name of a file, or one that was there
            raise ConfigError("backup.damaged", code="backup_damaged") from None
        target.chmod(_PRIVATE)
        self.count += 1

    def add(self, data: bytes) -> None:
        if self._file is None:
            raise ConfigError("backup.damaged", code="backup_damaged")
        self._file.write(data)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
