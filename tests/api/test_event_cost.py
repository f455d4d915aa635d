"""What an event costs each stream that is open: one sending for all that waits, no task, no JSON of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.types import Message, Scope

from shoal.accounts.account import Observation
from shoal.accounts.events import AccountStateChanged
from shoal.api.http import event_feed, published_events
from shoal.api.http.streams import while_signed_in
from support.servers.doors import Door, another_person, layered
from support.site.standins import until

_READERS = 5


class Stream:
    """An event stream without a socket: the pieces that were sent."""

    def __init__(self, door: Door, token: str, *, stops_at: int | None = None) -> None:
        """``stops_at``: the reader takes no more from so many pieces on, until ``goes_on`` is set."""
        self.pieces: list[bytes] = []
        self.stops_at = stops_at
        self.goes_on = asyncio.Event()
        headers = [(b"host", b"shoal.test"), (b"authorization", f"Bearer {token}".encode())]
        scope: Scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": "/events", "raw_path": b"/events", "query_string": b"", "root_path": "",
            "headers": headers, "client": ("127.0.0.1", 1), "server": ("shoal.test", 80), "state": {},
        }  # fmt: skip
        self.running = asyncio.ensure_future(layered(door.app)(scope, self._receive, self._send))
        self._asked = False

    async def _receive(self) -> Message:
        if self._asked:
            await asyncio.get_running_loop().create_future()
        self._asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Message) -> None:
        if body := message.get("body"):
            self.pieces.append(body)
            if len(self.pieces) == self.stops_at:
                await self.goes_on.wait()

    @property
    def told(self) -> list[dict[str, Any]]:
        """The events that came whole."""
        lines = b"".join(self.pieces).rpartition(b"\n\n")[0].splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith(b"data: ")]

    async def begun(self) -> Stream:
        await until(lambda: b"".join(self.pieces).endswith(b"]}\n\n"))
        return self


@asynccontextmanager
async def _streams(door: Door, count: int, user_id: int = 1) -> AsyncIterator[list[Stream]]:
    opened = [Stream(door, await door.server.sessions.open(user_id, 3600)) for _ in range(count)]
    try:
        yield [await stream.begun() for stream in opened]
    finally:
        for stream in opened:
            stream.running.cancel()
        await asyncio.gather(*(stream.running for stream in opened), return_exceptions=True)


def _state(number: int) -> AccountStateChanged:
    seen = Observation(since_ms=number)
    return AccountStateChanged(account_id=f"shop{number}", owner_id=1, observation=seen, at_ms=number)


async def test_events_are_made_into_json_once_for_all_readers_and_sent_together_without_a_task(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _streams(door, _READERS) as streams, another_person(door), _streams(door, 1, 2) as strangers:
        made: list[object] = []
        publish = published_events._publish

        def noted(event: Any, position: Any) -> Any:
            made.append(event)
            return publish(event, position)

        monkeypatch.setattr(published_events, "_publish", noted)
        tasks = 0
        loop = asyncio.get_running_loop()

        def counted(running: asyncio.AbstractEventLoop, step: Any) -> asyncio.Task[Any]:
            nonlocal tasks
            tasks += 1
            return asyncio.Task(step, loop=running)

        before = [len(stream.pieces) for stream in streams]
        loop.set_task_factory(counted)
        for number in range(20):
            door.server.events.publish(_state(number))
        while any(len(stream.told) < 21 for stream in streams):
            await asyncio.sleep(0)
        loop.set_task_factory(None)
        assert len(made) == 20
        assert tasks == 0
        assert [len(stream.pieces) for stream in streams] == [count + 1 for count in before]
        assert [told["account"] for told in streams[0].told[1:]] == [f"shop{number}" for number in range(20)]
        assert [len(stranger.told) for stranger in strangers] == [1], "others' events are not told"
        made.clear()
        await until(lambda: not published_events._made)  # what all have read is not kept


async def test_a_long_snapshot_comes_in_pieces_with_turns_of_others_in_between(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "_SLICE", 1)
    for number in range(2, 5):
        await door.add(f"shop{number}", number)
    whole = [await door.call("GET", f"/cookies/{key}") for key in ("shop", "shop2", "shop3", "shop4")]
    stream = Stream(door, await door.server.sessions.open(1, 3600))
    await until(lambda: len(stream.pieces) > 1)
    seen = len(stream.pieces)
    await asyncio.sleep(0)
    assert len(stream.pieces) - seen <= 1
    await stream.begun()
    assert len(stream.pieces) == 1 + 4
    assert stream.told == [{"type": "snapshot", "rev": 4, "accounts": whole}]
    stream.running.cancel()


async def test_what_is_deleted_or_lost_while_a_snapshot_is_sent_is_left_out_of_it(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_feed, "_SLICE", 1)
    await door.add("second", 2)
    await door.add("third", 3)
    stream = Stream(door, await door.server.sessions.open(1, 3600), stops_at=2)
    await until(lambda: len(stream.pieces) == 2)
    await door.call("DELETE", "/cookies/second")
    await door.call("PUT", "/cookies/third/remark", json={"remark": "new"})
    stream.goes_on.set()
    await until(lambda: any("remark" in told.get("changes", {}) for told in stream.told[1:]))
    snapshot, *later = stream.told
    assert [(row["id"], row["remark"]) for row in snapshot["accounts"]] == [("shop", ""), ("third", "")]
    changes = [told["changes"] for told in later if told["type"] == "change"]
    assert changes == [{"deleted": [False, True]}, {"remark": ["", "new"]}]
    stream.running.cancel()


async def test_a_stream_whose_reader_takes_nothing_ends_with_its_session_at_once(door: Door) -> None:
    token = await door.server.sessions.open(1, 3600)
    stream = await Stream(door, token).begun()
    stream.stops_at = len(stream.pieces) + 1
    door.server.events.publish(_state(1))
    await until(lambda: len(stream.told) == 2)
    await door.server.sessions.end(token)
    async with asyncio.timeout(60):
        await stream.running
    assert not door.server.events.readers


async def test_who_cancels_a_stream_is_not_taken_for_the_end_of_its_session(door: Door) -> None:
    token = await door.server.sessions.open(1, 3600)
    waiting = asyncio.Event()

    async def step() -> None:
        async with while_signed_in(door.server, 1, token):
            waiting.set()
            await asyncio.get_running_loop().create_future()

    other = asyncio.create_task(step())
    await waiting.wait()
    other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await other
    ended = asyncio.create_task(step())
    await until(lambda: not ended.done())
    await door.server.sessions.end(token)
    async with asyncio.timeout(60):
        await ended
    assert not ended.cancelling()
