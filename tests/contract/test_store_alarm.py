"""A database that takes no writes is told of while it takes none, once, and its end too."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text, update

from shoal.errors import StoreError
from shoal.notices.server_watch import ServerWatch
from shoal.notices.store_alarm import REST_MS, TRY_EVERY_MS, StoreAlarm
from shoal.notices.transport import Outcome, Sent
from shoal.storage.database import Database
from shoal.storage.notice_tables import incidents
from shoal.storage.user_tables import users
from support.databases.store_steps import Clock
from support.notices.notice_steps import SENT, Teller, a_channel
from support.orders.goods_steps import an_owner, changed

MINUTE = 60
REFUSED = Sent(outcome=Outcome.FAILED, answer="no")


async def test_it_is_told_once_while_it_lasts_and_then_that_it_is_over(database: Database, clock: Clock) -> None:
    admin, teller = await an_owner(database), Teller(database, clock)
    await changed(database, update(users).values(role="admin"))
    mine, failing = await a_channel(database, admin), await a_channel(database, admin, language="zh")
    await a_channel(database, await an_owner(database))
    alarm = StoreAlarm(database, teller.transport, now_ms=clock)
    watch = ServerWatch(database, alarm=alarm, now_ms=clock)
    teller.transport.answer = lambda channel, _: SENT if channel == mine else REFUSED

    async def passes(seconds: float) -> None:
        for _ in range(round(seconds / 10)):
            clock.now += 10_000
            await watch.look()

    def told() -> list[tuple[int, str]]:
        return [(channel, message.title) for channel, message in teller.transport.messages]

    database.group_writer.degraded = True
    await passes(20)
    assert told() == [], "what ends soon is not told"
    await passes(5 * MINUTE)
    begin = "The database takes no changes at the moment"
    assert told().count((mine, begin)) == 1
    assert told().count((failing, "数据库暂时不能写入")) == 300_000 // TRY_EVERY_MS
    database.group_writer.degraded = False
    await passes(10)
    teller.transport.messages.clear()
    teller.transport.answer = lambda _, __: SENT
    await teller.after(2 * MINUTE, every=10)
    assert sorted(told()) == [(mine, "The database takes changes again"), (failing, "数据库暂时不能写入（已结束）")]
    assert sorted(await teller.states()) == [("begin", "sent"), ("begin", "sent"), ("end", "sent")]
    teller.transport.messages.clear()
    database.group_writer.degraded = True
    await passes(5 * MINUTE)
    assert told() == [], "one that keeps failing is not told each time"
    await passes(REST_MS // 1000)
    assert [channel for channel, _ in told()] == [mine, failing]
    database.group_writer.degraded = False


async def test_an_outage_is_noted_also_when_the_first_look_after_it_could_not_store_it(
    database: Database, clock: Clock
) -> None:
    watch = ServerWatch(database, alarm=StoreAlarm(database, Teller(database, clock).transport), now_ms=clock)
    database.group_writer.degraded = True
    await watch.look()
    began, database.group_writer.degraded = clock.now, False
    renamed = "ALTER TABLE incidents RENAME TO {}"
    await database.write(lambda connection: connection.execute(text(renamed.format("away"))).rowcount)
    with pytest.raises(StoreError):
        await watch.look()
    back = renamed.replace("incidents", "away").format("incidents")
    await database.write(lambda connection: connection.execute(text(back)).rowcount)
    for _ in range(2):
        clock.now += 10_000
        await watch.look()
    query = select(incidents.c.kind, incidents.c.opened_at_ms)
    noted = await database.read(lambda connection: connection.execute(query).all())
    assert [tuple(row) for row in noted] == [("store_degraded", began)]
