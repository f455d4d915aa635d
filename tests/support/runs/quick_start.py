"""What makes a server within a test quick to start, and is tested where it stands: passwords that are cheap to check,
and a database that was migrated before.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from argon2 import PasswordHasher

from shoal.storage.data_directory import DATABASE_FILE, LOCK_FILE
from shoal.storage.database import Database

_migrated: dict[str, bytes] = {}


def cheap_hasher() -> PasswordHasher:
    """Argon2id at its least: the real cost is 0.2 s of a processor for each server."""
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


async def blank_database(data_dir: Path) -> None:
    """Lay a new database, as ``Database.open`` makes it, into a directory that has none."""
    if not _migrated:
        with tempfile.TemporaryDirectory() as directory:
            await (database := Database(Path(directory))).open()
            await database.close()
            _migrated[DATABASE_FILE] = files_in(Path(directory))[DATABASE_FILE]
    lay_files(data_dir, _migrated)


def files_in(directory: Path) -> dict[str, bytes]:
    """Return the files of a server that has ended."""
    files = [file for file in directory.iterdir() if file.is_file() and file.name != LOCK_FILE]
    return {file.name: file.read_bytes() for file in files}


def lay_files(data_dir: Path, files: dict[str, bytes]) -> None:
    """Lay files into a directory that has no database."""
    if (data_dir / DATABASE_FILE).exists():
        return
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in files.items():
        (data_dir / name).touch(mode=0o600)
        (data_dir / name).write_bytes(content)
