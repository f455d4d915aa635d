"""A row of the outbox as a value: what to send, why, and the outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from shoal.storage.schema import outbox


class SendOutcome(StrEnum):
    """The outcome of an outbox row."""

    WAITING = "waiting"
    """A later part of an answer: stored, not its turn yet. It certainly was not sent."""
    SENDING = "sending"
    """Stored, being sent: the only state in which it may be sent for the first time."""
    SENT = "sent"
    """The site accepted it, or its echo came back."""
    REFUSED = "refused"
    """The site refused it and gave a reason."""
    UNCERTAIN = "uncertain"
    """Sent without an answer, or the program ended during the send. Sent again only with the same uuid."""
    DROPPED = "dropped"
    """Never sent; the reason is for example paused, disabled, too old."""


class OutboxKind(StrEnum):
    """Why something is sent."""

    REPLY = "reply"
    PAID = "paid"
    MANUAL = "manual"


@dataclass(frozen=True, kw_only=True, slots=True)
class OutboxRow:
    """A message to send. ``message_id`` is the message that it answers; ``uuid`` is ours and unique.

    ``part`` counts the messages of one answer from 0. ``actor`` and ``op_id`` name the user who sent it by hand, and
    the request. ``width`` and ``height`` are in pixels.

    ``units``: the ids of the units for which ``{codes}`` in the text stands, joined by commas; empty: it stands for
    itself. ``digest`` recognises such a text (see ``sealed_texts``).
    """

    account_id: str
    chat_id: str
    uuid: str
    kind: OutboxKind = OutboxKind.REPLY
    message_id: str | None = None
    order_id: str | None = None
    buyer_id: str = ""
    rule_id: str | None = None
    text: str = ""
    units: str = ""
    digest: str | None = None
    image_url: str = ""
    width: int = 0
    height: int = 0
    part: int = 0
    actor: str = ""
    op_id: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sending:
    """An outbox row with its outcome. ``resends`` counts how often it was sent again."""

    id: int
    row: OutboxRow
    outcome: SendOutcome
    reason: str
    site_message_id: str | None
    created_at_ms: int
    settled_at_ms: int | None
    resends: int = 0


_FIELDS = tuple(entry.name for entry in fields(OutboxRow))


def columns_of(row: OutboxRow) -> dict[str, Any]:
    """Return the columns of a row to be stored."""
    return {**asdict(row), "kind": row.kind.value}


def sending_of(row: RowMapping) -> Sending:
    """Return a table row as a value."""
    values = {name: row[name] for name in _FIELDS}
    return Sending(
        id=row["id"],
        row=OutboxRow(**{**values, "kind": OutboxKind(row["kind"])}),
        outcome=SendOutcome(row["outcome"]),
        reason=row["reason"],
        site_message_id=row["site_message_id"],
        created_at_ms=row["created_at_ms"],
        settled_at_ms=row["settled_at_ms"],
        resends=row["resends"],
    )


def sent_by(connection: Connection, account_id: str, op_id: str | None) -> Sending | None:
    """Return what that request already sent, for a request that may be repeated."""
    if op_id is None:
        return None
    query = select(outbox).where(outbox.c.account_id == account_id, outbox.c.op_id == op_id).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else sending_of(row)
