"""Many accounts at once: each for itself, or all or none."""

from __future__ import annotations

import pytest

from shoal.errors import InvalidInput
from support.servers.doors import Door, another_person
from support.site.standins import ANN, until


async def _three(door: Door) -> None:
    await door.add("two", 2)
    await door.add("three", 3)


async def test_each_account_gets_its_own_result(door: Door) -> None:
    await _three(door)
    async with another_person(door) as bob:
        await bob.add("bobs", 9)
        updates = {"shop": False, "nobody": False, "bobs": False, "two": True}
        body = await door.call("PUT", "/cookies/status", 207, json={"updates": updates})
        assert [(row["id"], row["outcome"], row["code"]) for row in body["results"]] == [
            ("shop", "changed", ""),
            ("nobody", "failed", "unknown_account"),
            ("bobs", "failed", "unknown_account"),
            ("two", "unchanged", ""),
        ]
        assert bob.account("bobs").enabled
        assert body["results"][0]["generation"] == 2
        op_id = body["results"][0]["op_id"]
        assert (await door.call("GET", f"/ops/{op_id}"))["state"] == "applied"
    await until(lambda: door.site.live["shop"] == 0)


async def test_all_well_is_200_and_an_empty_batch_is_nothing(door: Door) -> None:
    await _three(door)
    body = await door.call("PUT", "/cookies/status", json={"updates": {"two": False, "three": False}})
    assert [row["outcome"] for row in body["results"]] == ["changed", "changed"]
    assert await door.call("PUT", "/cookies/status", json={"updates": {}}) == {"results": []}


async def test_a_dry_run_changes_nothing(door: Door) -> None:
    await _three(door)
    before = dict(door.server.manager.accounts)
    sent = {"updates": {"shop": False, "two": True, "nobody": True}}
    body = await door.call("PUT", "/cookies/status?dry_run=1", 207, json=sent)
    assert [row["outcome"] for row in body["results"]] == ["would_change", "unchanged", "failed"]
    await door.call("PUT", "/cookies/status?mode=atomic&dry_run=1", 404, json=sent)  # as it would be answered
    del sent["updates"]["nobody"]
    body = await door.call("PUT", "/cookies/status?mode=atomic&dry_run=1", json=sent)
    assert [row["outcome"] for row in body["results"]] == ["would_change", "unchanged"]
    assert dict(door.server.manager.accounts) == before


async def test_atomic_is_all_or_none(door: Door) -> None:
    await _three(door)
    params = {"mode": "atomic"}
    before = dict(door.server.manager.accounts)
    sent = {"updates": {"shop": False, "nobody": False}}
    answer = await door.call("PUT", "/cookies/status", 404, params=params, json=sent)
    assert (answer["code"], answer["params"]) == ("unknown_account", {"ids": ["nobody"]})
    assert "nobody" in answer["detail"]
    async with another_person(door) as bob:
        await bob.call("PUT", "/cookies/status", 404, params=params, json={"updates": {"shop": False}})
    assert dict(door.server.manager.accounts) == before
    sent = {"updates": {"shop": False, "two": False, "three": True}}
    body = await door.call("PUT", "/cookies/status", params=params, json=sent)
    assert [row["outcome"] for row in body["results"]] == ["changed", "changed", "unchanged"]
    assert not door.account("two").enabled


@pytest.mark.parametrize("mode", ["each", "atomic"])
async def test_it_waits_for_the_accounts_only_when_it_is_told_to(door: Door, mode: str) -> None:
    await until(lambda: door.site.live.get("shop") == 1)
    door.site.farewell_seconds = 0.3
    path = f"/cookies/status?mode={mode}"
    for wait, enabled, state in (("", False, {"stopping", "running"}), ("&wait=20", True, {"running"})):
        body = await door.call("PUT", f"{path}{wait}", json={"updates": {"shop": enabled}})
        assert body["results"][0]["state"] in state
    body = await door.call("PUT", f"{path}&wait=20", json={"updates": {"shop": False}})
    assert body["results"][0]["state"] == "stopped"


async def test_a_condition_is_refused_rather_than_passed_over(door: Door) -> None:
    for mode in ("each", "atomic"):
        answer = await door.client.put(
            "/cookies/status", params={"mode": mode}, json={"updates": {"shop": False}}, headers={"If-Match": '"g1"'}
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "bad_if_match")
    assert door.account().enabled


async def test_an_atomic_batch_has_a_limit(door: Door) -> None:
    sent = {"updates": {f"shop{number}": True for number in range(501)}}
    body = await door.call("PUT", "/cookies/status", 422, params={"mode": "atomic"}, json=sent)
    assert (body["code"], body["params"]) == ("batch_too_large", {"limit": 500})
    many = {f"shop{number}": True for number in range(501)}
    for dry_run in (True, False):
        with pytest.raises(InvalidInput) as caught:
            await door.server.manager.batch_update_cookie_status(many, caller=ANN, atomic=True, dry_run=dry_run)
        assert (caught.value.code, caught.value.params) == ("batch_too_large", {"limit": 500})
    sent = {"updates": {f"shop{number}": True for number in range(5_001)}}
    assert (await door.call("PUT", "/cookies/status", 422, json=sent))["code"] == "invalid_body"
    await door.call("PUT", "/cookies/status", 422, params={"mode": "some"}, json={"updates": {}})
