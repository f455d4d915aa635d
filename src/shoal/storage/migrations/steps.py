"""The migration steps, run by Alembic, which is loaded only for a database that lacks some of them."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect

from shoal.errors import ConfigError
from shoal.storage.migrations.revisions import VERSIONS

if TYPE_CHECKING:
    from alembic.config import Config

# Parts of a server import this module that may never run a step.
# ruff: noqa: PLC0415

PARTIAL = ".partial"
"""The end of the name of an unfinished copy."""


def run_missing_steps(
    connection: Connection,
    *,
    database_file: Path | None,
    copy_first: Callable[[str], object] | None = None,
    until: str = "head",
) -> str | None:
    """Bring the database to that schema. Return the found revision. Raises like ``migrate``."""
    from alembic import command
    from alembic.runtime.migration import MigrationContext

    config = _config()
    found = MigrationContext.configure(connection).get_current_revision()
    _check(connection, config, found)
    if found == _head(config):
        return found
    if found is not None and database_file is not None:
        _copy(database_file, found)
    elif found is not None and copy_first is not None:
        copy_first(found)
    config.attributes["connection"] = connection
    command.upgrade(config, until)
    return found


def build_schema(connection: Connection, revision: str) -> None:
    """Build the tables of a revision where there are none. Raises ``ConfigError`` for one of a newer program."""
    from alembic import command

    config = _config()
    _check_is_known(config, revision)
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def upgrade(connection: Connection) -> None:
    """Run every missing step on a database that has tables, in the caller's transaction."""
    run_missing_steps(connection, database_file=None)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", os.pathsep.join(map(str, VERSIONS)).replace("%", "%%"))
    return config


def _head(config: Config) -> str | None:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(config).get_current_head()


def _check(connection: Connection, config: Config, found: str | None) -> None:
    if found is None:
        if set(inspect(connection).get_table_names()) - {"alembic_version"}:
            raise ConfigError("startup.foreign_database", code="foreign_database")
        return
    _check_is_known(config, found)


def _check_is_known(config: Config, found: str) -> None:
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    try:
        ScriptDirectory.from_config(config).get_revision(found)
    except CommandError:
        raise ConfigError("startup.database_too_new", schema=found, code="database_too_new") from None


def _copy(database_file: Path, found: str) -> Path:
    """Copy a database that has no writers now. The copy gets its name only when it is complete and synced."""
    target = _free_name(database_file, f"before-{found}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
    partial = target.with_name(target.name + PARTIAL)
    try:
        _remove_partial_copies(database_file)
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with (
            contextlib.closing(sqlite3.connect(f"{database_file.absolute().as_uri()}?mode=ro", uri=True)) as source,
            contextlib.closing(sqlite3.connect(partial)) as copy,
        ):
            source.backup(copy)
        _sync(partial)
        partial.rename(target)
        _sync(database_file.parent)
    except (OSError, sqlite3.Error) as error:
        with contextlib.suppress(OSError):
            _remove_partial_copies(database_file)  # they fill the disk on which space is needed
        raise ConfigError(
            "startup.no_copy", why=type(error).__name__, path=target, code="no_copy_before_upgrade"
        ) from None
    return target


def _free_name(database_file: Path, ending: str) -> Path:
    """Return a name that no copy has: two may begin within a second."""
    target, number = database_file.with_name(f"{database_file.name}.{ending}"), 1
    while target.exists():
        number += 1
        target = database_file.with_name(f"{database_file.name}.{ending}-{number}")
    return target


def _remove_partial_copies(database_file: Path) -> None:
    """Delete unfinished copies, and SQLite's own files beside them."""
    for path in database_file.parent.iterdir():
        if path.name.startswith(f"{database_file.name}.before-") and PARTIAL in path.name:
            path.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
