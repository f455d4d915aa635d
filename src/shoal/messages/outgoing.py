"""What is sent over a connection, and what became of it, as values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from shoal.errors import ShoalError
from shoal.messages.decisions import Decision
from shoal.messages.outbox_rows import OutboxKind, Sending, SendOutcome
from shoal.rules.rule import Part
from shoal.xianyu.socket_errors import GateClosed


@dataclass(frozen=True, kw_only=True, slots=True)
class OutgoingMessage:
    """One message that is not an automatic reply: by hand or for an order. ``part``: its place among those of the
    order.
    """

    chat_id: str
    buyer_id: str
    text: str = ""
    image_url: str = ""
    width: int = 0
    height: int = 0
    kind: OutboxKind = OutboxKind.MANUAL
    order_id: str = ""
    part: int = 0
    actor: str = ""
    op_id: str | None = None


Stored = Callable[[Connection, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer of one or more parts to the messages of a burst, named oldest first."""

    chat_id: str
    buyer_id: str
    parts: tuple[Part, ...]
    answers: Sequence[str]
    rule_id: str = ""
    once: bool = False
    """Whether the chat gets this reply only once."""
    decision: Decision = Decision.ANSWERED
    """The decision about the messages when it is given."""
    stored: Stored | None = None
    """Called in the transaction that stores it, with the id of its first row."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The outcome: ``sent``, ``refused`` (with the site's reason), ``uncertain`` or ``dropped``.

    ``id`` is the id of its row, 0 without a row; ``message_id`` is the site's, once known.
    """

    outcome: SendOutcome
    reason: str = ""
    id: int = 0
    message_id: str = ""

    @classmethod
    def of(cls, sending: Sending) -> Sent:
        """What is known of a stored sending."""
        return cls(sending.outcome, sending.reason, sending.id, sending.site_message_id or "")


class DecidedBefore(Exception):
    """Some of the messages that an answer was chosen for are already decided."""

    def __init__(self, message_ids: frozenset[str]) -> None:
        super().__init__()
        self.message_ids = message_ids


def switched_off(failure: ShoalError) -> Decision | None:
    """Return what was switched off when a message was about to leave; ``None``: nothing, it failed otherwise.

    ``DISABLED``: the account was disabled or moved just then.
    """
    if not isinstance(failure, GateClosed):
        return None
    return Decision.REPLIES_OFF if failure.code == Decision.REPLIES_OFF.value else Decision.DISABLED
