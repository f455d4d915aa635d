"""History, messages, locks and health."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shoal import __version__
from shoal.errors import StoreError
from shoal.messages.message_log import IncomingMessage
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from shoal.storage.data_directory import DATABASE_FILE
from support.servers.doors import Door, another_person, client_of, open_door
from support.site.standins import cookie_of


async def test_history_is_read_in_pages_newest_first(door: Door) -> None:
    for number in range(5):
        await door.call("PUT", "/cookies/shop/remark", json={"remark": f"r{number}"})
    seen: list[dict[str, Any]] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = await door.call("GET", "/cookies/shop/history", params=params)
        seen += page["items"]
        if page["next"] is None:
            break
        params["cursor"] = page["next"]
    assert [row["generation"] for row in seen] == [6, 5, 4, 3, 2, 1]
    assert seen[0]["changes"] == {"remark": ["r3", "r4"]}
    assert seen[0]["actor"] == "user:admin"
    assert seen[-1]["changes"]["cookie"] == [None, door.account().fingerprint]


@pytest.mark.parametrize("cursor", ["x", "!!", "bnVsbA", "WyJhIl0", "Wy0xXQ", "WzFlOTld", "W3RydWVd", "é"])
async def test_cursors_of_nobody_are_refused(door: Door, cursor: str) -> None:
    for path in ("/cookies/shop/history", "/messages"):
        body = await door.call("GET", path, 422, params={"cursor": cursor})
        assert body["code"] == "bad_cursor"


async def test_a_former_owners_history_is_not_shown(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "private"})
    await door.call("DELETE", "/cookies/shop")
    async with asyncio.timeout(60):
        while "shop" in door.server.manager.tasks:
            await asyncio.sleep(0.01)
    async with another_person(door) as bob:
        await bob.add("shop", 7)
        page = await bob.call("GET", "/cookies/shop/history")
        assert [row["generation"] for row in page["items"]] == [4]


async def test_messages_with_what_was_answered(door: Door) -> None:
    await door.add("two", 2)
    log = door.server.message_log
    for number in range(3):
        message = IncomingMessage(
            message_id=f"m{number}", chat_id="c1", item_id="7001", sender_id="22", sender_name="Ann",
            text=f"在吗 {number} 100%", created_at_ms=1_767_323_045_000 + number,
        )  # fmt: skip
        await log.store_incoming("shop", [message])
    other = IncomingMessage(message_id="x", chat_id="c2", text="hello", created_at_ms=5)
    await log.store_incoming("two", [other])
    row = OutboxRow(account_id="shop", chat_id="c1", uuid="u1", message_id="m2", text="在的", rule_id="r")
    (sending,) = (await log.outbox.queue([row], answers=["m1", "m2"])).ids
    await log.outbox.settle(sending, SendOutcome.SENT)
    async with another_person(door) as bob:
        assert await bob.call("GET", "/messages") == {"items": [], "next": None}
    page = await door.call("GET", "/messages", params={"limit": 2})
    assert [row["message_id"] for row in page["items"]] == ["m2", "m1"]
    newest = page["items"][0]
    assert newest["at"] == "2026-01-02T03:04:05.002Z"
    assert newest["answers"][0]["text"] == "在的"
    assert newest["answers"][0]["outcome"] == "sent"
    assert (newest["decision"], newest["rule_id"], newest["joined_to"]) == ("answered", "r", None)
    assert page["items"][1]["joined_to"] == "m2"
    rest = await door.call("GET", "/messages", params={"limit": 2, "cursor": page["next"]})
    assert [row["message_id"] for row in rest["items"]] == ["m0", "x"]
    assert rest["next"] is None
    for params, found in (
        ({"cid": "two"}, ["x"]),
        ({"chat": "c2"}, ["x"]),
        ({"q": "1 100%"}, ["m1"]),
        ({"q": "ann", "cid": "shop"}, ["m2", "m1", "m0"]),
        ({"q": "%%"}, []),
        ({"direction": "human"}, []),
        ({"decision": "answered"}, ["m2", "m1"]),
        ({"since": "2026-01-02T03:04:05.001Z", "until": "2026-01-02T03:04:05.002Z"}, ["m1"]),
        ({"since": "2026-01-02T11:04:05.002+08:00"}, ["m2"]),
    ):
        rows = (await door.call("GET", "/messages", params=params))["items"]
        assert [row["message_id"] for row in rows] == found
    await door.call("GET", "/messages", 422, params={"q": "a\x00"})
    await door.call("GET", "/messages", 422, params={"limit": 201})
    await door.call("GET", "/messages", 422, params={"since": "2026-01-02T03:04:05"})
    await door.call("GET", "/messages", 422, params={"decision": "liked"})


async def test_locks_name_the_holder_to_its_owner_only(door: Door) -> None:
    hold = await door.server.manager.locks.acquire("shop", "update_keywords")
    mine = await door.call("GET", "/system/locks")
    assert (mine["held"], mine["oldest_account"], mine["oldest_operation"]) == (1, "shop", "update_keywords")
    async with another_person(door) as bob:
        theirs = await bob.call("GET", "/system/locks")
        assert (theirs["held"], theirs["oldest_account"]) == (1, "")
    hold.release()


async def test_the_status_tells_what_runs_and_counts_the_callers_own_accounts(door: Door) -> None:
    status = await door.call("GET", "/system/status")
    assert (status["version"], status["store"]["kind"], status["accounts"]) == (__version__, "sqlite", {"running": 1})
    assert (status["store"]["waiting"], status["store"]["degraded"]) == (0, False)
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/system/status"))["accounts"] == {}
    async with client_of(door.app) as anybody:
        assert (await anybody.get("/system/status")).status_code == 401


async def test_d4_health_is_honest_and_quick(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async with client_of(door.app) as anybody:
        began = time.monotonic()
        for _ in range(10):
            assert (await anybody.get("/health")).status_code == 200
        assert time.monotonic() - began < 60
        assert (await anybody.get("/health/ready")).json()["ready"] is True

        async def broken(key: str) -> None:
            raise StoreError(f"{key} cannot be read")

        monkeypatch.setattr(door.server.database, "fact", broken)
        answer = await anybody.get("/health")
        assert answer.status_code == 503
        assert answer.json()["status"] == "unhealthy"
        assert answer.json()["services"] == {"cookie_manager": "ok", "database": "error"}
        answer = await anybody.get("/health/ready")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        assert (await anybody.get("/health/live")).status_code == 200


async def test_a_server_whose_database_another_program_locks_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.storage.database_engines.WRITER_BUSY_SECONDS", 0.05)
    async with open_door(tmp_path) as door:
        await door.add()
        with contextlib.closing(sqlite3.connect(tmp_path / DATABASE_FILE, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            await door.call("PUT", "/cookies/shop/remark", 503, json={"remark": "x"})
            services = (await door.call("GET", "/health/ready", 503))["services"]
            assert services == {"cookie_manager": "ok", "database": "error"}
            await door.call("GET", "/cookies/shop/history")  # what is stored can be read all the while
            found = await door.call("GET", "/cookies/shop/diagnosis")
            assert (found["replying"], [row["ok"] for row in found["checks"] if row["name"] == "store"]) == (
                False,
                [False],
            )
            other.execute("ROLLBACK")
        assert (await door.call("GET", "/health/ready"))["ready"] is True


async def test_health_does_not_wait_for_a_hanging_database(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_: str) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("shoal.api.routes.health.PROBE_SECONDS", 0.05)
    monkeypatch.setattr(door.server.database, "fact", hang)
    assert (await door.call("GET", "/health/ready", 503))["services"]["database"] == "error"


async def test_health_tells_of_a_manager_that_hangs(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.api.routes.health.LONGEST_SOUND_HOLD_SECONDS", 0.0)
    hold = await door.server.manager.locks.acquire("shop", "update_keywords")
    await asyncio.sleep(0.01)
    assert (await door.call("GET", "/health", 503))["services"]["cookie_manager"] == "error"
    hold.release()


async def test_reloading_publishes_what_another_wrote(door: Door) -> None:
    await door.server.store.save_auto_confirm("shop", True)  # type: ignore[attr-defined]
    assert not door.account().auto_confirm
    assert (await door.call("POST", "/system/reload-cache"))["differed"] == 1
    assert door.account().auto_confirm


async def test_the_answer_to_a_new_account_is_what_everybody_reads_next(door: Door) -> None:
    body = await door.call("POST", "/cookies", json={"id": "two", "value": cookie_of(2)})
    read = await door.call("GET", "/cookies/two")
    assert (read["generation"], read["rev"], read["state"]) == (body["generation"], body["rev"], body["state"])


async def test_the_history_of_all_accounts_tells_of_removed_ones_too_and_of_nobody_elses(door: Door) -> None:
    await door.add("two", 2)
    await door.call("DELETE", "/cookies/two")
    async with another_person(door) as bob:
        await bob.add("theirs", 3)
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "new"})
        first = await door.call("GET", "/history", params={"limit": 2})
        rest = await door.call("GET", "/history", params={"limit": 9, "cursor": first["next"]})
        assert [row["account"] for row in first["items"] + rest["items"]] == ["shop", "two", "two", "shop"]
        assert rest["next"] is None
        assert first["items"][0]["changes"] == {"remark": ["", "new"]}
        assert [row["account"] for row in (await bob.call("GET", "/history"))["items"]] == ["theirs"]


async def test_activity_is_told_in_spans_up_to_now(door: Door) -> None:
    now = time.time()
    message = IncomingMessage(message_id="m", chat_id="c", text="在吗", created_at_ms=int(now * 1000))
    await door.server.message_log.store_incoming("shop", [message])
    since = datetime.fromtimestamp(now - 7_000, UTC).isoformat()
    items = (await door.call("GET", "/activity", params={"since": since, "minutes": 60}))["items"]
    assert [row["messages"] for row in items] == [0, 1]
    async with another_person(door) as bob:
        assert [row["messages"] for row in (await bob.call("GET", "/activity"))["items"]][-1] == 0
        await bob.call("GET", "/activity", 404, params={"cid": "shop"})
    for since in ("2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "1900-01-01T00:00:00Z"):
        assert (await door.call("GET", "/activity", 422, params={"since": since}))["code"] == "bad_span"
