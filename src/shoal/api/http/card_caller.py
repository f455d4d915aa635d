"""Dependencies of routes about cards: the goods of a person, found by the id of a card."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Path, Request

from shoal.accounts.change_path import Caller
from shoal.api.http.caller import actor_of, known, origin_for, permit, server_in
from shoal.api.http.goods_caller import TheBy, require_goods
from shoal.api.http.route_rules import Asks, RouteRule, reads_token, ruled
from shoal.auth.permission import Permission
from shoal.goods.goods import Goods, UnknownGoods

CardId = Annotated[int, Path(ge=1, le=2**53, description="The id of the card: that of its goods.", examples=[7])]


def _card(permission: Permission) -> Callable[..., Awaitable[Goods]]:
    """Build a dependency that returns the goods of the card of the path. Another user's are as unknown as none."""

    @ruled(RouteRule(asks=Asks.PERMISSION, permission=permission))
    async def goods_of_card(request: Request, card_id: CardId) -> Goods:
        who = await known(request)
        require_goods(who, permission)
        goods = await server_in(request).goods.store.get(card_id)
        if goods is None or goods.owner_id != who.id:
            raise UnknownGoods(code="unknown_card")
        return goods

    return goods_of_card


CardToRead = Annotated[Goods, Depends(_card(Permission.READ))]
CardToChange = Annotated[Goods, Depends(_card(Permission.OPERATE))]


@reads_token
async def caller_of_shops(request: Request, by: TheBy) -> Caller:
    """Return who changes a person's shops; each has an op of its own."""
    who, server = await known(request), server_in(request)
    return Caller(
        actor=actor_of(who.user),
        permit=permit(server, who, Permission.OPERATE),
        op_id=by.op_id,
        repeats=by.repeats,
        wait_seconds=0,
        origin=origin_for(request, who),
    )


CallerOfShops = Annotated[Caller, Depends(caller_of_shops)]
