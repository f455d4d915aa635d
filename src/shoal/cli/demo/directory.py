"""The demo's data directory: empty at the start, recognised by its marker, used by one demo at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from shoal.errors import ConfigError
from shoal.storage.data_directory import DATABASE_FILE, KEY_FILE, LOCK_FILE, MARKER_FILE, PICTURE_DIRECTORY, UNITS_FILE

DEMO_MARKER: Final = "shoal-demo"
_MARKER_TEXT: Final = "This directory belongs to `shoal demo`, which empties it at each start.\n"
_PICTURES: Final = Path(PICTURE_DIRECTORY)
_OURS: Final[dict[Path, tuple[str, ...]]] = {
    Path(): (
        f"{DATABASE_FILE}*",
        LOCK_FILE,
        MARKER_FILE,
        KEY_FILE,
        f"{KEY_FILE}.*",
        f"{UNITS_FILE}*",
        "sandbox.log",
        "server.log",
    ),
    _PICTURES.parent: (),
    _PICTURES: ("*",),
}
"""The files that a demo makes, by the directory in which they are; outer directories first."""


@contextlib.contextmanager
def demo_directory(path: Path) -> Iterator[Path]:
    """Yield an empty directory for one demo, and keep it locked during the block.

    Removes the files that an earlier demo left, and nothing else. Raises ``ConfigError`` for a directory that contains
    anything else, that is a link, or that another demo or server uses.
    """
    path = path.absolute()
    try:
        marker = _marked(path)
    except OSError as error:
        raise ConfigError("startup.demo_unusable", path=path, why=error.strerror) from None
    with os.fdopen(marker):
        try:
            _empty(path)
        except OSError as error:
            raise ConfigError("startup.demo_not_emptied", path=path, why=error.strerror) from None
        yield path


def _marked(path: Path) -> int:
    """Make or recognise the directory; return its marker, open and locked."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_symlink():
        raise ConfigError("startup.demo_link", path=path)
    marker = path / DEMO_MARKER
    names = {entry.name for entry in path.iterdir()}
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    if not names:
        handle = os.open(marker, flags | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(handle, _MARKER_TEXT.encode())
    elif DEMO_MARKER in names and not marker.is_symlink():
        handle = os.open(marker, flags)
    else:
        raise ConfigError("startup.demo_not_ours", path=path)
    try:
        _hold(path, handle)
    except ConfigError:
        os.close(handle)
        raise
    return handle


def _hold(path: Path, handle: int) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigError("startup.demo_running", path=path) from None
    if os.pread(handle, 4096, 0) != _MARKER_TEXT.encode():
        raise ConfigError("startup.demo_foreign_marker", path=path, name=DEMO_MARKER)


def _empty(path: Path) -> None:
    """Remove the files of an earlier demo. Checks everything before it removes anything; never follows links."""
    places = [path / place for place in _OURS if place == Path() or _is_directory(path / place)]
    found = [entry for place in places for entry in place.iterdir() if entry not in {path / DEMO_MARKER, *places}]
    for entry in found:
        patterns = _OURS[entry.parent.relative_to(path)]
        ours = any(fnmatchcase(entry.name, pattern) for pattern in patterns)
        if not ours or not stat.S_ISREG(entry.lstat().st_mode):
            raise ConfigError("startup.demo_foreign_file", path=path, name=entry.relative_to(path))
    with _server_lock(path):
        for entry in found:
            entry.unlink()
        for place in reversed(places[1:]):
            place.rmdir()


def _is_directory(path: Path) -> bool:
    """Return whether it is a directory, and not a link to one."""
    return path.is_dir() and not path.is_symlink()


@contextlib.contextmanager
def _server_lock(path: Path) -> Iterator[None]:
    """Hold the server's own lock: a server that is still ending there keeps its files."""
    try:
        handle = os.open(path / LOCK_FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError("startup.demo_server_running", path=path) from None
    else:
        yield
    finally:
        os.close(handle)
