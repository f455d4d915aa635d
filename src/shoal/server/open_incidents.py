"""Opens what plans and sends the notices of incidents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shoal.config import Settings
from shoal.notices.incident_history import IncidentHistory
from shoal.notices.notice_loop import NoticeLoop
from shoal.notices.server_watch import ServerWatch
from shoal.notices.transport import Transport
from shoal.server.closing import Closing
from shoal.server.open_storage import Storage


@asynccontextmanager
async def open_incidents(
    storage: Storage, settings: Settings, transport: Transport | None = None
) -> AsyncIterator[IncidentHistory]:
    """Start the loop that tells of incidents. Without a ``transport`` they are planned, and nothing is sent."""
    async with Closing() as closing:
        loop = NoticeLoop(
            storage.database,
            transport,
            public_url=settings.public_url,
            watch=ServerWatch(storage.database, settings.data_dir),
        )
        closing.later("notices", loop.close)
        loop.start()
        yield IncidentHistory(storage.database)
