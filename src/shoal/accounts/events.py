"""Events as frozen values, and the bus that delivers them to subscribers.

What is stored has a position (``accounts/positions.py``): the bus notes at each event how far everything was published
by then, so that a reader can resume after it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from shoal.accounts.account import AccountState, Observation
from shoal.accounts.journal import JournalEntry
from shoal.accounts.positions import EventId, Position, Stream

OF_SERVER: Final = -1
"""The owner of an event that concerns administrators."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class AccountChanged:
    """A committed change. Published after its snapshot, exactly once, in order of ``rev``."""

    entry: JournalEntry

    @property
    def account_id(self) -> str:
        """The account of this event."""
        return self.entry.account_id

    @property
    def owner_id(self) -> int:
        """The user who may see the event."""
        return self.entry.owner_id


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class AccountStateChanged:
    """A task reported a new state. Only the latest one matters."""

    account_id: str
    owner_id: int
    observation: Observation
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class MessageEvent:
    """Something was received, decided, sent, paused or done in a chat, or happened to an order.

    ``kind`` is ``message``, ``sending``, ``pause``, ``chat`` (what people did with it), ``model`` or ``order``.

    ``key`` names it among its kind; only the latest event with this key matters. ``facts`` are plain values, times in
    milliseconds since 1970 under names that end in ``_ms``. ``place``: its id, when it is a row that was added.
    """

    account_id: str
    kind: str
    key: str
    facts: Mapping[str, Any]
    at_ms: int
    owner_id: int = 0
    place: EventId | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class StockChanged:
    """Goods or their units changed. Only the latest event of these goods matters: readers fetch what is so now."""

    goods_id: int
    owner_id: int
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class IncidentMoved:
    """An incident was opened (``phase`` is ``opened``; also when it came back) or closed (``closed``).

    It concerns those who see the account of ``owner_id``, else the user ``user_id``, else administrators (``owner_id``
    is ``OF_SERVER``). ``event_id``: its place in the stream of incidents.
    """

    event_id: int
    incident_id: int
    phase: str
    kind: str
    detail: str
    account_id: str
    user_id: int | None
    at_ms: int
    owner_id: int = 0


class AccessChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A user's permissions changed: a grant, a token, a session. Subscribers check the permissions again."""

    user_id: int


Publish = Callable[[MessageEvent], None]
"""Takes an event of a chat or an order, and fills in its account's owner."""


def publish_nothing(_: MessageEvent) -> None:
    """For callers that publish no events."""


StreamEvent = AccountChanged | AccountStateChanged | MessageEvent | StockChanged | IncidentMoved
"""Events that readers of a stream get."""
Event = StreamEvent | AccessChanged


class Subscription:
    """One subscriber's bounded queue. A subscriber that is too slow loses all waiting events, and gets notice of it."""

    def __init__(self, limit: int) -> None:
        self._waiting: OrderedDict[tuple[str, str | int], Event] = OrderedDict()
        self._limit = limit
        self._ready = asyncio.Event()
        self.lost = False
        """Whether events were dropped: the subscriber must start again from a snapshot."""
        self.ended = False
        """Whether no more events come, so that the subscriber should end."""

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
            self.lose()
        self._ready.set()

    def lose(self) -> None:
        """Drop what waits: the subscriber starts again from a snapshot."""
        self._waiting.clear()
        self.lost = True
        self._ready.set()

    def end(self) -> None:
        """End the subscription after the waiting events are taken."""
        self.ended = True
        self._ready.set()

    def wake(self) -> None:
        """Let ``take`` return, perhaps without an event."""
        self._ready.set()

    async def take(self) -> list[Event]:
        """Return all waiting events, oldest first; waits for the first.

        Empty only when events were lost, no more come, or ``wake`` was called.
        """
        await self._ready.wait()
        if not self.ended:
            self._ready.clear()
        events = list(self._waiting.values())
        self._waiting.clear()
        return events


def _key(
    event: AccountStateChanged | MessageEvent | StockChanged | IncidentMoved | AccessChanged,
) -> tuple[str, str | int]:
    """Return what a later event replaces."""
    if isinstance(event, IncidentMoved):
        return ("incident", event.event_id)
    if isinstance(event, StockChanged):
        return ("stock", str(event.goods_id))
    if isinstance(event, AccessChanged):
        return ("access", str(event.user_id))
    if isinstance(event, MessageEvent):
        return (event.kind, f"{event.account_id}/{event.key}")
    return ("state", event.account_id)


def is_for_other_nodes(event: Event) -> bool:
    """Return whether other nodes learn of the event from this one only. Each of them reads the changes and the
    permissions itself, and that an account runs elsewhere says nothing to them."""
    if isinstance(event, AccountStateChanged):
        return event.observation.state is not AccountState.ELSEWHERE
    return not isinstance(event, AccountChanged | AccessChanged)


class EventBus:
    """Delivers each event to every subscription, without waiting for any."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()
        self._other_nodes: set[Subscription] = set()
        self._ended = False
        self._positions: WeakKeyDictionary[Event, Position] = WeakKeyDictionary()
        self._moved = asyncio.Event()
        self.position = Position()
        """After everything that is stored and was published."""
        self.newest = Position()
        """With several nodes: the newest events that were published here; smaller ones may still come."""
        self.on_newer: Callable[[], object] | None = None
        """With several nodes: called when a stored event was published. Then ``position`` moves by ``note_rev`` and
        ``note_published`` alone."""

    @property
    def readers(self) -> int:
        """The number of subscriptions."""
        return len(self._subscriptions)

    def reached(self, stream: Stream, event_id: int) -> None:
        """Note that everything of a stream up to that event is durable; its events are published now. With several
        nodes smaller ones may follow, and it is noted that this one was published."""
        if self.on_newer is None or stream is Stream.CHANGES:
            self.position = self.position.reached(stream, event_id)
        else:
            self.newest = self.newest.reached(stream, event_id)
            self.on_newer()

    def note_rev(self, rev: int) -> None:
        """Note that the stream of several nodes was published up to that change: a later one may have a smaller rev."""
        self.position = self.position._replace(changes=rev)

    def note_newest(self, position: Position) -> None:
        """Note what another node has published before this one listened to it."""
        self.newest = Position._make(
            max(one or 0, other or 0) for one, other in zip(self.newest, position, strict=True)
        )

    def note_published(self, position: Position) -> None:
        """Note that all events with rows up to there were published, those of every node."""
        self.position = position._replace(changes=self.position.changes)
        self._moved.set()

    async def passed(self, position: Position, *, within_seconds: float) -> bool:
        """With several nodes: wait until all events with rows up to there were published. Return whether they were."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while not self._is_past(position):
                    self._moved.clear()
                    await self._moved.wait()
        return self._is_past(position)

    def _is_past(self, position: Position) -> bool:
        return all((mine or 0) >= (asked or 0) for mine, asked in zip(self.position[1:], position[1:], strict=True))

    def position_after(self, event: Event) -> Position:
        """Return after which position a reader resumes who got that event."""
        return self._positions.get(event, self.position)

    def publish(self, event: Event) -> None:
        """Deliver one event of this node, also to the other nodes that have readers."""
        self.relay(event)
        if self._other_nodes and is_for_other_nodes(event):
            for subscription in self._other_nodes:
                subscription.put(event)

    def relay(self, event: Event) -> None:
        """Deliver one event to the readers of this node only: another node published it."""
        if isinstance(event, AccountChanged):
            self.reached(Stream.CHANGES, event.entry.rev)
        elif isinstance(event, IncidentMoved):
            self.reached(Stream.INCIDENTS, event.event_id)
        elif isinstance(event, MessageEvent) and event.place is not None:
            self.reached(*event.place)
        if self._subscriptions and not isinstance(event, AccessChanged):
            self._positions[event] = self.position
        for subscription in self._subscriptions:
            subscription.put(event)

    def lose(self) -> None:
        """Let all readers start again from a snapshot: events of another node were lost."""
        for subscription in self._subscriptions:
            subscription.lose()

    @contextmanager
    def subscribe(self, limit: int = 10_000, *, for_another_node: bool = False) -> Iterator[Subscription]:
        """Subscribe until the block ends. ``for_another_node``: only to what that one does not learn by itself."""
        subscription = Subscription(limit)
        those = self._other_nodes if for_another_node else self._subscriptions
        those.add(subscription)
        if self._ended:
            subscription.end()
        try:
            yield subscription
        finally:
            those.discard(subscription)

    def end(self) -> None:
        """End all subscriptions, including later ones: the server stops."""
        self._ended = True
        for subscription in self._subscriptions | self._other_nodes:
            subscription.end()
