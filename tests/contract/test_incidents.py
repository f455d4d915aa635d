"""Incidents begin and end in the transaction that stores the fact: one row for a subject and a kind at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from shoal.accounts.account import AccountState, Observation, ParkReason, StopReason
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.audit_log import AuditLog
from shoal.errors import NotApplied
from shoal.goods.bindings import bind_free_unit, bind_units, release_units
from shoal.goods.goods import GoodsKind
from shoal.goods.goods_store import GoodsStore
from shoal.goods.imports import Imports
from shoal.goods.unit_lines import Line, SentLines
from shoal.messages.decisions import Decision
from shoal.messages.message_log import IncomingMessage, MessageLog
from shoal.orders.order_records import OrderUpdate
from shoal.orders.order_status import OrderStatus
from shoal.orders.order_store import OrderStore
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.goods_tables import units
from shoal.storage.incident_kinds import POLICIES, IncidentKind
from shoal.storage.incident_rows import REMIND_AFTER_MS, Opening, close_incidents, open_incidents
from shoal.storage.notice_tables import incidents
from shoal.storage.vault import Vault
from support.databases.asked_statements import asked, plans
from support.databases.store_steps import Clock, an_account, committed, created, deletion, edit
from support.notices.notice_steps import ON_SQLITE
from support.orders.goods_steps import an_owner, by, changed, some_goods, unit_texts

RISK = Observation(state=AccountState.PARKED, reason=ParkReason.RISK_CONTROL, parked_since_ms=1_000, since_ms=1_010)
RUNNING = Observation(state=AccountState.RUNNING, since_ms=5_000)
RETRYING = Observation(state=AccountState.RETRYING, reason="socket_closed", since_ms=2_000)


async def rows(database: Database) -> list[Any]:
    """All incidents, the oldest first."""
    return await database.read(lambda c: list(c.execute(select(incidents).order_by(incidents.c.id)).all()))


async def seen(manager: DBManager, observation: Observation, *names: str) -> None:
    await manager.observe(dict.fromkeys(names or ("shop",), observation))


async def test_a_parked_account_is_one_incident_until_it_runs_again(database: Database, manager: DBManager) -> None:
    await created(manager, an_account())
    await seen(manager, RISK)
    await seen(manager, RISK.evolve(seller_name="小鱼", since_ms=1_500))  # the same park, told again
    await seen(manager, RISK.evolve(reason=ParkReason.LOGIN_EXPIRED, parked_since_ms=3_000))
    (row,) = await rows(database)
    assert (row.subject, row.kind, row.account_id, row.user_id) == ("account:shop", "parked", "shop", None)
    assert (row.opened_at_ms, row.last_at_ms, row.closed_at_ms, row.due_at_ms) == (1_000, 3_000, None, 1_000)
    assert (row.count, row.detail, row.over) == (2, "login_expired", False)
    for state in (AccountState.WAITING, AccountState.STARTING, AccountState.STOPPING):
        await seen(manager, Observation(state=state, since_ms=4_000))
    assert (await rows(database))[0].closed_at_ms is None
    await seen(manager, RUNNING)
    (row,) = await rows(database)
    assert (row.closed_at_ms, row.due_at_ms, row.over) == (5_000, 65_000, False)


@ON_SQLITE
@pytest.mark.parametrize(
    ("observation", "ends"),
    [
        (RUNNING, True),
        (Observation(state=AccountState.STOPPED, since_ms=5_000), True),  # the owner knows: that is not told
        (Observation(state=AccountState.STOPPED, reason=StopReason.SERVER_DOWN, since_ms=5_000), False),
        (Observation(state=AccountState.ELSEWHERE, since_ms=5_000), False),
    ],
)
async def test_trouble_ends_when_it_runs_or_its_owner_stops_it(
    database: Database, manager: DBManager, observation: Observation, ends: bool
) -> None:
    await created(manager, an_account())
    await seen(manager, RETRYING)
    await seen(manager, observation)
    (row,) = await rows(database)
    assert (row.closed_at_ms is not None, row.over) == (ends, observation.state is AccountState.STOPPED and ends)


async def test_what_comes_back_before_its_end_was_told_goes_on(database: Database, manager: DBManager) -> None:
    await created(manager, an_account())
    await seen(manager, RETRYING)
    hold = POLICIES[IncidentKind.RETRYING].hold_ms
    await seen(manager, RUNNING)
    await seen(manager, RETRYING.evolve(since_ms=6_000))
    (row,) = await rows(database)
    assert (row.count, row.opened_at_ms, row.closed_at_ms, row.due_at_ms) == (2, 2_000, None, 2_000 + hold)
    await changed(database, update(incidents).values(told_at_ms=700_000, due_at_ms=None))
    await seen(manager, RUNNING.evolve(since_ms=800_000))
    await seen(manager, RETRYING.evolve(since_ms=900_000))
    (row,) = await rows(database)
    assert (row.count, row.closed_at_ms, row.due_at_ms) == (3, None, 700_000 + REMIND_AFTER_MS)
    await changed(database, update(incidents).values(over=True))
    await seen(manager, RETRYING.evolve(since_ms=950_000))
    assert [row.opened_at_ms for row in await rows(database)] == [2_000, 950_000]


async def test_one_trouble_of_an_account_replaces_another(database: Database, manager: DBManager) -> None:
    await created(manager, an_account(), an_account("other"))
    await seen(manager, RETRYING, "shop", "other")
    await manager.observe({"shop": RETRYING.evolve(crash_loop=True, since_ms=3_000), "other": RISK})
    found = {(row.account_id, row.kind): row.closed_at_ms for row in await rows(database)}
    assert found == {
        ("shop", "retrying"): 3_000,
        ("shop", "crash_loop"): None,
        ("other", "retrying"): 3_000,
        ("other", "parked"): None,
    }
    assert {row.kind: row.over for row in await rows(database)} == {
        "retrying": True, "crash_loop": False, "parked": False,  # nobody is told that it is connected again
    }  # fmt: skip


async def test_an_end_is_not_told_once_something_else_began(database: Database, manager: DBManager) -> None:
    await created(manager, an_account())
    await seen(manager, RETRYING)
    await changed(database, update(incidents).values(told_at_ms=2_500))
    await seen(manager, RUNNING)
    await seen(manager, RISK.evolve(parked_since_ms=6_000, since_ms=6_001))
    found = {row.kind: (row.closed_at_ms, row.due_at_ms, row.over) for row in await rows(database)}
    assert found == {"retrying": (5_000, None, True), "parked": (None, 6_000, False)}


@ON_SQLITE
async def test_a_missing_cookie_and_a_removed_account_are_no_incidents(database: Database, manager: DBManager) -> None:
    account, gone = an_account(), an_account("gone")
    await created(manager, account, gone)
    await seen(manager, RISK, "gone")
    await committed(manager, deletion(gone))
    await manager.purge("gone")
    await seen(manager, RISK.evolve(reason=ParkReason.NO_COOKIE))
    await seen(manager, RISK, "gone")
    assert await rows(database) == []


async def test_an_incident_is_stored_with_its_fact_or_not_at_all(database: Database, manager: DBManager) -> None:
    await created(manager, an_account())

    def job(connection: Any) -> None:
        open_incidents(connection, [Opening(subject="server", kind=IncidentKind.DISK_LOW, at_ms=1)])
        raise NotApplied("the fact was refused")

    with pytest.raises(NotApplied):
        await database.write(job)
    assert await rows(database) == []


async def test_a_change_and_what_ends_nothing_ask_nothing_of_incidents(database: Database, manager: DBManager) -> None:
    account = an_account()
    await created(manager, account)
    with asked() as statements:
        await committed(manager, edit(account, remark="neu"))
        await seen(manager, Observation(state=AccountState.STARTING, since_ms=9))
    assert [statement for statement, _ in statements if "incidents" in statement] == []


@ON_SQLITE
async def test_opening_and_closing_use_the_index_of_live_incidents(database: Database, manager: DBManager) -> None:
    names = [f"shop{number}" for number in range(3)]
    await created(manager, *map(an_account, names))
    with asked() as statements:
        await seen(manager, RISK, *names)
        await seen(manager, RUNNING, *names)
    mine = [(statement, values) for statement, values in statements if statement.startswith("UPDATE incidents")]
    assert len(mine) == 2
    assert all("uq_incidents_live" in plan for plan in await plans(database, mine))


async def test_an_order_with_a_problem_is_an_incident_until_it_has_none(database: Database, book: OrderStore) -> None:
    paid = OrderUpdate(order_id="o1", source="mark", status=OrderStatus.PENDING_SHIP, chat_id="c1")
    await book.receive("shop", paid)
    order = await book.order("shop", "o1")
    assert order is not None
    opened = await rows(database)
    assert [(row.subject, row.kind, row.detail) for row in opened] == [
        ("order:shop/o1", "order_problem", order.problem)
    ]
    await book.receive("shop", replace(paid, status=OrderStatus.REFUNDING))
    kinds = {row.kind: row.over for row in await rows(database)}
    assert kinds == {"order_problem": True, "refund_asked": False}
    await book.receive("shop", replace(paid, status=OrderStatus.CANCELLED))
    assert [row.over for row in await rows(database)] == [True, True]


async def test_a_stock_that_runs_low_and_out_is_told_and_its_refilling_ends_it(
    database: Database, vault: Vault, clock: Clock
) -> None:
    owner = await an_owner(database)
    goods = await some_goods(database, owner, low_at=2)
    imports = Imports(database, await unit_texts(database, vault), now_ms=clock)

    async def fill(*texts: str) -> None:
        lines = [Line(number, text) for number, text in enumerate(texts, 1)]
        await imports.run(goods, SentLines(lines=lines), by())

    async def bind(order_id: str, count: int) -> None:
        when = replace(by(), at_ms=clock())
        await database.write(lambda c: len(bind_units(c, goods, unb="1", order_id=order_id, count=count, by=when)))

    async def live() -> list[tuple[str, int | None]]:
        return [(row.kind, row.user_id) for row in await rows(database) if not row.over]

    await fill("a1", "a2", "a3", "a4")
    await bind("o1", 1)
    assert await live() == []
    await bind("o2", 1)
    assert await live() == [("low_stock", owner)]
    await bind("o3", 2)
    assert await live() == [("out_of_stock", owner)]
    when = replace(by(), at_ms=clock())
    await database.write(lambda c: release_units(c, "1", "o3", when, reason="refused"))
    assert await live() == []
    await GoodsStore(database).change(goods.id, {"low_at": 5}, by())
    assert await live() == [("low_stock", owner)]
    await fill("b1", "b2", "b3", "b4")
    assert await live() == []


async def test_only_a_stock_that_is_for_sale_and_had_units_runs_out(
    database: Database, vault: Vault, clock: Clock
) -> None:
    owner, store = await an_owner(database), GoodsStore(database, now_ms=clock)
    imports = Imports(database, await unit_texts(database, vault), now_ms=clock)

    async def live() -> list[str]:
        return [row.kind for row in await rows(database) if not row.over]

    for kind in (GoodsKind.FIXED, GoodsKind.STOCK):
        made = await some_goods(database, owner, name=kind.value, kind=kind)
        await store.change(made.id, {"low_at": 3}, by())
    assert await live() == []
    await imports.run(made, SentLines(lines=[Line(1, "a1")]), by())
    await store.change(made.id, {"low_at": 4}, by())
    assert await live() == ["low_stock"]
    await store.change(made.id, {"active": False}, by())
    assert await live() == []
    await store.change(made.id, {"active": True}, by())
    assert await live() == ["low_stock"]


async def test_a_supplier_is_never_out_of_stock(database: Database, clock: Clock) -> None:
    """A unit that came back free, as of a cancelled order, is the first to go out again."""
    named = {"name": "月卡", "kind": GoodsKind.SUPPLIER}
    goods = await GoodsStore(database).create(await an_owner(database), named, by(), supplier=b"sealed")
    row = {"goods_id": goods.id, "owner_id": goods.owner_id, "state": "free", "sealed": b"x", "digest": b"d"}
    await changed(database, insert(units).values(row))
    bound = await database.write(lambda c: bind_free_unit(c, goods, unb="1", order_id="o1", unit_no=1, by=by()))
    assert bound is not None
    assert await rows(database) == []


async def test_a_sign_in_from_a_new_address_is_told_once(database: Database, clock: Clock) -> None:
    owner = await an_owner(database)
    log = AuditLog(database, now_ms=clock)

    async def sign_in(origin: str, user: int = owner) -> None:
        await log.record(AuditEvent.SIGN_IN, actor="user:ann", user_id=user, origin=origin)
        await log.close()

    for origin in ("web 203.0.113.5", "web 203.0.113.5", "shell 203.0.113.5", "web 198.51.100.7", "web 198.51.100.7"):
        await sign_in(origin)
    await sign_in("web 192.0.2.1", await an_owner(database))
    for origin in ("web 2001:db8:1:2::5", "web 2001:db8:1:2:abcd:ef01:2345:6789"):  # one device on two days
        await sign_in(origin)
    row, over_ipv6 = await rows(database)
    assert (row.kind, row.user_id, row.facts) == ("new_address", owner, '{"address":"198.51.100.7"}')
    assert (over_ipv6.facts, over_ipv6.count) == ('{"address":"2001:db8:1:2::5"}', 1)
    assert (row.closed_at_ms, row.due_at_ms) == (row.opened_at_ms, row.opened_at_ms)


async def test_closing_what_is_not_open_changes_nothing(database: Database) -> None:
    def job(connection: Any) -> int:
        connection.execute(insert(incidents).values(subject="server", kind="disk_low", over=True))
        return close_incidents(connection, ["server", "nothing"], list(IncidentKind), 9)

    assert await database.write(job) == 0


@ON_SQLITE
@pytest.mark.parametrize(("decision", "waits"), [(Decision.NO_RULE, True), (Decision.ANSWERED, False)])
async def test_a_question_that_is_left_to_its_owner_is_an_incident_of_its_chat(
    database: Database, log: MessageLog, decision: Decision, waits: bool
) -> None:
    said = [IncomingMessage(message_id=name, chat_id="c5", text="在吗", created_at_ms=1) for name in ("m1", "m2")]
    await log.store_incoming("shop", said)
    await log.decide("shop", ["m1", "m2"], decision)
    found = [(row.subject, row.kind, row.account_id, row.count) for row in await rows(database)]
    assert found == ([("chat:shop/c5", "buyer_waits", "shop", 1)] if waits else [])
