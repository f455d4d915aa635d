"""Pictures that were files put into PostgreSQL, and its pictures written as files, while no server runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection

from shoal.errors import ConfigError
from shoal.pictures.picture_files import write_whole
from shoal.pictures.picture_rows import add_picture, digests_of_pictures, picture_names, read_picture
from shoal.pictures.pictures import URL_PREFIX, name_in

Progress = Callable[[int], None]
"""Is called with how many pictures were just looked at."""


def pictures_in(directory: Path) -> list[Path]:
    """Return the files that are pictures by their names, in order."""
    if not directory.is_dir():
        return []
    return sorted(path for path in directory.iterdir() if path.is_file() and name_in(URL_PREFIX + path.name))


def take_in(connection: Connection, directory: Path, now_ms: int) -> None:
    """Put the pictures of a directory into the transaction of a connection, and remove the files."""
    for path in pictures_in(directory):
        add_picture(connection, path.name, path.read_bytes(), now_ms)
        path.unlink()


def store_files(connection: Connection, directory: Path, now_ms: int, progress: Progress) -> int:
    """Store the pictures of a directory, each in a transaction of its own; return how many there are.

    Those that an earlier run stored stay as they are. The files stay too. Raises ``ConfigError`` when the database then
    holds something else, ``OSError``, and errors of the database.
    """
    with connection.begin():
        there = digests_of_pictures(connection)
    paths, digests = pictures_in(directory), dict[Path, str]()
    for path in paths:
        data = path.read_bytes()
        digests[path] = hashlib.sha256(data).hexdigest()
        if there.get(path.name) != digests[path]:
            with connection.begin():
                add_picture(connection, path.name, data, now_ms)
        progress(1)
    with connection.begin():
        there = digests_of_pictures(connection)
    if any(there.get(path.name) != digest for path, digest in digests.items()):
        raise ConfigError("migrate_store.differs", table="pictures", code="store_differs")
    return len(paths)


def write_files(connection: Connection, directory: Path, progress: Progress) -> int:
    """Write the pictures of a database as files, each whole or not at all; return how many there are.

    Those that are there already are left as they are. Raises ``OSError`` and errors of the database.
    """
    digests = digests_of_pictures(connection)
    for name in picture_names(connection):
        path = directory / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digests[name]:
            data = read_picture(connection, name)
            if data is not None:
                write_whole(directory, name, data)
        progress(1)
    return len(digests)
