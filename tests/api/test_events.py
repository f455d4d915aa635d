"""The stream: a snapshot, then every later event once and in order, or an explicit reset."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import aclosing
from random import Random

import pytest

from api.stream_reader import next_event, one_by_one, reading, set_remark
from shoal.accounts.account import Observation
from shoal.accounts.events import AccountStateChanged
from shoal.api.http.event_feed import account_events
from shoal.api.http.streams import is_over
from shoal.clock import now_ms
from support.servers.doors import Door, another_person, served
from support.site.standins import until


async def test_a_snapshot_then_changes_and_states(door: Door) -> None:
    async with served(door) as url, reading(url, door) as reader:
        identity, snapshot = await reader.next()
        assert (str(identity)[:2], snapshot["type"], snapshot["rev"]) == ("1.", "snapshot", 1)
        assert snapshot["accounts"] == [await door.call("GET", "/cookies/shop")]
        await door.call("PUT", "/cookies/shop/status", json={"enabled": False})
        identity, change = await reader.next_of("change")
        assert str(identity).startswith("2.")
        at = change.pop("at")
        assert at.endswith("Z")
        assert change == {
            "type": "change", "rev": 2, "account": "shop", "generation": 2, "changes": {"enabled": [True, False]},
            "actor": "user:admin", "origin": "api 127.0.0.1",
        }  # fmt: skip
        identity, state = await reader.next_of("state")
        assert str(identity).startswith("2."), "every event has an id"
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
        await set_remark(door, "mine")
        await bob.add("bobs", 2)
        identity, change = await reader.next_of("change")
        assert (str(identity)[:2], change["account"]) == ("3.", "bobs")
        await set_remark(door, "mine again")
        async with reading(url, bob, params={"after": 1}) as again:
            assert (await again.next())[1]["account"] == "bobs"
            assert (await again.next())[1]["type"] == "snapshot"


async def test_nothing_falls_between_snapshot_and_first_event(door: Door) -> None:
    """Streams are opened while changes run: each goes on with exactly the next rev."""
    rng = Random(7)
    ends_at = 60

    async def write() -> None:
        for number in range(ends_at - 1):
            await set_remark(door, f"r{number}")

    async def follow() -> list[int]:
        await asyncio.sleep(rng.random() * 0.2)
        revs: list[int] = []
        async with aclosing(one_by_one(door, await door.principal(1), None, beat_seconds=15)) as events:
            while not revs or revs[-1] < ends_at:
                told = await next_event(events)
                if told.rev is not None:
                    revs.append(told.rev)
        return revs

    writing = asyncio.create_task(write())
    for revs in await asyncio.gather(*(follow() for _ in range(20))):
        assert revs == list(range(revs[0], ends_at + 1))
    await writing


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
    feed = account_events(door.server, await door.principal(1), None, beat_seconds=0.05)
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


async def test_a_stream_ends_at_once_with_its_person(door: Door) -> None:
    """The beat of the stream comes every 15 s; it is not the beat that finds out."""
    async with another_person(door) as bob, served(door) as url, reading(url, bob) as reader:
        await reader.next()
        async with asyncio.timeout(60):
            await door.call("PATCH", "/users/2", json={"active": False})
            with pytest.raises(EOFError):
                await reader.next()
