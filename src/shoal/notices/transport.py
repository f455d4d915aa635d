"""What a notice is when it is sent, and how it went. The channels implement ``Transport``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.storage.incident_kinds import Level

__all__ = ["Failure", "Level", "Message", "Outcome", "Sent", "Transport", "answer_text"]


class Outcome(StrEnum):
    """How a sending ended."""

    SENT = "sent"
    """The service took it."""
    FAILED = "failed"
    """The service did not take it: it may be sent again."""
    UNCERTAIN = "uncertain"
    """It left, and no answer came: it is sent once more, marked."""


class Failure(StrEnum):
    """Why there is no answer of the service. Stored; ``channels.failures`` has a sentence for each."""

    REFUSED = "refused"
    """The host is inside the server's network."""
    UNREACHED = "unreached"
    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    """Other channels of the user have not answered yet."""
    GONE = "gone"
    """The channel was removed."""
    PUSH_GONE = "push_gone"
    """The browser ended its subscription."""
    STORE = "store"
    """The database did not answer, so nothing was sent."""
    INTERNAL = "internal"
    """A defect of Shoal; the log has it."""


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
    """The outcome of one sending, and the service's answer, or why there is none. No secret is in it.

    ``host``: the one that the failure is about. ``retry_after``: for how many seconds the service wants no more.
    ``gone``: it will never take any over this channel.
    """

    outcome: Outcome
    answer: str = ""
    failure: Failure | None = None
    host: str = ""
    retry_after: float | None = None
    gone: bool = False


def answer_text(answer: str, failure: str | None, host: str, language: Language) -> str:
    """Return what a user reads of a sending: the service's answer, or why there is none, in the user's language.

    A failure that only a later version knows has no sentence here.
    """
    return translate(f"channels.failures.{failure}", language, host=host) if failure in {*Failure} else answer


class Transport(Protocol):
    """Sends a message over a channel of any service."""

    async def send(self, channel: int, message: Message) -> Sent:
        """Send over the channel of that id; it takes 30 s at most. Does not raise for what the service did.

        Raises ``StoreError`` when the channel cannot be read. Cancelled, it leaves nothing behind.
        """
