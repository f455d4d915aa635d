"""The identity of a locked file on this boot: its lock shows that the process which held it before has ended."""

from __future__ import annotations

import secrets
from pathlib import Path


def place_of(lock_file: Path) -> str:
    """Return the identity of the file on this boot. A copy of it, or another boot, has another one."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = secrets.token_hex(16)
    found = lock_file.stat()
    return f"{boot}:{found.st_dev}:{found.st_ino}"
