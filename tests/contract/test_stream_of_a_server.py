"""A server that is one of several: what its readers get while revs and transactions cross, and how well it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing
from typing import Any

import pytest

from api.stream_reader import next_event, one_by_one, set_remark
from shoal.accounts.events import EventBus
from shoal.accounts.follower import Follower
from shoal.accounts.positions import Position
from shoal.accounts.published import PublishedAccounts
from shoal.api.http.published_events import PublishedEvent
from shoal.clock import now_ms
from shoal.messages.message_log import IncomingMessage
from shoal.storage.commit_hints import CommitHints
from shoal.storage.db_manager import DBManager, open_vault
from support.databases.store_steps import Place
from support.servers.doors import Door, open_door
from support.servers.node_steps import open_writers
from support.site.standins import until

pytestmark = [pytest.mark.parametrize("place", ["postgresql"], indirect=True), pytest.mark.postgresql]


KEY = "5a" * 32


@pytest.fixture
async def node(place: Place) -> AsyncIterator[Door]:
    """A server with one account, ``shop``, that was told."""
    async with open_door(place.data_dir, database_url=place.url, node="a", secret_key=KEY) as opened:
        await opened.add()
        await told(opened)
        yield opened


async def told(door: Door) -> None:
    """Wait until the account's last change was told."""
    await until(lambda: door.server.manager.newest_rev == door.account().rev)


async def test_a_reader_misses_no_change_and_resumes_where_it_was(node: Door, place: Place) -> None:
    first = node.account().rev
    async with aclosing(one_by_one(node, await node.principal(), None, beat_seconds=15)) as events:
        assert (await next_event(events)).body["type"] == "snapshot"
        async with open_writers(place.url, 1) as (other,):
            await other.begin()
            await set_remark(node, "ours")
            ours = node.account().rev
            theirs = await other.insert("shop", generation=9)
            await other.commit()
        assert theirs > ours
        assert [(await next_event(events)).rev for _ in range(2)] == [theirs, ours]
    for cursor, missed in ((first, [theirs, ours]), (theirs, [ours]), (ours, [])):
        async with aclosing(one_by_one(node, await node.principal(), Position(cursor), beat_seconds=15)) as events:
            assert [(await next_event(events)).rev for _ in missed] == missed
            snapshot = await next_event(events)
            assert (snapshot.body["type"], snapshot.rev) == ("snapshot", ours)


async def test_a_cursor_of_nobody_gets_a_reset(node: Door) -> None:
    async with aclosing(one_by_one(node, await node.principal(), Position(99), beat_seconds=15)) as events:
        assert (await next_event(events)).body == {"type": "reset"}
        assert (await next_event(events)).body["type"] == "snapshot"


async def test_a_cursor_that_was_pruned_gets_a_reset(node: Door) -> None:
    old = node.account().rev
    for text in "ab":
        await set_remark(node, text)
    await told(node)
    pruned = 0
    while pruned < 3:
        result = await node.server.store.prune(journal_before_ms=2**50, ops_before_ms=0, moves_before_ms=0)
        pruned += result.entries
        await asyncio.sleep(0.01)
    async with aclosing(one_by_one(node, await node.principal(), Position(old), beat_seconds=15)) as events:
        assert (await next_event(events)).body == {"type": "reset"}


async def test_health_says_when_an_old_transaction_holds_up_the_changes(
    node: Door, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    health = await node.call("GET", "/health")
    assert (health["services"]["stream"], health["journal_lag_seconds"]) == ("ok", 0.0)
    monkeypatch.setattr("shoal.api.routes.health.LONGEST_LAG_SECONDS", 0.0)
    async with open_writers(place.url, 1) as (other,):
        await other.begin()
        await set_remark(node, "waits")
        await until(lambda: node.server.follower is not None and node.server.follower.lag_seconds > 0)
        health = await node.call("GET", "/health")
        assert health["services"]["stream"] == "lagging"
        assert health["journal_lag_seconds"] > 0
        assert (await node.call("GET", "/health/ready"))["ready"], "another node would wait as well"
    await told(node)
    monkeypatch.setattr("shoal.accounts.follower.STALE_SECONDS", -1.0)
    assert (await node.call("GET", "/health/ready", 503))["services"]["stream"] == "error"
    assert (await node.call("GET", "/health", 503))["status"] == "unhealthy"


async def test_a_server_starts_while_an_old_transaction_is_open(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.server.open_stream.KNOWN_SECONDS", 0.01)
    async with open_writers(place.url, 1) as (other,):
        await other.begin()
        async with open_door(place.data_dir, database_url=place.url, node="a", secret_key=KEY) as opened:
            assert (await opened.call("GET", "/health"))["services"]["database"] == "ok"


async def test_a_request_after_a_change_shows_it_or_is_refused(node: Door, place: Place) -> None:
    seen = {"Shoal-After": f"{node.account().rev}"}
    assert (await node.call("GET", "/cookies/shop", headers=seen))["id"] == "shop"
    async with open_writers(place.url, 2) as (old, other):
        await old.begin()
        rev = await other.insert("elsewhere")
        await other.commit()
        later = {"Shoal-After": f"{node.account().rev}, {rev}"}
        assert (await node.call("GET", "/cookies/shop", 503, headers=later))["code"] == "node_behind"
        await old.commit()
    await until(lambda: node.server.manager.newest_rev == rev)
    assert (await node.call("GET", "/cookies/shop", headers=later))["id"] == "shop"
    for wrong in ("", "x", "-1", "1,", "1" * 19, ",".join("1" * 21)):
        refused = await node.call("GET", "/cookies/shop", 422, headers={"Shoal-After": wrong})
        assert refused["code"] == "bad_after", wrong


async def test_readers_at_another_server_are_told_every_change_in_one_order(node: Door, place: Place) -> None:
    start = Position(node.account().rev)
    async with open_door(place.data_dir / "b", database_url=place.url, node="b", secret_key=KEY) as other:
        feeds = [one_by_one(door, await door.principal(), start, beat_seconds=15) for door in (node, other)]
        async with aclosing(feeds[0]) as here, aclosing(feeds[1]) as there, open_writers(place.url, 8) as writers:
            for feed in (here, there):
                assert (await next_event(feed)).body["type"] == "snapshot"
            for writer in writers:
                await writer.begin()
            await set_remark(node, "ours")
            ours = node.account().rev
            theirs = [await writer.insert("shop", generation=100 + at) for at, writer in enumerate(reversed(writers))]
            for writer in writers:
                await writer.commit()
            told = [[await next_of_changes(feed) for _ in range(9)] for feed in (here, there)]
        assert told[0] == told[1]
        assert sorted(told[0]) == sorted([ours, *theirs])
        assert told[0] != sorted(told[0]), "revs and transactions did not cross"
        rev = (await other.call("PUT", "/cookies/shop/remark", json={"remark": "there"}))["rev"]
        seen = await read_after(node, rev)
        assert seen["remark"] == "there"


async def test_a_cursor_does_not_pass_a_message_that_becomes_visible_later(
    node: Door, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.api.http.event_feed.BEHIND_SECONDS", 60.0)
    async with open_writers(place.url, 1) as (other,):
        async with aclosing(one_by_one(node, await node.principal(), None, beat_seconds=15)) as events:
            await next_event(events)
            await other.begin()
            insert = "INSERT INTO messages (account_id, message_id, chat_id, received_at_ms) VALUES (%s, %s, 'c', %s)"
            await other.connection.execute(insert, ("shop", "theirs", now_ms()))
            await node.server.message_log.store_incoming("shop", [IncomingMessage(message_id="ours", chat_id="c")])
            async with asyncio.timeout(60):
                while (told := await next_event(events)).body["type"] != "message":
                    pass
        assert told.body["message_id"] == "ours"
        assert told.position is not None
        assert told.position.messages == 0, "the other's has the smaller id"
        await other.commit()
    names, snapshot = await messages_since(node, told.position)
    assert sorted(names) == ["ours", "theirs"]
    assert (await messages_since(node, snapshot))[0] == []


async def messages_since(door: Door, position: Position) -> tuple[list[str], Position]:
    """The messages that a reader gets who comes back, and the position of the snapshot that follows."""
    names = []
    async with aclosing(one_by_one(door, await door.principal(), position, beat_seconds=15)) as events:
        while (event := await next_event(events)).body["type"] != "snapshot":
            names += [event.body["message_id"]] if event.body["type"] == "message" else []
    assert event.position is not None
    return names, event.position


async def test_a_reader_who_comes_back_waits_until_all_is_decided_or_gets_a_reset(
    node: Door, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with aclosing(one_by_one(node, await node.principal(), None, beat_seconds=15)) as events:
        start = (await next_event(events)).position
    monkeypatch.setattr("shoal.api.http.event_feed.BEHIND_SECONDS", 0.01)
    async with open_writers(place.url, 1) as (other,):
        await other.begin()
        await node.server.message_log.store_incoming("shop", [IncomingMessage(message_id="ours", chat_id="c")])
        async with aclosing(one_by_one(node, await node.principal(), start, beat_seconds=15)) as events:
            assert (await next_event(events)).body == {"type": "reset"}, "nothing moved in time"


async def read_after(door: Door, rev: int) -> Any:
    """Read the shop as it is after a change; ask again while this server says that it has not come so far."""
    async with asyncio.timeout(60):
        while True:
            answer = await door.client.get("/cookies/shop", headers={"Shoal-After": f"{rev}"})
            if answer.status_code != 503:
                return answer.json()
            assert answer.json()["code"] == "node_behind"


async def next_of_changes(feed: AsyncGenerator[PublishedEvent | None, None]) -> int:
    """The rev of the next change; states come between them."""
    while (event := await next_event(feed)).rev is None:
        pass
    return event.rev


async def test_a_server_alone_says_nothing_of_a_stream(place: Place) -> None:
    async with open_door(place.data_dir, database_url=place.url) as door:
        assert door.server.follower is None
        await door.add()
        assert await door.call("GET", "/cookies/shop", headers={"Shoal-After": "99"})
        assert set((await door.call("GET", "/health"))["services"]) == {"cookie_manager", "database"}
        assert "journal_lag_seconds" not in await door.call("GET", "/health")


async def test_a_hint_wakes_the_other_nodes_and_is_sent_again_over_a_new_connection(node: Door, place: Place) -> None:
    """The other node would look by itself only in an hour."""
    async with AsyncExitStack() as closing:
        database = await place.open_again(data_dir=place.data_dir / "other")
        store = DBManager(database, await open_vault(database, place.data_dir / "secret.key", KEY), several_nodes=True)
        published = PublishedAccounts(EventBus(), several_nodes=True)
        follower = Follower(store.stream, published, poll_seconds=3600)
        closing.push_async_callback(follower.close)
        heard = 0

        def note() -> None:
            nonlocal heard
            heard += 1
            follower.wake()

        hints = CommitHints(database.url, note)
        closing.push_async_callback(hints.close)
        follower.start((await store.load()).stream_start or follower.place)
        hints.start()
        await until(lambda: heard > 0)
        await set_remark(node, "a")
        await until(lambda: published.newest_rev == node.account().rev)
        async with open_writers(place.url, 1) as (other,):
            await other.connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'shoal hints'"
            )
        await set_remark(node, "b")
        await until(lambda: published.newest_rev == node.account().rev)
