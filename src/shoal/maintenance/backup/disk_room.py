"""Room on disks: what one refuses is reported with its path, and what a server needs is left to it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shoal.errors import ConfigError, ShoalError, StoreError
from shoal.maintenance.backup.records import Record

LEAST_FREE_BYTES: Final = 64 * 2**20
"""What a scratch database leaves free on the disk of a server's database: there a full disk stops all changes."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_OF_THE_DISK: Final = ("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")


def is_full(error: Exception) -> bool:
    """Return whether an error says that a disk has no room."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, StoreError) and error.params.get("reason") == "SQLITE_FULL"


@contextmanager
def reporting_disk_errors(full: str, other: str, path: Path, *, code: str) -> Iterator[None]:
    """Raise what a disk refuses as ``ConfigError`` with the path: the sentence ``full``, or ``other`` with why."""
    try:
        yield
    except (OSError, ShoalError) as error:
        reason = str(error.params.get("reason", "")) if isinstance(error, StoreError) else ""
        if not isinstance(error, OSError) and not reason.startswith(_OF_THE_DISK):
            raise
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(full if is_full(error) else other, path=path, why=why, code=code) from None


def leaving_room(records: Iterable[Record], scratch: Path, data_dir: Path) -> Iterator[Record]:
    """Yield records as long as the disk of a server's data has room besides. Raises ``OSError`` when it is short."""
    shares = scratch.stat().st_dev == data_dir.stat().st_dev
    for record in records:
        if shares and shutil.disk_usage(scratch).free < LEAST_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield record
