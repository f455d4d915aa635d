"""All that a database holds, to compare two, and many messages to move."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, create_engine

from shoal.cluster.server_lease import FACT as LEASE
from shoal.maintenance.backup.place import Place
from shoal.maintenance.backup.snapshot import heads
from shoal.maintenance.store_migration.copying import COLUMNS
from shoal.storage.database_preparation import WRITER_ROWS

MANY = 12_000
Content = dict[str, list[tuple[Any, ...]]]


def content(place: Place) -> Content:
    """Everything that a database holds but its marks, in one order."""
    engine = create_engine(place.url or f"sqlite:///{place.file}")
    try:
        with engine.connect() as connection:
            found = {name: sorted(rows_of(connection, name), key=repr) for name in COLUMNS}
            found["heads"] = sorted(heads(connection).items())
    finally:
        engine.dispose()
    found["store_meta"] = [
        row for row in found["store_meta"] if row[0] not in {"moved", LEASE} and not row[0].startswith(WRITER_ROWS)
    ]
    return found


def rows_of(connection: Connection, table: str) -> list[tuple[Any, ...]]:
    columns = ", ".join(f'"{column}"' for column in COLUMNS[table])
    found = connection.exec_driver_sql(f'SELECT {columns} FROM "{table}"')  # noqa: S608  names of our own tables
    return [tuple(_plain(value) for value in row) for row in found]


def _plain(value: Any) -> Any:
    """Return a value as both databases have it, and one that is no whole number with its type."""
    return int(value) if isinstance(value, bool) else ("float", value) if isinstance(value, float) else value


def many_messages(connection: Connection) -> int:
    columns = [name for name in COLUMNS["messages"] if name not in {"id", "message_id"}]
    names = ", ".join(f'"{name}"' for name in columns)
    numbers = f"(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {MANY}) SELECT x FROM n) AS n"  # noqa: S608
    values = f"SELECT 'm' || x, {names} FROM {numbers}, messages WHERE id = 2"  # noqa: S608
    return connection.exec_driver_sql(f"INSERT INTO messages (message_id, {names}) {values}").rowcount
