"""The history of a model's runs and what they cost, over the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from shoal.messages.message_log import IncomingMessage
from shoal.storage.assistant_tables import ai_usage
from shoal.storage.known_item_rows import SeenItem
from support.models.model_runs import a_run
from support.servers.doors import Door, another_person


async def test_runs_page_by_page_without_what_the_model_said(door: Door) -> None:
    database = door.server.database
    ids = [await a_run(database, text=f"第{n}", state="blocked" if n == 2 else "answered") for n in range(4)]
    ids.append(await a_run(database, chat_id="c2", rail="amount", why="below_floor", state="blocked", item_id="7001"))
    await door.server.order_store.items.note_from_chats("shop", [SeenItem(item_id="7001", title="电子书")])
    question = IncomingMessage(message_id="31.PNM", chat_id="c2", text="最低多少", created_at_ms=1)
    await door.server.message_log.store_incoming("shop", [question])
    first = await door.call("GET", "/ai-runs", params={"limit": 2})
    assert [row["id"] for row in first["items"]] == ids[:2:-1]
    assert {row["raw"] for row in first["items"]} == {""}
    assert [row["item_title"] for row in first["items"]] == ["电子书", ""]
    one = await door.call("GET", f"/ai-runs/{ids[4]}")
    assert (one["item_title"], one["question"], first["items"][0]["question"]) == ("电子书", "最低多少", "最低多少")
    rest = await door.call("GET", "/ai-runs", params={"limit": 3, "before": first["next"]})
    assert ([row["id"] for row in rest["items"]], rest["next"]) == (ids[2::-1], None)
    (row,) = (await door.call("GET", "/ai-runs", params={"chat_id": "c2", "cid": "shop"}))["items"]
    assert (row["rail"], row["why"], row["message_ids"]) == ("amount", "below_floor", ["31.PNM"])
    blocked = await door.call("GET", "/ai-runs", params={"state": "blocked"})
    assert [row["id"] for row in blocked["items"]] == [ids[4], ids[2]]
    assert (await door.call("GET", f"/ai-runs/{ids[0]}"))["raw"] == '{"action": "reply"}'
    await door.call("GET", "/ai-runs", 404, params={"cid": "nobody"})
    async with another_person(door) as bob:
        assert await bob.call("GET", "/ai-runs") == {"items": [], "next": None}


async def test_runs_without_a_call_are_told_apart_from_failures(door: Door) -> None:
    database = door.server.database
    reasons = ("tokens", "money", "pace", "resting", "consent", "turns")
    not_called = [await a_run(database, state="failed", why=why, duration_ms=0) for why in reasons]
    failed = [await a_run(database, state="failed", why="timeout", duration_ms=20_000)]
    failed.append(await a_run(database, state="failed", why="money"))  # the second call was refused
    failed.append(await a_run(database, state="failed", why="interrupted", duration_ms=0))
    answered = await a_run(database, state="answered")

    async def listed(**params: Any) -> list[tuple[int, bool]]:
        found = await door.call("GET", "/ai-runs", params=params)
        return [(row["id"], row["called"]) for row in found["items"]][::-1]

    assert await listed(called=False) == [(run, False) for run in not_called]
    assert await listed(state="failed", called=True) == [(run, True) for run in failed]
    assert await listed(called=True) == [(run, True) for run in [*failed, answered]]
    assert len(await listed(state="failed")) == len(not_called) + len(failed)


@pytest.mark.parametrize("before", ["x", "WzEsIDJd"])
async def test_a_place_of_another_list_is_refused(door: Door, before: str) -> None:
    assert (await door.call("GET", "/ai-runs", 422, params={"before": before}))["code"] == "bad_cursor"


async def test_a_run_that_is_not_there_is_said_to_be_so(door: Door) -> None:
    for method, path in (("GET", ""), ("POST", "/approve"), ("POST", "/drop")):
        body: dict[str, Any] = {"json": {}} if path == "/approve" else {}
        assert (await door.call(method, f"/ai-runs/999{path}", 404, **body))["code"] == "unknown_run"


@pytest.mark.parametrize("state", ["asked", "answered", "superseded", "failed", "blocked"])
async def test_only_a_draft_is_sent_or_dropped(door: Door, state: str) -> None:
    run = await a_run(door.server.database, state=state)
    closing: list[tuple[str, dict[str, Any]]] = [("approve", {"json": {}}), ("drop", {})]
    for path, body in closing:
        refused = await door.call("POST", f"/ai-runs/{run}/{path}", 409, **body)
        assert (refused["code"], refused["params"]) == ("run_closed", {"state": state})
    assert (await door.call("GET", f"/ai-runs/{run}"))["state"] == state


@pytest.mark.parametrize("body", [{"text": ""}, {"text": " \n"}, {"text": "x" * 4_001}, {"txt": "x"}, {"text": 7}])
async def test_a_text_that_cannot_be_sent_is_refused(door: Door, body: dict[str, object]) -> None:
    run = await a_run(door.server.database)
    await door.call("POST", f"/ai-runs/{run}/approve", 422, json=body)
    assert (await door.call("GET", f"/ai-runs/{run}"))["state"] == "drafted"


async def test_what_was_used_by_day_and_shop_of_all_providers_together(door: Door) -> None:
    today = datetime.now(UTC).date()
    days = [(today - timedelta(days=ago)).isoformat() for ago in (40, 2, 0)]
    rows = [
        {"account_id": "shop", "provider_id": provider, "day": day, "calls": 1, "tokens_in": 100, "tokens_out": 10,
         "cost_microfen": 5_000_000_000}
        for day in days for provider in (1, 2)
    ]  # fmt: skip
    await door.server.database.write(lambda connection: connection.execute(insert(ai_usage), rows))
    found = await door.call("GET", "/ai-usage", params={"days": 30, "cid": "shop"})
    assert [row["day"] for row in found["items"]] == days[1:]
    assert found["items"][0] == {
        "day": days[1], "account": "shop", "calls": 2, "tokens_in": 200, "tokens_out": 20,
        "cost_microfen": 10_000_000_000,
    }  # fmt: skip
    assert len((await door.call("GET", "/ai-usage", params={"days": 60}))["items"]) == 3
    await door.call("GET", "/ai-usage", 422, params={"days": 0})
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/ai-usage"))["items"] == []
