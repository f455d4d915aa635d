"""Statistics of the store: its kind and version, its schema, its size, and its queue."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec
from sqlalchemy import Connection, text

from shoal.errors import StoreError
from shoal.storage.database import Database


class DatabaseStats(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes in bytes. What could not be read is ``None``, so there are statistics even while the database does not
    answer."""

    kind: str
    version: str | None = None
    schema: str | None = None
    """The newest migration that was run on it."""
    size: int | None = None
    free: int | None = None
    """Free bytes on the disk of the data directory."""
    waiting: int = 0
    """The number of writes that wait for the next group."""
    degraded: bool


async def database_stats(database: Database, data_dir: Path) -> DatabaseStats:
    """Query the database and the disk."""
    read: tuple[str, str | None, int] | None = None
    with suppress(StoreError):
        read = await database.read(_read_sqlite if database.is_sqlite else _read_postgresql)
    version, schema, size = read or (None, None, None)
    return DatabaseStats(
        kind="sqlite" if database.is_sqlite else "postgresql",
        version=version,
        schema=schema,
        size=size,
        free=await asyncio.to_thread(free_bytes, data_dir),
        waiting=database.group_writer.waiting,
        degraded=database.degraded,
    )


def _read_sqlite(connection: Connection) -> tuple[str, str | None, int]:
    pages, of_size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
    return connection.exec_driver_sql("SELECT sqlite_version()").scalar_one(), _schema(connection), pages * of_size


def _read_postgresql(connection: Connection) -> tuple[str, str | None, int]:
    version = connection.scalar(text("SELECT current_setting('server_version')"))
    size = connection.scalar(text("SELECT pg_database_size(current_database())"))
    return str(version), _schema(connection), int(size or 0)


def _schema(connection: Connection) -> str | None:
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def free_bytes(data_dir: Path) -> int | None:
    """Return the free space on the disk of the directory; ``None`` when the disk does not tell."""
    with suppress(OSError):
        return shutil.disk_usage(data_dir).free
    return None
