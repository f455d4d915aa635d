"""What orders wait for: of one order and as the condition of a list, and the incident of those that wait for long."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text, update

from contract.order_book_steps import paid
from shoal.orders.order_actions import Action, ActionState, OrderAction, Why
from shoal.orders.order_lists import OrderPage, SoughtOrders
from shoal.orders.order_records import Order
from shoal.orders.order_status import OrderProblem, OrderStatus
from shoal.orders.order_store import OrderStore
from shoal.orders.order_waits import Waits, WaitsFor, waiting_since, waits_of
from shoal.orders.waiting_watch import WaitingWatch
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.notice_tables import incidents
from shoal.storage.order_tables import order_actions, orders
from shoal.storage.schema import accounts
from support.databases.store_steps import an_account, created

NOW = 2_000_000_000_000  # later than any clock: what is due then is not due yet
PAID = 1_700_000_000_000
DUE_LATER = NOW
SHOP = "shop"


def _order(status: str, problem: str = "", order_id: str = "1", account_id: str = SHOP) -> Order:
    return Order(
        account_id=account_id, order_id=order_id, status=status, problem=problem, created_at_ms=PAID, updated_at_ms=PAID
    )


def _action(state: ActionState, detail: str = "", action: Action = Action.PAID_MESSAGE, **more: Any) -> OrderAction:
    known = {"account_id": SHOP, "order_id": "1", "created_at_ms": PAID, "settled_at_ms": None}
    return OrderAction(action=action.value, state=state, detail=str(detail), **{**known, **more})


def _store(connection: Connection, order: Order, *actions: OrderAction) -> None:
    connection.execute(insert(orders).values({name: getattr(order, name) for name in Order.__slots__}))
    for one in actions:
        mine = replace(one, order_id=order.order_id, account_id=order.account_id)
        values = {name: getattr(mine, name) for name in OrderAction.__slots__}
        connection.execute(insert(order_actions).values({**values, "state": mine.state.value}))


@pytest.mark.parametrize(
    ("order", "actions", "wanted"),
    [
        (_order("pending_ship"), [_action(ActionState.PENDING)], Waits(PAID, WaitsFor.PACE)),
        (_order("pending_ship"), [_action(ActionState.PENDING, Why.ASKED)], Waits(PAID, WaitsFor.PACE)),
        (_order("pending_ship"), [_action(ActionState.PENDING, Why.PAGE_UNREAD, due_at_ms=DUE_LATER)],
         Waits(PAID, WaitsFor.PAGE)),
        (_order("pending_ship"), [_action(ActionState.PENDING, Why.SUPPLIER_ASKED)], Waits(PAID, WaitsFor.UNIT)),
        (_order("pending_ship"), [_action(ActionState.PENDING, due_at_ms=DUE_LATER)], None),
        (_order("pending_ship"), [_action(ActionState.PENDING, due_at_ms=PAID + 9)], Waits(PAID + 9, WaitsFor.PACE)),
        (_order("pending_ship"), [_action(ActionState.INTENDED)], Waits(PAID, WaitsFor.SITE)),
        (_order("pending_ship"), [_action(ActionState.DONE), _action(ActionState.PENDING, action=Action.CONFIRM)],
         Waits(PAID, WaitsFor.PACE)),
        (_order("group_pending"), [_action(ActionState.FAILED, Why.NOT_READY, Action.CONFIRM)],
         Waits(PAID, WaitsFor.SITE)),
        (_order("pending_ship", OrderProblem.OUT_OF_STOCK), [_action(ActionState.FAILED, "out_of_stock")],
         Waits(PAID, WaitsFor.UNIT)),
        (_order("pending_ship", OrderProblem.MESSAGE_REFUSED), [_action(ActionState.FAILED, "x")],
         Waits(PAID, WaitsFor.OWNER)),
        (_order("refunding", OrderProblem.REFUND_ASKED), [], Waits(PAID, WaitsFor.OWNER)),
        (_order("shipped", OrderProblem.ONE_TEXT), [_action(ActionState.DONE)], None),
        (_order("completed"), [_action(ActionState.PENDING)], None),
        (_order("pending_ship"), [_action(ActionState.DONE)], None),
    ],
)  # fmt: skip
def test_what_an_order_waits_for(order: Order, actions: list[OrderAction], wanted: Waits | None) -> None:
    assert waits_of(order, actions, NOW - 1) == wanted


async def test_the_list_of_waiting_orders_has_exactly_those_that_wait(database: Database, manager: DBManager) -> None:
    await created(manager, an_account(SHOP))
    details = ("", Why.PAGE_UNREAD, Why.SUPPLIER_ASKED, Why.NOT_READY, Why.ASKED)
    problems = ("", OrderProblem.OUT_OF_STOCK, OrderProblem.CONFIRM_REFUSED)
    cases = list(product(OrderStatus, problems, ActionState, details, (None, PAID, DUE_LATER)))
    cases = [case for number, case in enumerate(cases) if number % 2 == 0]
    known: dict[str, tuple[Order, OrderAction]] = {}
    for number, (status, problem, state, detail, due_at_ms) in enumerate(cases):
        order = _order(status, problem, str(number))
        known[order.order_id] = (order, _action(state, detail, due_at_ms=due_at_ms))

    def job(connection: Connection) -> None:
        connection.execute(text("DROP INDEX uq_intents_under_way"))
        for order, action in known.values():
            _store(connection, order, action)

    await database.write(job)
    wanted = {name for name, (order, action) in known.items() if waits_of(order, [action], NOW - 1) is not None}
    page = OrderPage([SHOP], SoughtOrders(waiting=True), limit=len(known))
    found = await database.read(page.listed)
    assert {one.order.order_id for one in found} == wanted
    assert 100 < len(wanted) < len(known) - 100
    assert all(one.waits is not None for one in found)


async def test_an_order_that_has_its_page_and_is_delayed_by_its_rule_waits_for_nothing(
    book: OrderStore, database: Database
) -> None:
    await paid(book)

    async def waits() -> WaitsFor | None:
        (listed,) = await database.read(OrderPage([SHOP]).listed)
        return None if listed.waits is None else listed.waits.wants

    assert await waits() is WaitsFor.PACE
    await book.put_off(SHOP, "o1", Action.PAID_MESSAGE, NOW, Why.PAGE_UNREAD)
    assert await waits() is WaitsFor.PAGE
    await book.put_off(SHOP, "o1", Action.PAID_MESSAGE, NOW)
    assert await waits() is None
    await book.put_off(SHOP, "o1", Action.PAID_MESSAGE, None, Why.SUPPLIER_ASKED)
    assert await waits() is WaitsFor.UNIT
    assert await book.next_due(SHOP, "o1") is not None, "it is due when its units are there"


async def _incidents(database: Database) -> list[tuple[str, bool]]:
    query = select(incidents.c.account_id, incidents.c.closed_at_ms, incidents.c.facts)
    query = query.where(incidents.c.kind == IncidentKind.ORDERS_WAIT.value).order_by(incidents.c.account_id)
    return [(row[0], row[1] is None) for row in await database.read(lambda connection: connection.execute(query).all())]


async def test_one_incident_a_shop_tells_of_orders_that_wait_and_ends_with_the_queue(
    database: Database, manager: DBManager
) -> None:
    for name in ("afu", "off", "quick"):
        await created(manager, an_account(name, enabled=name != "off"))
    waits = _action(ActionState.PENDING)

    def job(connection: Connection) -> None:
        for number in range(600):
            _store(connection, _order("pending_ship", "", str(number), "afu"), waits)
        _store(connection, _order("refunding", "refund_asked", "1", "quick"), waits)
        _store(connection, _order("pending_ship", "out_of_stock", "2", "quick"), _action(ActionState.FAILED, "x"))
        _store(connection, _order("pending_ship", "", "3", "quick"), replace(waits, due_at_ms=PAID + 3600_000))
        _store(connection, _order("pending_ship", "", "1", "off"), waits)

    await database.write(job)
    times = [PAID + 59_000]
    watch = WaitingWatch(database, wait_seconds=60, now_ms=lambda: times[-1])
    await watch.look()
    assert await _incidents(database) == []
    times.append(PAID + 61_000)
    await watch.look()
    await watch.look()
    assert await _incidents(database) == [("afu", True)]
    query = select(incidents.c.facts, incidents.c.count)
    assert (await database.read(lambda connection: connection.execute(query).all())) == [
        ('{"orders":600,"minutes":1}', 1)
    ]

    def half(connection: Connection) -> None:
        done = update(order_actions).where(order_actions.c.order_id != "7", order_actions.c.account_id == "afu")
        connection.execute(done.values(state=ActionState.DONE.value))

    await database.write(half)
    await watch.look()
    assert await _incidents(database) == [("afu", True)], "one order still waits"
    await database.write(
        lambda connection: connection.execute(update(order_actions).values(state=ActionState.DONE.value))
    )
    await watch.look()
    assert await _incidents(database) == [("afu", False)]


async def test_a_shop_that_is_turned_off_has_no_such_incident_any_more(database: Database, manager: DBManager) -> None:
    await created(manager, an_account(SHOP, enabled=True))
    order = _order("pending_ship")
    await database.write(lambda connection: _store(connection, order, _action(ActionState.PENDING)))
    watch = WaitingWatch(database, wait_seconds=60)
    await watch.look()
    assert await _incidents(database) == [(SHOP, True)]
    await database.write(lambda connection: connection.execute(update(accounts).values(enabled=False)))
    await watch.look()
    assert await _incidents(database) == [(SHOP, False)]


async def test_what_waits_is_found_by_its_own_index(database: Database) -> None:
    def job(connection: Connection) -> list[str]:
        if connection.dialect.name != "sqlite":  # PostgreSQL chooses by the sizes of tables
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        is_sqlite = connection.dialect.name == "sqlite"
        query = waiting_since(PAID).compile(connection.engine, compile_kwargs={"literal_binds": True})
        plan = connection.exec_driver_sql(f"EXPLAIN {'QUERY PLAN' if is_sqlite else ''} {query}").all()
        return [str(row[-1]) for row in plan]

    plan = await database.read(job)
    assert any("ix_intents_open" in line for line in plan), plan
