"""Events of shops that run at one server, told to the readers of another: each once, in the owner's order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from api.stream_reader import next_event, one_by_one
from benchmarks.processes import free_port
from shoal.accounts.positions import Position
from shoal.api.http.published_events import PublishedEvent
from shoal.cluster.node_calls import STREAM_PATH, AnswerLost, NodeCalls
from shoal.messages.message_log import IncomingMessage
from shoal.streams.event_links import EVENTS, EventLinks
from support.servers.doors import Door, open_door, served
from support.site.standins import until

pytestmark = pytest.mark.postgresql

KEY = "5a" * 32
TOKEN = "a token of the operator's monitoring"
Feed = AsyncGenerator[PublishedEvent | None, None]


class Pair:
    """The shop runs at ``there``; its readers are at ``here``."""

    def __init__(self, here: Door, there: Door, ports: dict[str, int]) -> None:
        self.here, self.there, self.ports = here, there, ports

    @property
    def links(self) -> EventLinks:
        assert self.here.server.event_links is not None
        return self.here.server.event_links

    async def hear(self, *names: str, at: Door | None = None) -> None:
        """Let the shop hear messages, one after the other."""
        for name in names:
            message = IncomingMessage(message_id=name, chat_id="c", text=name)
            await (at or self.there).server.message_log.store_incoming("shop", [message])


@asynccontextmanager
async def served_at(pair: Pair) -> AsyncIterator[None]:
    """Both servers, at the addresses that their rows name."""
    async with AsyncExitStack() as stack:
        for name, door in (("a", pair.here), ("b", pair.there)):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", pair.ports[name])))
            await stack.enter_async_context(served(door, listener))
        yield


@pytest.fixture
async def pair(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    """The server that joins second runs nothing: the first is not asked to give up anything."""
    monkeypatch.setattr("shoal.api.http.event_feed.BEHIND_SECONDS", 60.0)
    monkeypatch.setattr("shoal.streams.event_links.UP_SECONDS", 60.0)
    monkeypatch.setattr("shoal.streams.event_links.KNOWN_SECONDS", 60.0)
    monkeypatch.setattr("shoal.streams.event_links.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("shoal.streams.event_links.LINGER_SECONDS", 0.0)
    monkeypatch.setattr("shoal.cluster.handover.GIVEN_UP_AT_ONCE", 0)
    ports = {name: free_port() for name in "ab"}
    shared: dict[str, Any] = {"database_url": url, "secret_key": KEY, "node_lease_seconds": 300.0}
    shared["metrics_token"] = TOKEN
    async with AsyncExitStack() as stack:

        async def opened(name: str) -> Door:
            address = f"http://127.0.0.1:{ports[name]}"
            return await stack.enter_async_context(
                open_door(tmp_path / name, node=name, node_address=address, **shared)
            )

        there = await opened("b")
        await there.add()
        here = await opened("a")
        await until(lambda: "shop" in here.server.manager.accounts)
        yield Pair(here, there, ports)


@asynccontextmanager
async def reader(door: Door, after: Position | None = None) -> AsyncIterator[Feed]:
    """A reader of the events of a server."""
    async with aclosing(one_by_one(door, await door.principal(), after, beat_seconds=15)) as feed:
        yield feed


async def told(feed: Feed, *kinds: str) -> PublishedEvent:
    """The next event of one of these kinds."""
    while True:
        event = await next_event(feed)
        if event.body["type"] in kinds:
            return event


async def names_of(feed: Feed, count: int) -> list[str]:
    """The next messages."""
    return [(await told(feed, "message")).body["message_id"] for _ in range(count)]


async def test_what_happens_at_one_server_is_told_at_both_once_and_in_one_order(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"m{number}" for number in range(20)]
    async with served_at(pair), reader(pair.here) as here, reader(pair.there) as there:
        for feed in (here, there):
            await told(feed, "snapshot")
        assert pair.links.linked == ["b"]
        figures = await pair.here.client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
        assert "\nshoal_nodes_linked 1.0\n" in figures.text
        await pair.hear(*names[:10])
        await pair.there.call("PUT", "/cookies/shop/status", json={"enabled": False})
        await pair.hear(*names[10:])
        for feed in (here, there):
            assert await names_of(feed, len(names)) == names
        await pair.there.call("PUT", "/cookies/shop/status", json={"enabled": True})
        for feed in (here, there):
            while (await told(feed, "state")).body["state"] != "running":
                pass
        assert pair.here.server.manager.observation("shop").state == "running"
        await pair.hear("last")
        assert await names_of(here, 1) == await names_of(there, 1) == ["last"], "and none came twice"
        follower, asked = pair.here.server.follower, asyncio.Event()
        assert follower is not None
        read = follower.stream.read

        async def late(*args: Any, **more: Any) -> Any:
            await asked.wait()
            return await read(*args, **more)

        monkeypatch.setattr(follower.stream, "read", late)
        monkeypatch.setattr(pair.links, "_follower", SimpleNamespace(wake=asked.set))
        await pair.there.add("new", 2)
        assert (await told(here, "state")).body["account"] == "new"
        assert "new" in pair.here.server.manager.accounts, "a shop that was just added is waited for"


async def test_a_reader_goes_on_at_another_server_and_misses_nothing(pair: Pair) -> None:
    async with served_at(pair):
        async with reader(pair.there) as there:
            await told(there, "snapshot")
            await pair.hear("a", "b")
            last = [await told(there, "message") for _ in range(2)][-1]
        await pair.hear("c")
        async with reader(pair.here, last.position) as here:
            seen: list[str] = []
            while (event := await told(here, "message", "snapshot")).body["type"] == "message":
                seen.append(event.body["message_id"])
            assert seen[-1] == "c"
            assert [name for name in seen if name not in {"a", "b"}] == ["c"], "those of before may come again"
            await pair.hear("d")
            told_here = await told(here, "message")
            assert told_here.body["message_id"] == "d"
        await pair.hear("e")
        position = told_here.position
        assert position is not None
        async with reader(pair.there, position) as there:
            names = [event.body["message_id"] async for event in until_snapshot(there)]
            assert names in (["e"], ["d", "e"], ["c", "d", "e"])


async def until_snapshot(feed: Feed) -> AsyncIterator[PublishedEvent]:
    """The messages before the snapshot."""
    while (event := await told(feed, "message", "snapshot")).body["type"] == "message":
        yield event


async def test_a_link_that_breaks_and_one_that_begins_are_a_reset(pair: Pair) -> None:
    assert not pair.there.server.events._other_nodes, "nobody is heard while there are no readers"
    async with AsyncExitStack() as stack:
        async with served_at(pair):
            here = await stack.enter_async_context(reader(pair.here))
            await told(here, "snapshot")
            await pair.hear("before")
            assert await names_of(here, 1) == ["before"]
            for subscription in pair.there.server.events._other_nodes:
                subscription.lose()
        await until(lambda: pair.links.linked == [])
        await told(here, "reset")
        await told(here, "snapshot")
        async with served_at(pair):
            hearing, count = asyncio.create_task(names_of(here, 1)), 0
            while not hearing.done():  # the first are lost: that the link begins is a reset too
                count += 1
                await pair.hear(f"after{count}")
                await asyncio.sleep(0.05)
            assert (await hearing)[0].startswith("after")
            await stack.aclose()
            await until(lambda: not pair.there.server.events._other_nodes)
            assert pair.links.linked == []


async def test_a_server_that_cannot_be_reached_keeps_nobody_waiting(pair: Pair) -> None:
    async with reader(pair.here) as here:
        start = (await told(here, "snapshot")).position
        assert start is not None
        assert pair.links.linked == []
        await pair.hear("unheard")
        await pair.hear("own", at=pair.here)
        assert await names_of(here, 1) == ["own"]
        await until(
            lambda: pair.here.server.published_ids is not None and pair.here.server.published_ids.mine.messages == 2
        )
        await pair.hear("again", at=pair.here)
        event = await told(here, "message")
        assert event.position is not None
        assert event.position.messages == start.messages, "nobody knows how far the other has told"
        async with served_at(pair):
            await told(here, "reset")
            await told(here, "snapshot")
            await pair.hear("heard")
            assert await names_of(here, 1) == ["heard"]
    async with served_at(pair), reader(pair.here, start) as here:
        assert [one.body["message_id"] async for one in until_snapshot(here)] == ["unheard", "own", "again", "heard"]


async def test_no_stranger_hears_and_no_stranger_is_heard(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = await pair.there.client.post(f"{STREAM_PATH}/{EVENTS}", content=b"{}")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_signed")
    calls = pair.here.server.node_calls
    assert isinstance(calls, NodeCalls)
    async with served_at(pair):
        (node,) = await calls.others()
        monkeypatch.setattr(calls.signer, "is_answer", lambda *_: False)
        async with aclosing(calls.listen(node, EVENTS, silence_seconds=60)) as lines:
            with pytest.raises(AnswerLost):
                await anext(lines)


async def test_a_single_server_tells_no_other(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door:
        assert door.server.event_links is None
        assert (await door.call("POST", f"{STREAM_PATH}/{EVENTS}", 403))["code"] == "not_signed"
