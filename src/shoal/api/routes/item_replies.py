"""Item replies, in the REST dialect of the system that sellers come from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from fastapi import Path, Request, Response
from pydantic import BaseModel

from shoal.accounts import edits
from shoal.accounts.account import Account
from shoal.accounts.item_setting import ItemSetting
from shoal.api.http.caller import AccountToChange, AccountToRead, TheCaller, TheServer, WhoOperatesNamed, WhoReads
from shoal.api.http.changes import changed
from shoal.api.http.idempotency import leave_open
from shoal.api.http.openapi_errors import CHANGING, READING, READING_COMPAT, problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.account_requests import ItemRepliesBody, ItemReplyBody
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, etag_of, example
from shoal.api.server import Server
from shoal.auth.permission import Permission
from shoal.errors import InvalidInput, ShoalError, StoreError

routes = Routes(tags=["item replies"])

ItemId = Annotated[str, Path(description="The item's id on the site.", examples=["700000000001"])]
_EXAMPLE = {
    "item_id": "700000000001", "cookie_id": "my-shop", "reply_content": "这款今天发货", "created_at": None,
    "updated_at": None, "item_title": None, "item_detail": None,
}  # fmt: skip


class ItemReply(BaseModel):
    """One item's reply. Times, title and detail are always null: the history has the time of each change."""

    model_config = example(**_EXAMPLE)
    item_id: str
    cookie_id: str
    reply_content: str
    created_at: str | None = None
    updated_at: str | None = None
    item_title: str | None = None
    item_detail: str | None = None


class ItemReplies(BaseModel):
    """Item replies, by account and item."""

    model_config = example(items=[_EXAMPLE])
    items: list[ItemReply]


class ItemReplyChanged(ChangeFacts):
    """The item's reply was changed."""

    model_config = example(message="商品回复更新成功", **CHANGE_EXAMPLE)
    message: str = "商品回复更新成功"


class ItemReplyDeleted(ChangeFacts):
    """The item's reply was deleted."""

    model_config = example(message="商品回复删除成功", **CHANGE_EXAMPLE)
    message: str = "商品回复删除成功"


class ItemRepliesDeleted(BaseModel):
    """How many replies were deleted, and how many were missing or could not be deleted."""

    model_config = example(success_count=2, failed_count=0)
    success_count: int
    failed_count: int


@routes.get("/itemReplays", summary="List all item replies", responses=READING)
async def list_item_replies(server: TheServer, who: WhoReads) -> ItemReplies:
    """List the item replies of the caller's accounts."""
    return ItemReplies(items=_shown(server.authorization.accounts_of(who)))


@routes.get("/itemReplays/cookie/{cid}", summary="List an account's item replies", responses=READING_COMPAT)
async def list_item_replies_of(account: AccountToRead, response: Response) -> ItemReplies:
    """List the item replies of one account."""
    response.headers["ETag"] = etag_of(account)
    return ItemReplies(items=_shown([account]))


@routes.get("/item-reply/{cid}/{item_id}", summary="Get an item reply", responses={**READING_COMPAT, **problems(404)})
async def get_item_reply(item_id: ItemId, account: AccountToRead, response: Response) -> ItemReply:
    """Return the reply about one item, sent when no rule matches."""
    found = [reply for reply in _shown([account]) if reply.item_id == item_id]
    if not found:
        raise InvalidInput("that item has no reply", code="unknown_item_reply")
    response.headers["ETag"] = etag_of(account)
    return found[0]


@routes.put("/item-reply/{cid}/{item_id}", summary="Change an item reply", responses=CHANGING)
async def update_item_reply(
    item_id: ItemId,
    body: ItemReplyBody,
    account: AccountToChange,
    server: TheServer,
    caller: TheCaller,
    response: Response,
) -> ItemReplyChanged:
    """Set the reply about one item, sent when no rule matches. The item's other settings stay."""
    if not body.reply_content.strip():
        raise InvalidInput("the reply is empty", code="empty_item_reply")
    values = {"reply": body.reply_content.strip()}
    change = server.manager.update_item(account.id, item_id, values, caller=caller)
    return ItemReplyChanged(**await changed(server, response, account.id, change))


@routes.delete("/item-reply/batch", summary="Delete several item replies", responses=CHANGING)
async def delete_item_replies(
    body: ItemRepliesBody, server: TheServer, who: WhoOperatesNamed, caller: TheCaller, request: Request
) -> ItemRepliesDeleted:
    """Delete the replies of items, in one change for each account. As a batch, it refuses an `If-Match`."""
    if caller.if_match is not None:
        raise InvalidInput("a batch has no ETag", code="bad_if_match/batch")
    request.state.unknown_account = "unknown_account/change"
    by_account: defaultdict[str, list[str]] = defaultdict(list)
    for row in body.items:
        server.authorization.require(who, row.cookie_id, Permission.OPERATE)
        by_account[row.cookie_id].append(row.item_id)
    gone = 0
    for account_id, item_ids in by_account.items():
        present = server.manager.accounts.get(account_id)
        if present is None:  # deleted since the request began: its replies count as failed
            continue
        there = {item.item_id for item in present.items if item.reply}
        one = replace(caller, op_id=f"{caller.op_id}:{account_id}", if_match=None)
        try:
            outcome = await server.manager.update_items(account_id, edits.no_item_replies(item_ids), caller=one)
        except ShoalError as error:
            if isinstance(error, StoreError):
                leave_open(request)
            continue
        if outcome.changed:
            gone += await _gone_by(server, account_id, outcome.rev) if caller.repeats else len(there & set(item_ids))
    return ItemRepliesDeleted(success_count=gone, failed_count=len(body.items) - gone)


@routes.delete("/item-reply/{cid}/{item_id}", summary="Delete an item reply", responses=CHANGING)
async def delete_item_reply(
    item_id: ItemId, account: AccountToChange, server: TheServer, caller: TheCaller, response: Response
) -> ItemReplyDeleted:
    """Delete the reply about one item. The item's other settings stay."""
    change = server.manager.update_items(account.id, edits.no_item_reply(item_id), caller=caller)
    return ItemReplyDeleted(**await changed(server, response, account.id, change))


async def _gone_by(server: Server, account_id: str, rev: int) -> int:
    """Return how many replies a change deleted. A repeated request needs it for a change made the first time."""
    entries = await server.store.journal(account_id=account_id, after_rev=rev - 1, limit=1)
    changes = entries[0].changes.get("items", {}) if entries else {}
    removed = sum(bool(item["reply"]) for item in changes.get("removed", ()))
    return removed + sum(bool(old["reply"]) and not new["reply"] for old, new in changes.get("edited", ()))


def _shown(accounts: Iterable[Account]) -> list[ItemReply]:
    def row(account: Account, item: ItemSetting) -> ItemReply:
        return ItemReply(item_id=item.item_id, cookie_id=account.id, reply_content=item.reply)

    return [row(account, item) for account in accounts for item in account.items if item.reply]
