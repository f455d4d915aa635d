"""What only those are told who ask for it: buyers who wait, and the summary of a day."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert

from shoal.messages.message_log import Direction, IncomingMessage, MessageLog
from shoal.notices.day_summary import _summary
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject
from shoal.storage.user_tables import grants
from support.databases.store_steps import Clock, an_account, created
from support.notices.notice_steps import Teller, a_channel
from support.orders.goods_steps import an_owner, changed

MINUTE, HOUR = 60, 3_600


@pytest.fixture
def teller(database: Database, clock: Clock) -> Teller:
    return Teller(database, clock)


@pytest.fixture
async def owner(database: Database, manager: DBManager) -> int:
    """The owner of the account ``shop``."""
    user_id = await an_owner(database)
    await created(manager, an_account(owner_id=user_id))
    return user_id


async def test_a_buyer_who_waits_is_told_to_those_who_asked_and_once_an_hour_for_a_chat(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    asked_for = await a_channel(database, owner, kinds=["buyer_waits"])

    async def writes(chat: str) -> None:
        subject, kind = f"chat:shop/{chat}", IncidentKind.BUYER_WAITS
        facts = {"chat_id": chat}
        await teller.happens(Opening(subject=subject, kind=kind, at_ms=clock(), account_id="shop", facts=facts))

    for _ in range(3):
        await writes("5")
        await teller.after(10)
    await teller.after(MINUTE)
    assert [(number, message.url) for number, message in teller.transport.messages] == [
        (asked_for, "https://shoal.example/console/conversations/shop/5")
    ]
    await writes("5")
    await writes("6")
    await teller.after(MINUTE)
    assert len(teller.transport.messages) == 2
    await teller.after(HOUR)
    await writes("5")
    await teller.after(MINUTE)
    assert len(teller.transport.messages) == 3


async def test_only_a_channel_that_was_asked_to_quotes_the_buyer(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    plain = await a_channel(database, owner, kinds=["buyer_waits"])
    quoting = await a_channel(database, owner, kinds=["buyer_waits"], buyer_words=True)
    log = MessageLog(database, now_ms=clock)
    said: dict[str, Any] = {"sender_id": "8", "created_at_ms": clock()}
    await log.store_incoming(
        "shop",
        [
            IncomingMessage(message_id="1", chat_id="5", text="在吗", **said),
            IncomingMessage(message_id="2", chat_id="5", text=f"能便宜\n点吗{'?' * 300}", **said),
            IncomingMessage(message_id="3", chat_id="5", text="我们的话", direction=Direction.OUT, **said),
            IncomingMessage(message_id="4", chat_id="6", text="别的会话", **said),
        ],
    )
    facts = {"chat_id": "5"}
    kind, subject = IncidentKind.BUYER_WAITS, "chat:shop/5"
    await teller.happens(Opening(subject=subject, kind=kind, at_ms=clock(), account_id="shop", facts=facts))
    await teller.after(MINUTE)
    bodies = {number: message.body for number, message in teller.transport.messages}
    assert "能便宜" not in bodies[plain]
    quoted = bodies[quoting].removeprefix(f"{bodies[plain]}\n")
    assert quoted.startswith("The buyer wrote: 能便宜 点吗???")
    assert len(quoted) < 230
    assert quoted.endswith("…")


async def test_a_summary_of_the_day_comes_at_nine_to_those_who_ask_for_it(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    clock.now = round(datetime(2026, 11, 27, 20, 0, tzinfo=zone).timestamp() * 1000)
    await a_channel(database, owner)
    asked_for = await a_channel(database, owner, kinds=["day"])
    subject, kind = account_subject("shop"), IncidentKind.PARKED
    await teller.happens(Opening(subject=subject, kind=kind, at_ms=clock(), account_id="shop"))
    teller.transport.messages.clear()
    told = []
    for _ in range(3 * 24):
        await teller.loop._summarise()
        await teller.now()
        told += [(clock(), title) for title in teller.transport.titles(asked_for)]
        teller.transport.messages.clear()
        clock.now += HOUR * 1000
    assert [(datetime.fromtimestamp(at / 1000, zone).strftime("%d %H:%M"), title) for at, title in told] == [
        ("28 09:00", "Today: 1 new, 1 still open"),
        ("29 09:00", "Today: 0 new, 1 still open"),
        ("30 09:00", "Today: 0 new, 1 still open"),
    ]


async def test_the_summary_counts_what_its_reader_sees_now_and_nothing_of_an_earlier_shop_of_that_id(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    staff, earlier = await an_owner(database), await an_owner(database)
    since = {"account_id": "shop", "access": "read"}
    await changed(database, insert(grants).values(user_id=staff, account_since_ms=0, **since))
    await changed(database, insert(grants).values(user_id=earlier, account_since_ms=77, **since))
    subject, kind = account_subject("shop"), IncidentKind.PARKED
    await teller.happens(Opening(subject=subject, kind=kind, at_ms=clock(), account_id="shop"))
    facts = {
        user: (await database.read(partial(_summary, user_id=user, now_ms=clock()))).facts
        for user in (owner, staff, earlier)
    }
    one, none = {"opened": 1, "still_open": 1}, {"opened": 0, "still_open": 0}
    assert facts == {owner: one, staff: one, earlier: none}
