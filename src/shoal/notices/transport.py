"""What a notice is when it is sent, and how it went. The channels implement ``Transport``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shoal.storage.incident_kinds import Level

__all__ = ["Level", "Message", "Outcome", "Sent", "Transport"]


class Outcome(StrEnum):
    """How a sending ended."""

    SENT = "sent"
    """The service took it."""
    FAILED = "failed"
    """The service did not take it: it may be sent again."""
    UNCERTAIN = "uncertain"
    """It left, and no answer came: it is sent once more, marked."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """What a person reads, in ``language``. ``url`` leads into the console; it is empty without a public address.

    ``page`` is the same as a path of the console, for a browser that shows it anyway.

    ``dedupe_id`` is the same whenever the same notice is sent again. ``maybe_again``: an earlier sending may have
    arrived; the title says so already.
    """

    title: str
    body: str
    url: str = ""
    page: str = ""
    level: Level = Level.INFO
    language: str = "zh"
    dedupe_id: str = ""
    maybe_again: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """The outcome of one sending, and the service's answer, or what failed, in words. No secret is in it.

    ``retry_after``: for how many seconds the service wants no more. ``gone``: it will never take any over this channel.
    """

    outcome: Outcome
    answer: str = ""
    retry_after: float | None = None
    gone: bool = False


class Transport(Protocol):
    """Sends a message over a channel of any service."""

    async def send(self, channel: int, message: Message) -> Sent:
        """Send over the channel of that id; it takes 30 s at most. Does not raise for what the service did.

        Raises ``StoreError`` when the channel cannot be read. Cancelled, it leaves nothing behind.
        """
