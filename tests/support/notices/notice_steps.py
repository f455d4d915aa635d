"""Short words for tests of notices: channels, a transport that notes what it gets, and time that passes at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, insert, select, update

from shoal.notices.notice_loop import NoticeLoop
from shoal.notices.transport import Message, Outcome, Sent
from shoal.storage.database import Database
from shoal.storage.incident_rows import Opening, close_incidents, open_incidents
from shoal.storage.notice_tables import channels, notices, subscriptions
from support.databases.store_steps import Clock

ON_SQLITE = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For tests of what is decided: the statements that they need run on PostgreSQL in the others."""
SENT = Sent(outcome=Outcome.SENT, answer="ok")


class NotingTransport:
    """Notes every message, and answers as ``answer`` says."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, Message]] = []
        self.answer: Callable[[int, Message], Sent] = lambda _, __: SENT

    async def send(self, channel: int, message: Message) -> Sent:
        self.messages.append((channel, message))
        return self.answer(channel, message)

    def titles(self, channel: int | None = None) -> list[str]:
        return [message.title for number, message in self.messages if channel in {None, number}]


class Teller:
    """A loop that is driven by hand, at the times of a clock."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database = database
        self.clock = clock
        self.transport = NotingTransport()
        self.loop = NoticeLoop(database, self.transport, public_url="https://shoal.example", now_ms=clock)

    async def now(self) -> None:
        """Tell everything that is due now."""
        await self.loop.send_all_due()

    async def after(self, seconds: float, *, every: float = 0) -> None:
        """Let time pass, and tell what becomes due; with ``every`` at every so many seconds of it."""
        step = every or seconds
        while seconds > 0:
            self.clock.now += round(min(step, seconds) * 1000)
            seconds -= step
            await self.now()

    async def happens(self, *openings: Opening) -> None:
        await self.database.write(lambda connection: open_incidents(connection, openings))

    async def ends(self, *openings: Opening) -> None:
        for kind in {one.kind for one in openings}:
            subjects = [one.subject for one in openings if one.kind is kind]
            await self.database.write(partial(close_incidents, subjects=subjects, kinds=[kind], at_ms=self.clock()))

    async def states(self) -> list[tuple[str, str]]:
        """The phase and state of every notice, the oldest first."""
        query = select(notices.c.phase, notices.c.state).order_by(notices.c.id)
        return await self.database.read(lambda c: [(row.phase, row.state) for row in c.execute(query)])


async def a_channel(database: Database, user_id: int, **values: Any) -> int:
    """A channel of a user. ``kinds``, ``accounts`` and ``tags`` limit of what it tells."""
    limits = {
        name: msgspec.json.encode(values.pop(name)).decode() for name in ("kinds", "accounts", "tags") if name in values
    }

    def job(connection: Connection) -> int:
        row = {"user_id": user_id, "address_sealed": b"", "language": "en", "service": "bark", **values}
        made = connection.execute(insert(channels).values(row)).inserted_primary_key
        number = int(made[0])  # type: ignore[index]
        connection.execute(insert(subscriptions).values(channel_id=number, **limits))
        return number

    return await database.write(job)


async def set_channel(database: Database, number: int, **values: Any) -> None:
    await database.write(lambda c: c.execute(update(channels).where(channels.c.id == number).values(values)).rowcount)
