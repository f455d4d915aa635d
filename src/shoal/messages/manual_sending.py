"""Sends a user's message over the live connection, once per request, and waits for the site's answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shoal.accounts.account import Account, Observation
from shoal.errors import ActionRequired, Conflict, InvalidInput, TemporaryFailure
from shoal.messages.live_connections import LiveConnections
from shoal.messages.outbox import Guard, Outbox
from shoal.messages.sender import OutgoingMessage, Sent


class NotConnected(Conflict):
    """The account has no live connection; nothing was sent."""

    code = "not_connected"


class NotSent(Conflict):
    """The connection ended before the message was sent; certainly nothing was sent."""

    code = "not_sent"


class Filtered(Conflict):
    """The output filter found something in the text; nothing was sent. It is sent when its writer insists."""

    code = "filtered"


async def send_by_hand(
    live_connections: LiveConnections,
    outbox: Outbox,
    account: Account,
    seen: Observation,
    outgoing: OutgoingMessage,
    *,
    repeats: bool,
    anyway: bool = False,
    first: Callable[[], Awaitable[object]] | None = None,
    guard: Guard | None = None,
) -> Sent:
    """Send a message and wait for the site's answer. A repeated request whose message was sent sends nothing.

    ``first`` runs before, once a live connection is certain. ``anyway``: the output filter is not asked. ``guard`` is
    called in the transaction that stores the message.

    Raise what ``guard`` raises, ``Filtered``, ``NotConnected`` (``account_disabled`` for a disabled account),
    ``NotSent`` and ``StoreError``.
    """
    if not outgoing.buyer_id:
        raise InvalidInput("the buyer of this chat is unknown", code="unknown_buyer")
    before = await outbox.by_op(account.id, outgoing.op_id) if repeats and outgoing.op_id else None
    if before is not None:
        return Sent.of(before)
    if not account.enabled:
        raise NotConnected("the account is switched off", code="account_disabled")
    words = () if anyway else account.output_filter.words_in([outgoing.text])
    if words:
        raise Filtered("the output filter holds it back", words=" / ".join(words))
    sender = live_connections.sender(account.id)
    if sender is None:
        raise NotConnected("the account is not connected", state=seen.state.value, reason=seen.reason)
    if first is not None:
        await first()
    try:
        return await sender.send(outgoing, guard)
    except (TemporaryFailure, ActionRequired) as failure:
        why = failure.reason if isinstance(failure, ActionRequired) else failure.code
        raise NotSent("the connection ended before the message left", reason=why) from None
