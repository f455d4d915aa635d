"""Receives the events of the other nodes while this one has readers: one link to each living node, over HTTP.

What comes over a link is published here only. When a link breaks, and when one begins, readers start again from a
snapshot: what was sent in the meantime is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from shoal.accounts.events import AccountStateChanged, Event, IncidentMoved, MessageEvent, StockChanged
from shoal.accounts.follower import Follower
from shoal.accounts.positions import EventId, Position, Stream
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.remote_states import RemoteStates
from shoal.cluster.node_calls import NodeCalls
from shoal.cluster.node_rows import Node
from shoal.errors import ShoalError, StoreError
from shoal.streams.published_ids import PublishedIds

_KINDS: Final[dict[str, type[AccountStateChanged | MessageEvent | StockChanged | IncidentMoved]]] = {
    "state": AccountStateChanged,
    "talk": MessageEvent,
    "stock": StockChanged,
    "incident": IncidentMoved,
}
_NAMES: Final[dict[type[Any], str]] = {kind: name for name, kind in _KINDS.items()}


class _Line(msgspec.Struct):
    events: list[tuple[str, dict[str, Any]]] = []
    told: str = ""
    newest: str = ""


class Line(NamedTuple):
    """What a node sends."""

    events: list[Event]
    position: Position
    """Up to where this line and those before have all its events with rows."""
    newest: Position
    """The newest of its events with rows, also of those that it published before the first line."""


def line_of(events: Iterable[Event], position: Position, newest: Position) -> bytes:
    """Return a line without its end."""
    rows = [(_NAMES[type(event)], msgspec.to_builtins(event)) for event in events if type(event) in _NAMES]
    return msgspec.json.encode(_Line(events=rows, told=str(position), newest=str(newest)))


def read_line(line: bytes) -> Line:
    """Return what a line holds. Raises ``ValueError``. A kind that only a newer version knows is left out."""
    found = msgspec.json.decode(line, type=_Line)
    events = [_event(_KINDS[name], facts) for name, facts in found.events if name in _KINDS]
    return Line(events, Position.of(found.told), Position.of(found.newest))


def _event(kind: type[Any], facts: dict[str, Any]) -> Event:
    place = facts.get("place")
    if place is not None:
        facts["place"] = EventId(Stream(place[0]), int(place[1]))
    event: Event = msgspec.convert(facts, kind) if kind is not MessageEvent else MessageEvent(**facts)
    return event


log = structlog.get_logger("shoal.stream")

EVENTS: Final = "events"
BEAT_SECONDS: Final = 2.0
"""A node sends something so often, if only how far it is."""
SILENCE_SECONDS: Final = 6.0
LOOK_SECONDS: Final = 1.0
"""How often it is asked which nodes there are."""
UP_SECONDS: Final = 1.0
"""How long a reader waits until the events of every node are received, before it begins without some."""
LINGER_SECONDS: Final = 10.0
"""How long the links stay when the last reader has left: a page that is loaded again comes back soon."""
AGAIN_SECONDS: Final = (0.2, 2.0)
"""The first and the longest pause before a node is called again."""
KNOWN_SECONDS: Final = 1.0
"""How long an event waits for its account, which was added a moment ago at another node."""
_MOST_UNKNOWN: Final = 1_000


class _Link:
    """One life of another node, while it is listened to."""

    def __init__(self) -> None:
        self.position: Position | None = None
        """Up to where it has sent its events; ``None`` while they are not received."""
        self.was_tried = False
        self.task: asyncio.Task[None] | None = None


class EventLinks:
    """Has a task for each other living node, and one that looks which there are, while there are readers."""

    def __init__(
        self,
        calls: NodeCalls,
        published: PublishedAccounts,
        follower: Follower,
        published_ids: PublishedIds,
        states: RemoteStates,
        runs_here: Callable[[str], bool],
    ) -> None:
        self._calls = calls
        self._published = published
        self._bus = published.events
        self._follower = follower
        self.published_ids = published_ids
        self._states = states
        self._runs_here = runs_here
        self._links: dict[Node, _Link] = {}
        self._unknown: set[str] = set()
        self._silent: set[str] = set()
        """The nodes without an address that were reported in the log."""
        self._readers = 0
        self._moved = asyncio.Event()
        self._looked = asyncio.Event()
        """Set while it is known which nodes there are, or they could not be asked for."""
        self._one_at_a_time = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._closed = False
        published_ids.others = self

    @property
    def linked(self) -> list[str]:
        """The nodes whose events are received now."""
        return [node.name for node, link in self._links.items() if link.position is not None]

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """Receive the other nodes' events until the block ends. It begins once each sends, or could not be reached."""
        self._readers += 1
        try:
            if self._looking is None and not self._closed:
                self._looking = asyncio.create_task(self._look(), name="other nodes")
            await self._all_tried()
            yield
        finally:
            self._readers -= 1

    async def close(self) -> None:
        """End all links."""
        self._closed = True
        tasks = [link.task for link in self._links.values() if link.task is not None]
        tasks += [] if self._looking is None else [self._looking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._links.clear()

    # -- see ``OtherNodes`` ----------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Begin a link to each node that is new, and end those to nodes that are gone. Raises ``StoreError``."""
        if not self._is_reading():
            return
        async with self._one_at_a_time:
            others = await self._calls.others()
            living = {node for node in others if node.address}
            for name in {node.name for node in others} - {node.name for node in living} - self._silent:
                self._silent.add(name)
                log.warning("another server says no address: what happens to its shops is not told here", node=name)
            for node in self._links.keys() - living:
                self._end(node)
            for node in living - self._links.keys() if self._is_reading() else ():
                link = self._links[node] = _Link()
                link.task = asyncio.create_task(self._keep(node, link), name=f"events of {node.name}")

    def published(self) -> Collection[Position] | None:
        """Return up to where each node has sent its events; ``None`` while those of one are not received."""
        found = [link.position for link in self._links.values()]
        known = [position for position in found if position is not None]
        return known if len(known) == len(found) else None

    def _is_reading(self) -> bool:
        return self._looking is not None and not self._closed

    # -- the tasks -------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        """Link to all living nodes, until this one has had no reader for a while."""
        loop = asyncio.get_running_loop()
        read_at = loop.time()
        while self._readers or loop.time() - read_at < LINGER_SECONDS:
            read_at = loop.time() if self._readers else read_at
            await self._refreshed()
            self._looked.set()
            self._moved.set()
            await asyncio.sleep(LOOK_SECONDS)
        self._looking = None
        self._looked.clear()
        for node in list(self._links):
            self._end(node)
        self.published_ids.advance()

    async def _refreshed(self) -> None:
        try:
            await self.refresh()
            self.published_ids.advance()
        except StoreError as error:
            log.debug("which nodes there are is not known", why=error.code)
        except Exception:  # a defect must not end it: no other node's events would be received
            log.exception("looking for other nodes met a defect")

    def _end(self, node: Node) -> None:
        link = self._links.pop(node)
        if link.task is not None:
            link.task.cancel()
        if link.position is not None:
            self._bus.lose()
        self._moved.set()

    async def _all_tried(self) -> None:
        try:
            async with asyncio.timeout(UP_SECONDS):
                await self._looked.wait()
                while not all(link.was_tried for link in self._links.values()):
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            log.info("a reader begins before every other node is heard", linked=self.linked)

    async def _keep(self, node: Node, link: _Link) -> None:
        """Listen to a node, again after each break, until the link is ended."""
        pause, longest = AGAIN_SECONDS
        while True:
            try:
                async with aclosing(self._calls.listen(node, EVENTS, silence_seconds=SILENCE_SECONDS)) as lines:
                    async for line in lines:
                        await self._receive(node, link, line)
                        pause = AGAIN_SECONDS[0]
            except (ShoalError, ValueError) as error:
                log.info("the events of another node are not heard", node=node.name, why=str(error))
            except Exception:  # a defect must not end it
                log.exception("the events of another node met a defect")
            link.was_tried = True
            self._moved.set()
            if link.position is not None:
                link.position = None
                self._bus.lose()
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _receive(self, node: Node, link: _Link, line: bytes) -> None:
        found = read_line(line)
        for event in found.events:
            await self._publish(node, event)
        self._bus.note_newest(found.newest)
        if link.position is None:
            log.info("the events of another node are heard", node=node.name)
            self._bus.lose()  # who reads already may have missed some
        link.position, link.was_tried = found.position, True
        self._moved.set()
        self.published_ids.advance()

    async def _publish(self, node: Node, event: Event) -> None:
        account_id = getattr(event, "account_id", "")
        if account_id and account_id not in self._published.accounts:
            await self._wait_for(account_id)
        if isinstance(event, AccountStateChanged):
            if self._runs_here(account_id):  # it was sent before the account came here
                return
            self._states.note_pushed(account_id, event.observation, node.name)
        self._bus.relay(event)

    async def _wait_for(self, account_id: str) -> None:
        """Wait until an account is published here, once for each that never comes."""
        if account_id in self._unknown:
            return
        self._follower.wake()
        ends_at = asyncio.get_running_loop().time() + KNOWN_SECONDS
        while account_id not in self._published.accounts:
            if asyncio.get_running_loop().time() > ends_at:
                if len(self._unknown) >= _MOST_UNKNOWN:
                    self._unknown.clear()
                self._unknown.add(account_id)
                return
            await asyncio.sleep(0.01)
