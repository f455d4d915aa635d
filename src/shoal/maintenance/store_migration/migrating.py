"""Moves the store of a data directory from SQLite to PostgreSQL or back, while no server runs.

The target is marked as unfinished from its first table on, so no server starts on it. When it holds the same, the
source is marked as moved, and only then the target becomes a store: at no moment may both be served. A death leaves
the source as it was, or a target that the same command finishes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec
from sqlalchemy import URL, Connection, Engine, create_engine, func, inspect, select, text
from sqlalchemy.exc import DatabaseError

from shoal.errors import ConfigError
from shoal.maintenance.backup.making import keys_of, sync_directory, writer_of
from shoal.maintenance.backup.picture_files import pictures_in, store_files, write_files
from shoal.maintenance.backup.place import Place, postgresql_engine
from shoal.maintenance.backup.restoring import sole_connection
from shoal.maintenance.backup.snapshot import heads, open_reader, reading
from shoal.maintenance.store_migration.addresses import shown
from shoal.maintenance.store_migration.copying import COLUMNS, Tallies, compare, copy_rows, empty, set_heads
from shoal.storage.data_directory import LOCK_FILE, PICTURE_DIRECTORY, lock_directory, make_private_directory
from shoal.storage.database_errors import as_store_error, damaged
from shoal.storage.database_preparation import check_fitness
from shoal.storage.integrity_check import is_sound
from shoal.storage.migrations import check_is_newest, newest
from shoal.storage.migrations.marks import (
    Moved,
    mark,
    mark_as_moved,
    moved,
    stored_revision,
    unfinished,
    where_moved,
)
from shoal.storage.migrations.steps import build_schema
from shoal.storage.picture_table import pictures as picture_rows
from shoal.storage.schema import metadata, store_meta
from shoal.storage.sealed_values import count_by_key
from shoal.storage.vault import key_id

Progress = Callable[[str, int, int], None]
"""Is called with ``copying`` or ``comparing``, how many rows were just looked at, and how many there are."""
COPYING: Final = "copying"
PICTURES: Final = "pictures"
"""The name under which pictures are counted beside the tables."""
COMPARING: Final = "comparing"
ALREADY_MOVED: Final = "already_moved"
"""The code of the error when there is nothing left to do."""


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """What a move did. ``kept``: how many rows an earlier run had copied; ``pictures``: how many there are."""

    tables: Tallies
    kept: int
    pictures: int

    @property
    def rows(self) -> int:
        """How many rows the store has."""
        return sum(rows for rows, _ in self.tables.values())


def _silent(phase: str, rows: int, total: int) -> None:
    pass


def look_at_stores(source: Place, target: Place) -> dict[str, int]:
    """Return how many rows of each table, and pictures, would be moved; change nothing. Raises like ``migrate_store``.

    A server may be running.
    """
    _check_kinds(source, target)
    engine = open_reader(source.data_dir, source.url)
    with _disposing(engine), reading(engine) as old:
        _check_keys(old, source)
        found, end = {**_rows_of(old), PICTURES: _pictures_of(old, source)}, _End.of(old)
    _is_begun(target, end)
    return found


def migrate_store(source: Place, target: Place, *, progress: Progress = _silent) -> Migrated:
    """Move a store. Raises ``ConfigError`` and ``StoreError``; then no server starts on the target."""
    _check_kinds(source, target)
    try:
        with _locked(source, target), ExitStack() as both:
            return _moved(source, target, both, progress)
    except OSError as error:
        why = error.strerror or type(error).__name__
        where = target.file if target.is_sqlite else target.data_dir
        raise ConfigError("migrate_store.not_written", path=where, why=why, code="store_not_written") from None


def _moved(source: Place, target: Place, both: ExitStack, progress: Progress) -> Migrated:
    closing_source = both.enter_context(ExitStack())
    old = closing_source.enter_context(_source(source))
    end = _End.of(old)
    if not end.is_moved:
        check_is_newest(old)
    _check_keys(old, source)
    new = both.enter_context(_target(target, end))
    total = sum(_rows_of(old).values()) + _pictures_of(old, source)
    tallies, kept = copy_rows(old, new, lambda rows: progress(COPYING, rows, total))
    pictures = _carry_pictures(old, new, source, target, lambda count: progress(COPYING, count, total))
    given = heads(old)
    with new.begin():
        set_heads(new, given)
    with new.begin():
        compare(new, tallies, given, lambda rows: progress(COMPARING, rows, total))
        if target.is_sqlite and not is_sound(new):
            raise damaged(target.file)
    mark_as_moved(old, newest(), Moved(to=shown(target), at_ms=source.now_ms()))
    closing_source.close()  # commits: no server starts on the source any more
    with new.begin():
        mark(new, newest())
    return Migrated(tables=tallies, kept=kept, pictures=pictures)


def _carry_pictures(
    old: Connection, new: Connection, source: Place, target: Place, progress: Callable[[int], None]
) -> int:
    """Put the pictures where the target has them: rows of PostgreSQL, or files. What an earlier run put there stays."""
    if target.is_sqlite:
        return write_files(old, target.data_dir / PICTURE_DIRECTORY, progress)
    return store_files(new, source.data_dir / PICTURE_DIRECTORY, target.now_ms(), progress)


def _pictures_of(old: Connection, source: Place) -> int:
    if source.is_sqlite:
        return len(pictures_in(source.data_dir / PICTURE_DIRECTORY))
    return int(old.scalar(select(func.count()).select_from(picture_rows)) or 0)


class _End(msgspec.Struct, frozen=True, kw_only=True):
    """What the source says of where its shops belong."""

    store: str
    """A digest of the mark that tells a store from others."""
    moved: Moved | None
    """Where an earlier run has moved it to, perhaps without the last step."""

    @classmethod
    def of(cls, old: Connection) -> _End:
        is_moved = stored_revision(old) == moved(newest())
        return cls(store=_store_of(old), moved=where_moved(old) if is_moved else None)

    @property
    def is_moved(self) -> bool:
        return self.moved is not None

    @property
    def mark(self) -> str:
        """The mark of a target that is being filled from it."""
        return unfinished(newest(), self.store)


# ── the two ends ────────────────────────────────────────────────────────────────────────────────────────────────────


def _check_kinds(source: Place, target: Place) -> None:
    if source.is_sqlite is target.is_sqlite:
        raise ConfigError("migrate_store.same_kind", code="same_kind")
    if source.is_sqlite and not source.file.is_file():
        sentence = "migrate_store.no_database" if source.url else "startup.no_database"
        raise ConfigError(sentence, path=source.file, code="no_database")


@contextmanager
def _locked(source: Place, target: Place) -> Iterator[None]:
    """Hold the data directory, and that of a file which is elsewhere. Raises ``ConfigError`` when a server runs."""
    file = source.file if source.is_sqlite else target.file
    with ExitStack() as stack:
        make_private_directory(source.data_dir)
        stack.callback(os.close, lock_directory(source.data_dir))
        if file.parent.resolve() != source.data_dir.resolve() and (file.parent / LOCK_FILE).exists():
            stack.callback(os.close, lock_directory(file.parent))
        yield


@contextmanager
def _source(place: Place) -> Iterator[Connection]:
    """Yield a connection in one transaction, beside which nothing else writes; it commits at the end."""
    if not place.is_sqlite:
        with sole_connection(place) as connection:
            ours = sorted({*metadata.tables} & set(inspect(connection).get_table_names()))
            if ours:
                names = ", ".join(f'"{name}"' for name in ours)
                connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE MODE")
            yield connection
        return
    engine = writer_of(place.file)
    with _disposing(engine), as_store_error(), engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def _target(place: Place, end: _End) -> Iterator[Connection]:
    """Yield a connection to fill, with no transaction begun. Nothing else uses its database until then."""
    with ExitStack() as stack:
        if not place.is_sqlite:
            stack.enter_context(sole_connection(place))
        is_begun = _is_begun(place, end)
        if place.is_sqlite and not is_begun:
            _make_file(place.file, end.mark)
        engine = writer_of(place.file) if place.is_sqlite else postgresql_engine(place)
        stack.enter_context(_disposing(engine))
        stack.enter_context(as_store_error())
        connection = stack.enter_context(engine.connect())
        if not place.is_sqlite:
            connection.execute(text("SET statement_timeout = 0"))  # the limit for requests
            connection.commit()
            if not is_begun:
                _build(connection, end.mark)
        yield connection


@contextmanager
def _disposing(engine: Engine) -> Iterator[None]:
    try:
        yield
    finally:
        engine.dispose()


def _make_file(path: Path, own_mark: str) -> None:
    """Make a file with tables and the mark; under its name it is never without them, so no server starts on it."""
    fresh = path.with_name(f"{path.name}.new")
    for ending in ("", "-wal", "-shm"):
        fresh.with_name(fresh.name + ending).unlink(missing_ok=True)  # of a run that died
    os.close(os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    engine = writer_of(fresh)
    with _disposing(engine), as_store_error(), engine.connect() as connection:
        _build(connection, own_mark)
    fresh.rename(path)
    sync_directory(path.parent)


def _build(new: Connection, own_mark: str) -> None:
    with new.begin():
        build_schema(new, newest())
        empty(new)  # a migration may have put rows there
        mark(new, own_mark)


# ── what they must be ───────────────────────────────────────────────────────────────────────────────────────────────


def _is_begun(target: Place, end: _End) -> bool:
    """Return whether an earlier run has begun to fill the target; change nothing there.

    Raises ``ConfigError`` when something else is in it, or when its source was moved elsewhere.
    """
    found, store = _contents(target)
    if found == end.mark:
        return True
    if end.moved is not None:
        is_there = found == newest() and store == end.store
        raise ConfigError("migrate_store.already_moved", code=ALREADY_MOVED) if is_there else end.moved.refusal()
    if found is not None:
        raise ConfigError("migrate_store.not_empty", code="store_not_empty")
    return False


def _contents(target: Place) -> tuple[str | None, str]:
    """Return the revision of a database and whose it is; ``None`` when it is empty, ``?`` when it is not ours."""
    if target.is_sqlite:
        if not target.file.exists() or target.file.stat().st_size == 0:
            return None, ""
        address = f"file:{quote(str(target.file))}"  # opening it as a store would change a file of another program
        engine = create_engine(URL.create("sqlite", database=address, query={"mode": "ro", "uri": "true"}))
    else:
        engine = postgresql_engine(target)
    with _disposing(engine), as_store_error():
        try:
            with engine.connect() as connection, connection.begin():
                if not target.is_sqlite:
                    check_fitness(connection, creates_tables=True)
                found = stored_revision(connection)
                if found is None:
                    return ("?" if target.is_sqlite or inspect(connection).get_table_names() else None), ""
                return found, _store_of(connection) if inspect(connection).has_table("store_meta") else ""
        except DatabaseError:
            if target.is_sqlite:  # no database at all
                return "?", ""
            raise


def _check_keys(old: Connection, place: Place) -> None:
    missing = set(count_by_key(old)) - {key_id(key) for key in keys_of(place.data_dir, place.secret_key)}
    if missing:
        raise ConfigError("backup.missing_key", code="missing_key")


def _store_of(connection: Connection) -> str:
    own = connection.scalar(select(store_meta.c.value).where(store_meta.c.key == "marker")) or ""
    return hashlib.sha256(own.encode()).hexdigest()[:8]


def _rows_of(connection: Connection) -> dict[str, int]:
    return {
        name: int(connection.scalar(select(func.count()).select_from(metadata.tables[name])) or 0) for name in COLUMNS
    }
