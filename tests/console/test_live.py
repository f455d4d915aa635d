"""The console's socket: a snapshot, rows in batches, resuming, a reset after lost rows, only the user's accounts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from shoal.api.http import event_feed
from shoal.console import live
from shoal.messages.message_log import IncomingMessage
from support.servers.doors import Door, another_person, open_door, served
from support.site.standins import ANN, cookie_of, until

Socket = ClientConnection


async def _next(socket: Socket) -> dict[str, Any]:
    """What the server says next, leaving out its beats."""
    async with asyncio.timeout(60):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] != "beat":
                return message


@asynccontextmanager
async def _page(
    door: Door, url: str, *, after: int | None = None, origin: str | None = None, user_id: int = 1
) -> AsyncIterator[Socket]:
    token = await door.server.sessions.open(user_id, 3600)
    query = "" if after is None else f"?after={after}"
    async with connect(
        f"{url.replace('http', 'ws')}/console/live{query}",
        additional_headers={"Cookie": f"shoal_session={token}", "Origin": origin or url},
        open_timeout=60,
    ) as socket:
        yield socket


async def test_a_page_gets_every_account_and_then_what_changed_in_whole_rows(door: Door) -> None:
    async with served(door) as url, _page(door, url) as page:
        first = await _next(page)
        assert first["type"] == "snapshot"
        assert [row["id"] for row in first["accounts"]] == ["shop"]
        assert first["accounts"][0] == await door.call("GET", "/cookies/shop")
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "new"})
        batch = await _next(page)
        assert batch["type"] == "batch"
        [row] = batch["accounts"]
        assert (row["remark"], row["generation"]) == ("new", first["accounts"][0]["generation"] + 1)
        assert row.keys() == first["accounts"][0].keys()
        [change] = batch["changes"]
        assert (change["changes"], change["actor"], change["rev"]) == (
            {"remark": ["", "new"]},
            "user:admin",
            batch["rev"],
        )


async def test_a_long_snapshot_comes_in_parts(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_feed, "_SLICE", 2)
    for number in range(2, 6):
        await door.add(f"shop{number}", number)
    async with served(door) as url, _page(door, url) as page:
        parts = [await _next(page) for _ in range(3)]
        assert [(part["type"], len(part["accounts"])) for part in parts] == [("part", 2), ("part", 2), ("snapshot", 1)]
        assert [row["id"] for part in parts for row in part["accounts"]] == ["shop", "shop2", "shop3", "shop4", "shop5"]


async def test_a_removed_account_is_named_as_gone(door: Door) -> None:
    async with served(door) as url, _page(door, url) as page:
        await _next(page)
        await door.call("DELETE", "/cookies/shop")
        gone: list[str] = []
        while not gone:
            gone = (await _next(page))["removed"]
        assert gone == ["shop"]


async def test_many_changes_at_once_travel_together_and_the_last_one_wins(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BATCH_SECONDS", 0.5)  # on a busy machine a change may take longer than the usual 0.02
    async with served(door) as url, _page(door, url) as page:
        await _next(page)
        for number in range(30):
            await door.server.manager.update_settings("shop", {"remark": str(number)}, caller=ANN)
        messages, changes = 0, list[dict[str, Any]]()
        while len(changes) < 30:
            message = await _next(page)
            assert len(message["accounts"]) == 1
            messages, changes = messages + 1, changes + message["changes"]
        assert [change["changes"]["remark"][1] for change in changes] == [str(number) for number in range(30)]
        assert message["accounts"][0]["remark"] == "29"
        assert messages < 30


async def test_what_is_said_in_a_chat_is_told_without_the_accounts_row(door: Door) -> None:
    async with served(door) as url, _page(door, url) as page:
        await _next(page)
        message = IncomingMessage(message_id="m1", chat_id="c1", sender_name="Ann", text="在吗", created_at_ms=1)
        await door.server.message_log.store_incoming("shop", [message])
        batch = await _next(page)
        assert batch["accounts"] == batch["changes"] == []
        [talk] = batch["talks"]
        assert (talk["type"], talk["account"], talk["text"]) == ("message", "shop", "在吗")


async def test_resuming_tells_what_was_missed_and_then_how_everything_is(door: Door) -> None:
    async with served(door) as url:
        async with _page(door, url) as page:
            rev = (await _next(page))["rev"]
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "while away"})
        async with _page(door, url, after=rev) as page:
            missed, snapshot = await _next(page), await _next(page)
        assert [change["changes"] for change in missed["changes"]] == [{"remark": ["", "while away"]}]
        assert snapshot["type"] == "snapshot"
        assert snapshot["accounts"][0]["remark"] == "while away"


@pytest.mark.parametrize("after", [10**6, 10**30])
async def test_a_cursor_that_is_not_ours_is_answered_by_a_reset_and_a_snapshot(door: Door, after: int) -> None:
    async with served(door) as url, _page(door, url, after=after) as page:
        assert [(await _next(page))["type"] for _ in range(2)] == ["reset", "snapshot"]


async def test_a_reader_who_is_too_slow_loses_its_queue_and_starts_over(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BATCH_SECONDS", 1.0)  # as long as a page might keep us waiting
    monkeypatch.setattr(live, "QUEUE_LIMIT", 1)  # two changes of twenty come in between, however busy the machine is
    async with served(door) as url, _page(door, url) as page:
        await _next(page)
        for number in range(20):
            await door.server.manager.update_settings("shop", {"remark": str(number)}, caller=ANN)
        kinds: list[str] = []
        while kinds[-2:] != ["reset", "snapshot"]:
            message = await _next(page)
            kinds.append(message["type"])
        assert message["accounts"][0]["remark"] == "19"


async def test_a_page_that_never_reads_costs_a_bounded_queue_and_ends_with_its_socket(door: Door) -> None:
    async with served(door) as url:
        async with _page(door, url) as page:
            await _next(page)
            assert len(door.server.events._subscriptions) == 1
            page.transport.pause_reading()
            for number in range(50):
                await door.server.manager.update_settings("shop", {"remark": f"{number}" * 100}, caller=ANN)
            page.transport.abort()
        await until(lambda: not door.server.events._subscriptions)


async def test_somebody_elses_accounts_are_never_told(door: Door) -> None:
    async with another_person(door) as bob, served(door) as url, _page(door, url) as page:
        await _next(page)
        await bob.add("theirs", 2)
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "mine"})
        while not (message := await _next(page))["changes"]:
            pass
        assert {row["id"] for row in message["accounts"]} == {"shop"}
        assert "theirs" not in json.dumps(message)
    assert cookie_of(1) not in json.dumps(message)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
async def test_a_foreign_pages_handshake_is_refused(door: Door, origin: str) -> None:
    async with served(door) as url:
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with _page(door, url, origin=origin):
                pass
        assert refused.value.response.status_code == 403


async def test_without_a_session_the_socket_closes_with_a_code_of_its_own(door: Door) -> None:
    async with (
        served(door) as url,
        connect(
            f"{url.replace('http', 'ws')}/console/live", additional_headers={"Origin": url}, open_timeout=60
        ) as socket,
    ):
        with pytest.raises(websockets.ConnectionClosed):
            await socket.recv()
        assert socket.close_code == live.SIGNED_OUT


async def test_a_session_that_ends_closes_its_sockets(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 0.05)
    token = await door.server.sessions.open(1, 3600)
    async with (
        served(door) as url,
        connect(
            f"{url.replace('http', 'ws')}/console/live",
            additional_headers={"Cookie": f"shoal_session={token}", "Origin": url},
            open_timeout=60,
        ) as socket,
    ):
        await socket.recv()
        assert json.loads(await socket.recv()) == {"type": "beat"}
        await door.server.sessions.end(token)
        async with asyncio.timeout(60):
            await socket.wait_closed()
        assert socket.close_code == live.SIGNED_OUT


async def test_a_page_that_is_signed_out_from_elsewhere_hears_no_more_at_once(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEAT_SECONDS", 3600.0)  # it is not the beat that finds out
    async with served(door) as url, _page(door, url) as page, _page(door, url) as other:
        await _next(page)
        await _next(other)
        rows = (await door.call("GET", "/sessions"))["items"]
        one = next(row["id"] for row in rows if not row["current"])
        assert await door.call("DELETE", f"/sessions/{one}") == {"ended": 1}
        async with asyncio.timeout(60):
            await asyncio.wait(
                {asyncio.ensure_future(page.wait_closed()), asyncio.ensure_future(other.wait_closed())},
                return_when=asyncio.FIRST_COMPLETED,
            )
        assert sorted([page.close_code or 0, other.close_code or 0]) == [0, live.SIGNED_OUT]
        await door.call("DELETE", "/sessions")
        async with asyncio.timeout(60):
            await asyncio.gather(page.wait_closed(), other.wait_closed())
        assert {page.close_code, other.close_code} == {live.SIGNED_OUT}


async def test_a_page_follows_what_is_shared_with_its_reader_and_hears_nothing_more_of_what_was_taken(
    door: Door,
) -> None:
    async with another_person(door) as bob, served(door) as url, _page(door, url, user_id=2) as page:
        assert (await _next(page))["accounts"] == []
        await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "reply"})
        given = await _next(page)
        assert [(row["id"], row["permission"]) for row in given["accounts"]] == [("shop", "reply")]
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "seen"})
        assert [(row["remark"], row["permission"]) for row in (await _next(page))["accounts"]] == [("seen", "reply")]
        await door.call("DELETE", "/cookies/shop/staff/bob")
        taken = await _next(page)
        assert (taken["type"], taken["accounts"]) == ("snapshot", [])
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "not for bob"})
        await bob.add("mine", 2)
        while True:
            told = await _next(page)
            assert "shop" not in [row["id"] for row in told["accounts"]]
            assert "not for bob" not in str(told)
            if "mine" in [row["id"] for row in told["accounts"]]:
                break


async def test_f13_a_person_may_hold_so_many_pages_open_and_one_more_is_told_so(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", streams_per_user=2) as door, served(door) as url:
        async with _page(door, url) as first, _page(door, url) as second:
            await _next(first)
            await _next(second)
            async with _page(door, url) as third:
                async with asyncio.timeout(60):
                    await third.wait_closed()
                assert (third.close_code, third.close_reason) == (live.TOO_MANY, "too_many_streams")
        async with asyncio.timeout(60):
            while True:  # as soon as the server has seen them leave
                async with _page(door, url) as again:
                    if "accounts" in await again.recv():
                        return
                await asyncio.sleep(0.05)
