"""Makes a backup: written under a partial name, restored into a scratch database to check it, then named."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from shoal import __version__
from shoal.clock import now_ms as wall_clock_ms
from shoal.errors import ConfigError
from shoal.maintenance.backup.disk_room import leaving_room, reporting_disk_errors
from shoal.maintenance.backup.envelope import Header, SealedFile, SealedWriter, new_file_key, read_header
from shoal.maintenance.backup.loading import Loaded, load
from shoal.maintenance.backup.locks import (
    KeyLock,
    Lock,
    PassphraseLock,
    unlock_with_key,
    unlock_with_passphrase,
)
from shoal.maintenance.backup.records import RecordWriter, read_records
from shoal.maintenance.backup.signing import public_key, signing_key
from shoal.maintenance.backup.snapshot import Snapshot, counted, open_reader, reading
from shoal.storage.data_directory import DATABASE_FILE, KEY_FILE
from shoal.storage.database_errors import as_store_error
from shoal.storage.engines import open_engine
from shoal.storage.integrity_check import is_sound
from shoal.storage.migrations import migrate
from shoal.storage.vault import parse_keys, read_key_file

ENDING: Final = ".shoalbackup"
PARTIAL: Final = ".partial"
SCRATCH: Final = ".shoal-"
"""The beginning of the name of a scratch directory."""
_BUSY_SECONDS: Final = 10.0


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was made, and found whole."""

    path: Path
    header: Header
    bytes: int
    rows: int
    pictures: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """What opens a backup: a passphrase, or a private key."""

    passphrase: str = ""
    private_key: bytes = b""
    is_of_server: bool = False
    """Whether it is the server's own key, which no one else can have locked a file with."""
    _file_keys: dict[PassphraseLock, bytes] = field(default_factory=dict, repr=False, compare=False)
    """What the passphrase opened: a restore asks before it begins and again when it reads, and each costs 0.2 s."""

    def file_key(self, header: Header) -> bytes:
        """Return the key of a file. Raises ``ConfigError`` when this does not open it."""
        for lock in header.locks:
            if isinstance(lock, PassphraseLock) and self.passphrase:
                if lock not in self._file_keys:
                    self._file_keys[lock] = unlock_with_passphrase(lock, self.passphrase)
                return self._file_keys[lock]
            if isinstance(lock, KeyLock) and self.private_key:
                return unlock_with_key(lock, self.private_key)
        wants_key = all(isinstance(lock, KeyLock) for lock in header.locks)
        raise ConfigError("backup.wants_key" if wants_key else "backup.wants_passphrase", code="backup_locked")


def keys_of(data_dir: Path, secret_key: str | None) -> list[bytes]:
    """Return the keys of the secrets of a data directory: of the setting, then of its file. Raises ``ConfigError``."""
    keys = parse_keys(secret_key, origin="SHOAL_SECRET_KEY") if secret_key else []
    return list(dict.fromkeys(keys + read_key_file(data_dir / KEY_FILE, required=not keys)))


def file_name(store: str, at_ms: int) -> str:
    """Return the name of a backup of a database, made then."""
    return f"shoal-{store}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(at_ms / 1000))}{ENDING}"


def make_backup(
    data_dir: Path,
    target: Path,
    *,
    url: str = "",
    secret_key: str | None = None,
    lock: Callable[[bytes], Lock],
    scratch: Path | None = None,
    now_ms: Callable[[], int] = wall_clock_ms,
) -> Made:
    """Make a backup beside a server that may be running. ``target`` is a directory, or the name of a new file.

    ``scratch``: where the database is restored to see whether the backup is whole. Raises ``ConfigError`` and
    ``StoreError``; then there is no file.
    """
    file_key = new_file_key()
    locked = lock(file_key)
    engine = open_reader(data_dir, url)
    keys, signing = keys_of(data_dir, secret_key), signing_key(data_dir)
    partial = (target if target.is_dir() else target.parent) / f".{secrets.token_hex(8)}{ENDING}{PARTIAL}"
    try:
        with reading(engine) as connection, _writing(target):
            keys = list(dict.fromkeys(keys + keys_of(data_dir, secret_key)))  # one may just have been made
            snapshot = Snapshot(connection, data_dir, keys)
            facts, at_ms = snapshot.facts(), now_ms()
            header = Header(
                id=secrets.token_hex(8), made_at_ms=at_ms, version=__version__, schema=facts.schema,
                database=facts.database, store=facts.store, site=facts.site, rev=facts.rev, locks=[locked],
                signer=public_key(signing),
            )  # fmt: skip
            with created(partial) as file:
                writer = RecordWriter(SealedWriter(file, header, file_key, signing))
                for record in snapshot.records():
                    writer.write(record)
                writer.finish()
        loaded = check_whole(partial, file_key, scratch=scratch, beside=data_dir)
        with _writing(target):
            path = target / file_name(facts.store, at_ms) if target.is_dir() else target
            size = partial.stat().st_size
            if path.exists():
                raise ConfigError("backup.target_exists", path=path, code="target_exists")
            partial.rename(path)
            sync_directory(path.parent)
        return Made(path=path, header=header, bytes=size, rows=loaded.rows, pictures=loaded.files)
    finally:
        engine.dispose()
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _writing(target: Path) -> AbstractContextManager[None]:
    return reporting_disk_errors("backup.target_full", "backup.not_written", target, code="backup_not_written")


@contextmanager
def opened(path: Path) -> Iterator[SealedFile]:
    """Open a backup, and read its header. Raises ``ConfigError``."""
    try:
        file = path.open("rb")
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigError("backup.not_readable", why=why, path=path, code="backup_not_readable") from None
    with file:
        yield read_header(file, path)


def check_whole(path: Path, file_key: bytes, *, scratch: Path | None = None, beside: Path | None = None) -> Loaded:
    """Restore a backup into a scratch database, compare every table with the file, and delete it again.

    ``beside``: the data of a server for which the backup is made, which keeps some room on its disk. Raises
    ``ConfigError`` when it is not whole, or of a newer version, or when there is no room.
    """
    where = scratch or Path(tempfile.gettempdir())
    codes = ("backup.scratch_full", "backup.no_scratch") if beside else ("backup.verify_full", "backup.not_verified")
    with (
        opened(path) as sealed,
        reporting_disk_errors(*codes, where, code="no_scratch"),
        tempfile.TemporaryDirectory(dir=scratch, prefix=SCRATCH) as place,
    ):
        records = read_records(sealed.chunks(file_key))
        if beside:
            records = leaving_room(records, Path(place), beside)
        return load_file(Path(place), lambda connection: load(records, connection, sealed.header.schema, Path(place)))


def load_file(place: Path, loading: Callable[[Connection], Loaded]) -> Loaded:
    """Load a backup into an own SQLite file, compare it, and migrate it to this program's schema."""
    os.close(os.open(place / DATABASE_FILE, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    engine = writer_of(place / DATABASE_FILE, scratch=True)
    try:
        with as_store_error():
            with engine.connect() as connection, connection.begin():
                loaded = loading(connection)
            with engine.connect() as connection, connection.begin():
                if counted(connection, loaded.columns) != loaded.tables or not is_sound(connection):
                    raise ConfigError("backup.damaged", code="backup_damaged")
            migrate(engine)
    finally:
        engine.dispose()
    return loaded


def writer_of(path: Path, *, scratch: bool = False) -> Engine:
    """Return an engine that writes an SQLite file that nothing else uses. ``scratch``: see ``open_engine``."""
    url = URL.create("sqlite", database=str(path.absolute()))
    return open_engine(url, poolclass=NullPool, busy_seconds=_BUSY_SECONDS, begin="BEGIN IMMEDIATE", scratch=scratch)


@contextmanager
def created(path: Path) -> Iterator[BinaryIO]:
    """Create a file that only this user may read; durable at the end."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises ``OSError``."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
