"""A shop that came from another system, over the real wire: its owner decides about what was paid before its start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shoal.accounts.account import FIRST_START, Account
from shoal.connection.history_sync import HistorySync
from shoal.errors import TemporaryFailure
from shoal.orders.order_actions import Why
from shoal.orders.order_store import Action, ActionState
from shoal.xianyu.cookie_string import require_cookie
from support.orders.order_steps import order_action, order_soon, pay, running, words
from support.site.sandboxed import Sandbox, Shoal
from support.site.standins import ANN, until_told

pytestmark = pytest.mark.lenient("time")

PAID = "网盘链接 {order_id}"
HOUR = 3600.0
EARLIER = 0.1
"""Hours before the first start: so far, no clock is wrong."""


@pytest.fixture(autouse=True)
async def no_replay(sandbox: Sandbox) -> None:
    """The site does not push to a first connection what came before it."""
    await sandbox.do("policy", replays_missed=False)


async def moved_in(shoal: Shoal) -> str:
    """Add the first seller's shop as an import does: off, in one change; returns its unb."""
    seller = next(iter(shoal.sandbox.world.sellers.values()))
    cookie = require_cookie(shoal.sandbox.world.cookie_header(seller))
    await shoal.manager.add_account(
        Account(
            id="shop", owner_id=1, unb=cookie.unb, cookie=cookie.header, enabled=False, paid_message=PAID,
            orders_since_ms=FIRST_START,
        ),
        replace(ANN, op_id="import:1:shop"),
    )  # fmt: skip
    return seller.unb


async def turned_on(shoal: Shoal) -> None:
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await running(shoal)


async def paid_ago(shoal: Shoal, unb: str, hours: float, *cards: str, buyer: str = "小鱼") -> str:
    """A buyer paid so long ago, and these cards came after it; returns the order's id."""
    await shoal.sandbox.do("clock", advance=-hours * HOUR)
    order_id = await pay(shoal, unb, buyer=buyer)
    for card in cards:
        await pay(shoal, unb, buyer=buyer, card=card, order_id=order_id)
    await shoal.sandbox.do("clock", real=True)
    return order_id


async def message_of(shoal: Shoal, order_id: str) -> tuple[ActionState, str]:
    (found,) = [one for one in await shoal.book.order_actions("shop", order_id) if one.action == Action.PAID_MESSAGE]
    return found.state, found.detail


async def test_g3_orders_paid_in_the_day_before_the_first_start_are_listed_for_their_owner(shoal: Shoal) -> None:
    unb = await moved_in(shoal)
    paid = await paid_ago(shoal, unb, 2)
    shipped = await paid_ago(shoal, unb, 3, "shipped", buyer="大鱼")  # the other system served it
    old = await paid_ago(shoal, unb, 26, buyer="小虾")
    await turned_on(shoal)
    await order_soon(shoal, paid, problem="before_start")
    await order_soon(shoal, shipped, status="shipped", problem="")
    await shoal.is_done()
    assert [order.order_id for order in await shoal.book.orders(["shop"], with_problem=True)] == [paid]
    assert old not in {order.order_id for order in await shoal.book.orders(["shop"])}
    assert await message_of(shoal, paid) == (ActionState.FAILED, Why.BEFORE_START)
    assert [await words(shoal, unb, buyer) for buyer in ("小鱼", "大鱼", "小虾")] == [[], [], []]
    assert await shoal.book.ask_again("shop", paid, Action.PAID_MESSAGE, actor="user:ann")
    await order_action(shoal, paid, Action.PAID_MESSAGE, ActionState.DONE)
    assert await words(shoal, unb) == [f"网盘链接 {paid}"]


async def test_g3_an_order_that_is_paid_right_after_the_first_start_is_served(shoal: Shoal) -> None:
    unb = await moved_in(shoal)
    await turned_on(shoal)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.PAID_MESSAGE, ActionState.DONE)
    assert await words(shoal, unb) == [f"网盘链接 {order_id}"]


async def test_g3_what_was_paid_before_the_first_start_is_read_until_it_is_known_and_once(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first connection cannot read it and ends; the next one does, and the one after that does not read again."""
    unb = await moved_in(shoal)
    paid = await paid_ago(shoal, unb, EARLIER)
    pull, reads = HistorySync.pull, [0]

    async def refused(self: HistorySync, since_ms: int, *, only_cards: bool = False) -> int:
        reads[0] += only_cards
        if only_cards and reads[0] == 1:
            raise TemporaryFailure("not now", code="history_refused")
        return await pull(self, since_ms, only_cards=only_cards)

    monkeypatch.setattr(HistorySync, "pull", refused)
    await turned_on(shoal)
    await shoal.is_done()
    assert await shoal.book.order("shop", paid) is None
    for _ in range(2):
        await shoal.manager.update_cookie_status("shop", False, caller=ANN)
        await turned_on(shoal)
        await order_soon(shoal, paid, problem="before_start")
        await shoal.is_done()
    assert reads == [2]


async def test_g3_messages_from_before_the_first_start_are_not_read(shoal: Shoal) -> None:
    unb = await moved_in(shoal)
    await shoal.manager.update_keywords("shop", [("在吗", "在的")], caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    paid = await paid_ago(shoal, unb, EARLIER)
    await turned_on(shoal)
    await order_soon(shoal, paid, problem="before_start")
    await shoal.is_done()
    assert await shoal.log.list_messages(["shop"]) == []
    assert await shoal.sandbox.seen(unb, "小鱼") == []


async def test_what_another_system_served_is_left_alone_and_what_is_paid_later_is_served(shoal: Shoal) -> None:
    """The shop knows its position on the site, so the next connection reads all that was said in between."""
    unb = await moved_in(shoal)
    await turned_on(shoal)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.manager.update_rules("shop", lambda account: account.evolve(orders_since_ms=FIRST_START), caller=ANN)
    before = await paid_ago(shoal, unb, EARLIER)
    await turned_on(shoal)
    await order_soon(shoal, before, status="pending_ship", problem="before_start")
    ours = await pay(shoal, unb, buyer="大鱼")
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await turned_on(shoal)
    await order_action(shoal, ours, Action.PAID_MESSAGE, ActionState.DONE)
    assert await words(shoal, unb, "大鱼") == [f"网盘链接 {ours}"]
    assert await words(shoal, unb) == []
    await until_told(lambda: message_of(shoal, before), (ActionState.FAILED, Why.BEFORE_START))
