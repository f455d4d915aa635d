"""The directory in memory in which tests keep their files, where this machine has room in one."""

from __future__ import annotations

import shutil
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 2 << 30
"""More than the directories of a whole run, of which those of passed tests are removed."""


def memory_directory() -> Path | None:
    """Return it; ``None`` where there is none, or too little room."""
    return _MEMORY if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ROOM_BYTES else None
