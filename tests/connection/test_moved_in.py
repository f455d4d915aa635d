"""A shop that came from another system, over the real wire: what was paid before its first start is not served."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from order_steps import order_action, order_soon, pay, words
from sandboxed import Shoal
from shoal.accounts.account import FIRST_START, Account
from shoal.orders.order_actions import Why
from shoal.orders.order_store import Action, ActionState
from shoal.orders.order_updates import CLOCK_ERROR_MS
from shoal.xianyu.cookie_string import require_cookie
from standins import ANN

PAID = "网盘链接 {order_id}"
LEFT_MS = 2_000
"""How much of the uncertainty is left: what the site's clock is taken for is wrong by less, also beside load."""


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


async def pass_by(shoal: Shoal) -> None:
    """Let the first start be further back than the site's clock is uncertain; what is paid then counts as later."""
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.manager.update_rules(
        "shop", lambda account: account.evolve(orders_since_ms=account.orders_since_ms - CLOCK_ERROR_MS + LEFT_MS),
        caller=ANN,
    )  # fmt: skip
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await shoal.runs()
    await asyncio.sleep(2 * LEFT_MS / 1000)


async def test_what_was_paid_before_the_first_start_is_never_served(shoal: Shoal) -> None:
    unb = await moved_in(shoal)
    await pay(shoal, unb)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await shoal.runs()
    await pass_by(shoal)
    after = await pay(shoal, unb, buyer="大鱼")
    await order_action(shoal, after, Action.PAID_MESSAGE, ActionState.DONE)
    assert await words(shoal, unb, "大鱼") == [f"网盘链接 {after}"]
    assert await words(shoal, unb) == []


async def test_what_another_system_served_is_left_alone_and_what_is_paid_later_is_served(shoal: Shoal) -> None:
    """The shop knows its position on the site, so the next connection reads all that was said in between."""
    unb = await moved_in(shoal)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await shoal.runs()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.manager.update_rules("shop", lambda account: account.evolve(orders_since_ms=FIRST_START), caller=ANN)
    served_there = await pay(shoal, unb)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    order = await order_soon(shoal, served_there, status="pending_ship")
    assert order.problem == ""
    (said, *_) = [
        one for one in await shoal.book.order_actions("shop", served_there) if one.action == Action.PAID_MESSAGE
    ]
    assert (said.state, said.detail) == (ActionState.NOT_NEEDED, Why.BEFORE_ACCOUNT)
    await pass_by(shoal)
    ours = await pay(shoal, unb, buyer="大鱼")
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await order_action(shoal, ours, Action.PAID_MESSAGE, ActionState.DONE)
    assert await words(shoal, unb, "大鱼") == [f"网盘链接 {ours}"]
    assert await words(shoal, unb) == []
