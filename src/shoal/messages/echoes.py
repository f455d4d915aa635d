"""Recognises the echoes of our own messages, and keeps the units of goods in them out of the message log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, or_, select

from shoal.messages.outbox_rows import Sending, SendOutcome, sending_of
from shoal.messages.sealed_texts import SealedTexts
from shoal.storage.schema import messages, outbox

if TYPE_CHECKING:
    from shoal.messages.message_log import IncomingMessage

ECHO_WINDOW_MS = 3600_000
"""How long after a send its echo may be recognised by its text."""
MISNAMED_WINDOW_MS = 60_000
"""How long an echo with another id than the site's answer named is recognised by its text."""
ECHOED = "echo"
"""The reason of a message that counts as sent by its echo, without an answer."""
PICTURE = "2"
"""The content type of a picture (docs/protocol.md §3.7)."""
_WITH_UNITS = outbox.c.units != ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnMessage:
    """A message of the account itself, as the site pushed it. ``said_at_ms``: when it was sent, by our clock."""

    account_id: str
    chat_id: str
    message_id: str
    said: str
    content_type: str
    said_at_ms: int


def known_echo(connection: Connection, own: OwnMessage) -> Sending | None:
    """Return the row whose message has this id on the site."""
    mine = and_(outbox.c.account_id == own.account_id, outbox.c.site_message_id == own.message_id)
    row = connection.execute(select(outbox).where(mine).limit(1)).mappings().first()
    return None if row is None else sending_of(row)


def unclaimed_echo(connection: Connection, sealed: SealedTexts, own: OwnMessage, now_ms: int) -> int | None:
    """Return the id of the oldest row with this text, or a picture, that has no echo yet.

    A text with units is recognised by its digest, or as the message log keeps it: masked.
    """
    unclaimed = _unclaimed(own, now_ms)
    if own.content_type == PICTURE:
        same = outbox.c.image_url != ""
    else:
        literal = and_(outbox.c.text == own.said, not_(_WITH_UNITS))
        same = or_(literal, outbox.c.digest == sealed.digest_of_message(own.said))
    found: int | None = connection.scalar(select(outbox.c.id).where(unclaimed, same).order_by(outbox.c.id).limit(1))
    if found is not None or own.content_type == PICTURE:
        return found
    with_units = select(outbox).where(unclaimed, _WITH_UNITS).order_by(outbox.c.id)
    sendings = [sending_of(row) for row in connection.execute(with_units).mappings()]
    return next((one.id for one in sendings if sealed.masked(connection, one.row) == own.said), None)


def _unclaimed(own: OwnMessage, now_ms: int) -> ColumnElement[bool]:
    left = outbox.c.outcome.in_([SendOutcome.UNCERTAIN.value, SendOutcome.SENT.value])
    nameless = and_(outbox.c.site_message_id.is_(None), outbox.c.created_at_ms > own.said_at_ms - ECHO_WINDOW_MS)
    echoed = exists().where(messages.c.account_id == own.account_id, messages.c.message_id == outbox.c.site_message_id)
    misnamed = and_(outbox.c.created_at_ms > now_ms - MISNAMED_WINDOW_MS, outbox.c.reason != ECHOED, not_(echoed))
    mine = and_(outbox.c.account_id == own.account_id, outbox.c.chat_id == own.chat_id)
    return and_(mine, left, or_(nameless, misnamed))


def without_units(
    connection: Connection, sealed: SealedTexts, account_id: str, said: Sequence[IncomingMessage]
) -> list[IncomingMessage]:
    """Return messages as they are stored: where our own ones carry units of goods, these are masked."""
    return [
        replace(message, text=_masked(connection, sealed, account_id, message))
        if message.direction.value == "out" and message.text
        else message
        for message in said
    ]


def _masked(connection: Connection, sealed: SealedTexts, account_id: str, message: IncomingMessage) -> str:
    named = outbox.c.site_message_id == message.message_id
    same = outbox.c.digest == sealed.digest_of_message(message.text)
    mine = select(outbox).where(outbox.c.account_id == account_id, or_(same, named), _WITH_UNITS).limit(1)
    row = connection.execute(mine).mappings().first()
    return message.text if row is None else sealed.masked(connection, sending_of(row).row)
