"""Prepares a database for a server: it is looked at, guarded, migrated, and bound to its data directory."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from shoal.errors import ConfigError
from shoal.storage.data_directory import MARKER_FILE, read_marker, write_marker
from shoal.storage.database_errors import damaged
from shoal.storage.earlier_life import forget_earlier_life
from shoal.storage.integrity_check import SMALL_BYTES, is_sound
from shoal.storage.migrations import Older, is_newest, migrate
from shoal.storage.postgresql_fitness import must_be_fit
from shoal.storage.predecessors import await_predecessors
from shoal.storage.store_facts import remember_fact


def prepare(
    engine: Engine,
    data_dir: Path | None,
    file: Path | None,
    *,
    guard: Callable[[], None],
    copy_first: Callable[[str], object] | None,
    older: Older | None = None,
) -> bool:
    """Prepare the database behind ``engine``: ``file`` of a locked ``data_dir``, or one of PostgreSQL (``None``).

    ``guard`` is called before and after the schema is updated; ``older`` as by ``migrate``. Return whether nothing is
    left to check: a large file of the newest schema is checked later, beside requests.
    """
    marker = read_marker(data_dir) if file is not None else None
    is_checked = True if file is None else _prepare_file(engine, file, marker)
    must_be_fit(engine)
    guard()
    migrate(engine, database_file=file, copy_first=copy_first, older=older)
    guard()
    if file is None:  # with a file, its lock shows that the process and all its writes have ended
        await_predecessors(engine)
        forget_earlier_life(engine)
    with engine.begin() as connection:
        stored = remember_fact(connection, "marker", secrets.token_hex(16))
    if data_dir is not None and file is not None and marker != stored:
        write_marker(data_dir, stored)
    if file is not None:
        for path in file.parent.glob(f"{file.name}*"):
            path.chmod(0o600)
    return is_checked


def _prepare_file(engine: Engine, path: Path, marker: str | None) -> bool:
    """Make an empty file, or look at the one that is there. Return whether it needs no further check."""
    empty = not path.exists() or path.stat().st_size == 0
    if empty and marker is not None:
        raise ConfigError(
            "startup.database_missing",
            directory=path.parent,
            name=path.name,
            marker=MARKER_FILE,
            code="database_missing",
        )
    if empty:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        return True
    with engine.connect() as connection:
        # A migration writes to every part of the file: nothing is migrated that may be damaged.
        is_checked = path.stat().st_size <= SMALL_BYTES or not is_newest(connection)
        if is_checked and not is_sound(connection):
            raise damaged(path)
    return is_checked
