"""Reads everything that a backup holds, from one snapshot of the database, beside the server that writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from sqlalchemy import Connection, Engine, Table, inspect, select, text
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from shoal.cluster.server_lease import FACT as LEASE
from shoal.errors import ConfigError
from shoal.maintenance.backup.envelope import store_of
from shoal.maintenance.backup.records import (
    End,
    FileBegins,
    FileBytes,
    Heads,
    Keys,
    Record,
    TableBegins,
    Tally,
    rows_of,
)
from shoal.pictures.picture_rows import all_pictures
from shoal.storage.data_directory import PICTURE_DIRECTORY
from shoal.storage.database_errors import as_store_error
from shoal.storage.database_preparation import WRITER_ROWS
from shoal.storage.engines import database_url, driver_of, is_sqlite, open_engine
from shoal.storage.history_rows import newest_rev
from shoal.storage.migrations import check_is_enough, newest
from shoal.storage.migrations.marks import MOVED_FACT
from shoal.storage.node_tables import OF_THE_NODES
from shoal.storage.picture_table import AS_FILES
from shoal.storage.schema import metadata, store_meta
from shoal.storage.sealed_values import count_by_key
from shoal.storage.vault import key_id

LEFT_OUT: Final = frozenset({"sessions", "api_tokens", "grams", "indexed_segments"}) | OF_THE_NODES | AS_FILES
"""Tables whose rows no backup holds: sign-ins end with a restore, the index of words is made again from the messages,
the servers that ran are not those that will, and pictures are files in every backup."""
_ROWS_AT_ONCE: Final = 500
_BYTES_AT_ONCE: Final = 1 << 20
_READER_SECONDS: Final = 10.0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot is of."""

    schema: str
    database: str
    store: str
    site: str
    rev: int


class Snapshot:
    """One moment of a database, and the pictures beside it. Nothing waits for it: the server goes on writing."""

    def __init__(
        self, connection: Connection, data_dir: Path, keys: list[bytes], *, tables: Sequence[Table] = ()
    ) -> None:
        """``connection`` is in a transaction that sees one moment. ``tables``: those of an older schema."""
        self._connection = connection
        self._data_dir = data_dir
        self._keys = keys
        self._tables = tables or metadata.sorted_tables

    def facts(self) -> Facts:
        """Return what it is of. Raises ``ConfigError`` when a key of its secrets is not there."""
        missing = set(count_by_key(self._connection)) - {key_id(key) for key in self._keys}
        if missing:
            raise ConfigError("backup.missing_key", code="missing_key")
        known = dict(
            self._connection.execute(
                select(store_meta.c.key, store_meta.c.value).where(store_meta.c.key.in_(["marker", "site"]))
            ).all()
        )
        return Facts(
            schema=newest(),
            database=self._connection.dialect.name,
            store=store_of(known.get("marker", "")),
            site=known.get("site", ""),
            rev=newest_rev(self._connection),
        )

    def records(self) -> Iterator[Record]:
        """Yield all that a backup holds."""
        yield Keys(self._keys)
        yield Heads(heads(self._connection, self._tables))
        tallies: dict[str, tuple[int, str]] = {}
        for table in self._tables:
            if table.name not in LEFT_OUT:
                tally, name, columns = Tally(), str(table.name), [str(column.name) for column in table.columns]
                yield TableBegins(name, columns)
                for rows in read_encoded(self._connection, name, columns, parents_first(table)):
                    tally.add(rows)
                    yield rows_of(rows)
                tallies[name] = tally.result
        count = 0
        for path, pieces in self._pictures():
            count += 1
            yield FileBegins(path)
            yield from (FileBytes(piece) for piece in pieces)
        yield End(tallies, count)

    def _pictures(self) -> Iterator[tuple[str, Iterable[bytes]]]:
        """Yield each picture under its path: the files, then the rows that are no files.

        The rows are those of now, not of the snapshot's moment: a file that the server moves into the database
        in the meantime is found there. What is there and not needed is swept after a restore.
        """
        found = set()
        for path in _files(self._data_dir):
            with suppress(FileNotFoundError):  # moved into the database, or swept
                pieces = _pieces(path)
                found.add(path.name)
                yield path.relative_to(self._data_dir).as_posix(), pieces
        if self._connection.dialect.name == "postgresql" and {str(table.name) for table in self._tables} >= AS_FILES:
            with self._connection.engine.connect() as now:
                for name, data in all_pictures(now):
                    if name not in found:
                        yield f"{PICTURE_DIRECTORY}/{name}", [data]


def check_is_there(data_dir: Path, url: str) -> URL:
    """Return the address of a database. Raises ``ConfigError`` when it is a file that is not there."""
    address = database_url(url, data_dir)
    if is_sqlite(address) and not Path(address.database or "").is_file():
        raise ConfigError("backup.no_database", path=address.database, code="no_database")
    return address


def open_reader(data_dir: Path, url: str) -> Engine:
    """Return an engine whose connections read one moment each. Raises ``ConfigError`` when there is no database."""
    address = check_is_there(data_dir, url)
    return open_engine(address, poolclass=NullPool, busy_seconds=_READER_SECONDS, begin="BEGIN", read_only=True)


def _begin_reading(connection: Connection) -> None:
    """Make the transaction of a reader good for a long read. Raises ``ConfigError`` for another version's database."""
    if connection.dialect.name == "postgresql":  # the limit for requests
        connection.execute(text("SET LOCAL statement_timeout = 0"))
    check_is_enough(connection)


def heads(connection: Connection, tables: Sequence[Table] = ()) -> dict[str, int]:
    """Return the largest number that each table with numbered rows has ever given. ``tables``: see ``Snapshot``."""
    found = {}
    for table in tables or metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        largest = connection.exec_driver_sql(f'SELECT max("{column.name}") FROM "{table.name}"').scalar()  # noqa: S608
        found[str(table.name)] = max(int(largest or 0), _given(connection, table.name, column.name))
    return found


def _given(connection: Connection, table: str, column: str) -> int:
    if connection.dialect.name == "postgresql":
        name = connection.scalar(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table, "column": column}
        )
        query = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}"  # noqa: S608
        return int(connection.exec_driver_sql(query).scalar() or 0) if name else 0
    if not inspect(connection).has_table("sqlite_sequence"):
        return 0
    found = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = :table"), {"table": table}).scalar()
    return int(found or 0)


def counted(connection: Connection, columns: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, str]]:
    """Return the rows and digests of tables as they are now, by those columns."""
    found = {}
    for name, named in columns.items():
        tally = Tally()
        for rows in read_encoded(connection, name, named):
            tally.add(rows)
        found[name] = tally.result
    return found


def read_encoded(connection: Connection, table: str, columns: Sequence[str], order: str = "") -> Iterator[list[bytes]]:
    """Yield the rows of a table in pages, each row encoded as the driver gives it."""
    names = ", ".join(f'"{column}"' for column in columns)
    encode = msgspec.msgpack.Encoder().encode
    skips = table == store_meta.name
    page, size = list[bytes](), 0
    for row in plain_rows(connection, f'SELECT {names} FROM "{table}"{order}'):  # noqa: S608  names of our own tables
        if skips and is_of_the_place(row[0]):
            continue
        page.append(encoded := encode(row))
        size += len(encoded)
        if len(page) == _ROWS_AT_ONCE or size > _BYTES_AT_ONCE:
            yield page
            page, size = [], 0
    if page:
        yield page


def plain_rows(connection: Connection, query: str) -> Iterable[Sequence[Any]]:
    """Return rows as both databases have them: truth values as numbers."""
    if connection.dialect.name == "sqlite":  # by the driver: a layer above it takes longer than the reading
        return driver_of(connection).execute(query)  # type: ignore[no-any-return]
    return _streamed(connection, query)


def _streamed(connection: Connection, query: str) -> Iterator[list[Any]]:
    options = {"stream_results": True, "max_row_buffer": _ROWS_AT_ONCE}
    with connection.exec_driver_sql(query, execution_options=options) as found:  # its reader may leave in the middle
        for row in found:
            yield [int(value) if value is True or value is False else value for value in row]


def parents_first(table: Table) -> str:
    """Return the order in which rows come before those of the same table that refer to them."""
    own = [key.parent.name for key in table.foreign_keys if key.column.table is table]
    return f' ORDER BY "{own[0]}" IS NOT NULL' if own else ""


def is_of_the_place(key: str) -> bool:
    """Return whether a row of ``store_meta`` is of a running server or of this database, and not of the data."""
    return key in {LEASE, MOVED_FACT} or key.startswith(WRITER_ROWS)


def _files(data_dir: Path) -> list[Path]:
    directory = data_dir / PICTURE_DIRECTORY
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_file() and not path.name.startswith("."))


def _pieces(path: Path) -> Iterator[bytes]:
    """Return the bytes of a file, some at a time. Raises ``FileNotFoundError`` at once, and ``ConfigError``."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _not_readable(path, error) from None
    return _read(file, path)


def _read(file: BinaryIO, path: Path) -> Iterator[bytes]:
    with file:
        try:
            while data := file.read(_BYTES_AT_ONCE):
                yield data
        except OSError as error:
            raise _not_readable(path, error) from None


def _not_readable(path: Path, error: OSError) -> ConfigError:
    why = error.strerror or type(error).__name__
    return ConfigError("backup.not_readable", why=why, path=path, code="backup_not_readable")


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Yield a connection whose transaction sees one moment. Raises ``StoreError`` and ``ConfigError``."""
    with as_store_error(), engine.connect() as connection, connection.begin():
        _begin_reading(connection)
        yield connection
