"""Recognises the echoes of our own messages, and keeps the units of goods in them out of the message log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
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


class OwnMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the account itself, as the site pushed it. ``sent_at_ms``: when it was sent, by our clock."""

    account_id: str
    chat_id: str
    message_id: str
    text: str
    content_type: str
    sent_at_ms: int


def known_echo(connection: Connection, own: OwnMessage) -> Sending | None:
    """Return the row whose message has this id on the site."""
    mine = and_(outbox.c.account_id == own.account_id, outbox.c.site_message_id == own.message_id)
    row = connection.execute(select(outbox).where(mine).limit(1)).mappings().first()
    return None if row is None else sending_of(row)


def unclaimed_echo(connection: Connection, sealed: SealedTexts, own: OwnMessage, now_ms: int) -> int | None:
    """Return the id of the oldest row with this text, or a picture, that has no echo yet.

    A text with units is recognised by its digest, or as the message log keeps it: masked.
    """
    same = outbox.c.image_url != "" if own.content_type == PICTURE else or_(outbox.c.text == own.text, _WITH_UNITS)
    query = select(outbox).where(_unclaimed(own, now_ms), same).order_by(outbox.c.id)
    sendings = [sending_of(row) for row in connection.execute(query).mappings()]
    with_units = [one for one in sendings if one.row.units and own.content_type != PICTURE]
    digest = sealed.digest_of_message(own.text) if with_units else ""
    for one in sendings:
        if one not in with_units or one.row.digest == digest:
            return one.id
    return next((one.id for one in with_units if sealed.masked(connection, one.row) == own.text), None)


def _unclaimed(own: OwnMessage, now_ms: int) -> ColumnElement[bool]:
    # ``sending``: in its chat's turn that is a message whose outcome could not be stored.
    left = outbox.c.outcome.in_([SendOutcome.SENDING.value, SendOutcome.UNCERTAIN.value, SendOutcome.SENT.value])
    nameless = and_(outbox.c.site_message_id.is_(None), outbox.c.created_at_ms > own.sent_at_ms - ECHO_WINDOW_MS)
    echoed = exists().where(messages.c.account_id == own.account_id, messages.c.message_id == outbox.c.site_message_id)
    misnamed = and_(outbox.c.created_at_ms > now_ms - MISNAMED_WINDOW_MS, outbox.c.reason != ECHOED, not_(echoed))
    mine = and_(outbox.c.account_id == own.account_id, outbox.c.chat_id == own.chat_id)
    return and_(mine, left, or_(nameless, misnamed))


def without_units(
    connection: Connection, sealed: SealedTexts, account_id: str, logged: Sequence[IncomingMessage]
) -> list[IncomingMessage]:
    """Return messages as they are stored: where our own ones carry units of goods, these are masked."""
    digests = {
        message.message_id: sealed.digest_of_message(message.text)
        for message in logged
        if message.direction.value == "out" and message.text
    }
    if not digests:
        return list(logged)
    masked: dict[str, str] = {}
    # Each by an index of its own: for the two in one condition SQLite reads all rows of the account.
    for column, values in ((outbox.c.digest, {*digests.values()}), (outbox.c.site_message_id, {*digests})):
        mine = select(outbox).where(outbox.c.account_id == account_id, column.in_(sorted(values)), _WITH_UNITS)
        for row in connection.execute(mine).mappings():
            text = sealed.masked(connection, sending_of(row).row)
            masked |= {row["digest"]: text, row["site_message_id"]: text}
    found = {name: masked.get(digest) or masked.get(name) for name, digest in digests.items()}
    for message in logged:
        if message.message_id in digests and not found[message.message_id]:
            text = sealed.masked_in_history(connection, message.text, message.created_at_ms)
            found[message.message_id] = text
    return [replace(message, text=found.get(message.message_id) or message.text) for message in logged]
