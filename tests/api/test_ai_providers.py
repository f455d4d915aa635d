"""Providers of models by the API: sealed, a user's own, asked only after consent, and checked by a real call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from shoal.accounts.callers import Caller
from shoal.assistant.breaker import note_failure
from shoal.assistant.budget import day_of
from shoal.assistant.providers import MAX_PROVIDERS
from shoal.clock import now_ms
from shoal.errors import NotApplied
from shoal.storage.assistant_tables import ai_usage
from shoal.storage.history_tables import ops
from shoal.storage.idempotency_keys import IdempotencyKeys
from support.models.model_steps import KEY, served_model, settings_for
from support.servers.doors import Door, another_person, open_door

ELSEWHERE = settings_for("https://models.example.com")
SECOND = {"Idempotency-Key": "second"}


async def made(door: Door, base: str, **values: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await door.call("POST", "/ai-providers", json=settings_for(base, **values))
    return answer


async def test_a_provider_is_checked_by_one_call_and_its_secrets_stay_inside(tmp_path: Path) -> None:
    async with served_model() as (base, model), open_door(tmp_path / "data", allow_private_targets="all") as door:
        one = await made(door, base, price_in_fen=100, price_out_fen=200)
        path = f"/ai-providers/{one['id']}"
        assert (one["host"], one["has_key"], one["consented_host"]) == (base, True, base)
        checked = await door.call("POST", f"{path}/check")
        assert (checked["ok"], checked["why"], "您好" in checked["text"]) == (True, "", True)
        assert checked["cost_microfen"] == 100 * checked["tokens_in"] + 200 * checked["tokens_out"] > 0
        assert len(model.calls.after(0)) == 1
        faults: dict[Any, str] = {
            "500": "status 500", "401": "key 401", "not_json": "unreadable", "page": "not_json 200"
        }  # fmt: skip
        for fault, why in faults.items():
            model.lay(fault, times=1, seconds=0)
            told = await door.call("POST", f"{path}/check")
            assert (told["ok"], told["why"]) == (False, why)
        model.script([f"the key is {KEY}"], cycles=False)
        echoed = await door.call("POST", f"{path}/check")
        assert (echoed["text"], echoed["why"]) == ("the key is ***", "unreadable")
        shown = [str(await door.call("GET", where)) for where in ("/ai-providers", path, "/security-log")]
        events = (await door.call("GET", "/security-log"))["items"]
        assert "provider_added" in {entry["kind"] for entry in events}
        assert not any(KEY in text or "/v1" in text for text in [*shown, str(one), str(checked), str(echoed)])
    kept = await asyncio.to_thread(lambda: [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()])
    assert kept
    assert not any(KEY.encode() in data for data in kept)


async def test_nothing_is_sent_until_the_owner_agrees_to_the_very_host(door: Door) -> None:
    async with served_model() as (base, model):
        one = await made(door, base, agreed=False)
        path = f"/ai-providers/{one['id']}"
        refused = await door.call("POST", f"{path}/check", 409)
        assert (refused["code"], refused["params"]["host"], model.calls.after(0)) == ("no_consent", base, [])
        wrong = await door.call("PUT", path, 422, json={"consented_host": "models.example.com"})
        assert (wrong["code"], wrong["params"]["host"]) == ("provider_consent", base)
        agreed = await door.call("PUT", path, json={"consented_host": base})
        assert agreed["consented_at"] is not None
        await door.call("POST", f"{path}/check")
        moved = await door.call("PUT", path, json={"base_url": "https://models.example.com/v1", "key": "k"})
        assert (moved["consented_host"], moved["consented_at"]) == ("", None)
        noted = (await door.call("GET", "/security-log?kind=provider_changed"))["items"]
        facts = [(entry["facts"]["host"], entry["facts"]["consented_host"]) for entry in noted]
        assert facts == [("models.example.com", ""), (base, base)], "the newest is the move, to which no one agreed"
        assert (await door.call("POST", f"{path}/check", 409))["code"] == "no_consent"
        assert len(model.calls.after(0)) == 1


async def test_an_answer_ends_a_rest_and_a_failed_check_begins_none(door: Door) -> None:
    async with served_model() as (base, model):
        one = await made(door, base)
        path = f"/ai-providers/{one['id']}"
        for _ in range(5):
            await door.server.database.write(
                lambda connection: note_failure(connection, one["id"], "timeout", now_ms=now_ms())
            )
        resting = await door.call("GET", path)
        assert (resting["resting_until"] is not None, resting["last_error"]) == (True, "timeout")
        (told,) = (await door.call("GET", "/incidents"))["items"]
        assert (told["kind"], "小模型" in str(told)) == ("model_resting", True)
        model.lay("429", times=6, seconds=0)
        for _ in range(6):
            assert (await door.call("POST", f"{path}/check"))["why"] == "busy 429"
        assert (await door.call("GET", path))["resting_until"] == resting["resting_until"]
        await door.call("POST", f"{path}/check")
        well = await door.call("GET", path)
        assert (well["resting_until"], well["last_error"]) == (None, "")


async def test_a_check_counts_in_the_minute_of_its_provider(door: Door) -> None:
    async with served_model() as (base, model):
        one = await made(door, base, calls_per_minute=1)
        path = f"/ai-providers/{one['id']}/check"
        assert [(await door.call("POST", path))["why"] for _ in range(2)] == ["", "pace"]
        assert len(model.calls.after(0)) == 1


async def test_a_repeated_request_adds_one_provider_also_when_its_answer_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> None:
        raise NotApplied("gone")

    keyed: dict[str, Any] = {"json": ELSEWHERE, "headers": {"Idempotency-Key": "first"}}
    async with open_door(tmp_path / "data") as door:
        with monkeypatch.context() as patched:
            patched.setattr(IdempotencyKeys, "keep", die)
            one = await door.call("POST", "/ai-providers", **keyed)
    async with open_door(tmp_path / "data") as door:
        again = [await door.call("POST", "/ai-providers", **keyed) for _ in range(2)]
        two = await asyncio.gather(*(door.call("POST", "/ai-providers", json=ELSEWHERE, headers=SECOND) for _ in "ab"))
        assert [*again, two[0]] == [one, one, two[1]]
        listed = (await door.call("GET", "/ai-providers"))["items"]
        assert [found["id"] for found in listed] == [one["id"], two[0]["id"]]
        other = ELSEWHERE | {"key": "another"}
        refused = await door.call("POST", "/ai-providers", 422, json=other, headers=SECOND)
        assert refused["code"] == "idempotency_mismatch"
        rows = await door.server.database.read(lambda connection: connection.execute(select(ops)).all())
    assert len([row for row in rows if row.path == "/ai-providers"]) == 2
    kept = await asyncio.to_thread(lambda: [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()])
    assert not any(KEY.encode() in data for data in kept)


async def test_what_a_check_cost_is_shown_in_the_cost_of_today(door: Door) -> None:
    async with served_model() as (base, model):
        one = await made(door, base, price_in_fen=100, price_out_fen=200, fen_per_day=10_000)
        path = f"/ai-providers/{one['id']}"
        costs = [(await door.call("POST", f"{path}/check"))["cost_microfen"] for _ in range(2)]
        model.lay("429", times=1, seconds=0)
        await door.call("POST", f"{path}/check")
        assert (await door.call("GET", path))["cost_today_microfen"] == sum(costs) > 0
        assert (await door.call("GET", "/ai-usage"))["items"] == []


async def test_a_check_is_not_made_without_room_for_it_in_the_money_of_the_day(door: Door) -> None:
    async with served_model() as (base, model):
        one = await made(door, base, price_in_fen=1_000_000, price_out_fen=1_000_000, fen_per_day=0)
        path = f"/ai-providers/{one['id']}"
        refused = await door.call("POST", f"{path}/check")
        assert (refused["ok"], refused["why"], model.calls.after(0)) == (False, "money", [])
        await door.call("PUT", path, json={"fen_per_day": 10_000})
        assert (await door.call("POST", f"{path}/check"))["why"] == ""
        used = {"account_id": "shop", "provider_id": one["id"], "day": day_of("", now_ms()), "cost_microfen": 10**10}
        await door.server.database.write(lambda connection: connection.execute(insert(ai_usage).values(**used)))
        assert (await door.call("POST", f"{path}/check"))["why"] == "money", "spent by a shop"
        await door.call("PUT", path, json={"fen_per_day": None})
        assert (await door.call("POST", f"{path}/check"))["why"] == ""
        assert len(model.calls.after(0)) == 2


async def test_one_in_use_stays_and_a_shop_that_nobody_may_be_asked_for_says_so(door: Door) -> None:
    async def says() -> tuple[bool, dict[str, str], str | None]:
        found = await door.call("GET", "/cookies/shop/diagnosis", headers={"Accept-Language": "en"})
        said = {check["name"]: f"{check['detail']} {check['do']}" for check in found["checks"]}
        return found["replying"], said, (await door.call("GET", "/cookies/shop/ai"))["lacks"]

    await door.add()
    path = f"/ai-providers/{(await door.call('POST', '/ai-providers', json=ELSEWHERE))['id']}"
    await door.call("PUT", "/cookies/shop/ai", json={"ai_mode": "auto", "ai_provider_id": int(path[-1])})
    _, said, lacks = await says()
    assert ("the language model answers the rest" in said["answers"], lacks) == (True, None)
    refused = await door.call("DELETE", path, 409, headers={"Accept-Language": "en"})
    assert (refused["code"], refused["params"]["shops"]) == ("provider_in_use", ["shop"])
    assert "shop. Turn them off" in refused["detail"]
    await door.call("PUT", path, json={"consented_host": ""})
    replying, said, lacks = await says()
    assert (replying, lacks) == (False, "no_consent")
    assert "no message gets a reply" in said["answers"]
    assert "Agree in Settings" in said["model"]
    await door.call("PUT", "/cookies/shop/ai", json={"ai_mode": "off"})
    await door.call("DELETE", path)
    assert (await says())[2] is None
    caller = Caller(actor="user:admin", op_id="on")
    await door.server.manager.update_settings("shop", {"ai_mode": "auto"}, caller=caller)
    replying, said, lacks = await says()
    assert (replying, lacks, "was deleted" in said["model"]) == (False, "no_provider", True)


async def test_a_provider_is_its_owners_alone_and_changes_by_its_etag(door: Door) -> None:
    first = await door.client.post("/ai-providers", json=ELSEWHERE)
    path = f"/ai-providers/{first.json()['id']}"
    limited = await door.client.put(path, json={"fen_per_day": 500}, headers={"If-Match": first.headers["etag"]})
    assert limited.json()["fen_per_day"] == 500
    assert (await door.call("PUT", path, json={"name": "other"}))["fen_per_day"] == 500
    assert (await door.call("PUT", path, json={"fen_per_day": None}))["fen_per_day"] is None
    stale = await door.client.put(path, json={"name": "late"}, headers={"If-Match": first.headers["etag"]})
    assert (stale.status_code, stale.json()["current"]["name"]) == (412, "other")
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/ai-providers"))["items"] == []
        for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/check")):
            assert (await bob.call(method, where, 404))["code"] == "unknown_provider"
        assert (await bob.call("PUT", path, 404, json={"name": "mine"}))["code"] == "unknown_provider"
    for _ in range(MAX_PROVIDERS - 1):
        await door.call("POST", "/ai-providers", json=ELSEWHERE)
    assert (await door.call("POST", "/ai-providers", 409, json=ELSEWHERE))["code"] == "too_many_providers"
    await door.call("DELETE", path)
    assert (await door.call("GET", path, 404))["code"] == "unknown_provider"


async def test_addresses_inside_are_not_called(tmp_path: Path) -> None:
    async with served_model() as (base, model), open_door(tmp_path, allow_private_targets="") as door:
        one = await made(door, base)
        assert (await door.call("POST", f"/ai-providers/{one['id']}/check"))["why"] == "inside"
        assert model.calls.after(0) == []
