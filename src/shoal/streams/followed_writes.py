"""Passes on what durable writes added to the streams of events, so that the bus knows how far all was published."""

from __future__ import annotations

from collections.abc import Mapping

from shoal.accounts.positions import Stream
from shoal.accounts.published import PublishedAccounts
from shoal.storage.database import Database
from shoal.streams.stored_events import newest


async def follow_writes(database: Database, published: PublishedAccounts) -> None:
    """Let the bus of events follow the database, before anything is written. Raises ``StoreError``."""
    bus = published.events

    def reached(rows: Mapping[Stream, int]) -> None:
        for stream, row_id in rows.items():
            bus.reached(stream, row_id)

    bus.position = await database.read(newest)
    database.touched.events = reached
    database.touched.incidents = published.publish_incident
