"""Forgetting a buyer: what one said, and what was said to one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel

from shoal.accounts.account import Account
from shoal.api.http.caller import Origin, TheServer, WhoManages, actor_of
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example
from shoal.api.schemas.rules import TheLanguage
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.auth.users import Role
from shoal.errors import Forbidden
from shoal.language.catalogue import translate
from shoal.maintenance.forgotten_buyers import ForgottenBuyers, Shop

routes = Routes(tags=["messages"])

BuyerId = Annotated[str, Path(description="The site's number of the buyer.", max_length=64, examples=["2200000000099"])]
_COUNTS: dict[str, Any] = {"accounts": 1, "chats": 1, "messages": 12, "sendings": 7, "orders": 1}


class BuyerForgotten(BaseModel):
    """How many rows were emptied, and in how many accounts. ``nothing``: nothing of this buyer is here, as ``detail``
    says.
    """

    model_config = example(msg="forgotten", detail="", **_COUNTS)
    msg: Literal["forgotten", "nothing"]
    detail: str
    accounts: int
    chats: int
    messages: int
    sendings: int
    orders: int


@routes.delete("/buyers/{buyer_id}", summary="Forget a buyer", responses=problems(400, 401, 403, 409, 422, 503))
async def forget_buyer(
    buyer_id: BuyerId,
    server: TheServer,
    who: WhoManages,
    origin: Origin,
    language: TheLanguage,
    *,
    everywhere: Annotated[bool, Query(description="In the shops of all users. For administrators.")] = False,
    even_open: Annotated[bool, Query(description="Also while orders of the buyer have not ended.")] = False,
) -> BuyerForgotten:
    """Erase the messages of a buyer's chats, what was sent to the buyer, and the buyer's name and number.

    In the shops that the caller owns. Orders, and which unit each got, stay without a name. There is no way back. Doing
    it again erases what came since.
    """
    shops = _shops(server, who, everywhere=everywhere)
    forgotten = await ForgottenBuyers(server.database).forget(
        buyer_id, [Shop(account_id=one.id, unb=one.unb) for one in shops], even_open=even_open
    )
    found = [one for one in forgotten if not one.is_nothing]
    for one in found:
        await server.audit_log.record(
            AuditEvent.BUYER_FORGOTTEN,
            actor=actor_of(who.user),
            user_id=who.id,
            origin=origin,
            account=one.account_id,
            chats=one.chats,
            messages=one.messages,
            sendings=one.sendings,
            orders=one.orders,
        )
    return BuyerForgotten(
        msg="forgotten" if found else "nothing",
        detail="" if found else translate("buyers.nothing", language),
        accounts=len(found),
        chats=sum(one.chats for one in found),
        messages=sum(one.messages for one in found),
        sendings=sum(one.sendings for one in found),
        orders=sum(one.orders for one in found),
    )


def _shops(server: Server, who: Principal, *, everywhere: bool) -> list[Account]:
    if not everywhere:
        return [one for one in server.authorization.accounts_of(who, Permission.OWN) if one.owner_id == who.id]
    if who.session is None:
        raise Forbidden("no token may do this", code="token_not_allowed")
    if who.user.role is not Role.ADMIN:
        raise Forbidden
    return list(server.manager.accounts.values())
