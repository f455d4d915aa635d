"""Bursts: the messages that a buyer writes in one go, which get one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from shoal.messages.logged_message import IncomingMessage
from shoal.messages.model_source import ModelTurn
from shoal.messages.replies import Asked, Choice, joined


class Place(Enum):
    """A burst's place among those that the account's limit delays."""

    NONE = auto()
    """The limit has not delayed it."""
    IN_LINE = auto()
    """The limit delayed its answer; earlier bursts go first."""
    FIRST = auto()
    """No burst of the account has waited longer: it may try."""


@dataclass(slots=True)
class Burst:
    """Messages that a buyer wrote in one go; more may follow. ``sent_at``: the time of each, by ``steady_ms``.

    ``waited_for`` is the choice whose delay has passed, if any, and ``delay_ms`` that delay. ``held_up``: the messages
    that the account's limit delayed. ``turn``: what a language model answered them. ``grown`` is set by each message.
    """

    messages: list[IncomingMessage] = field(default_factory=list)
    sent_at: dict[str, int] = field(default_factory=dict)
    began: float = 0.0
    grew: float = 0.0
    waited_for: Choice | None = None
    delay_ms: int = 0
    place: Place = Place.NONE
    held_up: set[str] = field(default_factory=set)
    turn: ModelTurn | None = None
    grown: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, message: IncomingMessage, sent_at_ms: int, now: float) -> None:
        """Add a message, unless it is known."""
        if message.message_id not in self.sent_at:
            self.messages.append(message)
            self.sent_at[message.message_id] = sent_at_ms
            self.grew = now
            self.grown.set()

    def line_up(self, message_ids: Iterable[str]) -> None:
        """NONE or FIRST → IN_LINE: the limit delayed the answer to these messages."""
        self.place = Place.IN_LINE
        self.held_up.update(message_ids)

    def come_first(self) -> None:
        """IN_LINE → FIRST: it is this burst's turn."""
        self.place = Place.FIRST

    def join(self, later: Burst) -> None:
        """Add messages that arrived while this burst was being answered."""
        self.messages += later.messages
        self.sent_at |= later.sent_at

    def split(self, oldest: int) -> tuple[list[IncomingMessage], list[IncomingMessage]]:
        """Return the messages sent before ``oldest`` (by ``steady_ms``), and the others."""
        old = [message for message in self.messages if self.sent_at[message.message_id] < oldest]
        return old, [message for message in self.messages if self.sent_at[message.message_id] >= oldest]


def asked_of(messages: Sequence[IncomingMessage]) -> Asked:
    """Return what messages ask together, about the last item that was named."""
    last = messages[-1]
    return Asked(
        text=joined([message.text for message in messages]),
        chat_id=last.chat_id,
        buyer_id=last.sender_id,
        buyer_name=last.sender_name,
        item_id=next((message.item_id for message in reversed(messages) if message.item_id), None),
    )
