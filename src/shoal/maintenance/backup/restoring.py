"""Restores a backup, or another copy of an SQLite database, while no server runs. What was there is kept aside.

The new database is built, compared and migrated first. Keys and pictures are only added to those that are there; then
the database changes in one step. A death before that step leaves everything as it was, but for files that the next
restore removes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import sqlite3
import time
from calendar import timegm
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Connection, inspect, text

from shoal.cluster.server_lease import ServerLease
from shoal.errors import ConfigError
from shoal.maintenance.backup.disk_room import reporting_disk_errors
from shoal.maintenance.backup.envelope import SealedFile
from shoal.maintenance.backup.loading import Loaded, load
from shoal.maintenance.backup.making import Secret, keys_of, load_file, opened, sync_directory, writer_of
from shoal.maintenance.backup.new_life import Earlier, NewLife, begin_new_life, unused_codes
from shoal.maintenance.backup.picture_files import take_in
from shoal.maintenance.backup.place import Place, postgresql_engine
from shoal.maintenance.backup.records import read_records
from shoal.maintenance.backup.snapshot import counted, heads
from shoal.storage.data_directory import (
    DATABASE_FILE,
    KEY_FILE,
    LOCK_FILE,
    PICTURE_DIRECTORY,
    lock_directory,
    make_private_directory,
)
from shoal.storage.database_errors import as_store_error, damaged, opening
from shoal.storage.integrity_check import is_sound
from shoal.storage.migrations import is_newest, migrate, take_migration_lock
from shoal.storage.migrations.marks import unmark_moved
from shoal.storage.migrations.steps import upgrade
from shoal.storage.schema import metadata
from shoal.storage.sealed_values import count_by_key
from shoal.storage.vault import key_id, parse_keys, read_key_file, write_key_file

_FRESH: Final = ".restore"
"""The directory within the data directory in which the new database is built."""
_STAMPED: Final = re.compile(r"before[-_].*?(\d{8})[-_](\d{6})")
_BUSY_SECONDS: Final = 10.0


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore did."""

    made_at_ms: int
    kept: str
    """The name under which the earlier database is kept; empty: there was none."""
    rows: int
    pictures: int
    life: NewLife


def restore_backup(path: Path, place: Place, secret: Secret) -> Restored:
    """Restore a backup. Raises ``ConfigError`` and ``StoreError``; then the database is as it was."""
    with opened(path) as sealed:
        return restore_opened(sealed, place, secret)


def restore_opened(sealed: SealedFile, place: Place, secret: Secret) -> Restored:
    """Restore a backup whose header was read: what was asked of it counts for this very file."""
    records, made_at_ms = read_records(sealed.chunks(secret.file_key(sealed.header))), sealed.header.made_at_ms
    with _alone(place), _fresh(place) as fresh:

        def loading(connection: Connection) -> Loaded:
            return load(records, connection, sealed.header.schema, fresh)

        if place.is_sqlite:
            loaded = load_file(fresh, loading)
            return _take(place, fresh, loaded, made_at_ms)
        return _into_postgresql(place, fresh, loading, made_at_ms)


def restore_copy(path: Path, place: Place) -> Restored:
    """Restore a copy of an SQLite database: one made before an upgrade or a restore, or by another program.

    The keys of its secrets must be there. Raises like ``restore_backup``.
    """
    if not place.is_sqlite:
        raise ConfigError("backup.copy_is_sqlite", path=path, code="copy_is_sqlite")
    stamped = _STAMPED.search(path.name)
    made_at_ms = timegm(time.strptime("".join(stamped.groups()), "%Y%m%d%H%M%S")) * 1000 if stamped else 0
    with _alone(place), _fresh(place) as fresh:
        target = fresh / DATABASE_FILE
        for ending in ("", "-wal"):  # the log of one that was damaged when it was kept aside
            if (source := path.with_name(path.name + ending)).exists():
                made_at_ms = made_at_ms or round(source.stat().st_mtime * 1000)
                shutil.copyfile(source, target.with_name(target.name + ending))
                target.with_name(target.name + ending).chmod(0o600)
        engine = writer_of(target)
        try:
            with opening(str(path), path):
                with engine.connect() as connection:
                    if not is_sound(connection):
                        raise damaged(path)
                    unmark_moved(connection)
                    connection.commit()
                migrate(engine)
            with as_store_error(), engine.connect() as connection, connection.begin():
                keys = keys_of(place.data_dir, place.secret_key)
                if set(count_by_key(connection)) - {key_id(key) for key in keys}:
                    raise ConfigError("backup.missing_key", code="missing_key")
        finally:
            engine.dispose()
        return _take(place, fresh, Loaded(keys=keys), made_at_ms)


# ── SQLite ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _take(place: Place, fresh: Path, loaded: Loaded, made_at_ms: int) -> Restored:
    """Begin the new life of the database in ``fresh``, and put it in the place of the earlier one."""
    new, old = fresh / DATABASE_FILE, place.file
    engine = writer_of(new)
    try:
        with as_store_error(), engine.connect() as connection, connection.begin():
            earlier = _earlier(old)
            life = begin_new_life(connection, made_at_ms=made_at_ms, now_ms=place.now_ms(), earlier=earlier)
    finally:
        engine.dispose()  # the last connection copies the log into the file
    _sync(new)
    _add_keys(place, loaded.keys)
    _add_pictures(place, fresh)
    old.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = _keep_aside(old, place.stamp())
    new.replace(old)
    sync_directory(old.parent)
    return Restored(made_at_ms=made_at_ms, kept=kept, rows=loaded.rows, pictures=loaded.files, life=life)


def _earlier(old: Path) -> Earlier:
    """Return what the earlier database knows, as far as it can be read."""
    given, codes = dict[str, int](), None
    if old.is_file():
        with suppress(sqlite3.Error), closing(sqlite3.connect(old)) as connection:
            found = connection.execute("SELECT name, seq FROM sqlite_sequence")
            given = {str(name): int(number) for name, number in found}
            codes = unused_codes(connection.execute)
    return Earlier(given=given, codes=codes)


def _keep_aside(old: Path, stamp: str) -> str:
    """Give the earlier database another name beside its own, and remove its log. Return that name.

    A log that cannot be copied into its file is kept too. Then the database is away for a moment: a server that starts
    then says so and ends.
    """
    if not old.is_file():
        return ""
    with suppress(sqlite3.Error), closing(sqlite3.connect(old, timeout=_BUSY_SECONDS)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    names = (f"{old.name}.before-restore-{stamp}{ending}" for ending in _endings("-"))
    kept = next(path for name in names if not (path := old.with_name(name)).exists())
    _same(old, kept)
    log = old.with_name(f"{old.name}-wal")
    if log.exists() and log.stat().st_size:
        _same(log, kept.with_name(f"{kept.name}-wal"))
        sync_directory(old.parent)
        old.unlink()
        sync_directory(old.parent)
    for ending in ("-wal", "-shm"):
        old.with_name(old.name + ending).unlink(missing_ok=True)
    sync_directory(old.parent)
    return kept.name


def _endings(mark: str) -> Iterator[str]:
    """Yield endings that tell names of the same second apart; the first is empty."""
    return itertools.chain([""], (f"{mark}{number}" for number in itertools.count(2)))


def _same(path: Path, name: Path) -> None:
    """Give a file a second name, or make a copy of it where that cannot be."""
    try:
        name.hardlink_to(path)
    except OSError:
        try:
            shutil.copyfile(path, name)
            name.chmod(0o600)
            _sync(name)
        except OSError:
            name.unlink(missing_ok=True)  # a part must not be taken for the whole
            raise


# ── PostgreSQL ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _into_postgresql(place: Place, fresh: Path, loading: Callable[[Connection], Loaded], made_at_ms: int) -> Restored:
    with sole_connection(place) as connection:
        earlier, kept = _earlier_there(connection), _move_aside(connection, place.stamp())
        loaded = loading(connection)
        if counted(connection, loaded.columns) != loaded.tables:
            raise ConfigError("backup.damaged", code="backup_damaged")
        upgrade(connection)
        life = begin_new_life(connection, made_at_ms=made_at_ms, now_ms=place.now_ms(), earlier=earlier)
        take_in(connection, fresh / PICTURE_DIRECTORY, place.now_ms())
        _add_keys(place, loaded.keys)  # more than the earlier database needs does no harm
        _add_pictures(place, fresh)  # what is no picture by its name
    return Restored(made_at_ms=made_at_ms, kept=kept, rows=loaded.rows, pictures=loaded.files, life=life)


def check_kept(name: str, place: Place) -> None:
    """Raise ``ConfigError`` when no restore kept a database under that name; ``StoreError`` when that is unknown."""
    if place.is_sqlite:
        _kept_file(name, place)
        return
    engine = postgresql_engine(place)
    try:
        with as_store_error(), engine.connect() as connection:
            _kept_schema(name, connection)
    finally:
        engine.dispose()


def _kept_file(name: str, place: Place) -> Path:
    path = place.file.parent / Path(name).name
    if not path.is_file() or not path.name.startswith(f"{place.file.name}.before-"):
        raise ConfigError("backup.nothing_kept", name=name, code="nothing_kept")
    return path


def _kept_schema(name: str, connection: Connection) -> int:
    """Return when what a schema keeps was put aside."""
    stamped = _STAMPED.search(name)
    if stamped is None or name not in inspect(connection).get_schema_names():
        raise ConfigError("backup.nothing_kept", name=name, code="nothing_kept")
    return timegm(time.strptime("".join(stamped.groups()), "%Y%m%d%H%M%S")) * 1000


def put_back(name: str, place: Place) -> Restored:
    """Put back the database that a restore kept under that name. Raises like ``restore_backup``."""
    if place.is_sqlite:
        return restore_copy(_kept_file(name, place), place)
    with _alone(place), sole_connection(place) as connection:
        made_at_ms = _kept_schema(name, connection)
        earlier, kept = _earlier_there(connection), _move_aside(connection, place.stamp())
        here = connection.exec_driver_sql("SELECT current_schema()").scalar()
        for table in inspect(connection).get_table_names(schema=name):
            connection.exec_driver_sql(f'ALTER TABLE "{name}"."{table}" SET SCHEMA "{here}"')
        connection.exec_driver_sql(f'DROP SCHEMA "{name}"')
        unmark_moved(connection)
        upgrade(connection)
        life = begin_new_life(connection, made_at_ms=made_at_ms, now_ms=place.now_ms(), earlier=earlier)
    return Restored(made_at_ms=made_at_ms, kept=kept, rows=0, pictures=0, life=life)


@contextmanager
def sole_connection(place: Place) -> Iterator[Connection]:
    """Yield a connection in one transaction, which no server's start overtakes. Raises ``ConfigError`` if one runs."""
    engine = postgresql_engine(place)
    lease = ServerLease(place.data_dir / LOCK_FILE)
    try:
        with as_store_error():
            lease.take(postgresql_engine(place))
            with engine.connect() as connection, connection.begin():
                connection.execute(text("SET LOCAL statement_timeout = 0"))
                take_migration_lock(connection)
                yield connection
    finally:
        asyncio.run(lease.close())
        engine.dispose()


def _earlier_there(connection: Connection) -> Earlier:
    if not is_newest(connection):
        return Earlier()
    return Earlier(given=heads(connection), codes=unused_codes(connection.exec_driver_sql))


def _move_aside(connection: Connection, stamp: str) -> str:
    """Move our tables into a schema of their own. Return its name; empty when there are none."""
    ours = {*metadata.tables, "alembic_version"} & set(inspect(connection).get_table_names())
    if not ours:
        return ""
    there = inspect(connection).get_schema_names()
    names = (f"before_restore_{stamp.replace('-', '_')}{ending}" for ending in _endings("_"))
    name = next(name for name in names if name not in there)
    connection.exec_driver_sql(f'CREATE SCHEMA "{name}"')
    for table in sorted(ours):
        connection.exec_driver_sql(f'ALTER TABLE "{table}" SET SCHEMA "{name}"')
    return name


# ── both ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """Hold the data directory. Raises ``ConfigError`` when a server uses it."""
    make_private_directory(place.data_dir)
    handle = lock_directory(place.data_dir)
    try:
        with reporting_disk_errors("backup.restore_full", "backup.not_restored", place.data_dir, code="not_restored"):
            yield
    finally:
        os.close(handle)


@contextmanager
def _fresh(place: Place) -> Iterator[Path]:
    """Yield an empty directory within the data directory; it is removed at the end."""
    directory = (place.file.parent if place.is_sqlite else place.data_dir) / _FRESH
    shutil.rmtree(directory, ignore_errors=True)  # of a restore that died
    directory.mkdir(mode=0o700, parents=True)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _add_keys(place: Place, keys: list[bytes]) -> None:
    """Add keys after those that are there: the first one seals, and is never one that a file brought."""
    path = place.data_dir / KEY_FILE
    known = read_key_file(path, required=False)
    by_setting = parse_keys(place.secret_key, origin="SHOAL_SECRET_KEY") if place.secret_key else []
    wanted = list(dict.fromkeys([*known, *(key for key in keys if key not in by_setting)]))
    if wanted and wanted != known:
        write_key_file(path, wanted)


def _add_pictures(place: Place, fresh: Path) -> None:
    """Add pictures to those that are there."""
    pictures = fresh / PICTURE_DIRECTORY
    if pictures.is_dir():
        target = place.data_dir / PICTURE_DIRECTORY
        for one in (target.parent, target):  # mkdir gives a parent that it makes another mode
            one.mkdir(mode=0o700, exist_ok=True)
        for picture in pictures.iterdir():
            _sync(picture)
            picture.replace(target / picture.name)
        sync_directory(target)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
