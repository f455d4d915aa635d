"""Orders that wait for units of goods: which there are, and how they are served once there are units again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from shoal.accounts.account import Account
from shoal.api.http.caller import TheServer
from shoal.api.http.goods_caller import GoodsToChange, GoodsToRead, TheBy
from shoal.api.http.openapi_errors import CHANGING, READING_ONE, problems
from shoal.api.http.routing import Routes
from shoal.api.routes.items_anywhere import items_of
from shoal.api.schemas.restock import (
    ServedWaiting,
    ServeWaitingBody,
    WaitingList,
    WaitingOrderShape,
    waiting_shape,
)
from shoal.api.schemas.rules import TheLanguage
from shoal.api.server import Server
from shoal.errors import ShoalError
from shoal.goods.goods import Goods
from shoal.goods.unit_states import UnitState
from shoal.language.choice import Language
from shoal.orders.order_lists import buyer_names
from shoal.orders.waiting_orders import WaitingOrder, WaitingOrders

routes = Routes(tags=["goods"])


@routes.get("/goods/{goods_id}/waiting", summary="List waiting orders", responses={**READING_ONE, **problems(403)})
async def list_waiting(goods: GoodsToRead, server: TheServer, language: TheLanguage) -> WaitingList:
    """List the orders of all the owner's shops that wait for these goods, and what each would get of the stock now."""
    counts = await server.goods.store.counts([goods.id])
    waiting = await waiting_orders(server).of_goods(goods)
    return WaitingList(free=counts[goods.id][UnitState.FREE], items=await _shapes(server, waiting, language))


@routes.post("/goods/{goods_id}/serve-waiting", summary="Serve waiting orders", responses=CHANGING)
async def serve_waiting(
    body: ServeWaitingBody, goods: GoodsToChange, server: TheServer, by: TheBy, language: TheLanguage
) -> ServedWaiting:
    """Ask again for each waiting order that the stock is enough for, the oldest first. Those of a shop that is not
    connected are served when it is. Look first whether their buyers were served by hand.
    """
    only = None if body.orders is None else {(one.account, one.order_id) for one in body.orders}
    waiting = await waiting_orders(server).serve(goods, actor=by.actor, only=only)
    return ServedWaiting(requested=sum(one.gets > 0 for one in waiting), items=await _shapes(server, waiting, language))


def waiting_orders(server: Server) -> WaitingOrders:
    """Return what finds the waiting orders of all accounts."""
    return WaitingOrders(
        server.database,
        server.goods.store,
        server.order_store,
        lambda: list(server.manager.accounts.values()),
        lambda account: titles_of(server, account),
    )


async def titles_of(server: Server, account: Account) -> Mapping[str, str]:
    """Return the titles of an account's items on sale; none when the site cannot be asked now."""
    try:
        listed = await items_of(server, account)
    except ShoalError:
        return {}
    return {} if listed is None else listed.titles


async def after_import(server: Server, goods: Goods, actor: str) -> tuple[int, int]:
    """Return how many orders wait for goods that were just restocked, and how many of these are served now.

    Only goods whose owner switched that on serve them by themselves: the buyers may have been served by hand.
    """
    waiting = waiting_orders(server)
    if not goods.serve_on_restock:
        return len(await waiting.of_goods(goods)), 0
    found = await waiting.serve(goods, actor=actor)
    return len(found), sum(one.gets > 0 for one in found)


async def _shapes(server: Server, waiting: Sequence[WaitingOrder], language: Language) -> list[WaitingOrderShape]:
    keys = {(one.order.account_id, one.order.chat_id) for one in waiting if one.order.chat_id}
    names = await server.database.read(partial(buyer_names, keys=keys))
    return [waiting_shape(one, names.get((one.order.account_id, one.order.chat_id), ""), language) for one in waiting]
