"""What buyers wrote, and what was answered."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from shoal.api.caller import Me, TheServer, own_accounts
from shoal.api.cursors import cursor_of, place_of
from shoal.api.documented import READING_ONE
from shoal.api.history import Cursor, Limit
from shoal.api.shapes import example, maybe_rfc3339, rfc3339
from shoal.errors import UnknownAccount
from shoal.message_log import Direction, LoggedMessage, OutboxKind, Sending, SendOutcome
from shoal.server import Server
from shoal.users import User

routes = APIRouter(tags=["messages"])

_NO_NUL = r"^[^\x00]*$"


class SendingShape(BaseModel):
    """Something that was sent in answer, and what became of it."""

    id: int
    kind: OutboxKind
    text: str
    image_url: str
    rule_id: str | None
    order_id: str | None
    outcome: SendOutcome
    reason: str
    at: str
    settled_at: str | None


class MessageShape(BaseModel):
    """One message of a chat."""

    id: int
    account: str
    message_id: str
    chat_id: str
    item_id: str | None
    sender_id: str
    sender_name: str
    direction: Direction
    content_type: str
    text: str
    at: str
    received_at: str
    handled: bool
    answers: list[SendingShape]


class MessageList(BaseModel):
    """Messages, newest first."""

    model_config = example(
        items=[
            {
                "id": 31, "account": "my-shop", "message_id": "31.PNM", "chat_id": "59000001", "item_id": None,
                "sender_id": "2200000000099", "sender_name": "buyer", "direction": "in", "content_type": "text",
                "text": "在吗", "at": "2026-01-02T03:04:05.000Z", "received_at": "2026-01-02T03:04:05.120Z",
                "handled": True,
                "answers": [
                    {
                        "id": 9, "kind": "reply", "text": "在的", "image_url": "", "rule_id": "5f2b9c0d1e3a4b6c",
                        "order_id": None, "outcome": "sent", "reason": "", "at": "2026-01-02T03:04:05.640Z",
                        "settled_at": "2026-01-02T03:04:05.700Z",
                    }
                ],
            }
        ],
        next=None,
    )  # fmt: skip
    items: list[MessageShape]
    next: str | None


@routes.get("/messages", summary="List messages", responses=READING_ONE)
async def list_messages(
    server: TheServer,
    me: Me,
    *,
    cid: Annotated[str | None, Query(description="Only of this account.", examples=["my-shop"])] = None,
    chat: Annotated[str | None, Query(max_length=200, pattern=_NO_NUL, description="Only of this chat.")] = None,
    q: Annotated[
        str, Query(max_length=200, pattern=_NO_NUL, description="Only with this in the text or the sender's name.")
    ] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> MessageList:
    """Messages of the caller's accounts, newest first, each with what was answered."""
    before = place_of(cursor, 2) if cursor else None
    found = await server.message_log.list_messages(
        _asked_for(server, me, cid),
        chat_id=chat,
        before=(before[0], before[1]) if before else None,
        limit=limit + 1,
        query=q,
    )
    page = found[:limit]
    following = cursor_of(*page[-1].cursor) if len(found) > limit else None
    return MessageList(items=[_message(message) for message in page], next=following)


def _asked_for(server: Server, me: User, cid: str | None) -> list[str]:
    mine = [account.id for account in own_accounts(server, me)]
    if cid is None:
        return mine
    if cid not in mine:
        raise UnknownAccount(cid)
    return [cid]


def _message(logged: LoggedMessage) -> MessageShape:
    message = logged.message
    return MessageShape(
        id=logged.id,
        account=logged.account_id,
        message_id=message.message_id,
        chat_id=message.chat_id,
        item_id=message.item_id,
        sender_id=message.sender_id,
        sender_name=message.sender_name,
        direction=message.direction,
        content_type=message.content_type,
        text=message.text,
        at=rfc3339(message.created_at_ms),
        received_at=rfc3339(logged.received_at_ms),
        handled=message.handled,
        answers=[_answer(sending) for sending in logged.sendings],
    )


def _answer(sending: Sending) -> SendingShape:
    row = sending.row
    return SendingShape(
        id=sending.id,
        kind=row.kind,
        text=row.text,
        image_url=row.image_url,
        rule_id=row.rule_id,
        order_id=row.order_id,
        outcome=sending.outcome,
        reason=sending.reason,
        at=rfc3339(sending.created_at_ms),
        settled_at=maybe_rfc3339(sending.settled_at_ms),
    )
