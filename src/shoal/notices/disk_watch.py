"""Notes a disk that is nearly full as an incident. Each of several servers watches its own, under its own name."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.notices.machine_incidents import is_live, subject_of
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, close_incidents, open_incidents

log = structlog.get_logger("shoal.notices")

LEAST_FREE: Final = 0.05
"""The free part of the disk below which it is nearly full."""
DISK_EVERY_MS: Final = 30_000
_KINDS: Final = [IncidentKind.DISK_LOW]


class DiskWatch:
    """Looks at the disk of the data directory, at most every ``DISK_EVERY_MS``, and writes only what has changed."""

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        *,
        server: str = "",
        now_ms: Callable[[], int] = now_ms,
        free: Callable[[Path], float | None] | None = None,
    ) -> None:
        """``server``: the name of this one of several; empty for a single one.

        ``free`` returns the free part of a directory's disk.
        """
        self._database = database
        self._data_dir = data_dir
        self._server = server
        self._subject = subject_of(server)
        self._now_ms = now_ms
        self._free = free or free_part
        self._is_low: bool | None = None
        self._looked_at_ms = 0

    async def look(self) -> None:
        """Note what has changed since the last look. Raises ``StoreError``, and notes it at the next look then."""
        now = self._now_ms()
        if abs(now - self._looked_at_ms) < DISK_EVERY_MS:
            return
        free = await asyncio.to_thread(self._free, self._data_dir)
        is_low = None if free is None else free < LEAST_FREE
        if is_low is not None and is_low is not self._is_low:
            if is_low:
                facts = {"server": self._server} if self._server else {}
                opening = Opening(subject=self._subject, kind=IncidentKind.DISK_LOW, at_ms=now, facts=facts)
                await self._database.write(partial(open_incidents, openings=[opening]))
            elif await self._database.read(partial(is_live, subject=self._subject, kind=IncidentKind.DISK_LOW)):
                await self._database.write(
                    partial(close_incidents, subjects=[self._subject], kinds=_KINDS, at_ms=now),
                )
            self._is_low = is_low
        self._looked_at_ms = now

    async def keep(self) -> None:
        """Look until this is cancelled. Of several servers each does, since another one may send the notices."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                log.debug("the disk is noted later", why=error.code)
            await asyncio.sleep(DISK_EVERY_MS / 1000)


def free_part(directory: Path) -> float | None:
    """Return the free part of a directory's disk; ``None`` when that cannot be read."""
    with suppress(OSError):
        usage = shutil.disk_usage(directory)
        return usage.free / usage.total if usage.total else None
    return None
