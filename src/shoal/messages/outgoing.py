"""What is sent over a connection, and what became of it, as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shoal.errors import ShoalError
from shoal.messages.decisions import Decision
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, Sending, SendOutcome
from shoal.messages.replies import AnswerSource, Choice
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

    def row(self, account_id: str, uuid: str) -> OutboxRow:
        """Return its row."""
        return OutboxRow(
            account_id=account_id,
            chat_id=self.chat_id,
            uuid=uuid,
            kind=self.kind,
            order_id=self.order_id or None,
            buyer_id=self.buyer_id,
            text=self.text,
            image_url=self.image_url,
            width=self.width,
            height=self.height,
            part=self.part,
            actor=self.actor,
            op_id=self.op_id,
        )


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
    asked_at_ms: int = 0
    """When the last question was asked. What the owner wrote later takes its place."""

    def rows(self, account_id: str, uuid: Callable[[], str]) -> list[OutboxRow]:
        """Return the rows of its parts. ``uuid`` makes one for each."""
        return [
            OutboxRow(
                account_id=account_id,
                chat_id=self.chat_id,
                uuid=uuid(),
                message_id=self.answers[-1],
                buyer_id=self.buyer_id,
                rule_id=self.rule_id or None,
                text=part.text,
                image_url=part.image_url,
                width=part.width,
                height=part.height,
                part=place,
            )
            for place, part in enumerate(self.parts)
        ]


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

    ``DISABLED``: the account was disabled or moved just then. ``HUMAN_ANSWERED``: the owner wrote just then.
    """
    if not isinstance(failure, GateClosed):
        return None
    is_named = failure.code in {Decision.REPLIES_OFF.value, Decision.HUMAN_ANSWERED.value}
    return Decision(failure.code) if is_named else Decision.DISABLED


_DECISIONS: Final[Mapping[AnswerSource | None, Decision]] = {
    AnswerSource.HANDOFF: Decision.HANDED_OFF,
}
"""The decision about a message that gets such an answer, and still waits for its owner."""


def reply_of(choice: Choice, ids: Sequence[str], *, once: bool = False, asked_at_ms: int = 0) -> Reply:
    """Return the reply to these messages. ``once``: the chat gets it only once."""
    return Reply(
        chat_id=choice.asked.chat_id,
        buyer_id=choice.asked.buyer_id,
        parts=choice.answer.parts if choice.answer else (),
        answers=ids,
        rule_id=choice.rule_id,
        once=once,
        decision=choice.waits
        if choice.source is AnswerSource.AWAY_REPLY
        else _DECISIONS.get(choice.source, Decision.ANSWERED),
        asked_at_ms=asked_at_ms,
    )
