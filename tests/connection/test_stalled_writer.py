"""The writer stands still for longer than a connection's farewell: what waits for it is neither lost nor done twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import Connection

from shoal.accounts.account import AccountState
from shoal.accounts.events import AccountStateChanged
from shoal.connection import xianyu_live
from shoal.messages import outbox as outbox_module
from shoal.messages.message_log import Direction
from shoal.messages.outbox import Outbox, Queued
from shoal.messages.outbox_rows import OutboxRow, Sending, SendOutcome
from shoal.orders.delivery_store import Begun
from shoal.orders.order_rows import OrderRow
from shoal.orders.order_store import Action, ActionState
from support.orders.order_steps import (
    CONSIGN,
    PATIENCE,
    calls,
    order_action,
    order_soon,
    pay,
    paying_shop,
    running,
    words,
)
from support.site.sandboxed import Shoal, looks
from support.site.standins import ANN, until

PLACES = ["statement", "commit"]
"""Where the writer stands: before it has written what waits, or after that and before it is durable."""


@pytest.fixture(autouse=True)
def _a_short_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xianyu_live, "FAREWELL_SECONDS", 0.1)


@asynccontextmanager
async def standing(
    shoal: Shoal, place: str, begins: Callable[[], bool] = lambda: True
) -> AsyncIterator[Callable[[], bool]]:
    """The writer stands still at that place of the first group after ``begins`` is true; yields whether it stands."""
    stands, go_on = threading.Event(), threading.Event()

    def at(point: str) -> None:
        if point == place and not go_on.is_set() and begins():
            stands.set()
            go_on.wait(PATIENCE)

    shoal.database.group_writer._point = at
    try:
        yield stands.is_set
    finally:
        go_on.set()


def beginning(shoal: Shoal, monkeypatch: pytest.MonkeyPatch, act: Action, place: str) -> threading.Event:
    """Set when an act is announced to the writer, or, at "commit", within the transaction that announces it."""
    begins, ask, write = threading.Event(), shoal.book.begin_action, OrderRow.begin
    deliver = shoal.book.deliveries.begin

    async def asked_to_begin(account_id: str, order_id: str, which: Action, **more: Any) -> bool:
        if which is act and place == "statement":
            begins.set()
        return await ask(account_id, order_id, which, **more)

    async def asked_to_deliver(account_id: str, *values: Any) -> Begun:
        if act is Action.PAID_MESSAGE and place == "statement":
            begins.set()
        return await deliver(account_id, *values)

    def written(row: OrderRow, which: Action, *values: Any, **more: Any) -> bool:
        if which is act and place == "commit":
            begins.set()
        return write(row, which, *values, **more)

    monkeypatch.setattr(shoal.book, "begin_action", asked_to_begin)
    monkeypatch.setattr(shoal.book.deliveries, "begin", asked_to_deliver)
    monkeypatch.setattr(OrderRow, "begin", written)
    return begins


def answering(monkeypatch: pytest.MonkeyPatch, place: str) -> threading.Event:
    """Set when an answer is given to the writer, or, at "commit", within the transaction that queues it."""
    begins, queue, insert = threading.Event(), Outbox.queue, outbox_module.insert_rows

    async def asked_to_queue(outbox: Outbox, *values: Any, **named: Any) -> Queued:
        if place == "statement":
            begins.set()
        return await queue(outbox, *values, **named)

    def written(connection: Connection, rows: Sequence[OutboxRow], now_ms: int) -> tuple[Sending, ...]:
        if place == "commit":
            begins.set()
        return insert(connection, rows, now_ms)

    monkeypatch.setattr(Outbox, "queue", asked_to_queue)
    monkeypatch.setattr(outbox_module, "insert_rows", written)
    return begins


async def look_forward_only(shoal: Shoal) -> None:
    """Connect anew, with the look into the past held back: it would write more than the test is about."""
    await shoal.close()
    await shoal.sandbox.do("fault", kind="hold", which="conversations")
    await shoal.open(site_timeout_seconds=3.0)
    await running(shoal)


async def dropped(shoal: Shoal, unb: str) -> None:
    """Let the line drop, and give the next connection time to begin, if it does not wait for the writer."""
    with shoal.manager.events.subscribe() as events:
        await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
        async with asyncio.timeout(PATIENCE):
            while AccountState.STARTING not in {
                event.observation.state for event in await events.take() if isinstance(event, AccountStateChanged)
            }:
                pass
    await asyncio.sleep(0.2)  # it would register within that time


async def outcomes(shoal: Shoal) -> list[str]:
    """What became of everything that was to be sent."""
    return [one.outcome for one in await shoal.log.outbox.list_sendings(["shop"])]


async def is_at_rest(shoal: Shoal, unb: str) -> None:
    """Nothing is said any more, also not by the next connection, and no row waits for a sender that is gone."""
    await shoal.sandbox.do("faults/clear")
    await shoal.sandbox.do("fault/release")
    total = (await shoal.sandbox.sockets(unb))["total"]
    await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
    async with asyncio.timeout(PATIENCE):
        while (await shoal.sandbox.sockets(unb))["total"] == total:
            await asyncio.sleep(0.02)
    await shoal.is_done()
    assert SendOutcome.SENDING not in await outcomes(shoal)


@pytest.mark.parametrize("place", PLACES)
async def test_f1_an_answer_that_waits_for_the_writer_when_the_line_drops_is_given_once(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await look_forward_only(shoal)
    begins = answering(monkeypatch, place)
    async with standing(shoal, place, begins.is_set) as stands:
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        await until(stands)
        await dropped(shoal, unb)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    await is_at_rest(shoal, unb)
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi"]
    (logged,) = await shoal.log.list_messages(["shop"], direction=Direction.IN)
    assert (logged.message.decision, logged.sendings[-1].outcome) == ("answered", SendOutcome.SENT)


async def test_f1_an_answer_that_waits_for_the_writer_is_given_once_when_the_site_lets_in_late(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    begins = answering(monkeypatch, "statement")
    async with standing(shoal, "statement", begins.is_set) as stands:
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        await until(stands)
        await shoal.sandbox.do("fault", account=unb, kind="hold", which="reg")
        await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
        await until(lambda: shoal.live_connections.sender("shop") is None)
        await asyncio.sleep(xianyu_live.FAREWELL_SECONDS * 2)  # its farewell is over, and it waits for the writer
    await shoal.database.settled()
    await shoal.sandbox.do("faults/clear")
    await shoal.sandbox.do("fault/release")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    await is_at_rest(shoal, unb)
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("act", [Action.PAID_MESSAGE, Action.CONFIRM])
async def test_f1_an_act_that_waits_for_the_writer_when_the_line_drops_is_done_once_or_told(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, act: Action, place: str
) -> None:
    unb = await paying_shop(shoal)
    await look_forward_only(shoal)
    begins = beginning(shoal, monkeypatch, act, place)
    async with standing(shoal, place, begins.is_set) as stands:
        order_id = await pay(shoal, unb)
        await until(stands)
        await dropped(shoal, unb)
    uncertain = {Action.PAID_MESSAGE: "message_uncertain", Action.CONFIRM: "confirm_uncertain"}[act]
    if place == "commit":  # it stands there as begun, and cannot be known to have failed
        await order_soon(shoal, order_id, problem=uncertain)
    else:
        await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    await is_at_rest(shoal, unb)
    order = await shoal.book.order("shop", order_id)
    assert order is not None
    assert len(await words(shoal, unb)) == (0 if order.problem == "message_uncertain" else 1)
    assert (await calls(shoal, CONSIGN, unb), order.problem) in {(1, ""), (0, uncertain)}


async def test_f1_an_act_that_was_begun_is_told_at_once_although_its_shop_is_switched_off(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unb = await paying_shop(shoal)
    begins, off = beginning(shoal, monkeypatch, Action.CONFIRM, "commit"), None
    async with standing(shoal, "commit", begins.is_set) as stands:
        order_id = await pay(shoal, unb)
        await until(stands)
        await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
        await until(lambda: shoal.live_connections.sender("shop") is None)
        await asyncio.sleep(0.2)  # it says farewell for half of that, and is told to stop on top of it
        waiting = shoal.database.group_writer.waiting
        off = asyncio.create_task(shoal.manager.update_cookie_status("shop", False, caller=ANN))
        await until(lambda: shoal.database.group_writer.waiting > waiting)
    await off
    await until(lambda: shoal.manager.observation("shop").state is AccountState.STOPPED)
    assert (await order_soon(shoal, order_id, problem="confirm_uncertain")).status == "pending_ship"
    assert await calls(shoal, CONSIGN, unb) == 0


async def test_f1_a_line_whose_pushes_wait_for_the_writer_is_not_taken_for_deaf(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.close()
    await shoal.open(probe_seconds=0.2, heartbeat_seconds=0.1)
    await running(shoal)
    total = (await shoal.sandbox.sockets(unb))["total"]
    async with standing(shoal, "statement"):
        for number in range(3):
            await shoal.sandbox.do("say", account=unb, buyer=f"小鱼{number}", text="在吗")
        await looks(shoal, unb, 3)
    for number in range(3):
        assert await shoal.sandbox.seen_soon(unb, f"小鱼{number}", 1) == ["hi"]
    assert (await shoal.sandbox.sockets(unb))["total"] == total
    assert len(await shoal.sandbox.calls("login.token", unb)) == 1


async def test_f1_the_socket_of_a_shop_that_parts_is_closed_once_another_server_may_run_it(shoal: Shoal) -> None:
    """What its connection has to store may take as long as the database, and goes on without the socket."""
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    async with standing(shoal, "statement") as stands:
        storing = asyncio.create_task(shoal.database.write(lambda _: None))
        await until(stands)
        shoal.manager._task_manager._tasks["shop"]._stop_connection()
        await until(lambda: shoal.live_connections.sender("shop") is None)
        assert (await shoal.sandbox.sockets(unb))["now"] == 1, "its position waits to be stored"
        shoal.live_connections.cut_lost(lambda _: False)
        await shoal.sandbox.left(unb)
        assert shoal.manager.observation("shop").state is AccountState.STOPPING
    await storing
    await running(shoal)


async def test_f1_what_its_caller_has_left_before_it_was_written_is_not_written(shoal: Shoal) -> None:
    ran = []

    def job(_: Connection) -> None:
        ran.append(True)

    writer = shoal.database.group_writer
    async with standing(shoal, "statement") as stands:
        first = asyncio.create_task(shoal.database.write(lambda _: None))
        await until(stands)
        waiting = writer.waiting
        leaves = asyncio.create_task(shoal.database.announce(job))
        stays = asyncio.create_task(shoal.database.write(job))
        await until(lambda: writer.waiting >= waiting + 2)
        leaves.cancel()
        await until(leaves.done)  # before the writer goes on
    await asyncio.gather(first, stays, leaves, return_exceptions=True)
    assert len(ran) == 1
