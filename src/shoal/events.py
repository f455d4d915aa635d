"""What happened, as frozen facts, and the bus that carries them to whoever listens."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from shoal.account import Observation
from shoal.journal import JournalEntry


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


Event = AccountChanged | AccountStateChanged


class Subscription:
    """One listener's bounded queue. A listener that is too slow loses everything at once, and is told so."""

    def __init__(self, limit: int) -> None:
        self._waiting: OrderedDict[tuple[str, str | int], Event] = OrderedDict()
        self._limit = limit
        self._ready = asyncio.Event()
        self.lost = False
        """Whether events were dropped: the listener must start over from a snapshot."""

    def put(self, event: Event) -> None:
        """Queue an event; a newer state of an account replaces the older one."""
        if self.lost:
            return
        if isinstance(event, AccountChanged):
            self._waiting["change", event.entry.rev] = event
        else:
            key = ("state", event.account_id)
            self._waiting.pop(key, None)
            self._waiting[key] = event
        if len(self._waiting) > self._limit:
            self._waiting.clear()
            self.lost = True
        self._ready.set()

    async def take(self) -> list[Event]:
        """Everything that waits, oldest first; waits for the first. Empty exactly when events were lost."""
        await self._ready.wait()
        self._ready.clear()
        events = list(self._waiting.values())
        self._waiting.clear()
        return events


class EventBus:
    """Hands each event to every subscription, without ever waiting for one."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    def publish(self, event: Event) -> None:
        """Hand out one event."""
        for subscription in self._subscriptions:
            subscription.put(event)

    @contextmanager
    def subscribe(self, limit: int = 10_000) -> Iterator[Subscription]:
        """Listen until the block ends."""
        subscription = Subscription(limit)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
