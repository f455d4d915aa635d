"""The stream: a snapshot, then every later event once and in order, or an explicit reset."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from random import Random
from typing import Any

import httpx
import pytest

from doors import Door, another_person, served
from shoal.accounts.account import Observation
from shoal.accounts.events import AccountStateChanged
from shoal.api.http.event_feed import PublishedEvent, account_event_batches, account_events
from shoal.api.http.streams import is_over
from shoal.clock import now_ms
from standins import ANN, FakeSite, managing, until

Event = tuple[str | None, dict[str, Any]]


async def _events(answer: httpx.Response) -> AsyncIterator[Event | str]:
    """What a stream holds: ``(id, data)``, or a comment."""
    identity: str | None = None
    async for line in answer.aiter_lines():
        if line.startswith("id: "):
            identity = line[4:]
        elif line.startswith("data: "):
            yield identity, json.loads(line[6:])
            identity = None
        elif line.startswith(":"):
            yield line


class Reader:
    """Reads a stream, event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._events = _events(answer)

    async def next(self) -> Event:
        """The next event that is no comment."""
        async with asyncio.timeout(60):
            async for event in self._events:
                if not isinstance(event, str):
                    return event
        raise EOFError

    async def next_of(self, kind: str) -> Event:
        """The next event of that type."""
        while True:
            event = await self.next()
            if event[1]["type"] == kind:
                return event

    async def next_raw(self) -> Event | str:
        """The next event or comment."""
        async with asyncio.timeout(60):
            return await anext(self._events)


@asynccontextmanager
async def reading(url: str, door: Door, **request: Any) -> AsyncIterator[Reader]:
    headers = {"Authorization": door.client.headers["authorization"], **request.pop("headers", {})}
    async with (
        httpx.AsyncClient(timeout=60) as client,
        client.stream("GET", f"{url}/events", headers=headers, **request) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Reader(answer)


async def _remark(door: Door, text: str) -> int:
    rev: int = (await door.call("PUT", "/cookies/shop/remark", json={"remark": text}))["rev"]
    return rev


async def test_a_snapshot_then_changes_and_states(door: Door) -> None:
    async with served(door) as url, reading(url, door) as reader:
        identity, snapshot = await reader.next()
        assert (identity, snapshot["type"], snapshot["rev"]) == ("1", "snapshot", 1)
        assert snapshot["accounts"] == [await door.call("GET", "/cookies/shop")]
        await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
        identity, change = await reader.next_of("change")
        assert identity == "2"
        at = change.pop("at")
        assert at.endswith("Z")
        assert change == {
            "type": "change", "rev": 2, "account": "shop", "generation": 2, "changes": {"enabled": [True, False]},
            "actor": "user:admin", "origin": "api 127.0.0.1",
        }  # fmt: skip
        identity, state = await reader.next_of("state")
        assert identity is None
        while state["state"] != "stopped":
            _, state = await reader.next_of("state")
        assert (state["account"], state["reason"]) == ("shop", "")


async def test_rules_appear_as_deltas(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1", "b": "2"}})
    async with served(door) as url, reading(url, door) as reader:
        await reader.next()
        await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1", "b": "3"}})
        _, change = await reader.next_of("change")
        assert set(change["changes"]["keywords"]) == {"edited"}
        (before, after) = change["changes"]["keywords"]["edited"][0]
        assert (before["parts"], after["parts"]) == ([{"text": "2"}], [{"text": "3"}])


async def test_only_the_own_accounts(door: Door) -> None:
    async with another_person(door) as bob, served(door) as url, reading(url, bob) as reader:
        assert (await reader.next())[1]["accounts"] == []
        await _remark(door, "mine")
        await bob.add("bobs", 2)
        identity, change = await reader.next_of("change")
        assert (identity, change["account"]) == ("3", "bobs")
        await _remark(door, "mine again")
        async with reading(url, bob, params={"after": 1}) as again:
            assert (await again.next())[1]["account"] == "bobs"
            assert (await again.next())[1]["type"] == "snapshot"


@pytest.mark.parametrize("how", ["header", "query", "both"])
async def test_resuming_tells_what_was_missed_and_then_a_snapshot(door: Door, how: str) -> None:
    for text in "abc":
        await _remark(door, text)
    requests: dict[str, dict[str, Any]] = {
        "header": {"headers": {"Last-Event-ID": "2"}},
        "query": {"params": {"after": 2}},
        "both": {"headers": {"Last-Event-ID": "2"}, "params": {"after": 0}},
    }
    async with served(door) as url, reading(url, door, **requests[how]) as reader:
        first, second, snapshot = [await reader.next() for _ in range(3)]
        assert [first[0], second[0]] == ["3", "4"]
        assert [first[1]["changes"], second[1]["changes"]] == [{"remark": ["a", "b"]}, {"remark": ["b", "c"]}]
        assert (snapshot[0], snapshot[1]["type"], snapshot[1]["rev"]) == ("4", "snapshot", 4)


async def test_f4_a_change_that_the_resumed_reader_was_told_from_the_journal_is_not_told_again(door: Door) -> None:
    """Another manager's change stands in the journal before it is published here."""
    await door.add("mine", 2)
    async with managing(FakeSite(), door.server.store) as other:
        await other.update_settings("shop", {"remark": "theirs"}, caller=ANN)
    last = (await door.call("PUT", "/cookies/mine/remark", json={"remark": "ours"}))["rev"]
    feed = account_events(door.server, await door.principal(1), 2, beat_seconds=15)
    async with aclosing(feed) as events:
        assert [(await _next(events)).rev for _ in range(2)] == [3, last]
        assert (await _next(events)).body["type"] == "snapshot"
        await door.server.manager.reload_from_db()
        await door.call("PUT", "/cookies/mine/remark", json={"remark": "later"})
        told = await _next(events)
        assert (told.rev, told.body["changes"]) == (last + 1, {"remark": ["ours", "later"]})


@pytest.mark.parametrize("cursor", ["99", "nonsense", "-1", "9" * 40, "²"])
async def test_a_cursor_of_nobody_gets_a_reset_and_a_snapshot(door: Door, cursor: str) -> None:
    headers = {"Last-Event-ID": cursor.encode()}
    async with served(door) as url, reading(url, door, headers=headers) as reader:
        assert await reader.next() == (None, {"type": "reset"})
        assert (await reader.next())[1]["type"] == "snapshot"
        await _remark(door, "live")
        assert (await reader.next_of("change"))[0] == "2"


async def _prune(door: Door, before_ms: int) -> int:
    pruned = await door.server.store.prune(journal_before_ms=before_ms, ops_before_ms=0, moves_before_ms=0)
    return pruned.entries


async def test_a_cursor_older_than_the_journal_gets_a_reset(door: Door) -> None:
    await _remark(door, "a")
    await asyncio.sleep(0.005)
    moment = now_ms()
    for text in "bc":
        await _remark(door, text)
    assert await _prune(door, moment) == 2
    async with aclosing(account_events(door.server, await door.principal(1), 1, beat_seconds=15)) as events:
        assert (await _next(events)).body == {"type": "reset"}
        assert (await _next(events)).body["type"] == "snapshot"
    async with aclosing(account_events(door.server, await door.principal(1), 2, beat_seconds=15)) as events:
        assert (await _next(events)).rev == 3
    assert await _prune(door, now_ms() + 1_000) == 2, "nothing is left"
    for cursor, first in ((3, {"type": "reset"}), (4, None)):
        async with aclosing(account_events(door.server, await door.principal(1), cursor, beat_seconds=15)) as events:
            told = await _next(events)
            assert told.body == (first or told.body)
            assert first or (told.body["type"], told.rev) == ("snapshot", 4)


async def test_what_is_pruned_while_it_is_being_told_ends_in_a_reset(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.api.http.event_feed._PAGE", 1)
    for text in "abc":
        await _remark(door, text)
    async with aclosing(account_events(door.server, await door.principal(1), 1, beat_seconds=15)) as events:
        assert (await _next(events)).rev == 2
        await _prune(door, now_ms() + 1_000)
        assert (await _next(events)).body == {"type": "reset"}
        assert (await _next(events)).body["type"] == "snapshot"


async def test_a_cursor_that_is_too_far_behind_gets_a_reset(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.api.http.event_feed.MISSED_LIMIT", 1)
    for text in "abc":
        await _remark(door, text)
    async with aclosing(account_events(door.server, await door.principal(1), 2, beat_seconds=15)) as events:
        assert (await _next(events)).body == {"type": "reset"}


async def _next(events: AsyncGenerator[PublishedEvent | None, None]) -> PublishedEvent:
    async with asyncio.timeout(60):
        told = await anext(events)
    assert told is not None
    return told


async def test_a_reader_who_is_too_slow_gets_a_reset_and_a_new_snapshot(door: Door) -> None:
    async with aclosing(
        account_events(door.server, await door.principal(1), None, beat_seconds=15, queue_limit=2)
    ) as events:
        assert (await _next(events)).rev == 1
        for text in "abcde":
            await _remark(door, text)
        assert (await _next(events)).body == {"type": "reset"}
        snapshot = await _next(events)
        assert snapshot.rev == 6
        assert snapshot.body["accounts"][0]["remark"] == "e"
        await _remark(door, "f")
        assert (await _next(events)).rev == 7


async def test_a_reader_on_a_socket_who_stops_reading_harms_nobody_and_gets_a_reset(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than every buffer between us and the reader holds; the queue has room for little more."""
    defaults = account_events.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "queue_limit", 3)
    async with served(door) as url, reading(url, door) as reader, reading(url, door) as brisk:
        assert (await reader.next())[1]["type"] == "snapshot"
        assert (await brisk.next())[1]["type"] == "snapshot"
        for number in range(12):
            keywords = {f"{number} {place}": "x" * 3_900 for place in range(400)}
            await door.call("POST", "/keywords/shop", json={"keywords": keywords})
            assert (await brisk.next_of("change"))[1]["rev"] == number + 2
        told: list[int] = []
        kind = ""
        while kind != "reset":
            _, event = await reader.next()
            kind = event["type"]
            if kind == "change":
                told.append(event["rev"])
        assert told == list(range(2, 2 + len(told))), "in order and without a gap, as far as it goes"
        assert len(told) < 12
        identity, event = await reader.next()
        assert (identity, event["type"], event["rev"]) == ("13", "snapshot", 13)
        await _remark(door, "live again")
        assert (await reader.next_of("change"))[0] == "14"


async def test_nothing_falls_between_snapshot_and_first_event(door: Door) -> None:
    """Streams are opened while changes run: each goes on with exactly the next rev."""
    rng = Random(7)
    ends_at = 60

    async def write() -> None:
        for number in range(ends_at - 1):
            await _remark(door, f"r{number}")

    async def follow() -> list[int]:
        await asyncio.sleep(rng.random() * 0.2)
        revs: list[int] = []
        async with aclosing(account_events(door.server, await door.principal(1), None, beat_seconds=15)) as events:
            while not revs or revs[-1] < ends_at:
                told = await _next(events)
                if told.rev is not None:
                    revs.append(told.rev)
        return revs

    writing = asyncio.create_task(write())
    for revs in await asyncio.gather(*(follow() for _ in range(20))):
        assert revs == list(range(revs[0], ends_at + 1))
    await writing


async def test_a_reader_with_random_cuts_sees_every_change_once_and_in_order(door: Door) -> None:
    rng = Random(11)
    ends_at = 60
    seen: list[int] = []
    last = "1"

    async def write() -> None:
        for number in range(ends_at - 1):
            await _remark(door, f"r{number}")
            await asyncio.sleep(0.002)

    async with served(door) as url:
        writing = asyncio.create_task(write())
        async with asyncio.timeout(60):
            while last != str(ends_at):
                async with reading(url, door, headers={"Last-Event-ID": last}) as reader:
                    for _ in range(rng.randrange(1, 12)):
                        identity, event = await reader.next()
                        assert event["type"] != "reset"
                        if event["type"] == "change":
                            seen.append(event["rev"])
                        last = identity or last
                        if last == str(ends_at):
                            break
        await writing
    assert seen == list(range(2, ends_at + 1))


async def test_a_comment_comes_when_nothing_happens_and_signing_out_ends_the_stream(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.api.routes.events.BEAT_SECONDS", 0.05)
    async with served(door) as url, reading(url, door) as reader:
        await reader.next()
        assert await reader.next_raw() == ": still here"
        assert await reader.next_raw() == ": still here"
        await door.call("POST", "/logout")
        with pytest.raises(EOFError):
            await reader.next()


async def test_f4_a_page_that_only_looks_does_not_keep_its_session_alive(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The beat of a stream asks whether the session is over; that is no use of it."""
    clock = [now_ms()]
    monkeypatch.setattr(door.server.sessions, "_now_ms", lambda: clock[0])
    idle_ms = int(door.server.settings.session_idle_hours * 3_600_000)
    token = await door.server.sessions.open(1)
    for _ in range(3):
        clock[0] += idle_ms // 4
        assert not await is_over(door.server, token)
        await asyncio.sleep(0.05)  # a use would be stored beside the answer
    clock[0] += idle_ms // 4 + 1
    assert await is_over(door.server, token)


async def test_the_beat_comes_also_when_something_happens_all_the_time(door: Door) -> None:
    """By it the stream is looked at: whether its reader is still signed in."""
    states, told = itertools.count(), 0
    feed = account_event_batches(door.server, await door.principal(1), None, beat_seconds=0.05)
    async with asyncio.timeout(60), aclosing(feed):
        await anext(feed)
        while True:
            seen = Observation(since_ms=next(states))
            door.server.events.publish(
                AccountStateChanged(account_id="shop", owner_id=1, observation=seen, at_ms=seen.since_ms)
            )
            if not await anext(feed):
                break
            told += 1
    assert told


async def test_a_server_that_stops_lets_its_readers_go(door: Door) -> None:
    async with served(door) as url:
        async with reading(url, door) as reader:
            await reader.next()
            await door.call("PUT", "/cookies/shop/remark", json={"remark": "last"})
            door.server.events.end()
            assert (await reader.next_of("change"))[1]["changes"] == {"remark": ["", "last"]}  # what waits is told
            with pytest.raises(EOFError):
                await reader.next_of("change")
        async with reading(url, door) as late:
            assert (await late.next())[1]["type"] == "snapshot"
            with pytest.raises(EOFError):
                await late.next()


async def test_a_reader_who_leaves_is_forgotten(door: Door) -> None:
    listeners = door.server.events._subscriptions
    async with served(door) as url:
        async with reading(url, door) as reader:
            await reader.next()
            assert len(listeners) == 1
        await until(lambda: not listeners)


async def test_a_removed_account_is_told(door: Door) -> None:
    async with served(door) as url, reading(url, door) as reader:
        await reader.next()
        await door.call("DELETE", "/cookies/shop")
        _, change = await reader.next_of("change")
        assert change["changes"] == {"deleted": [False, True]}
    await door.call("GET", "/cookies")


async def test_a_negative_cursor_and_a_stranger_are_refused(door: Door) -> None:
    assert (await door.client.get("/events", params={"after": -1})).status_code == 422
    door.client.headers.pop("authorization")
    assert (await door.client.get("/events")).status_code == 401


async def test_a_stream_ends_at_once_with_its_person(door: Door) -> None:
    """The beat of the stream comes every 15 s; it is not the beat that finds out."""
    async with another_person(door) as bob, served(door) as url, reading(url, bob) as reader:
        await reader.next()
        async with asyncio.timeout(60):
            await door.call("PATCH", "/users/2", json={"active": False})
            with pytest.raises(EOFError):
                await reader.next()
