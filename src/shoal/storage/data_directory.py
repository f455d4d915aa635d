"""The data directory: private to its user, locked by one process, and marked once it held a database."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path

from shoal.errors import ConfigError

DATABASE_FILE = "shoal.db"
KEY_FILE = "secret.key"
LOCK_FILE = "shoal.lock"
MARKER_FILE = "shoal.marker"
SIGNING_FILE = "backup-signing.key"
UNITS_FILE = "units.log"
PICTURE_DIRECTORY = "uploads/images"


def is_worker(node: str | None) -> bool:
    """Return whether a node is one of several workers of one directory, such as ``shop/2``."""
    return node is not None and "/" in node


def own_file(file: Path, node: str | None) -> Path:
    """Return the file that a process has for itself: workers of one directory have each their own."""
    return file.with_name(f"{file.name}-{node.rpartition('/')[2]}") if node is not None and is_worker(node) else file


def make_private_directory(path: Path) -> None:
    """Create the directory, or open it, for this user only. Raises ``ConfigError`` when it cannot be written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        probe = path / f".probe-{secrets.token_hex(4)}"
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            "startup.data_dir_unusable", path=path, why=error.strerror, code="data_dir_unusable"
        ) from None


def lock_directory(path: Path) -> int:
    """Lock the directory until the returned handle is closed. Raises ``ConfigError`` when another process has it."""
    handle = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        os.close(handle)
        raise ConfigError(
            "startup.data_dir_taken", process=holder if holder.isdigit() else "?", path=path, code="data_dir_taken"
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def read_marker(path: Path | None) -> str | None:
    """Return the mark of the database that the directory held; ``None`` when it held none."""
    try:
        return (path / MARKER_FILE).read_text(encoding="ascii").strip() if path is not None else None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise ConfigError("startup.marker_unreadable", path=f"{path}/{MARKER_FILE}", code="data_dir_unusable") from None


def write_marker(path: Path, value: str) -> None:
    """Mark the directory durably."""
    marker = path / MARKER_FILE
    try:
        handle = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(value + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ConfigError(
            "startup.marker_unwritable", path=marker, why=error.strerror, code="data_dir_unusable"
        ) from None
