"""The last life of a node on a data directory, by which its successor need not wait for the lease of a dead process.

The file is written once the row is committed. A process that holds the lock of the same directory on the same boot
knows that the process of that life has ended, with its connections: it declares exactly that row dead. A directory
that was copied has another lock file, and another machine has another boot: there the lease runs out by itself.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Final

import msgspec
import structlog

from shoal.storage.data_directory import LOCK_FILE, own_file

log = structlog.get_logger("shoal.lease")

LIFE_FILE: Final = "shoal.node"


class Life(msgspec.Struct, frozen=True):
    """One life of a node, and the database's time at which it began: no other row has the three."""

    name: str
    inc: int
    started_at_ms: int


class LifeFile:
    """The file in a data directory whose lock this process holds. Of several workers each has one."""

    def __init__(self, data_dir: Path, node: str = "") -> None:
        self._path = own_file(data_dir / LIFE_FILE, node)
        self._lock_file = data_dir / LOCK_FILE

    @property
    def place(self) -> str:
        """Return what names the lock that this process holds, and the boot."""
        return place_of(self._lock_file)

    def read(self) -> Life | None:
        """Return the life that certainly has ended; ``None`` when there is none, or nothing is certain."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if found["place"] != self.place:
                return None
            return Life(str(found["name"]), int(found["inc"]), int(found["started_at_ms"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("the last life of this node is not known; its lease runs out by itself", why=repr(error))
            return None

    def write(self, life: Life) -> None:
        """Remember a life whose row is committed. Without room for it the next start waits for the lease."""
        beside = self._path.with_name(f"{self._path.name}.new")
        facts = {"name": life.name, "inc": life.inc, "started_at_ms": life.started_at_ms}
        try:
            text = json.dumps({"place": self.place, **facts})
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            beside.replace(self._path)
        except OSError as error:
            log.warning("the life of this node is not remembered: after a crash it waits", why=error.strerror)


def place_of(lock_file: Path) -> str:
    """Return the identity of the file on this boot. A copy of it, or another boot, has another one."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = secrets.token_hex(16)
    found = lock_file.stat()
    return f"{boot}:{found.st_dev}:{found.st_ino}"
