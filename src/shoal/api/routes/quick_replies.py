"""Quick replies: texts that people insert in a chat, of one shop or of all shops of an owner."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from shoal.api.http.account_filter import OfAccount
from shoal.api.http.caller import TheServer, WhoOperatesNamed, WhoReadsNamed
from shoal.api.http.goods_caller import TheBy
from shoal.api.http.openapi_errors import POSTING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.http.states_elsewhere import found_account
from shoal.api.schemas.quick_replies import (
    QuickReplyBody,
    QuickReplyDeleted,
    QuickReplyList,
    QuickReplyShape,
    quick_reply_shape,
)
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.errors import Forbidden
from shoal.messages.quick_replies import QuickReply, UnknownQuickReply

routes = Routes(tags=["messages"])

ReplyId = Annotated[int, Path(ge=1, le=2**53, description="The `id` of a quick reply.", examples=[3])]
_CHANGE = POSTING


@routes.get("/quick-replies", summary="List quick replies", responses=READING_ONE)
async def list_quick_replies(server: TheServer, who: WhoReadsNamed, account_id: OfAccount) -> QuickReplyList:
    """List the texts to insert in chats: those of the caller's shops, and those for all shops of their owners."""
    if account_id is None:
        accounts = server.authorization.accounts_of(who)
        owners = {account.owner_id for account in accounts}
        if who.token is None or who.token.only_accounts is None:
            owners.add(who.id)
    else:
        accounts = [await found_account(server, who, account_id, Permission.READ)]
        owners = {accounts[0].owner_id}
    found = await server.chat_desk.quick_replies.of(sorted(owners), [account.id for account in accounts])
    return QuickReplyList(items=[_shape(server, who, one) for one in found])


@routes.post("/quick-replies", summary="Add a quick reply", responses=_CHANGE)
async def add_quick_reply(body: QuickReplyBody, server: TheServer, who: WhoOperatesNamed, by: TheBy) -> QuickReplyShape:
    """Add a text for a shop that the caller may operate, or for all shops of the caller; at most 200 of an owner."""
    new = await _new(server, who, body)
    return _shape(server, who, await server.chat_desk.quick_replies.add(new, body.position, by.op_id))


@routes.put("/quick-replies/{reply_id}", summary="Replace a quick reply", responses=_CHANGE)
async def replace_quick_reply(
    reply_id: ReplyId, body: QuickReplyBody, server: TheServer, who: WhoOperatesNamed
) -> QuickReplyShape:
    """Replace a text, its shortcut, its shop and, if it is given, its position."""
    before = await _to_change(server, who, reply_id)
    new = await _new(server, who, body, owner_id=before.owner_id)
    return _shape(server, who, await server.chat_desk.quick_replies.change(reply_id, new, body.position))


@routes.delete("/quick-replies/{reply_id}", summary="Delete a quick reply", responses=_CHANGE)
async def delete_quick_reply(reply_id: ReplyId, server: TheServer, who: WhoOperatesNamed) -> QuickReplyDeleted:
    """Delete a text."""
    await _to_change(server, who, reply_id)
    await server.chat_desk.quick_replies.delete(reply_id)
    return QuickReplyDeleted(id=reply_id)


async def _new(server: Server, who: Principal, body: QuickReplyBody, owner_id: int | None = None) -> QuickReply:
    """Return the body's quick reply, of its shop's owner, or of the caller. Raise what refuses it."""
    if body.account is not None:
        owner = (await found_account(server, who, body.account, Permission.OPERATE)).owner_id
    else:
        owner = who.id
        if who.token is not None and who.token.only_accounts is not None:
            raise Forbidden("the token is for some shops", code="token_not_allowed")
        if not who.owns_shops:
            raise Forbidden("staff own no shops", code="staff_owns_none")
    if owner_id not in {None, owner}:
        raise UnknownQuickReply  # it never moves to another owner
    return QuickReply(owner_id=owner, account_id=body.account, shortcut=body.shortcut, text=body.text)


async def _to_change(server: Server, who: Principal, reply_id: int) -> QuickReply:
    """Return a quick reply that the caller may change. One that the caller may not change is as unknown as none."""
    reply = await server.chat_desk.quick_replies.find(reply_id)
    if not _may_change(server, who, reply):
        raise UnknownQuickReply
    return reply


def _may_change(server: Server, who: Principal, reply: QuickReply) -> bool:
    if reply.account_id is None:
        is_limited = who.token is not None and who.token.only_accounts is not None
        return reply.owner_id == who.id and who.most >= Permission.OPERATE and not is_limited
    account = server.manager.accounts.get(reply.account_id)
    given = None if account is None else server.authorization.permission_on(who, account)
    return given is not None and given >= Permission.OPERATE


def _shape(server: Server, who: Principal, reply: QuickReply) -> QuickReplyShape:
    return quick_reply_shape(reply, may_change=_may_change(server, who, reply))
