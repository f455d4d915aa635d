"""What makes a server within a test quick to start, and is tested where it stands: passwords that are cheap to check,
and a database that was migrated before.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from argon2 import PasswordHasher

from shoal.storage.database import Database
from shoal.storage.engines import DATABASE_FILE

_migrated: list[bytes] = []


def cheap_hasher() -> PasswordHasher:
    """Argon2id at its least: the real cost is 0.2 s of a processor for each server."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def blank_database(data_dir: Path) -> None:
    """Lay a new database, as ``Database.open`` makes it, into a directory that has none."""
    if not _migrated:
        with tempfile.TemporaryDirectory() as directory:
            await (database := Database(Path(directory))).open()
            await database.close()
            _migrated.append((Path(directory) / DATABASE_FILE).read_bytes())
    _lay(data_dir)


def _lay(data_dir: Path) -> None:
    file = data_dir / DATABASE_FILE
    if file.exists():
        return
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(_migrated[0])
