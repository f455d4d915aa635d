"""Readers of the stream who resume at a cursor, or get a reset."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from random import Random
from typing import Any

import pytest

from api.stream_reader import next_event, one_by_one, reading, rows_of, set_remark
from shoal.accounts.positions import Position
from shoal.api.http.event_feed import account_events
from shoal.clock import now_ms
from support.servers.doors import Door, served
from support.site.standins import ANN, FakeSite, managing


@pytest.mark.parametrize("how", ["header", "query", "both"])
async def test_resuming_tells_what_was_missed_and_then_a_snapshot(door: Door, how: str) -> None:
    for text in "abc":
        await set_remark(door, text)
    requests: dict[str, dict[str, Any]] = {
        "header": {"headers": {"Last-Event-ID": "2"}},
        "query": {"params": {"after": 2}},
        "both": {"headers": {"Last-Event-ID": "2"}, "params": {"after": 0}},
    }
    async with served(door) as url, reading(url, door, **requests[how]) as reader:
        first, second, snapshot = [await reader.next() for _ in range(3)]
        assert [first[0], second[0]] == ["3", "4"]
        assert [first[1]["changes"], second[1]["changes"]] == [{"remark": ["a", "b"]}, {"remark": ["b", "c"]}]
        assert (str(snapshot[0]).split(".")[0], snapshot[1]["type"], snapshot[1]["rev"]) == ("4", "snapshot", 4)


async def test_f4_a_change_that_the_resumed_reader_was_told_from_the_journal_is_not_told_again(door: Door) -> None:
    """Another manager's change stands in the journal before it is published here."""
    await door.add("mine", 2)
    async with managing(FakeSite(), door.server.store) as other:
        await other.update_settings("shop", {"remark": "theirs"}, caller=ANN)
    last = (await door.call("PUT", "/cookies/mine/remark", json={"remark": "ours"}))["rev"]
    feed = one_by_one(door, await door.principal(1), Position(2), beat_seconds=15)
    async with aclosing(feed) as events:
        assert [(await next_event(events)).rev for _ in range(2)] == [3, last]
        assert (await next_event(events)).body["type"] == "snapshot"
        await door.server.manager.reload_from_db()
        await door.call("PUT", "/cookies/mine/remark", json={"remark": "later"})
        told = await next_event(events)
        assert (told.rev, told.body["changes"]) == (last + 1, {"remark": ["ours", "later"]})


@pytest.mark.parametrize("cursor", ["99", "nonsense", "-1", "9" * 40, "²"])
async def test_a_cursor_of_nobody_gets_a_reset_and_a_snapshot(door: Door, cursor: str) -> None:
    headers = {"Last-Event-ID": cursor.encode()}
    async with served(door) as url, reading(url, door, headers=headers) as reader:
        assert await reader.next() == (None, {"type": "reset"})
        assert (await reader.next())[1]["type"] == "snapshot"
        await set_remark(door, "live")
        assert str((await reader.next_of("change"))[0]).startswith("2.")


async def _prune(door: Door, before_ms: int) -> int:
    pruned = await door.server.store.prune(journal_before_ms=before_ms, ops_before_ms=0, moves_before_ms=0)
    return pruned.entries


async def test_a_cursor_older_than_the_journal_gets_a_reset(door: Door) -> None:
    await set_remark(door, "a")
    await asyncio.sleep(0.005)
    moment = now_ms()
    for text in "bc":
        await set_remark(door, text)
    assert await _prune(door, moment) == 2
    async with aclosing(one_by_one(door, await door.principal(1), Position(1), beat_seconds=15)) as events:
        assert (await next_event(events)).body == {"type": "reset"}
        assert (await next_event(events)).body["type"] == "snapshot"
    async with aclosing(one_by_one(door, await door.principal(1), Position(2), beat_seconds=15)) as events:
        assert (await next_event(events)).rev == 3
    assert await _prune(door, now_ms() + 1_000) == 2, "nothing is left"
    for cursor, first in ((3, {"type": "reset"}), (4, None)):
        async with aclosing(one_by_one(door, await door.principal(1), Position(cursor), beat_seconds=15)) as events:
            told = await next_event(events)
            assert told.body == (first or told.body)
            assert first or (told.body["type"], told.rev) == ("snapshot", 4)


async def test_what_is_pruned_while_it_is_being_told_ends_in_a_reset(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.api.http.event_feed._PAGE", 1)
    for text in "abc":
        await set_remark(door, text)
    async with aclosing(one_by_one(door, await door.principal(1), Position(1), beat_seconds=15)) as events:
        assert (await next_event(events)).rev == 2
        await _prune(door, now_ms() + 1_000)
        assert (await next_event(events)).body == {"type": "reset"}
        assert (await next_event(events)).body["type"] == "snapshot"


async def test_a_cursor_that_is_too_far_behind_gets_a_reset(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.api.http.event_feed.MISSED_LIMIT", 1)
    for text in "abc":
        await set_remark(door, text)
    async with aclosing(one_by_one(door, await door.principal(1), Position(2), beat_seconds=15)) as events:
        assert (await next_event(events)).body == {"type": "reset"}
        assert (await next_event(events)).body["type"] == "snapshot"


async def test_a_reader_who_is_too_slow_gets_a_reset_and_a_new_snapshot(door: Door) -> None:
    async with aclosing(one_by_one(door, await door.principal(1), None, beat_seconds=15, queue_limit=2)) as events:
        assert (await next_event(events)).rev == 1
        for text in "abcde":
            await set_remark(door, text)
        assert (await next_event(events)).body == {"type": "reset"}
        snapshot = await next_event(events)
        assert snapshot.rev == 6
        assert (await rows_of(door, await door.principal(1), snapshot))[0]["remark"] == "e"
        await set_remark(door, "f")
        assert (await next_event(events)).rev == 7


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
        assert (str(identity).split(".")[0], event["type"], event["rev"]) == ("13", "snapshot", 13)
        await set_remark(door, "live again")
        assert str((await reader.next_of("change"))[0]).startswith("14.")


async def test_a_reader_with_random_cuts_sees_every_change_once_and_in_order(door: Door) -> None:
    rng = Random(11)
    ends_at = 60
    seen: list[int] = []
    last = "1"

    async def write() -> None:
        for number in range(ends_at - 1):
            await set_remark(door, f"r{number}")
            await asyncio.sleep(0.002)

    async with served(door) as url:
        writing = asyncio.create_task(write())
        async with asyncio.timeout(240):  # some ten streams and sixty changes
            while not last.startswith(f"{ends_at}."):
                async with reading(url, door, headers={"Last-Event-ID": last}) as reader:
                    for _ in range(rng.randrange(1, 12)):
                        identity, event = await reader.next()
                        assert event["type"] != "reset"
                        if event["type"] == "change":
                            seen.append(event["rev"])
                        last = identity or last
                        if last.startswith(f"{ends_at}."):
                            break
        await writing
    assert seen == list(range(2, ends_at + 1))


async def test_a_negative_cursor_and_a_stranger_are_refused(door: Door) -> None:
    assert (await door.client.get("/events", params={"after": -1})).status_code == 422
    door.client.headers.pop("authorization")
    assert (await door.client.get("/events")).status_code == 401
