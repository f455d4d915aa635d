"""Notifies administrators that the database takes no writes while it takes none: no notice can be stored then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from sqlalchemy import Connection, select, text

from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.notices.audience import channels_to_notify
from shoal.notices.incident_texts import message_of
from shoal.notices.notice_rows import Claim, NoticePart
from shoal.notices.plans import NoticeState, Phase
from shoal.notices.transport import Outcome, Transport
from shoal.storage.database import Database
from shoal.storage.incident_kinds import POLICIES, IncidentKind
from shoal.storage.incident_rows import SERVER, Opening, close_incidents, open_incidents
from shoal.storage.notice_tables import LIVE, channels, incidents, notices
from shoal.storage.upserts import insert_new

log = structlog.get_logger("shoal.notices")

TRY_EVERY_MS: Final = 60_000
"""How often channels are tried again that refused."""
REST_MS: Final = 10 * 60_000
"""For how long a database that fails once more is not reported again."""
SEND_SECONDS: Final = 30.0
_KIND: Final = IncidentKind.STORE_DEGRADED
_STATES: Final = {Outcome.SENT: NoticeState.SENT, Outcome.UNCERTAIN: NoticeState.UNCERTAIN}


class StoreAlarm:
    """Sends to each channel once, and stores what it sent once the database takes writes again.

    The channels are read from the database, so it is silent when that does not answer at all.
    """

    def __init__(
        self, database: Database, transport: Transport, *, public_url: str = "", now_ms: Callable[[], int] = now_ms
    ) -> None:
        self._database = database
        self._transport = transport
        self._public_url = public_url
        self._now_ms = now_ms
        self._notified: dict[int, NoticeState] = {}
        self._next_ms = 0

    async def notify(self, since_ms: int) -> None:
        """Notify the channels that are not notified yet, if it has lasted for its hold. Raises ``StoreError``."""
        now = self._now_ms()
        if now < max(self._next_ms, since_ms + POLICIES[_KIND].hold_ms):
            return
        self._next_ms = now + TRY_EVERY_MS
        left = [one for one in await self._database.read(_channels) if one[0] not in self._notified]
        await asyncio.gather(*(self._send(number, language, since_ms) for number, language in left))

    async def store(self, since_ms: int) -> None:
        """Store the incident, which is over, and what was sent about it. Raises ``StoreError``."""
        now = self._now_ms()
        await self._database.write(lambda connection: _store(connection, since_ms, now, self._notified))
        if self._notified:
            self._next_ms = now + REST_MS
        self._notified = {}

    async def _send(self, channel: int, language: str, since_ms: int) -> None:
        part = NoticePart(
            kind=_KIND, phase=Phase.BEGIN, detail="", facts={}, account_id=None, shop="", opened_at_ms=since_ms,
            closed_at_ms=None, count=1,
        )  # fmt: skip
        one = Claim(
            notice_id=0, channel_id=channel, language=language, dedupe_id=f"store-{since_ms}-c{channel}",
            maybe_again=False, tries=1, begun_at_ms=since_ms, parts=(part,),
        )  # fmt: skip
        outcome = Outcome.UNCERTAIN
        try:
            async with asyncio.timeout(SEND_SECONDS):
                outcome = (await self._transport.send(channel, message_of(one, self._public_url))).outcome
        except TimeoutError:
            pass
        except StoreError:
            outcome = Outcome.FAILED
        if outcome in _STATES:
            self._notified[channel] = _STATES[outcome]
        log.warning("told of a database without writes", channel=channel, outcome=outcome.value)


def _channels(connection: Connection) -> list[tuple[int, str]]:
    ids = [one.id for one in channels_to_notify(connection, _KIND, None, None)]
    query = select(channels.c.id, channels.c.language).where(channels.c.id.in_(ids)).order_by(channels.c.id)
    return [(number, language) for number, language in connection.execute(query)]


def _store(connection: Connection, since_ms: int, now_ms: int, states: dict[int, NoticeState]) -> None:
    open_incidents(connection, [Opening(subject=SERVER, kind=_KIND, at_ms=since_ms)])
    mine = (text(LIVE), incidents.c.subject == SERVER, incidents.c.kind == _KIND.value)
    incident_id = connection.scalar(select(incidents.c.id).where(*mine))
    still_there = connection.scalars(select(channels.c.id).where(channels.c.id.in_(states))).all()
    rows = [row for channel in still_there for row in _rows(incident_id, channel, states[channel], now_ms)]
    if rows and incident_id is not None:
        connection.execute(insert_new(connection, notices, "dedupe_id"), rows)
    close_incidents(connection, [SERVER], [_KIND], now_ms)


def _rows(incident_id: int | None, channel: int, state: NoticeState, now_ms: int) -> list[dict[str, Any]]:
    """Return the notice that was sent, and that of the end."""
    ends_at_ms = now_ms + (POLICIES[_KIND].end_hold_ms or 0)
    parts = (Phase.BEGIN, state, now_ms, now_ms, 1), (Phase.END, NoticeState.WAITING, ends_at_ms, None, 0)
    return [
        {
            "incident_id": incident_id,
            "channel_id": channel,
            "phase": phase.value,
            "state": at.value,
            "due_at_ms": due_at_ms,
            "settled_at_ms": settled_at_ms,
            "tries": tries,
            "dedupe_id": f"i{incident_id}-c{channel}-{phase.value}",
            "created_at_ms": now_ms,
        }
        for phase, at, due_at_ms, settled_at_ms, tries in parts
    ]
