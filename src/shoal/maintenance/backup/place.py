"""Where a backup is restored to, and whose data is there."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Engine, inspect, text
from sqlalchemy.pool import NullPool

from shoal.clock import now_ms as wall_clock_ms
from shoal.errors import ConfigError
from shoal.maintenance.backup.envelope import SQLITE_MAGIC, Header, store_of
from shoal.maintenance.backup.signing import fingerprint, own_fingerprint
from shoal.storage.data_directory import read_marker
from shoal.storage.database_errors import as_store_error
from shoal.storage.engines import database_url, is_sqlite, open_engine

_STAMP: Final = "%Y%m%d-%H%M%S"
_BUSY_SECONDS: Final = 10.0
_FACTS: Final = "SELECT key, value FROM store_meta WHERE key IN ('marker', 'site')"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where to restore to."""

    data_dir: Path
    url: str = ""
    secret_key: str | None = None
    now_ms: Callable[[], int] = wall_clock_ms

    @property
    def is_sqlite(self) -> bool:
        """Whether its database is a file."""
        return is_sqlite(database_url(self.url, self.data_dir))

    @property
    def file(self) -> Path:
        """Its SQLite file."""
        return Path(database_url(self.url, self.data_dir).database or "")

    def stamp(self) -> str:
        """Return the time as it is written in names."""
        return time.strftime(_STAMP, time.gmtime(self.now_ms() / 1000))


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Whose data it is, as far as that is known."""

    mark: str = ""
    """The database's own mark; only who has the database knows it. Empty for a backup."""
    store: str = ""
    """A digest of the mark, which anyone may read."""
    site: str = ""
    signer: str = ""
    """The fingerprint of the server's signing key; empty: nobody signs."""


def origin_of(header: Header) -> Origin:
    """Return whose data a backup says that it holds."""
    return Origin(store=header.store, site=header.site, signer=fingerprint(header.signer))


def origin_of_copy(path: Path) -> Origin:
    """Return whose data a copy of an SQLite database holds."""
    found = dict[str, str]()
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
        found = {str(key): str(value) for key, value in connection.execute(_FACTS)}
    return _origin(found)


def origin_here(place: Place) -> Origin:
    """Return whose data is at a place; empty where nothing is. Raises ``ConfigError`` and ``StoreError``."""
    signer = own_fingerprint(place.data_dir)
    if place.is_sqlite:
        there = origin_of_copy(place.file) if place.file.is_file() else Origin()
        mark = there.mark or read_marker(place.data_dir) or ""  # of a database that was lost
        return Origin(mark=mark, store=store_of(mark) if mark else "", site=there.site, signer=signer)
    engine = postgresql_engine(place)
    try:
        with as_store_error(), engine.connect() as connection:
            found = dict[str, str]()
            if inspect(connection).has_table("store_meta"):
                found = {str(key): str(value) for key, value in connection.execute(text(_FACTS))}
    finally:
        engine.dispose()
    return msgspec.structs.replace(_origin(found), signer=signer)


def _origin(facts: dict[str, str]) -> Origin:
    mark = facts.get("marker", "")
    return Origin(mark=mark, store=store_of(mark) if mark else "", site=facts.get("site", ""))


def differences(offered: Origin, here: Origin, *, is_ours: bool = False) -> list[str]:
    """Return in what data differs from that of a place: ``store``, ``site``, ``signer``.

    Who signed it counts by the key alone: what a header says of its store can be copied. ``is_ours``: it was opened by
    a secret of this place, which no one else has.
    """
    known = {"store": (offered.store, here.store), "site": (offered.site, here.site)}
    found = [name for name, (theirs, mine) in known.items() if mine and theirs != mine]
    proofs = ((offered.mark, here.mark), (offered.signer, here.signer))
    return found if is_ours or any(mine and theirs == mine for theirs, mine in proofs) else [*found, "signer"]


def is_copy(path: Path) -> bool:
    """Return whether a file is an SQLite database and no backup. Raises ``ConfigError`` when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_MAGIC)) == SQLITE_MAGIC
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigError("backup.not_readable", why=why, path=path, code="backup_not_readable") from None


def postgresql_engine(place: Place) -> Engine:
    """Return an engine that writes the PostgreSQL database of a place."""
    url = database_url(place.url, place.data_dir)
    return open_engine(url, poolclass=NullPool, busy_seconds=_BUSY_SECONDS, begin="BEGIN")
