"""The streams of events, on both databases: ids are seen in order, and everything can be read after a position."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from sqlalchemy import select

from shoal.accounts.positions import Position
from shoal.errors import InvalidInput
from shoal.messages.message_log import IncomingMessage, MessageLog
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.schema import messages
from shoal.storage.vault import Vault
from shoal.streams.stored_events import newest, position_at, read_after
from support.databases.store_steps import an_account, created

WRITERS, ROUNDS = 12, 8


def _said(writer: int, number: int) -> list[IncomingMessage]:
    again = IncomingMessage(message_id="known", chat_id="c0", created_at_ms=1)
    return [again, IncomingMessage(message_id=f"{writer}-{number}", chat_id=f"c{writer}", created_at_ms=number)]


async def _refused(database: Database) -> None:
    """A write that takes ids and is rolled back."""

    def job(connection: object) -> None:
        raise InvalidInput("no", code="bad_channel_name")

    with pytest.raises(InvalidInput):
        await database.write(job)


async def test_no_smaller_id_becomes_visible_after_a_larger_one(database: Database, vault: Vault) -> None:
    """A reader who stands at the largest id that it has seen misses nothing: ids are taken by one writer, in turn."""
    await created(DBManager(database, vault), an_account())
    log = MessageLog(database)
    late: list[int] = []
    seen: set[int] = set()

    async def write(writer: int) -> None:
        for number in range(ROUNDS):
            await log.store_incoming("shop", _said(writer, number))
            await _refused(database)

    async def read(ends: asyncio.Event) -> None:
        query = select(messages.c.id)
        while True:
            is_last = ends.is_set()
            found = set(await database.read(lambda connection: connection.scalars(query).all()))
            late.extend(one for one in found - seen if seen and one < max(seen))
            seen.update(found)
            if is_last:
                return

    ends = asyncio.Event()
    reading = [asyncio.create_task(read(ends)) for _ in range(2)]
    await asyncio.gather(*map(write, range(WRITERS)))
    ends.set()
    await asyncio.gather(*reading)
    assert len(seen) == WRITERS * ROUNDS + 1
    assert late == []


async def test_pages_after_a_position_hold_every_event_once(database: Database, vault: Vault) -> None:
    await created(DBManager(database, vault), an_account())
    now = 1_000
    log = MessageLog(database, now_ms=lambda: now)
    for number in range(10):
        now += 10
        await log.store_incoming("shop", _said(0, number)[1:])
    place, names = Position(0, 0, 0, 0, 0), []
    while page := await database.read(partial(read_after, after=place, limit=3)):
        assert len(page) <= 3
        for event in page:
            place = place.reached(*event.id)
            names.append(event.facts.get("message_id") or event.type)
    assert names == [*(f"0-{number}" for number in range(10)), "change.committed"], "by their times"
    assert place == await database.read(newest)
    middle = await database.read(partial(position_at, moment_ms=1_050))
    rest = await database.read(partial(read_after, after=middle, limit=50, kinds=["message"]))
    assert [event.facts["message_id"] for event in rest] == [f"0-{number}" for number in range(4, 10)]
    assert await database.read(partial(read_after, after=Position(0), limit=50, kinds=["message"])) == []
