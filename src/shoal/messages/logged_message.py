"""A message as the site delivered it, and as it is stored with its answers, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import msgspec

from shoal.messages.chats import FROM_SITE
from shoal.messages.decisions import Decision
from shoal.messages.outbox_rows import Sending


class Direction(StrEnum):
    """Who wrote a message."""

    IN = "in"
    """The buyer."""
    OUT = "out"
    """This server (the echo of its own message)."""
    HUMAN = "human"
    """The seller, in the site's own client."""
    SITE = FROM_SITE
    """The site: a card, a hint, one of its accounts, or its own words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IncomingMessage:
    """One message as the site delivered it. ``message_id`` is the site's, unique within the account."""

    message_id: str
    chat_id: str
    item_id: str | None = None
    sender_id: str = ""
    sender_name: str = ""
    direction: Direction = Direction.IN
    content_type: str = "text"
    text: str = ""
    created_at_ms: int = 0
    handled: bool = False
    """Whether it needs nothing more: answered, not to be answered, or nothing to answer."""
    decision: Decision = Decision.PENDING
    """The decision about it."""


class LoggedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A stored message with its answers. ``cursor`` continues a list after it.

    ``rule_id`` is the decision's rule, if any. ``joined_to`` is the later message of the same burst that the answer
    belongs to. ``repeats`` counts ignored copies that the site delivered later.
    """

    id: int
    account_id: str
    message: IncomingMessage
    received_at_ms: int
    sendings: tuple[Sending, ...] = ()
    rule_id: str = ""
    joined_to: str | None = None
    repeats: int = 0
    filtered_words: tuple[str, ...] = ()
    """What the output filter found in the answer."""

    @property
    def cursor(self) -> tuple[int, int]:
        """Return this message's place in a list, newest first."""
        return (self.message.created_at_ms, self.id)
