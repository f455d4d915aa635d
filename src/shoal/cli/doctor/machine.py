"""Looks at the machine: versions, data directory, disk, open files, time zone, and the address of the server."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import pwd
import resource
import shutil
import socket
import sqlite3
import ssl
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shoal import __version__
from shoal.cli.doctor.findings import Finding, Look, failure, fine, warning
from shoal.config import Settings
from shoal.rules.schedule import DEFAULT_TIMEZONE

_MIB = 1024 * 1024
_LOW_MIB, _NO_MIB = 500, 50
_FEW_FILES = 1024
_FILES_PER_ACCOUNT = 2
_UNSYNCHRONISED = 5
"""What ``adjtimex`` returns for a clock that nothing keeps right: ``TIME_ERROR``."""
_TIMEX_BYTES = 1024
"""More than ``struct timex`` has on any system. All zero, it only reads."""


def versions() -> Finding:
    """Say which versions run."""
    return fine(
        Look.VERSIONS, "versions", shoal=__version__, python=platform.python_version(), sqlite=sqlite3.sqlite_version,
        tls=ssl.OPENSSL_VERSION.partition(" ")[2].partition(" ")[0], system=platform.platform(terse=True),
    )  # fmt: skip


def data_directory(directory: Path) -> Finding:
    """Look at the owner, the mode and the writability of the data directory."""
    try:
        facts = directory.stat()
    except FileNotFoundError:
        return _not_there_yet(directory)
    except OSError as error:
        return failure(Look.DATA_DIR, "data_dir_closed", path=directory, why=error.strerror)
    if not stat.S_ISDIR(facts.st_mode):
        return failure(Look.DATA_DIR, "data_dir_no_directory", path=directory)
    return _private_directory(directory, facts)


def _private_directory(directory: Path, facts: os.stat_result) -> Finding:
    if facts.st_uid != os.geteuid():
        return failure(Look.DATA_DIR, "data_dir_of_other", path=directory, user=_user(facts.st_uid))
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return failure(Look.DATA_DIR, "data_dir_closed", path=directory, why=os.strerror(errno.EACCES))
    mode = stat.S_IMODE(facts.st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warning(Look.DATA_DIR, "data_dir_open", path=directory, mode=f"{mode:04o}")
    return fine(Look.DATA_DIR, "data_dir", path=directory, mode=f"{mode:04o}")


def _not_there_yet(directory: Path) -> Finding:
    parent = next((path for path in directory.absolute().parents if path.exists()), Path("/"))
    if os.access(parent, os.W_OK | os.X_OK):
        return fine(Look.DATA_DIR, "data_dir_new", path=directory)
    return failure(Look.DATA_DIR, "data_dir_unmakeable", path=directory, parent=parent)


def _user(number: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(number).pw_name
    return str(number)


def disk(directory: Path) -> Finding:
    """Look at the room on the disk of the data directory. A migration and a backup need room for a copy."""
    place = next(path for path in (directory.absolute(), *directory.absolute().parents) if path.exists())
    free = shutil.disk_usage(place).free // _MIB
    size = sum(path.stat().st_size for path in directory.glob("shoal.db*") if path.is_file()) // _MIB
    if free < _NO_MIB:
        return failure(Look.DISK, "disk_full", free=free)
    if free < max(_LOW_MIB, size):
        return warning(Look.DISK, "disk_low", free=free, size=size)
    return fine(Look.DISK, "disk", free=free, size=size)


def open_files(accounts: int) -> Finding:
    """Look at the limit of open files, which every connection counts for."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = sys.maxsize if hard == resource.RLIM_INFINITY else hard
    needed = _FEW_FILES + accounts * _FILES_PER_ACCOUNT
    if most < needed:
        return warning(Look.FILES, "files_few", most=most, needed=needed, accounts=accounts)
    return fine(Look.FILES, "files", most="∞" if most == sys.maxsize else most)


def time_zone() -> Finding:
    """Look whether the time zones are known by which rules have hours."""
    try:
        ZoneInfo(DEFAULT_TIMEZONE)
    except ZoneInfoNotFoundError:
        return failure(Look.TIME_ZONE, "zones_missing")
    return fine(Look.TIME_ZONE, "time_zone", zone=time.tzname[time.localtime().tm_isdst > 0], shops=DEFAULT_TIMEZONE)


def clock_is_kept() -> bool | None:
    """Return whether a service keeps the machine's clock right; ``None`` when the system does not report it."""
    if Path("/run/systemd/timesync/synchronized").exists():
        return True
    with suppress(AttributeError, OSError):
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return None if state < 0 else state != _UNSYNCHRONISED
    return None


def holder_of(lock_file: Path) -> str | None:
    """Return the number of the process that has locked a data directory; ``None`` when none has.

    It reads the system's list and takes no lock: a server that starts at this moment must not find it taken.
    """
    try:
        facts = lock_file.stat()
        named = lock_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    for line in _locks():
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == str(facts.st_ino):
            return named or fields[4]
    return None


def _locks() -> Iterator[str]:
    with suppress(OSError):
        yield from Path("/proc/locks").read_text(encoding="ascii").splitlines()


def can_listen(settings: Settings) -> OSError | None:
    """Return why a server could not listen at its address; ``None``: it can. The port is free again at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except OSError as error:
        return error
    return None
