"""Dependencies of routes about goods and cards: whose goods they are, who changes them, and under which op id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Path, Request

from shoal.accounts.change_path import Caller
from shoal.api.http.caller import actor_of, known, op_of, origin_for, permit, server_in
from shoal.api.http.route_rules import Asks, RouteRule, reads_token, ruled
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission, permission_missing
from shoal.errors import Forbidden
from shoal.goods.goods import Goods, UnknownGoods
from shoal.goods.stock_history import By

GoodsId = Annotated[int, Path(ge=1, le=2**53, description="The id of the goods.", examples=[7])]


def require_goods(who: Principal, permission: Permission, *, adds: bool = False) -> None:
    """Raise ``Forbidden`` for a token that may do less, or is for some shops only: goods are of the whole user."""
    if who.token is not None and who.token.only_accounts is not None:
        raise Forbidden("the token is for some shops", code="token_not_allowed")
    if who.most < permission:
        raise permission_missing(permission, who.most, by_token=True)
    if adds and not who.owns_shops:
        raise Forbidden("staff own no goods", code="staff_owns_none")


def _who(permission: Permission, *, adds: bool = False) -> Callable[..., Awaitable[Principal]]:
    @ruled(RouteRule(asks=Asks.PERMISSION, permission=permission, adds_shops=adds))
    async def who_may(request: Request) -> Principal:
        who = await known(request)
        require_goods(who, permission, adds=adds)
        return who

    return who_may


WhoListsGoods = Annotated[Principal, Depends(_who(Permission.READ))]
WhoAddsGoods = Annotated[Principal, Depends(_who(Permission.OPERATE, adds=True))]


def _goods(permission: Permission) -> Callable[..., Awaitable[Goods]]:
    """Build a dependency that returns the goods of the path. Those of another user are as unknown as none."""

    @ruled(RouteRule(asks=Asks.PERMISSION, permission=permission))
    async def goods_of_path(request: Request, goods_id: GoodsId) -> Goods:
        who = await known(request)
        require_goods(who, permission)
        goods = await server_in(request).goods.store.get(goods_id)
        if goods is None or goods.owner_id != who.id:
            raise UnknownGoods
        return goods

    return goods_of_path


GoodsToRead = Annotated[Goods, Depends(_goods(Permission.READ))]
GoodsToChange = Annotated[Goods, Depends(_goods(Permission.OPERATE))]
GoodsToReveal = Annotated[Goods, Depends(_goods(Permission.OWN))]
"""Units are secrets, like cookies: a token needs the scope ``own`` to read one."""


@reads_token
async def by_of(request: Request) -> By:
    """Return who changes goods, and under which op id."""
    who = await known(request)
    op = op_of(request, who)
    return By(actor=actor_of(who.user), op_id=op.op_id, repeats=not op.is_new)


TheBy = Annotated[By, Depends(by_of)]


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
