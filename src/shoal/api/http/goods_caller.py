"""Dependencies of routes about goods: whose goods they are, who changes them, and under which op id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Path, Request

from shoal.api.http.caller import actor_of, known, op_of, server_in
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
