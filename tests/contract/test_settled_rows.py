"""Rows of several nodes, read by their ids: nobody loses one whose id is smaller and whose commit is later.

Ids and transactions cross on purpose; a reader who goes as far as he sees loses rows then, which is shown beside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from random import Random

import pytest
from sqlalchemy import text

from shoal.accounts.journal_stream import SettledIds, StreamPlace
from shoal.accounts.positions import STREAMS, Position
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault
from shoal.streams.stored_events import newest, read_after
from support.databases.store_steps import Clock, Place, add_user, an_account, created
from support.notices.webhook_steps import Poster
from support.servers.node_steps import OpenWriter, open_writers, told

pytestmark = [pytest.mark.parametrize("place", ["postgresql"], indirect=True), pytest.mark.postgresql]

WRITERS = 8
ROUNDS = 3
KINDS = ("state", "message", "order", "incident", "change")
_START = Position(0, 0, 0, 0, 0)
_ROWS = {
    "state": "INSERT INTO state_moves (account_id, state, at_ms) VALUES ('shop', %s, 1)",
    "message": "INSERT INTO messages (account_id, message_id, chat_id, sender_id) VALUES ('shop', %s, 'c', '7')",
    "order": "INSERT INTO order_events (account_id, order_id, status, at_ms) VALUES ('shop', %s, 'paid', 1)",
}


async def insert(writer: OpenWriter, kind: str, name: str) -> None:
    """Let a writer add a row of that kind."""
    if kind == "change":
        await writer.insert(name)
    elif kind == "incident":
        made = await writer.connection.execute(
            "INSERT INTO incidents (kind, subject) VALUES ('parked', %s) RETURNING id", (name,)
        )
        found = await made.fetchone()
        assert found is not None
        row = (found[0],)
        await writer.connection.execute(
            "INSERT INTO incident_events (incident_id, phase, at_ms) VALUES (%s, 'opened', 1)", row
        )
    else:
        await writer.connection.execute(_ROWS[kind].encode(), (name,))


class Reader:
    """Reads what follows its place, up to what ``until`` says."""

    def __init__(self, node: DBManager, until: Callable[[], Position | None]) -> None:
        self.node = node
        self.until = until
        self.place = _START
        self.seen: list[str] = []

    async def take(self) -> None:
        until = self.until()
        for event in await self.node._database.read(partial(read_after, after=self.place, limit=1_000, until=until)):
            self.place = self.place.reached(*event.id)
            self.seen.append(str(event.id))


class Settled(Reader):
    """A reader who looks first how far all is decided."""

    def __init__(self, node: DBManager) -> None:
        self.settled = SettledIds(_START)
        super().__init__(node, lambda: self.settled.position)

    async def take(self) -> None:
        seen = (await self.node.stream.read(StreamPlace(), limit=1)).seen
        assert seen is not None
        self.settled.note(seen)
        await super().take()


@pytest.fixture
async def node(place: Place) -> DBManager:
    add_user(place.url, 1)
    node = DBManager(await place.open_again(), Vault([b"k" * 32]), several_nodes=True)
    await created(node, an_account())
    return node


@pytest.fixture
async def writers(place: Place) -> AsyncIterator[list[OpenWriter]]:
    async with open_writers(place.url, WRITERS) as opened:
        yield opened


async def test_of_eight_writers_that_hold_transactions_open_no_row_is_lost(
    node: DBManager, writers: list[OpenWriter]
) -> None:
    """They begin, write and commit in orders of their own; both readers look after each commit."""
    random, by_id, by_settled = Random(11), Reader(node, lambda: None), Settled(node)
    for turn in range(ROUNDS):
        for writer in random.sample(writers, WRITERS):
            await writer.begin()
        for kind in KINDS:
            for writer in random.sample(writers, WRITERS):
                await insert(writer, kind, f"{turn}-{writers.index(writer)}")
        for writer in random.sample(writers, WRITERS):
            await writer.commit()
            await by_id.take()
            await by_settled.take()
    every = WRITERS * ROUNDS * len(KINDS) + 1  # with the shop itself
    await told(by_settled.take, lambda: len(by_settled.seen) >= every)
    assert len(set(by_settled.seen)) == len(by_settled.seen) == every
    assert by_settled.place == await node._database.read(newest)
    for stream in STREAMS:
        lost = {one for one in by_settled.seen if one.startswith(stream)} - set(by_id.seen)
        assert lost, f"a reader by id alone loses some of {stream}"


async def test_a_webhook_posts_a_row_that_became_visible_after_a_larger_one(
    node: DBManager, writers: list[OpenWriter], place: Place
) -> None:
    first, second, *_ = writers
    poster = Poster(node._database, Vault([b"k" * 32]), Clock())
    reader = Settled(node)
    poster.settled = lambda: reader.settled.position
    poster.restart()
    await poster.opened(node)
    await told(reader.take, lambda: reader.settled.is_known)
    await poster.webhook(kinds=["message"])
    await first.begin()
    await second.begin()
    await insert(second, "message", "early")
    await insert(first, "message", "late")
    await first.commit()
    for _ in range(3):
        await reader.take()
        await poster.now()
    assert poster.receiver.arrived == []
    await second.commit()
    await told(reader.take, lambda: reader.settled.position.messages == 2)
    await poster.now()
    assert poster.receiver.arrived == ["early", "late"]


async def test_the_writer_has_a_transaction_id_before_it_can_take_an_id_of_a_row(node: DBManager) -> None:
    query = text("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
    assert await node._database.write(lambda connection: connection.scalar(query))
