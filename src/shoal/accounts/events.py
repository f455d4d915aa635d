"""What happened, as frozen facts, and the bus that carries them to whoever listens."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shoal.accounts.account import Observation
from shoal.accounts.journal import JournalEntry


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountChanged:
    """A change was committed. Fanned out after it was published, exactly once, in order of ``rev``."""

    entry: JournalEntry

    @property
    def account_id(self) -> str:
        """Whose event this is."""
        return self.entry.account_id

    @property
    def owner_id(self) -> int:
        """Who may see it."""
        return self.entry.owner_id


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountStateChanged:
    """A task reported a new state. Only the latest one matters."""

    account_id: str
    owner_id: int
    observation: Observation
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageEvent:
    """Something was said, decided, sent or paused in a chat, or happened to an order.

    ``kind`` is ``message``, ``sending``, ``pause`` or ``order``.

    ``key`` names it among its kind; only the latest word about it matters. ``facts`` are plain values, times in
    milliseconds since 1970 under names that end in ``_ms``.
    """

    account_id: str
    kind: str
    key: str
    facts: Mapping[str, Any]
    at_ms: int
    owner_id: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class AccessChanged:
    """What a person may see or do changed: a grant, a token, a sign-in. Whoever tells them anything looks again."""

    user_id: int


Publish = Callable[[MessageEvent], None]
"""Takes what happened in a chat or to an order, and fills in whose it is."""


def publish_nothing(_: MessageEvent) -> None:
    """For who listens to no chat."""


Event = AccountChanged | AccountStateChanged | MessageEvent | AccessChanged


class Subscription:
    """One listener's bounded queue. A listener that is too slow loses everything at once, and is told so."""

    def __init__(self, limit: int) -> None:
        self._waiting: OrderedDict[tuple[str, str | int], Event] = OrderedDict()
        self._limit = limit
        self._ready = asyncio.Event()
        self.lost = False
        """Whether events were dropped: the listener must start over from a snapshot."""
        self.ended = False
        """Whether nothing comes any more, and the listener should go."""

    def put(self, event: Event) -> None:
        """Queue an event; a newer state of an account replaces the older one."""
        if self.lost:
            return
        if isinstance(event, AccountChanged):
            self._waiting["change", event.entry.rev] = event
        else:
            key = _key(event)
            self._waiting.pop(key, None)
            self._waiting[key] = event
        if len(self._waiting) > self._limit:
            self._waiting.clear()
            self.lost = True
        self._ready.set()

    def end(self) -> None:
        """Let the listener go, when it has taken what waits."""
        self.ended = True
        self._ready.set()

    async def take(self) -> list[Event]:
        """Everything that waits, oldest first; waits for the first.

        Empty exactly when events were lost, or none come any more.
        """
        await self._ready.wait()
        if not self.ended:
            self._ready.clear()
        events = list(self._waiting.values())
        self._waiting.clear()
        return events


def _key(event: AccountStateChanged | MessageEvent | AccessChanged) -> tuple[str, str]:
    """What a later event replaces."""
    if isinstance(event, AccessChanged):
        return ("access", str(event.user_id))
    if isinstance(event, MessageEvent):
        return (event.kind, f"{event.account_id}/{event.key}")
    return ("state", event.account_id)


class EventBus:
    """Hands each event to every subscription, without ever waiting for one."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._ended = False

    @property
    def readers(self) -> int:
        """How many listen now."""
        return len(self._subscriptions)

    def publish(self, event: Event) -> None:
        """Hand out one event."""
        for subscription in self._subscriptions:
            subscription.put(event)

    @contextmanager
    def subscribe(self, limit: int = 10_000) -> Iterator[Subscription]:
        """Listen until the block ends."""
        subscription = Subscription(limit)
        self._subscriptions.add(subscription)
        if self._ended:
            subscription.end()
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def end(self) -> None:
        """Let every listener go, also those who come later: the server stops."""
        self._ended = True
        for subscription in self._subscriptions:
            subscription.end()
