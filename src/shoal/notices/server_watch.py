"""Notes what concerns the whole server as incidents: a disk that is nearly full, a database that took no writes, and a
backup of which the operator's own program says that it failed."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, exists, select, text

from shoal.clock import now_ms
from shoal.notices.store_alarm import StoreAlarm
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import SERVER, Opening, close_incidents, open_incidents
from shoal.storage.notice_tables import LIVE, incidents

LEAST_FREE: Final = 0.05
"""The free part of the disk below which it is nearly full."""
DISK_EVERY_MS: Final = 30_000


class ServerWatch:
    """Looks at the server itself. A database that takes no writes can only be noted once it takes them again; ``alarm``
    tells about it before."""

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        *,
        alarm: StoreAlarm,
        now_ms: Callable[[], int] = now_ms,
        free: Callable[[Path], float | None] | None = None,
    ) -> None:
        """``free`` returns the free part of a directory's disk."""
        self._database = database
        self._data_dir = data_dir
        self._alarm = alarm
        self._now_ms = now_ms
        self._free = free or free_part
        self._degraded_since_ms: int | None = None
        self._is_low: bool | None = None
        self._looked_at_ms = 0

    async def look(self) -> None:
        """Note what has changed since the last look. Raises ``StoreError``, and notes it at the next look then."""
        now = self._now_ms()
        if self._database.degraded:
            self._degraded_since_ms = self._degraded_since_ms or now
            await self._alarm.tell(self._degraded_since_ms)
            return
        if self._degraded_since_ms is not None:
            await self._alarm.store(self._degraded_since_ms)
            self._degraded_since_ms = None
        if abs(now - self._looked_at_ms) >= DISK_EVERY_MS:
            await self._look_at_disk(now)
            self._looked_at_ms = now

    async def _look_at_disk(self, now: int) -> None:
        free = await asyncio.to_thread(self._free, self._data_dir)
        is_low = None if free is None else free < LEAST_FREE
        if is_low is None or is_low is self._is_low:
            return
        if is_low:
            await self._note(IncidentKind.DISK_LOW, now)
        elif await self._database.read(_disk_was_low):
            await self._end(IncidentKind.DISK_LOW, now)
        self._is_low = is_low

    async def _note(self, kind: IncidentKind, at_ms: int) -> None:
        opening = Opening(subject=SERVER, kind=kind, at_ms=at_ms)
        await self._database.write(partial(open_incidents, openings=[opening]))

    async def _end(self, kind: IncidentKind, at_ms: int) -> None:
        await self._database.write(partial(close_incidents, subjects=[SERVER], kinds=[kind], at_ms=at_ms))


async def note_backup(database: Database, *, is_well: bool, at_ms: int) -> None:
    """Note how a backup went. Raises ``StoreError``."""
    kind = IncidentKind.BACKUP_FAILED
    opening = Opening(subject=SERVER, kind=kind, at_ms=at_ms)
    if is_well:
        await database.write(partial(close_incidents, subjects=[SERVER], kinds=[kind], at_ms=at_ms))
    else:
        await database.write(partial(open_incidents, openings=[opening]))


def _disk_was_low(connection: Connection) -> bool:
    low = (text(LIVE), incidents.c.subject == SERVER, incidents.c.kind == IncidentKind.DISK_LOW.value)
    return bool(connection.scalar(select(exists().where(*low))))


def free_part(directory: Path) -> float | None:
    """Return the free part of a directory's disk; ``None`` when that cannot be read."""
    with suppress(OSError):
        usage = shutil.disk_usage(directory)
        return usage.free / usage.total if usage.total else None
    return None
