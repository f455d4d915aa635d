"""Orders: the list, one with its timeline, and what the owner does about failed actions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Path, Query, Request

from shoal.accounts.account import Account, AccountState
from shoal.accounts.change_path import Caller
from shoal.api.http.account_filter import OfAccount, asked_for
from shoal.api.http.caller import (
    AcceptLanguage,
    ReadAccount,
    ReplyAccount,
    TheCaller,
    TheServer,
    WhoReads,
    WhoReadsNamed,
)
from shoal.api.http.changes import require_current
from shoal.api.http.disconnects import while_here
from shoal.api.http.openapi_errors import CHANGING, READING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.routes.history import Cursor, Limit
from shoal.api.routes.order_delivery import delivery_of, obstacles_now, send_once_more
from shoal.api.routes.order_filters import Sought
from shoal.api.schemas.cursors import cursor_of, mixed_place_of
from shoal.api.schemas.orders import (
    CompatOrders,
    FullOrder,
    OrderList,
    ServeBody,
    SettleBody,
    compat_order,
    full_order,
    order_shape,
)
from shoal.api.server import Server
from shoal.errors import Conflict, InvalidInput, TemporaryFailure
from shoal.language.choice import Language, language_of
from shoal.orders.order_lists import OrderPage, SoughtOrders, with_names
from shoal.orders.order_rows import PARCEL
from shoal.orders.order_status import AUTO_CONFIRM_OFF, ENDS, FREE_SHIPPING_OFF, OrderProblem, OrderStatus
from shoal.orders.order_store import Action, ActionState, Order, OrderAction, Why
from shoal.orders.refund_store import PageSays

routes = Routes(tags=["orders"])

COMPAT_LIMIT = 10_000
SERVE_WAIT_SECONDS = 5.0
LONGEST_SERVE_WAIT_SECONDS = 30.0
LOOK: Final = "look"
"""The call by which one server tells another that an order has something to do."""
REFUND: Final = "refund"
"""The call by which one server has another read the page of an order whose refund is open."""
_LOOK_SECONDS = 0.05
_LEFT_ALONE = frozenset({AUTO_CONFIRM_OFF, FREE_SHIPPING_OFF, Why.BEFORE_ACCOUNT.value})

OrderId = Annotated[str, Path(pattern=r"^[0-9]{1,32}$", description="The order's id on the site.")]


class OwnersWord(StrEnum):
    """The result of an action that an owner may state."""

    DONE = "done"
    """The action was done."""
    NOT_NEEDED = "not_needed"
    """The action is no longer needed."""


@routes.get("/api/orders", summary="List orders (old path)", responses=READING)
async def list_orders_compat(
    server: TheServer,
    who: WhoReads,
    limit: Annotated[int, Query(ge=1, le=COMPAT_LIMIT, description="Maximum number of rows.")] = COMPAT_LIMIT,
) -> CompatOrders:
    """List the orders of the caller's accounts, newest first, in the older system's form."""
    mine = await asked_for(server, who, None)
    return CompatOrders(data=[compat_order(order) for order in await server.order_store.orders(mine, limit=limit)])


@routes.get("/orders", summary="List orders", responses=READING_ONE)
async def list_orders(
    request: Request,
    server: TheServer,
    who: WhoReadsNamed,
    *,
    account_id: OfAccount,
    sought: Sought,
    cursor: Cursor = None,
    limit: Limit = 50,
    accept_language: AcceptLanguage = None,
) -> OrderList:
    """List the orders of the caller's accounts, newest first."""
    listing = _listed(
        server, await asked_for(server, who, account_id), sought, cursor, limit, language_of(accept_language)
    )
    return await while_here(request, listing, lasting=sought.narrows)


@routes.get("/cookies/{cid}/orders", summary="List an account's orders", responses=READING_ONE)
async def list_account_orders(
    request: Request,
    account: ReadAccount,
    server: TheServer,
    *,
    sought: Sought,
    cursor: Cursor = None,
    limit: Limit = 50,
    accept_language: AcceptLanguage = None,
) -> OrderList:
    """List the orders of one account, newest first."""
    listing = _listed(server, [account.id], sought, cursor, limit, language_of(accept_language))
    return await while_here(request, listing, lasting=sought.narrows)


@routes.get("/cookies/{cid}/orders/{order_id}", summary="Get an order", responses=READING_ONE)
async def get_order(
    order_id: OrderId, account: ReadAccount, server: TheServer, accept_language: AcceptLanguage = None
) -> FullOrder:
    """Return one order with its actions, and its timeline, oldest first."""
    return await _full(server, account, await _known(server, account, order_id), language_of(accept_language))


@routes.post("/cookies/{cid}/orders/{order_id}/serve", summary="Retry an order's actions", responses=CHANGING)
async def serve_order(
    order_id: OrderId,
    body: ServeBody,
    account: ReplyAccount,
    server: TheServer,
    caller: TheCaller,
    accept_language: AcceptLanguage = None,
) -> FullOrder:
    """Do failed, uncertain or skipped actions of an order: the named one, or all of these.

    The account's connection does the action; the answer waits for it while the account runs, 5 s unless `?wait=` sets
    another time. An action that is done or in progress is never repeated (409).

    While the buyer's refund is open, the order's page is read first: one that says paid, shipped or completed ends the
    refund, as does your request where the page's words are not known. One that shows the refund answers 409.

    With `replace_unit` another unit of the same goods goes to the buyer in place of that one, with a `reason`; with
    `again` the messages of the delivery go out once more, with the same units. Both need a connected account.
    """
    await require_current(server, account, caller)
    order = await _known(server, account, order_id)
    is_freed = order.status == OrderStatus.REFUNDING
    if is_freed:
        await _end_refund(server, account, order_id, caller)
        order = await _known(server, account, order_id)
    if body.replace_unit is not None or body.again:
        await send_once_more(server, account, order, caller, replace_unit=body.replace_unit, reason=body.reason)
        return await _full(server, account, order, language_of(accept_language))
    order_actions = await server.order_store.order_actions(account.id, order_id)
    actions = [Action(body.action)] if body.action else _to_serve(order, order_actions)
    may_be_done = caller.repeats or is_freed  # an order whose refund has ended goes on by itself
    if not may_be_done:
        _refuse(order, order_actions, actions)
    for action in actions:
        is_asked = await server.order_store.ask_again(account.id, order_id, action, actor=caller.actor)
        if not is_asked and not may_be_done:
            order = await _known(server, account, order_id)
            _refuse(order, await server.order_store.order_actions(account.id, order_id), [action])
    await _settled(server, account, order_id, caller)
    return await _full(server, account, await _known(server, account, order_id), language_of(accept_language))


@routes.post("/cookies/{cid}/orders/{order_id}/settle", summary="Settle an order's action", responses=CHANGING)
async def settle_order(
    order_id: OrderId,
    body: SettleBody,
    account: ReplyAccount,
    server: TheServer,
    caller: TheCaller,
    accept_language: AcceptLanguage = None,
) -> FullOrder:
    """Settle one action with the owner's statement: `done` or `not_needed`. The next action becomes due.

    Answers 409 when the action was already done or is in progress, 404 when it was never due.
    """
    await require_current(server, account, caller)
    await _known(server, account, order_id)
    action, state = Action(body.action), ActionState(OwnersWord(body.outcome).value)
    settled = await server.order_store.owner_settles(account.id, order_id, action, state, actor=caller.actor)
    if not settled and not caller.repeats:
        order_actions = await server.order_store.order_actions(account.id, order_id)
        if action not in {order_action.action for order_action in order_actions}:
            raise InvalidInput("that act was never due", code="unknown_act", action=action.value)
        _refuse_action(order_actions, action)
        raise Conflict("it is settled", code="act_settled", action=action.value)
    await _settled(server, account, order_id, caller)
    return await _full(server, account, await _known(server, account, order_id), language_of(accept_language))


async def _listed(
    server: Server, account_ids: Sequence[str], sought: SoughtOrders, cursor: str | None, limit: int, language: Language
) -> OrderList:
    place = mixed_place_of(cursor, (int, str, str)) if cursor else None
    job = OrderPage(account_ids, sought, place, limit + 1).listed
    found = await (server.database.search if sought.narrows else server.database.read)(job)
    page = found[:limit]
    now = await obstacles_now(server, page)
    items = [order_shape(one, language, now) for one in page]
    return OrderList(items=items, next=cursor_of(*page[-1].order.cursor) if len(found) > limit else None)


async def _full(server: Server, account: Account, order: Order, language: Language) -> FullOrder:
    order_store = server.order_store
    (listed,) = await server.database.read(partial(with_names, found=[order]))
    order_actions = await order_store.order_actions(account.id, order.order_id)
    events = await order_store.events(account.id, order.order_id)
    delivery = await delivery_of(server, account, order, order_actions, language)
    return full_order(listed, order_actions, events, delivery, language, await obstacles_now(server, [listed]))


async def _known(server: Server, account: Account, order_id: str) -> Order:
    order = await server.order_store.order(account.id, order_id)
    if order is None:
        raise InvalidInput("there is no such order", code="unknown_order")
    return order


def _to_serve(order: Order, order_actions: Sequence[OrderAction]) -> list[Action]:
    """Return the actions to do when the request names none."""
    in_the_way = {ActionState.FAILED, ActionState.UNCERTAIN}
    actions = [Action(order_action.action) for order_action in order_actions if order_action.state in in_the_way]
    actions = actions or [
        Action(order_action.action) for order_action in order_actions if order_action.state is ActionState.PENDING
    ]
    if not actions and order.problem in {OrderProblem.PAID_WITHOUT_CARD, OrderProblem.GROUP_NOT_READY}:
        return [Action.PAID_MESSAGE]  # the card that would make it due was not received
    if not actions and order.problem == OrderProblem.GROUP_WITHOUT_CARD:
        return [Action.FREE_SHIPPING]
    return actions or [
        Action(order_action.action) for order_action in order_actions if order_action.detail in _LEFT_ALONE
    ]


def _refuse(order: Order, order_actions: Sequence[OrderAction], actions: Sequence[Action]) -> None:
    """Raise ``Conflict`` when the actions must not, or need not, be done."""
    if order.status in ENDS or order.status == OrderStatus.SHIPPED:
        raise Conflict("the order is settled", code="order_settled", status=order.status)
    if order.status == OrderStatus.REFUNDING:
        raise Conflict("the order is being refunded", code="order_refunding")
    if not actions:
        raise Conflict("there is nothing to serve", code="nothing_to_serve", status=order.status or "unknown")
    for action in actions:
        _refuse_action(order_actions, action)
    if Action.CONFIRM in actions and order.parcel == PARCEL:
        raise Conflict("the goods go in a parcel", code="goes_in_parcel")


def _refuse_action(order_actions: Sequence[OrderAction], action: Action) -> None:
    order_action = next((order_action for order_action in order_actions if order_action.action == action), None)
    if order_action is not None and (
        order_action.state is ActionState.DONE or order_action.detail == Why.SERVED_BEFORE
    ):
        raise Conflict("it was done", code="act_done", action=action.value)
    if order_action is not None and order_action.state is ActionState.INTENDED:
        raise Conflict("it is under way", code="act_under_way", action=action.value)


async def _end_refund(server: Server, account: Account, order_id: str, caller: Caller) -> None:
    """Have the order's page read, which may end the refund. Raise ``Conflict`` while the refund is open."""
    calls = server.node_calls
    asked = {"rev": account.rev, "order_id": order_id, "actor": caller.actor}
    if calls is not None and not calls.is_mine(account.id):
        answer = await calls.ask(account.id, REFUND, asked)
    else:
        answer = await answer_refund(server, account, asked)
    if answer["says"] == PageSays.UNREAD:
        raise TemporaryFailure("the order's page could not be read", code="order_page_unread")
    if answer["says"] == PageSays.OPEN:
        raise Conflict("the order is being refunded", code="order_refunding")


async def answer_refund(server: Server, account: Account, asked: dict[str, Any]) -> dict[str, Any]:
    """Have the page of an order read whose refund is open, also for another server."""
    says = PageSays.UNREAD
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_SERVE_WAIT_SECONDS):
            says = await server.order_store.refunds.ask_for_owner(
                account.id, str(asked["order_id"]), actor=str(asked["actor"])
            )
    server.order_store.look(account.id)
    return {"says": says.value}


async def _settled(server: Server, account: Account, order_id: str, caller: Caller) -> None:
    """Wait until no action is due or in progress, while the account runs and at most as long as the caller wants."""
    seconds = SERVE_WAIT_SECONDS if caller.wait_seconds is None else caller.wait_seconds
    calls = server.node_calls
    if calls is not None and not calls.is_mine(account.id):
        await calls.ask(account.id, LOOK, {"rev": account.rev, "order_id": order_id, "seconds": seconds})
        return
    await _settled_here(server, account, order_id, seconds)


async def answer_look(server: Server, account: Account, asked: dict[str, Any]) -> dict[str, Any]:
    """Look for due actions of an order for another server, and wait for them."""
    server.order_store.look(account.id)
    await _settled_here(server, account, str(asked["order_id"]), float(asked["seconds"]))
    return {}


async def _settled_here(server: Server, account: Account, order_id: str, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + min(seconds, LONGEST_SERVE_WAIT_SECONDS)
    open_states = {ActionState.PENDING, ActionState.INTENDED}
    while loop.time() < ends_at:
        if server.manager.observation(account.id).state is not AccountState.RUNNING:
            return
        found = await server.order_store.order_actions(account.id, order_id)
        if not any(order_action.state in open_states for order_action in found):
            return
        await asyncio.sleep(_LOOK_SECONDS)
