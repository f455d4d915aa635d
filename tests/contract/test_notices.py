"""Who is told of an incident, when, and how often: by the loop that tells, with time that passes at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, insert, update

from shoal.notices.notice_loop import NoticeLoop
from shoal.notices.transport import Message, Outcome, Sent
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject
from shoal.storage.schema import accounts
from shoal.storage.user_tables import grants, users
from support.databases.store_steps import Clock, an_account, created
from support.notices.notice_steps import ON_SQLITE, SENT, Teller, a_channel, set_channel
from support.orders.goods_steps import an_owner, changed

MINUTE, HOUR, DAY = 60, 3_600, 86_400
REFUSED = Sent(outcome=Outcome.FAILED, answer="errcode 310000")
LOST = Sent(outcome=Outcome.UNCERTAIN, answer="no answer")


@pytest.fixture
def teller(database: Database, clock: Clock) -> Teller:
    return Teller(database, clock)


@pytest.fixture
async def owner(database: Database, manager: DBManager) -> int:
    """The owner of the account ``shop``."""
    user_id = await an_owner(database)
    await created(manager, an_account(owner_id=user_id))
    return user_id


def parked(clock: Clock, account_id: str = "shop") -> Opening:
    subject, kind = account_subject(account_id), IncidentKind.PARKED
    return Opening(subject=subject, kind=kind, at_ms=clock(), account_id=account_id, detail="risk_control")


def failing(clock: Clock, account_id: str = "shop") -> Opening:
    subject, kind = account_subject(account_id), IncidentKind.RETRYING
    return Opening(subject=subject, kind=kind, at_ms=clock(), account_id=account_id, detail="socket_closed")


async def test_a_begin_and_an_end_are_told_once_however_often_it_is_looked(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    channel = await a_channel(database, owner)
    await teller.happens(parked(clock))
    await teller.after(10, every=1)
    ((number, message),) = teller.transport.messages
    assert (number, message.url) == (channel, "https://shoal.example/console/accounts/shop")
    assert message.title == "Shop “shop” needs you: Xianyu asked for verification (risk control)"
    assert (message.level, message.language, message.maybe_again) == ("urgent", "en", False)
    await teller.ends(parked(clock))
    await teller.after(59)
    assert len(teller.transport.messages) == 1
    await teller.after(10, every=1)
    assert teller.transport.titles()[1:] == ["Shop “shop” is running again"]
    assert len({message.dedupe_id for _, message in teller.transport.messages}) == 2
    await teller.after(3 * DAY, every=6 * HOUR)
    assert await teller.states() == [("begin", "sent"), ("end", "sent")]


async def test_those_who_see_the_shop_are_told_and_no_one_else(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    staff, other, earlier = await an_owner(database), await an_owner(database), await an_owner(database)
    since = {"account_id": "shop", "access": "read"}
    await changed(database, insert(grants).values(user_id=staff, account_since_ms=0, **since))
    await changed(database, insert(grants).values(user_id=earlier, account_since_ms=77, **since))  # of an earlier shop
    mine, theirs = await a_channel(database, owner), await a_channel(database, staff)
    for stranger in (other, earlier):
        await a_channel(database, stranger)
    await teller.happens(parked(clock))
    await teller.now()
    assert sorted(number for number, _ in teller.transport.messages) == [mine, theirs]


async def test_a_channel_is_told_of_what_it_asks_for(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    asking = {
        "all": await a_channel(database, owner, kinds=[], accounts=[]),
        "kind": await a_channel(database, owner, kinds=["parked", "low_stock"]),
        "shop": await a_channel(database, owner, accounts=["shop"]),
        "other kind": await a_channel(database, owner, kinds=["low_stock"]),
        "other shop": await a_channel(database, owner, accounts=["other"]),
        "tag": await a_channel(database, owner, tags=["beijing"]),
        "urgent": await a_channel(database, owner, least="urgent"),
        "off": await a_channel(database, owner, active=False),
    }
    stock = Opening(subject="goods:1", kind=IncidentKind.LOW_STOCK, at_ms=clock(), user_id=owner)
    await teller.happens(parked(clock), stock)
    await teller.after(MINUTE)
    by_number = {number: name for name, number in asking.items()}
    told = Counter(by_number[number] for number, _ in teller.transport.messages)
    assert told == {"all": 2, "kind": 2, "shop": 1, "other kind": 1, "urgent": 1}


@ON_SQLITE
async def test_what_is_of_the_server_is_told_to_administrators(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    admin = await an_owner(database)
    await changed(database, update(users).where(users.c.id == admin).values(role="admin"))
    channel = await a_channel(database, admin)
    await a_channel(database, owner)
    await teller.happens(Opening(subject="server", kind=IncidentKind.DISK_LOW, at_ms=clock()))
    await teller.now()
    assert [number for number, _ in teller.transport.messages] == [channel]


@ON_SQLITE
async def test_what_ends_before_its_time_is_never_told(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    for _ in range(3):
        await teller.happens(failing(clock))
        await teller.after(9 * MINUTE, every=MINUTE)
        await teller.ends(failing(clock))
        await teller.after(6 * MINUTE, every=MINUTE)
    assert await teller.states() == []
    await teller.happens(failing(clock))
    await teller.after(9 * MINUTE, every=MINUTE)
    assert teller.transport.messages == []
    await teller.after(MINUTE)
    assert len(teller.transport.messages) == 1


@ON_SQLITE
async def test_what_flaps_without_a_pause_is_told_once(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    for _ in range(30):
        await teller.happens(failing(clock))
        await teller.after(2 * MINUTE, every=MINUTE)
        await teller.ends(failing(clock))
        await teller.after(2 * MINUTE, every=MINUTE)
    await teller.after(10 * MINUTE, every=MINUTE)
    assert await teller.states() == [("begin", "sent"), ("end", "sent")]
    assert teller.transport.messages[1][1].body == "It lasted 1 h 58 min.\nIt happened 30 times."


async def test_it_is_reminded_once_after_a_day(database: Database, clock: Clock, teller: Teller, owner: int) -> None:
    await a_channel(database, owner)
    await teller.happens(parked(clock))
    await teller.now()
    await a_channel(database, owner)  # not told of the beginning, so not of the rest
    await teller.after(4 * DAY, every=HOUR)
    await teller.ends(parked(clock))
    await teller.after(HOUR)
    assert [title.partition(" Shop")[0] for title in teller.transport.titles()][1:2] == ["Still open:"]
    assert await teller.states() == [("begin", "sent"), ("reminder", "sent"), ("end", "sent")]


@ON_SQLITE
async def test_quiet_hours_hold_all_that_is_not_urgent_until_the_morning(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    zone = "Asia/Shanghai"
    clock.now = round(datetime(2026, 11, 27, 23, 0, tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    await a_channel(database, owner, quiet_from="22:00", quiet_to="08:00", quiet_zone=zone)
    stock = [
        Opening(subject=f"goods:{number}", kind=IncidentKind.OUT_OF_STOCK, at_ms=clock(), user_id=owner)
        for number in range(6)
    ]
    await teller.happens(parked(clock), *stock)
    await teller.after(HOUR, every=10 * MINUTE)
    await teller.ends(parked(clock))
    await teller.after(7 * HOUR + 59 * MINUTE, every=10 * MINUTE)
    ((_, message),) = teller.transport.messages
    assert message.level == "urgent"
    await teller.after(MINUTE)
    assert teller.transport.titles()[1:] == ["7 notices"]


@ON_SQLITE
async def test_an_end_without_a_told_beginning_is_told_with_it(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    """In quiet hours it began and ended: that is one notice in the morning, not two."""
    zone = "Asia/Shanghai"
    clock.now = round(datetime(2026, 11, 28, 3, 0, tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    await a_channel(database, owner, quiet_from="22:00", quiet_to="08:00", quiet_zone=zone)
    await teller.happens(failing(clock))
    await teller.after(HOUR)
    await teller.ends(failing(clock))
    await teller.after(5 * HOUR, every=HOUR)
    (title,) = teller.transport.titles()
    assert title.endswith("(over by now)")


async def test_a_share_that_is_taken_back_ends_its_notices(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    staff = await an_owner(database)
    await changed(database, insert(grants).values(account_id="shop", user_id=staff, access="read"))
    await a_channel(database, staff)
    teller.transport.answer = lambda _, __: REFUSED
    await teller.happens(parked(clock))
    await teller.now()
    await changed(database, delete(grants))
    await teller.after(DAY, every=HOUR)
    assert len(teller.transport.messages) == 1
    assert await teller.states() == [("begin", "dropped")]


@ON_SQLITE
async def test_a_channel_that_is_switched_off_is_told_nothing_more(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    channel = await a_channel(database, owner)
    teller.transport.answer = lambda _, __: REFUSED
    await teller.happens(parked(clock))
    await teller.now()
    await set_channel(database, channel, active=False)
    await teller.after(HOUR, every=MINUTE)
    assert len(teller.transport.messages) == 1


@ON_SQLITE
async def test_a_failing_service_is_tried_less_and_less_and_given_up_after_a_day(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    teller.transport.answer = lambda _, __: REFUSED
    await teller.happens(parked(clock))
    await teller.after(MINUTE, every=1)
    assert 3 <= len(teller.transport.messages) <= 5
    await teller.after(2 * DAY, every=10 * MINUTE)
    assert 25 <= len(teller.transport.messages) <= 40
    assert ("begin", "given_up") in await teller.states()
    assert {message.maybe_again for _, message in teller.transport.messages} == {False}


@ON_SQLITE
async def test_a_service_that_asks_for_a_pause_gets_it(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    teller.transport.answer = lambda _, __: Sent(outcome=Outcome.FAILED, answer="429", retry_after=600)
    await teller.happens(parked(clock))
    await teller.now()
    teller.transport.answer = lambda _, __: SENT
    await teller.after(599, every=20)
    assert len(teller.transport.messages) == 1
    await teller.after(1)
    assert await teller.states() == [("begin", "sent")]


async def test_without_an_answer_it_is_sent_once_more_marked_and_then_no_more(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    teller.transport.answer = lambda _, __: LOST
    await teller.happens(parked(clock))
    await teller.after(HOUR, every=MINUTE)
    assert [message.maybe_again for _, message in teller.transport.messages] == [False, True]
    assert teller.transport.titles()[1].startswith("(Maybe again) Shop")
    assert len({message.dedupe_id for _, message in teller.transport.messages}) == 1
    assert await teller.states() == [("begin", "uncertain")]
    teller.transport.answer = lambda _, __: SENT
    await teller.ends(parked(clock))
    await teller.after(2 * MINUTE)
    assert await teller.states() == [("begin", "uncertain"), ("end", "sent")]  # it may have been told


@ON_SQLITE
async def test_a_channel_that_hangs_delays_no_other(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    slow, quick = await a_channel(database, owner), await a_channel(database, owner)
    never = asyncio.Event()

    class Hanging:
        def __init__(self) -> None:
            self.sent = asyncio.Event()

        async def send(self, channel: int, message: Message) -> Sent:
            if channel == slow:
                await never.wait()
            assert channel == quick
            self.sent.set()
            return SENT

    transport = Hanging()
    loop = NoticeLoop(database, transport, now_ms=clock, look_seconds=0.05, send_seconds=60)
    loop.start()
    try:
        await teller.happens(parked(clock))
        async with asyncio.timeout(60):
            await transport.sent.wait()
    finally:
        never.set()
        await loop.close()


async def test_a_removed_user_or_shop_leaves_no_notice(
    database: Database, manager: DBManager, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    await teller.happens(parked(clock))
    await teller.now()
    await changed(database, update(accounts).values(deleted=True))
    await manager.purge("shop")
    assert await teller.states() == []
    await changed(database, delete(users))
    await teller.after(DAY)
    assert len(teller.transport.messages) == 1
