"""The copy of a PostgreSQL database before its schema is upgraded: a backup, locked with the server's own key.

It is not signed: older versions read it, and only who has the server's key can make one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, MetaData, Table, create_engine, select, text
from sqlalchemy.pool import StaticPool

from shoal import __version__
from shoal.clock import now_ms as wall_clock_ms
from shoal.maintenance.backup.disk_room import reporting_disk_errors
from shoal.maintenance.backup.envelope import Header, SealedWriter, new_file_key, store_of
from shoal.maintenance.backup.making import ENDING, PARTIAL, created, keys_of, opened, sync_directory
from shoal.maintenance.backup.records import RecordWriter, read_records
from shoal.maintenance.backup.server_key import lock_with_server_key
from shoal.maintenance.backup.snapshot import Snapshot, heads, open_reader
from shoal.storage.data_directory import KEY_FILE
from shoal.storage.database_errors import as_store_error
from shoal.storage.migrations.steps import build_schema
from shoal.storage.vault import Vault

_BEGINS: Final = "shoal.before-"


@dataclass(frozen=True, kw_only=True, slots=True)
class CopyBeforeUpgrade:
    """Copies a database that no server writes now. The copy gets its name only when it is whole and synced."""

    data_dir: Path
    url: str
    secret_key: str | None = None
    now_ms: Callable[[], int] = wall_clock_ms

    def __call__(self, revision: str) -> Path:
        """Copy the database, whose schema is of that revision. Raises ``ConfigError`` and ``StoreError``."""
        target = self._free_name(revision)
        partial = target.with_name(target.name + PARTIAL)
        with (
            _reading(self.data_dir, self.url) as connection,
            reporting_disk_errors("startup.no_copy", "startup.no_copy", target, code="no_copy_before_upgrade"),
        ):
            self._remove_partial_copies()
            try:
                self._write(connection, revision, partial)
                partial.rename(target)
                sync_directory(self.data_dir)
            finally:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)  # it fills the disk on which space is needed
        return target

    def _write(self, connection: Connection, revision: str, partial: Path) -> None:
        tables, file_key = tables_of(revision), new_file_key()
        if not has_sealed_values(connection, tables):  # the first start may have ended before it made a key
            Vault.load(self.data_dir / KEY_FILE, self.secret_key, create=True)
        facts = {str(key): str(value) for key, value in connection.exec_driver_sql("SELECT key, value FROM store_meta")}
        header = Header(
            id=secrets.token_hex(8), made_at_ms=self.now_ms(), version=__version__, schema=revision,
            database=connection.dialect.name, site=facts.get("site", ""),
            store=store_of(facts.get("marker", "")),
            rev=heads(connection, tables).get("journal", 0),
            locks=[lock_with_server_key(file_key, self.data_dir, self.secret_key)],
        )  # fmt: skip
        snapshot = Snapshot(connection, self.data_dir, keys_of(self.data_dir, self.secret_key), tables=tables)
        with created(partial) as file:
            writer = RecordWriter(SealedWriter(file, header, file_key))
            for record in snapshot.records():
                writer.write(record)
            writer.finish()
        with opened(partial) as sealed:
            for _record in read_records(sealed.chunks(file_key)):
                pass  # raises when the file is not whole

    def _free_name(self, revision: str) -> Path:
        """Return a name that no copy has: two may begin within a second."""
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self.now_ms() / 1000))
        target, number = self.data_dir / f"{_BEGINS}{revision}-{stamp}{ENDING}", 1
        while target.exists():
            number += 1
            target = self.data_dir / f"{_BEGINS}{revision}-{stamp}-{number}{ENDING}"
        return target

    def _remove_partial_copies(self) -> None:
        for path in self.data_dir.iterdir():
            if path.name.startswith(_BEGINS) and path.name.endswith(ENDING + PARTIAL):
                path.unlink()


@contextmanager
def _reading(data_dir: Path, url: str) -> Iterator[Connection]:
    """Yield a connection that sees one moment of a database of any schema."""
    engine = open_reader(data_dir, url)
    try:
        with as_store_error(), engine.connect() as connection, connection.begin():
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # the limit for requests
            yield connection
    finally:
        engine.dispose()


def tables_of(revision: str) -> Sequence[Table]:
    """Return the tables of a revision, parents first, with the columns that both databases have.

    They are those of an SQLite database in memory, built by the same steps: what else the database at hand has is not
    Shoal's. Raises ``ConfigError`` for a revision of a newer program.
    """
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            build_schema(connection, revision)
            found = MetaData()
            found.reflect(connection)
    finally:
        engine.dispose()
    return [table for table in found.sorted_tables if table.name != "alembic_version"]


def has_sealed_values(connection: Connection, tables: Iterable[Table]) -> bool:
    """Return whether a table has an encrypted value: its column is named ``sealed`` or ``…_sealed``."""
    return any(
        connection.scalar(select(column).where(column.is_not(None)).limit(1)) is not None
        for table in tables
        for column in table.columns
        if column.name == "sealed" or column.name.endswith("_sealed")
    )
