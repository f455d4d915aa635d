"""Notes what concerns the whole server as incidents: a database that took no writes, and a backup that failed, also one
of which the operator's own program says so."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from shoal.clock import now_ms
from shoal.notices.store_alarm import StoreAlarm
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import SERVER, Opening, close_incidents, open_incidents


class ServerWatch:
    """Looks at the server itself. A database that takes no writes can only be noted once it takes them again; ``alarm``
    reports it before."""

    def __init__(
        self,
        database: Database,
        *,
        alarm: StoreAlarm,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._alarm = alarm
        self._now_ms = now_ms
        self._degraded_since_ms: int | None = None

    async def look(self) -> None:
        """Note what has changed since the last look. Raises ``StoreError``, and notes it at the next look then."""
        now = self._now_ms()
        if self._database.degraded:
            self._degraded_since_ms = self._degraded_since_ms or now
            await self._alarm.notify(self._degraded_since_ms)
            return
        if self._degraded_since_ms is not None:
            await self._alarm.store(self._degraded_since_ms)
            self._degraded_since_ms = None


async def note_backup(database: Database, *, is_well: bool, at_ms: int) -> None:
    """Note how a backup went. Raises ``StoreError``."""
    kind = IncidentKind.BACKUP_FAILED
    opening = Opening(subject=SERVER, kind=kind, at_ms=at_ms)
    if is_well:
        await database.write(partial(close_incidents, subjects=[SERVER], kinds=[kind], at_ms=at_ms))
    else:
        await database.write(partial(open_incidents, openings=[opening]))
