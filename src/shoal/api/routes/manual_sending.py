"""A user's message, sent over the live connection of its account: here, or at the server that runs the account."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from shoal.accounts.account import Account
from shoal.accounts.ownership import carrying
from shoal.api.server import Server
from shoal.assistant.drafts import RunClosed
from shoal.cluster.node_calls import AnswerLost, NodeCalls, OwnerMoved, RefusedThere
from shoal.errors import ShoalError
from shoal.messages.manual_sending import Filtered, NotConnected, NotSent, send_by_hand
from shoal.messages.outbox_rows import SendOutcome
from shoal.messages.sender import OutgoingMessage, Sent

SEND: Final = "send"
_LOOKS: Final = 10
_LOOKED_SECONDS: Final = 0.5
"""How often, and how long after each other, a message is looked for that its new owner has to settle."""
_SETTLED: Final = {SendOutcome.SENT, SendOutcome.REFUSED, SendOutcome.UNCERTAIN, SendOutcome.DROPPED}
_FIELDS: Final = ("chat_id", "buyer_id", "text", "image_url", "actor", "op_id")
_REFUSALS: Final[dict[str, type[ShoalError]]] = {
    "account_disabled": NotConnected, "not_connected": NotConnected, "not_sent": NotSent, "filtered": Filtered,
    "run_closed": RunClosed,
}  # fmt: skip


async def send_for(
    server: Server,
    account: Account,
    outgoing: OutgoingMessage,
    *,
    repeats: bool,
    anyway: bool = False,
    take_over: bool = False,
    draft_id: int | None = None,
) -> Sent:
    """Send a message where the account runs, and wait for the site's answer. Raise as ``send_by_hand``.

    ``draft_id``: the run whose draft it is, which is closed in the transaction that queues it; ``RunClosed`` when it is
    no draft any more. Of several servers also ``OwnerAway`` (certainly nothing was sent) and ``AnswerLost``.
    """
    calls = server.node_calls
    if calls is not None and not calls.is_mine(account.id):
        message = {name: getattr(outgoing, name) for name in _FIELDS}
        flags = {"repeats": repeats, "anyway": anyway, "take_over": take_over, "draft_id": draft_id}
        asked = {"rev": account.rev, "message": message, **flags}
        try:
            return await _send_there(calls, account.id, asked)
        except AnswerLost as lost:  # what it has stored of the message is more than silence
            sent = await _stored(server, account.id, outgoing.op_id, lost)
        if sent is not None:
            return sent
        repeats = True
        if not calls.is_mine(account.id):
            return await _send_there(calls, account.id, asked | {"repeats": True})
    return await send_here(
        server, account, outgoing, repeats=repeats, anyway=anyway, take_over=take_over, draft_id=draft_id
    )


async def _stored(server: Server, account_id: str, op_id: str | None, lost: AnswerLost) -> Sent | None:
    """Return the outcome that is stored of a message; ``None`` when it certainly was not sent and never will be.

    Raises ``lost`` when it may still be sent, and when its new owner does not settle it in time.
    """
    moved = isinstance(lost, OwnerMoved)
    for look in range(_LOOKS if moved else 1):
        await asyncio.sleep(_LOOKED_SECONDS if look else 0)
        row = await server.message_log.outbox.by_op(account_id, op_id) if op_id else None
        if row is not None and row.outcome in _SETTLED:
            return Sent.of(row)
        if row is None and moved and op_id:
            return None
        if row is None:
            break
    raise lost


async def _send_there(calls: NodeCalls, account_id: str, asked: dict[str, Any]) -> Sent:
    try:
        done = await calls.ask(account_id, SEND, asked)
    except RefusedThere as refusal:
        kind = _REFUSALS.get(refusal.code)
        raise refusal if kind is None else kind(str(refusal), code=refusal.code, **refusal.params) from None
    return Sent(SendOutcome(done["outcome"]), done["reason"], done["id"], done["message_id"])


async def send_here(
    server: Server,
    account: Account,
    outgoing: OutgoingMessage,
    *,
    repeats: bool,
    anyway: bool,
    take_over: bool,
    draft_id: int | None,
) -> Sent:
    """Send a message over the connection that this server has; a server that lost the account stores nothing."""

    async def first() -> None:
        if take_over and account.pause_duration:
            await server.takeovers.take_over(
                account.id, outgoing.chat_id, minutes=account.pause_duration, actor=outgoing.actor
            )

    closes, ended = None, list[int]()
    drafts = server.assistant.drafts
    if draft_id is not None:
        closes = drafts.sending(await drafts.find(draft_id), outgoing.text, outgoing.actor)
    with behind_fence(server, account.id):
        sent = await send_by_hand(
            server.live_connections,
            server.message_log.outbox,
            account,
            server.manager.observation(account.id),
            outgoing,
            repeats=repeats,
            anyway=anyway,
            first=first,
            guard=drafts.ended_by_words(account.id, outgoing.chat_id, closes, ended),
        )
    drafts.publish_ended(account.id, outgoing.chat_id, ended)
    return sent


@contextmanager
def behind_fence(server: Server, account_id: str) -> Iterator[None]:
    """Let what the block writes stand behind the fence of the account, where several servers divide the accounts."""
    fence = server.node_calls.fence(account_id) if server.node_calls is not None else None
    with carrying([fence] if fence is not None else []):
        yield


async def answer_send(server: Server, account: Account, asked: dict[str, Any]) -> dict[str, Any]:
    """Send a message for another server."""
    outgoing = OutgoingMessage(**{name: asked["message"][name] for name in _FIELDS})
    flags = {name: bool(asked[name]) for name in ("repeats", "anyway", "take_over")}
    sent = await send_here(server, account, outgoing, **flags, draft_id=asked["draft_id"])
    return {"outcome": sent.outcome.value, "reason": sent.reason, "id": sent.id, "message_id": sent.message_id}
