"""What an order got, or would get now: its units, and what stands in the way; and what a person sends once more."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.api.advice import advice_on
from shoal.api.http.rule_goods import stock_of_rules
from shoal.api.routes.items_anywhere import items_soon
from shoal.api.routes.manual_sending import behind_fence
from shoal.api.schemas.orders import ObstaclesNow, OrderDeliveryShape, OrderUnitShape
from shoal.api.server import Server
from shoal.cluster.node_calls import OwnerMoved
from shoal.errors import InvalidInput
from shoal.goods.order_units import OrderUnit
from shoal.goods.stock_history import By
from shoal.goods.stock_units import checked_reason
from shoal.language.choice import Language
from shoal.messages.manual_sending import NotConnected
from shoal.orders.explain_order import (
    Obstacle,
    Purchase,
    depends_on_item_specs,
    depends_on_title,
    explain_order,
    purchase_of,
    rule_of,
)
from shoal.orders.order_lists import ListedOrder
from shoal.orders.order_status import NOTHING_DUE, OF_THE_SHOP, sentence_of
from shoal.orders.order_store import Action, ActionState, Order, OrderAction

PLANNED = "planned"
SEND_AGAIN: Final = "send_again"
"""The call by which one server lets another send for an order once more."""
TITLE_SECONDS = 3.0
"""How long the view of an order waits for the titles of the shop's items."""
_OVER = frozenset({ActionState.DONE, ActionState.NOT_NEEDED})


async def delivery_of(
    server: Server, account: Account, order: Order, order_actions: Sequence[OrderAction], language: Language
) -> OrderDeliveryShape | None:
    """Return what the order got; before its delivery began, what it would get by the rules and the stock of now."""
    found = await server.goods.orders.of_order(account.unb, order.order_id, account.owner_id)
    if found is not None and found.state:
        return OrderDeliveryShape(
            goods_id=found.goods_id,
            goods_name=found.goods_name,
            wanted=found.wanted,
            state=found.state,
            gets=[],
            spec=purchase_of(order).spec,
            rule_spec=None,
            obstacle=None,
            detail="",
            do="",
            units=[_unit(unit) for unit in found.units],
        )
    units = [] if found is None else [_unit(unit) for unit in found.units]
    planned = None if _is_over(order, order_actions) else await _planned(server, account, order, language)
    return planned and planned.model_copy(update={"units": units})


def _is_over(order: Order, order_actions: Sequence[OrderAction]) -> bool:
    """Return whether the order gets nothing more, or nothing says yet that it is paid."""
    message = next((one for one in order_actions if one.action == Action.PAID_MESSAGE), None)
    return order.status in NOTHING_DUE or (message is not None and message.state in _OVER)


async def _planned(server: Server, account: Account, order: Order, language: Language) -> OrderDeliveryShape:
    purchase = purchase_of(order)
    if depends_on_title(account, purchase):
        listed = await items_soon(server, account, seconds=TITLE_SECONDS)
        purchase = purchase_of(order, title=listed.titles.get(order.item_id or ""))
    purchase = await with_specs(server, account, purchase)
    rule = rule_of(account, purchase)
    stock = await stock_of_rules(server, [] if rule is None else [rule])
    explained = explain_order(account, stock, purchase)
    goods_id = None if explained.rule is None else explained.rule.goods_id
    detail, do = ("", "")
    if (obstacle := explained.obstacle) is not None:
        detail, do = advice_on(f"obstacle.{sentence_of(obstacle, order.spec)}", language, {"spec": order.spec})
    known = None if goods_id is None else stock.get(goods_id)
    mine = known is not None and known.owner_id == account.owner_id
    return OrderDeliveryShape(
        goods_id=goods_id,
        goods_name=known.name if known is not None and mine else "",
        wanted=explained.wanted,
        state=PLANNED,
        gets=[part.image_url or part.text for part in explained.parts],
        spec=purchase.spec,
        rule_spec=None if explained.rule is None else explained.rule.spec,
        obstacle=None if obstacle is None else obstacle.value,
        detail=detail,
        do=do,
        units=[],
    )


async def send_once_more(
    server: Server, account: Account, order: Order, caller: Caller, *, replace_unit: int | None, reason: str
) -> None:
    """Send another unit in place of one, or (without a number) the same messages again, and wait for the site's answer.

    A repeated request whose messages were stored sends nothing. Raises ``Conflict`` when nothing was sent.
    """
    calls = server.node_calls
    if calls is not None and not calls.is_mine(account.id):
        asked = {"rev": account.rev, "order_id": order.order_id, "replace_unit": replace_unit, "reason": reason}
        who = {"actor": caller.actor, "op_id": caller.op_id, "repeats": caller.repeats}
        try:
            await calls.ask(account.id, SEND_AGAIN, asked | who)
        except OwnerMoved:  # what it had stored is seen by the new owner, who then sends nothing
            caller = dataclasses.replace(caller, repeats=True)
            if not calls.is_mine(account.id):
                await calls.ask(account.id, SEND_AGAIN, asked | who | {"repeats": True})
                return
        else:
            return
    await _send_once_more_here(server, account, order, caller, replace_unit=replace_unit, reason=reason)


async def answer_send_again(server: Server, account: Account, asked: dict[str, Any]) -> dict[str, Any]:
    """Send for an order once more for another server."""
    order = await server.order_store.order(account.id, str(asked["order_id"]))
    if order is None:
        raise InvalidInput("the order is not here", code="unknown_order")
    caller = Caller(actor=str(asked["actor"]), op_id=str(asked["op_id"]), repeats=bool(asked["repeats"]))
    number, reason = asked["replace_unit"], str(asked["reason"])
    await _send_once_more_here(server, account, order, caller, replace_unit=number, reason=reason)
    return {}


async def _send_once_more_here(
    server: Server, account: Account, order: Order, caller: Caller, *, replace_unit: int | None, reason: str
) -> None:
    by = By(actor=caller.actor, op_id=caller.op_id, repeats=caller.repeats)
    why = checked_reason(reason) if replace_unit is not None else ""
    outbox = server.message_log.outbox
    if caller.repeats and await outbox.by_op(account.id, caller.op_id) is not None:
        return
    sender = server.live_connections.sender(account.id)
    if not account.enabled:
        raise NotConnected("the account is switched off", code="account_disabled")
    if sender is None:
        seen = server.manager.observation(account.id)
        raise NotConnected("the account is not connected", state=seen.state.value, reason=seen.reason)
    with behind_fence(server, account.id):
        await server.sent_again.send(sender, account, order, replace_unit, by, reason=why)


def _unit(unit: OrderUnit) -> OrderUnitShape:
    names = ("unit_id", "goods_id", "unit_no", "masked", "replaces", "reason")
    return OrderUnitShape(**{name: getattr(unit, name) for name in names}, state=unit.state.value)


async def obstacles_now(server: Server, found: Sequence[ListedOrder]) -> ObstaclesNow:
    """Return the obstacle of each such order, should its owner have it served now; ``None``: there is none any more."""
    purchases: defaultdict[str, dict[str, Purchase]] = defaultdict(dict)
    for one in found:
        if one.order.problem in OF_THE_SHOP:
            purchases[one.order.account_id][one.order.order_id] = purchase_of(one.order, title=one.item_title or None)
    now: dict[tuple[str, str], Obstacle | None] = {}
    for account_id, of_account in purchases.items():
        account = server.manager.accounts.get(account_id)
        if account is not None:
            obstacles = await _obstacles(server, account, of_account)
            now |= {(account_id, order_id): obstacle for order_id, obstacle in obstacles.items()}
    return now


async def with_specs(server: Server, account: Account, purchase: Purchase) -> Purchase:
    """Return a purchase with the specs of its item, where the rule depends on them and they are known."""
    if not depends_on_item_specs(account, purchase):
        return purchase
    stored = await server.item_pages.stored(account, purchase.item_id or "")
    return purchase if stored is None else replace(purchase, item_specs=stored.item_specs)


async def _obstacles(server: Server, account: Account, purchases: Mapping[str, Purchase]) -> dict[str, Obstacle | None]:
    whole = {order_id: await with_specs(server, account, one) for order_id, one in purchases.items()}
    rules = [rule for one in whole.values() if (rule := rule_of(account, one)) is not None]
    stock = await stock_of_rules(server, rules)
    return {
        order_id: explain_order(account, stock, one, asked_by_owner=True).obstacle for order_id, one in whole.items()
    }
