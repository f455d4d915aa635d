"""Notices in trouble: rights that change, clocks that jump, answers that no database takes, and defects."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, insert, select, update

from shoal.accounts.account import AccountState, Observation, ParkReason
from shoal.notices import incident_texts, notice_loop, notice_rows
from shoal.notices.incident_history import IncidentHistory, Sight
from shoal.notices.notice_loop import NoticeLoop
from shoal.notices.transport import Message, Outcome, Sent
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject
from shoal.storage.notice_tables import incidents, notices
from shoal.storage.schema import accounts
from shoal.storage.user_tables import grants
from support.databases.store_steps import Clock, an_account, created
from support.notices.notice_steps import ON_SQLITE, SENT, NotingTransport, Teller, a_channel
from support.orders.goods_steps import an_owner, changed
from support.site.standins import until

MINUTE, HOUR, DAY = 60, 3_600, 86_400
REFUSED = Sent(outcome=Outcome.FAILED, answer="errcode 310000")
SHOPS = [f"s{number}" for number in range(6)]


@pytest.fixture
def teller(database: Database, clock: Clock) -> Teller:
    return Teller(database, clock)


@pytest.fixture
async def owner(database: Database, manager: DBManager) -> int:
    """The owner of six shops."""
    user_id = await an_owner(database)
    await created(manager, *(an_account(name, owner_id=user_id) for name in SHOPS))
    return user_id


def parked(clock: Clock, name: str) -> Opening:
    kind = IncidentKind.PARKED
    return Opening(subject=account_subject(name), kind=kind, at_ms=clock(), account_id=name, detail="risk_control")


def sold_out(clock: Clock, number: int, owner: int) -> Opening:
    return Opening(subject=f"goods:{number}", kind=IncidentKind.OUT_OF_STOCK, at_ms=clock(), user_id=owner)


async def test_what_only_a_later_version_knows_keeps_nothing_else_from_being_told_or_read(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    """After a user went back to an earlier version."""
    await a_channel(database, owner)
    await teller.happens(parked(clock, "s1"), sold_out(clock, 1, owner))
    await teller.loop.plan()
    await changed(database, update(incidents).where(incidents.c.kind == "parked").values(kind="of_later"))
    await teller.after(30 * MINUTE, every=5 * MINUTE)
    assert len(teller.transport.messages) == 1
    assert sorted(await teller.states()) == [("begin", "sent"), ("begin", "waiting")]
    history, sight = IncidentHistory(database), Sight(accounts=SHOPS, user_id=owner)
    assert [one.kind for one in await history.incidents(sight)] == [IncidentKind.OUT_OF_STOCK]
    await changed(database, update(notices).where(notices.c.state == "waiting").values(state="of_later"))
    assert [one.state.value for one in await history.notices(owner)] == ["sent"]
    assert len(await history.last_tried(owner)) == 1


async def test_a_share_that_is_taken_back_also_ends_what_a_digest_tells_of_it(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    staff = await an_owner(database)
    shared = [{"account_id": name, "user_id": staff, "access": "read"} for name in SHOPS]
    await changed(database, insert(grants).values(shared))
    await a_channel(database, staff)
    teller.transport.answer = lambda _, __: REFUSED
    await teller.happens(*(parked(clock, name) for name in SHOPS))
    await teller.now()
    assert teller.transport.titles() == ["6 notices"]
    await changed(database, delete(grants).where(grants.c.account_id.in_(SHOPS[2:])))
    await teller.after(10)
    (_, message) = teller.transport.messages[1]
    assert message.title == "2 notices"
    assert [name for name in SHOPS if f"“{name}”" in message.body] == SHOPS[:2]
    await changed(database, delete(grants))
    await teller.after(DAY, every=HOUR)
    assert len(teller.transport.messages) == 2
    rows = await database.read(lambda c: list(c.execute(select(notices.c.state, notices.c.settled_at_ms)).all()))
    assert {row.state for row in rows} == {"dropped"}
    assert all(row.settled_at_ms for row in rows), "else they are kept for ever"


async def test_a_digest_of_removed_shops_is_not_sent(
    database: Database, manager: DBManager, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    teller.transport.answer = lambda _, __: REFUSED
    await teller.happens(*(parked(clock, name) for name in SHOPS))
    await teller.now()
    await changed(database, update(accounts).values(deleted=True))
    for name in SHOPS:
        await manager.purge(name)
    await teller.after(DAY, every=HOUR)
    assert len(teller.transport.messages) == 1


@ON_SQLITE
@pytest.mark.parametrize("is_urgent", [False, True])
async def test_a_digest_that_failed_before_the_night_waits_for_the_morning_unless_it_is_urgent(
    database: Database, clock: Clock, teller: Teller, owner: int, is_urgent: bool
) -> None:
    zone = "Asia/Shanghai"
    clock.now = round(datetime(2026, 11, 27, 21, 59, tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    await a_channel(database, owner, quiet_from="22:00", quiet_to="08:00", quiet_zone=zone)
    teller.transport.answer = lambda _, __: REFUSED
    goods = [sold_out(clock, number, owner) for number in range(6)]
    await teller.happens(*([parked(clock, name) for name in SHOPS] if is_urgent else goods))
    await teller.now()
    assert teller.transport.titles() == ["6 notices"]
    clock.now += 2 * MINUTE * 1000
    teller.transport.answer = lambda _, __: SENT
    await teller.after(10 * HOUR - 2 * MINUTE, every=20 * MINUTE)
    assert len(teller.transport.messages) == 1 + is_urgent
    await teller.after(MINUTE)
    assert teller.transport.titles() == ["6 notices"] * 2


@ON_SQLITE
async def test_a_service_that_asks_for_a_pause_gets_it_from_every_notice(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    teller.transport.answer = lambda _, __: Sent(outcome=Outcome.FAILED, answer="429", retry_after=600)
    await teller.happens(parked(clock, "s0"), parked(clock, "s1"))
    await teller.now()
    teller.transport.answer = lambda _, __: SENT
    await teller.happens(sold_out(clock, 1, owner))
    await teller.after(599, every=20)
    assert len(teller.transport.messages) == 1
    await teller.after(20, every=1)
    assert sorted(state for _, state in await teller.states()) == ["sent"] * 3


@ON_SQLITE
async def test_a_machine_that_slept_for_days_does_not_give_up_at_its_first_failure(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner)
    teller.transport.answer = lambda _, __: REFUSED
    await teller.happens(parked(clock, "s0"))
    await teller.now()
    await teller.after(3 * DAY)
    assert await teller.states() == [("begin", "failed")]
    teller.transport.answer = lambda _, __: SENT
    await teller.after(MINUTE)
    assert await teller.states() == [("begin", "sent")]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNCERTAIN])
async def test_an_answer_that_no_database_takes_stops_no_channel(
    database: Database, clock: Clock, teller: Teller, owner: int, outcome: Outcome
) -> None:
    await a_channel(database, owner)
    teller.transport.answer = lambda _, __: Sent(outcome=outcome, answer="no\x00 \udcb4 way")
    await teller.happens(parked(clock, "s0"))
    await teller.now()
    (error,) = await database.read(lambda c: list(c.scalars(select(notices.c.last_error))))
    assert error == "no\ufffd \ufffd way"


@ON_SQLITE
async def test_an_outcome_that_cannot_be_stored_is_not_taken_for_a_notice_that_never_left(
    database: Database, clock: Clock, teller: Teller, owner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_channel(database, owner)
    settle, calls = notice_rows.settle, []

    def once_broken(*given: Any, **named: Any) -> Any:
        calls.append(named["sent"].answer)
        if len(calls) <= 2:  # a group of the writer tries it twice
            raise ValueError("a defect")
        return settle(*given, **named)

    monkeypatch.setattr(notice_loop, "settle", once_broken)
    teller.loop._look_seconds = 0.01
    await teller.happens(parked(clock, "s0"))
    await teller.now()
    await teller.after(MINUTE)
    assert len(teller.transport.messages) == 1
    assert await teller.states() == [("begin", "sent")]


async def test_what_comes_back_after_the_clock_was_set_back_goes_on(
    database: Database, manager: DBManager, clock: Clock, teller: Teller, owner: int
) -> None:
    """Else it is told that the shop runs again, while it stands still."""
    await a_channel(database, owner)
    clock.now = 100_000_000

    async def seen(state: AccountState, reason: str = "") -> None:
        since = clock.now if state is AccountState.PARKED else None
        here = Observation(state=state, reason=reason, parked_since_ms=since, since_ms=clock.now)
        await manager.observe({"s0": here})
        await teller.now()

    await seen(AccountState.PARKED, ParkReason.RISK_CONTROL)
    clock.now += 10_000
    await seen(AccountState.RUNNING)
    clock.now -= HOUR * 1000
    await seen(AccountState.PARKED, ParkReason.RISK_CONTROL)
    await teller.after(2 * HOUR, every=10 * MINUTE)
    assert await teller.states() == [("begin", "sent")]
    columns = (incidents.c.closed_at_ms, incidents.c["count"], incidents.c.last_at_ms)
    (row,) = await database.read(lambda c: [tuple(row) for row in c.execute(select(*columns))])
    assert row == (None, 2, 100_000_000)


@ON_SQLITE
async def test_a_defect_in_one_thing_keeps_no_other_from_being_told(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    await a_channel(database, owner, kinds=["day"], quiet_zone="Mars/Base")
    await a_channel(database, owner)

    class Broken:
        async def look(self) -> None:
            raise ZeroDivisionError

    transport = NotingTransport()
    await changed(database, insert(incidents).values(subject="x", kind="of_a_newer_version", due_at_ms=1))
    await teller.happens(parked(clock, "s0"))
    loop = NoticeLoop(database, transport, watch=Broken(), now_ms=clock, look_seconds=0.01)  # type: ignore[arg-type]
    loop.start()
    try:
        await until(lambda: bool(transport.messages))
    finally:
        await loop.close()
    assert transport.titles()[0].startswith("Shop “s0” needs you")


@ON_SQLITE
async def test_a_notice_that_has_no_words_is_tried_again_and_shown(
    database: Database, clock: Clock, teller: Teller, owner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_channel(database, owner)
    whole = incident_texts.message_of

    def wordless(*_: Any) -> Any:
        raise KeyError("order_id")

    monkeypatch.setattr(notice_loop, "message_of", wordless)
    await teller.happens(parked(clock, "s0"))
    await teller.now()
    assert await teller.states() == [("begin", "failed")]
    monkeypatch.setattr(notice_loop, "message_of", whole)
    await teller.after(MINUTE)
    ((_, message),) = teller.transport.messages
    assert not message.maybe_again


@ON_SQLITE
async def test_a_server_that_another_may_have_replaced_tells_nothing(
    database: Database, clock: Clock, teller: Teller, owner: int
) -> None:
    """Else both send the same notice, and each takes what the other is sending for what never left."""
    await a_channel(database, owner)
    owns, looks = [False], []

    def owned() -> bool:
        looks.append(owns[0])
        return owns[0]

    def lose(_: int, __: Message) -> Sent:
        owns[0] = False
        return SENT

    transport = NotingTransport()
    transport.answer = lose
    loop = NoticeLoop(database, transport, owns=owned, now_ms=clock, look_seconds=0.01)
    await teller.happens(parked(clock, "s0"), parked(clock, "s1"))
    loop.start()
    try:
        for messages in (0, 1, 2):
            looks.clear()
            await until(lambda: looks.count(False) >= 10)
            assert len(transport.messages) == messages
            owns[0] = messages < 2
            await until(lambda: not owns[0])
    finally:
        await loop.close()
