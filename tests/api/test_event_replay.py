"""What was stored while a reader was away is told again: states, messages, orders and incidents, each once."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from typing import Any

from sqlalchemy import func, select

from api.stream_reader import next_event, one_by_one, reading
from shoal.accounts.positions import EventId, Position, Stream
from shoal.api.http.published_events import PublishedEvent
from shoal.auth.authorization import Principal
from shoal.clock import now_ms
from shoal.messages.message_log import IncomingMessage
from shoal.orders.order_store import OrderUpdate
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, close_incidents, open_incidents
from shoal.storage.schema import messages
from shoal.streams.stored_events import newest, position_before, read_after
from support.servers.doors import Door, another_person, served
from support.site.standins import until


def _said(number: int) -> IncomingMessage:
    return IncomingMessage(message_id=f"m{number}", chat_id="c1", text=f"在吗 {number}", created_at_ms=now_ms())


async def _opened(door: Door, **values: Any) -> Opening:
    opening = Opening(**{"subject": "account:shop", "kind": IncidentKind.PARKED, "at_ms": now_ms(), **values})
    await door.server.database.write(partial(open_incidents, openings=[opening]))
    return opening


async def _much_happens(door: Door) -> None:
    await door.server.message_log.store_incoming("shop", [_said(1), _said(2)])
    update = OrderUpdate(order_id="9001", status="processing", source="card", message_id="x1", site_at_ms=now_ms())
    await door.server.order_store.receive("shop", update)
    opening = await _opened(door, account_id="shop")
    end = partial(close_incidents, subjects=[opening.subject], kinds=[opening.kind], at_ms=now_ms() + 5)
    await door.server.database.write(end)


async def _at_rest(door: Door) -> Position:
    """The position once the states of the account are stored."""
    await until(lambda: (door.server.events.position.states or 0) >= 2)
    return door.server.events.position


async def _told(door: Door, after: Position, who: Principal | None = None) -> list[PublishedEvent]:
    """What a reader is told before the snapshot."""
    told = []
    async with aclosing(one_by_one(door, who or await door.principal(), after)) as events:
        while (event := await next_event(events)).body["type"] != "snapshot":
            told.append(event)
        assert event.position == door.server.events.position
    return told


def _shown(event: PublishedEvent) -> tuple[Any, ...]:
    body = event.body
    named = body.get("text") or body.get("status") or body.get("phase") or body.get("state")
    return (body["type"], named)


WHOLE = [
    ("message", "在吗 1"), ("message", "在吗 2"), ("order", "processing"), ("incident", "opened"),
    ("incident", "closed"),
]  # fmt: skip


async def test_what_was_stored_since_a_position_is_told_in_order_and_once(door: Door) -> None:
    start = await _at_rest(door)
    await _much_happens(door)
    told = await _told(door, start)
    assert [_shown(event) for event in told] == WHOLE
    for place, event in enumerate(told):
        assert event.position is not None
        rest = await _told(door, event.position)
        assert [_shown(one) for one in rest] == WHOLE[place + 1 :], "a reader may stop anywhere"
    assert await _told(door, Position(start.changes)) == [], "a rev alone asks for changes"
    assert [event.body["type"] for event in await _told(door, start._replace(states=0))][:2] == ["state", "state"]


async def test_live_events_carry_the_position_after_them(door: Door) -> None:
    start = await _at_rest(door)
    async with served(door) as url, reading(url, door) as reader:
        assert (await reader.next())[0] == str(start)
        await _much_happens(door)
        live = [await reader.next() for _ in WHOLE]
    assert [(body["type"]) for _, body in live] == [kind for kind, _ in WHOLE]
    last = Position.of(live[1][0] or "")
    assert (last.messages, last.orders) == (2, start.orders)
    for place, (identity, _) in enumerate(live):
        rest = [_shown(event) for event in await _told(door, Position.of(identity or ""))]
        assert rest == WHOLE[place + 1 :], place


async def test_a_message_whose_writer_left_before_it_was_stored_is_told_too(door: Door) -> None:
    await _at_rest(door)
    with door.server.events.subscribe() as subscription:
        writing = asyncio.create_task(door.server.message_log.store_incoming("shop", [_said(1)]))
        await asyncio.sleep(0)  # it is queued
        writing.cancel()
        await door.server.message_log.store_incoming("shop", [_said(2)])
        heard = await subscription.take()
    assert [event.facts["message_id"] for event in heard if hasattr(event, "facts")] == ["m1", "m2"]
    assert door.server.events.position.messages == 2


async def test_only_what_the_reader_may_see_is_told_again(door: Door) -> None:
    start = await _at_rest(door)
    await _much_happens(door)
    await _opened(door, subject="user:1", kind=IncidentKind.NEW_ADDRESS, user_id=1)
    await _opened(door, subject="server", kind=IncidentKind.DISK_LOW)
    mine = [*WHOLE, ("incident", "opened"), ("incident", "opened")]
    assert [_shown(event) for event in await _told(door, start)] == mine
    async with another_person(door) as bob:
        stranger = Principal(user=(await bob.principal(2)).user)
        assert await _told(door, start, stranger) == []
        await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "read"})
        assert [_shown(event) for event in await _told(door, start, stranger)] == [*WHOLE]
        await door.call("DELETE", "/cookies/shop/staff/bob")
        assert await _told(door, start, stranger) == []


async def test_a_place_among_forgotten_messages_and_one_of_another_database_get_a_reset(door: Door) -> None:
    start = await _at_rest(door)
    await door.server.message_log.store_incoming("shop", [_said(1), _said(2)])
    await door.server.message_log.forget_older_than(now_ms() + 1_000)
    await door.server.message_log.store_incoming("shop", [_said(3)])
    for after in (start, door.server.events.position._replace(orders=7)):
        async with aclosing(one_by_one(door, await door.principal(), after)) as events:
            assert (await next_event(events)).body == {"type": "reset"}
            assert (await next_event(events)).body["type"] == "snapshot"
    assert await _told(door, door.server.events.position) == []


async def test_an_incident_that_flaps_is_opened_and_closed_as_often(door: Door) -> None:
    start, at_ms = await _at_rest(door), now_ms()
    for step in range(3):
        opening = await _opened(door, account_id="shop", at_ms=at_ms + 10 * step)
        await _opened(door, account_id="shop", at_ms=at_ms + 10 * step + 1)  # it goes on
        for is_well in (True, False, False):  # what is closed is not closed again
            end = partial(
                close_incidents,
                subjects=[opening.subject],
                kinds=[opening.kind],
                at_ms=at_ms + 10 * step + 5,
                is_well=is_well,
            )
            await door.server.database.write(end)
    assert [_shown(event) for event in await _told(door, start)] == [("incident", "opened"), ("incident", "closed")] * 3


async def test_a_position_is_found_by_an_event(door: Door) -> None:
    start = await _at_rest(door)
    await _much_happens(door)
    database = door.server.database
    found = await database.read(partial(position_before, event=EventId.of("m2")))
    assert found is not None
    again = await database.read(partial(read_after, after=found, limit=50))
    assert EventId(Stream.MESSAGES, 1) not in [event.id for event in again]
    assert {"m2", "o1", "i1", "i2"} <= {str(event.id) for event in again}
    assert await database.read(partial(position_before, event=EventId.of("m99"))) is None
    assert await database.read(newest) == door.server.events.position
    assert await database.read(lambda c: c.scalar(select(func.count()).select_from(messages))) == 2
    assert start != found
