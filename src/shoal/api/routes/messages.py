"""Messages of chats, the decision about each, and the messages that were sent."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BaseModel

from shoal.api.http.account_filter import NO_NUL, OfAccount, asked_for
from shoal.api.http.caller import ReplyAccount, TheCaller, TheServer, WhoReadsNamed
from shoal.api.http.changes import require_current
from shoal.api.http.disconnects import while_here
from shoal.api.http.openapi_errors import CHANGING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.http.timestamps import Since, Until, ms_of
from shoal.api.routes.history import Cursor, Limit
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.errors import InvalidInput
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, LoggedMessage
from shoal.messages.outbox_rows import OutboxKind, Sending, SendOutcome

routes = Routes(tags=["messages"])

_SENDING = {
    "id": 9, "kind": "reply", "part": 0, "text": "在的", "has_units": False, "image_url": "",
    "rule_id": "5f2b9c0d1e3a4b6c", "order_id": None, "actor": "", "outcome": "sent", "reason": "", "resends": 0,
    "at": "2026-01-02T03:04:05.640Z", "settled_at": "2026-01-02T03:04:05.700Z",
}  # fmt: skip
_WHERE = {"account": "my-shop", "chat_id": "59000001", "buyer_id": "2200000000099", "message_id": "31.PNM"}

OfChat = Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="Only for this chat.")]


MessageId = Annotated[
    str,
    Path(pattern=r"^[0-9A-Za-z._-]{1,160}$", description="The `message_id` of a message.", examples=["paid-31.PNM"]),
]


class PaymentSettled(BaseModel):
    """The payment is handled. ``settled``: it was open before."""

    model_config = example(msg="handled", settled=True)
    msg: str = "handled"
    settled: bool


class SendingShape(BaseModel):
    """One message from the outbox and its outcome. ``part`` counts the messages of one answer from 0.

    ``has_units``: `{codes}` in the text stands for units of the stock, which the buyer got; else for itself.
    """

    id: int
    kind: OutboxKind
    part: int
    text: str
    has_units: bool
    image_url: str
    rule_id: str | None
    order_id: str | None
    actor: str
    outcome: SendOutcome
    reason: str
    resends: int
    at: str
    settled_at: str | None


class SendingRow(SendingShape):
    """An outbox message with its chat, and the message that it answers, if any."""

    account: str
    chat_id: str
    buyer_id: str
    message_id: str | None


class SendingList(BaseModel):
    """Outbox messages, newest first."""

    model_config = example(items=[_SENDING | _WHERE], next=None)
    items: list[SendingRow]
    next: str | None


class MessageShape(BaseModel):
    """One message of a chat.

    ``decision`` says why it was answered or not (empty: not decided yet), ``rule_id`` by which rule. A message that was
    answered together with a later one is ``joined_to`` that one. ``repeats`` counts later copies that were ignored.
    ``filtered_words``: what the output filter found in the answer that it held back.
    """

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
    decision: Decision
    rule_id: str
    joined_to: str | None
    repeats: int
    filtered_words: list[str]
    answers: list[SendingShape]


class MessageList(BaseModel):
    """Messages, newest first."""

    model_config = example(
        items=[
            {
                "id": 31, "account": "my-shop", "message_id": "31.PNM", "chat_id": "59000001", "item_id": None,
                "sender_id": "2200000000099", "sender_name": "buyer", "direction": "in", "content_type": "text",
                "text": "在吗", "at": "2026-01-02T03:04:05.000Z", "received_at": "2026-01-02T03:04:05.120Z",
                "handled": True, "decision": "answered", "rule_id": "5f2b9c0d1e3a4b6c", "joined_to": None, "repeats": 0,
                "filtered_words": [],
                "answers": [_SENDING],
            }
        ],
        next=None,
    )  # fmt: skip
    items: list[MessageShape]
    next: str | None


@routes.get("/messages", summary="List messages", responses=READING_ONE)
async def list_messages(
    request: Request,
    server: TheServer,
    who: WhoReadsNamed,
    *,
    account_id: OfAccount,
    chat: OfChat = None,
    direction: Annotated[
        Direction | None,
        Query(
            description="Only messages from the buyer (`in`), from Shoal (`out`), or written by the owner (`human`)."
        ),
    ] = None,
    decision: Annotated[Decision | None, Query(description="Only messages with this decision.")] = None,
    handled: Annotated[bool | None, Query(description="Only messages that need nothing (or something) more.")] = None,
    since: Since = None,
    until: Until = None,
    q: Annotated[
        str,
        Query(
            max_length=200,
            pattern=NO_NUL,
            description="Only messages with this text in the message or the sender's name.",
        ),
    ] = "",
    cursor: Cursor = None,
    limit: Limit = 50,
) -> MessageList:
    """List messages of the caller's accounts, newest first, each with the decision about it and its answers."""
    before = place_of(cursor, 2) if cursor else None
    found = await while_here(
        request,
        server.message_log.list_messages(
            await asked_for(server, who, account_id),
            chat_id=chat,
            direction=direction,
            decision=decision,
            handled=handled,
            since_ms=ms_of(since),
            until_ms=ms_of(until),
            before=(before[0], before[1]) if before else None,
            limit=limit + 1,
            query=q,
        ),
        lasting=bool(q),
    )
    page = found[:limit]
    following = cursor_of(*page[-1].cursor) if len(found) > limit else None
    return MessageList(items=[_message(message) for message in page], next=following)


@routes.post("/cookies/{cid}/messages/{message_id}/settle", summary="Mark a payment as handled", responses=CHANGING)
async def settle_message(
    message_id: MessageId, account: ReplyAccount, server: TheServer, caller: TheCaller
) -> PaymentSettled:
    """Record that the owner has handled a payment that names no order (`paid_unknown`).

    Answers 404 when there is no such payment.
    """
    await require_current(server, account, caller)
    was_open = await server.message_log.settle_payment(account.id, message_id)
    if was_open is None:
        raise InvalidInput("there is no such payment", code="unknown_payment")
    return PaymentSettled(settled=was_open)


@routes.get("/sendings", summary="List sent messages", responses=READING_ONE)
async def list_sendings(
    server: TheServer,
    who: WhoReadsNamed,
    *,
    account_id: OfAccount,
    chat: OfChat = None,
    order: Annotated[str | None, Query(pattern=r"^[0-9]{1,32}$", description="Only messages for this order.")] = None,
    outcome: Annotated[SendOutcome | None, Query(description="Only messages with this outcome.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> SendingList:
    """List what the caller's accounts sent, also by hand and for orders, newest first, with the site's answer."""
    before = place_of(cursor, 1) if cursor else None
    found = await server.message_log.outbox.list_sendings(
        await asked_for(server, who, account_id),
        chat_id=chat,
        order_id=order,
        outcome=outcome,
        before_id=before[0] if before else None,
        limit=limit + 1,
    )
    page = found[:limit]
    following = cursor_of(page[-1].id) if len(found) > limit else None
    return SendingList(items=[_sending(sending) for sending in page], next=following)


def _message(logged: LoggedMessage) -> MessageShape:
    message = logged.message
    return filled(
        MessageShape,
        message,
        id=logged.id,
        account=logged.account_id,
        at=rfc3339(message.created_at_ms),
        received_at=rfc3339(logged.received_at_ms),
        rule_id=logged.rule_id,
        joined_to=logged.joined_to,
        repeats=logged.repeats,
        filtered_words=list(logged.filtered_words),
        answers=[_answer(sending) for sending in logged.sendings],
    )


def _sending(sending: Sending) -> SendingRow:
    row = sending.row
    return SendingRow(
        **_answer(sending).model_dump(),
        account=row.account_id,
        chat_id=row.chat_id,
        buyer_id=row.buyer_id,
        message_id=row.message_id,
    )


def _answer(sending: Sending) -> SendingShape:
    row = sending.row
    return filled(
        SendingShape,
        row,
        id=sending.id,
        resends=sending.resends,
        has_units=bool(row.units),
        outcome=sending.outcome,
        reason=sending.reason,
        at=rfc3339(sending.created_at_ms),
        settled_at=maybe_rfc3339(sending.settled_at_ms),
    )
