"""The backups in a directory as their operator sees them: of when, how large, what opens each, how long each stays."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from shoal.errors import ConfigError
from shoal.maintenance.backup.envelope import Header
from shoal.maintenance.backup.keeping import Keep, all_backups_in, kept_until
from shoal.maintenance.backup.locks import KeyLock, public_key_text
from shoal.maintenance.backup.making import ENDING, PARTIAL, opened
from shoal.maintenance.backup.signing import fingerprint

MOST: Final = 200
"""How many backups are listed, the newest first."""


class BackupFile(msgspec.Struct, frozen=True, kw_only=True):
    """A backup by its name. ``made_at_ms``: of which moment it is.

    ``is_readable``: its beginning is that of a backup. It was restored once before it got its name; the
    rest was not read since. ``sealed_to``: the public key whose private half opens it; empty when a passphrase does.
    ``signed_by``: the fingerprint of the server that says it signed it; a restore compares that with the file.
    ``kept_until_ms``: when it is deleted; ``None`` when it is not one of the daily ones of this database.
    """

    name: str
    made_at_ms: int
    bytes: int
    is_readable: bool
    sealed_to: str
    signed_by: str
    kept_until_ms: int | None


def backup_files(directory: Path, *, of: str, keep: Keep, next_ms: int) -> list[BackupFile]:
    """Return the backups in a directory. ``of``: the name of a backup of this database. Raises ``OSError``."""
    found = all_backups_in(directory)
    store = _store_in(of)
    until = kept_until([at_ms for path, at_ms, _ in found if _store_in(path.name) == store], keep, next_ms)
    files = []
    for path, at_ms, size in found[:MOST]:
        header = _header(path)
        keys = [lock.public for lock in header.locks if isinstance(lock, KeyLock)] if header else []
        files.append(
            BackupFile(
                name=path.name,
                made_at_ms=at_ms,
                bytes=size,
                is_readable=header is not None,
                sealed_to=public_key_text(keys[0]) if keys else "",
                signed_by=fingerprint(header.signer) if header else "",
                kept_until_ms=until.get(at_ms) if _store_in(path.name) == store else None,
            )
        )
    return files


def written_bytes(directory: Path) -> int:
    """Return how much of the backup that is being made is written; 0 when none is. Raises ``OSError``."""
    partial = directory.glob(f".*{ENDING}{PARTIAL}") if directory.is_dir() else ()
    return sum(path.stat().st_size for path in partial if path.exists())


def _store_in(name: str) -> str:
    return name.split("-")[1] if name.count("-") > 1 else ""


def _header(path: Path) -> Header | None:
    try:
        with opened(path) as sealed:
            return sealed.header
    except ConfigError:
        return None
