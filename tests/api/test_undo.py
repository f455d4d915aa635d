"""Taking a change back over the API."""

from __future__ import annotations

import pytest

from doors import Door, another_person
from standins import cookie_of, until


async def _remark(door: Door, text: str) -> int:
    rev: int = (await door.call("PUT", "/cookies/shop/remark", json={"remark": text}))["rev"]
    return rev


async def test_a_change_is_taken_back_by_a_new_change_that_can_be_taken_back_too(door: Door) -> None:
    await _remark(door, "old")
    rev = await _remark(door, "new")
    body = await door.call("POST", f"/history/{rev}/undo")
    assert (body["msg"], body["changed"], body["generation"]) == ("undone", True, 4)
    assert door.account().remark == "old"
    again = await door.call("POST", f"/history/{rev}/undo")
    assert (again["changed"], again["generation"]) == (False, 4)
    await door.call("POST", f"/history/{body['rev']}/undo")
    assert door.account().remark == "new"
    newest = (await door.call("GET", "/cookies/shop/history"))["items"][0]
    assert (newest["changes"], newest["actor"]) == ({"remark": ["old", "new"]}, "user:admin")


async def test_a_preview_changes_nothing(door: Door) -> None:
    rev = await _remark(door, "new")
    before = door.account()
    body = await door.call("POST", f"/history/{rev}/undo", params={"dry_run": "1"})
    assert body == {"changes": {"remark": ["new", ""]}}
    stale = {"If-Match": '"g1"'}
    await door.call("POST", f"/history/{rev}/undo", 412, params={"dry_run": "1"}, headers=stale)
    assert door.account() is before
    await door.call("POST", f"/history/{rev}/undo")
    assert await door.call("POST", f"/history/{rev}/undo", params={"dry_run": "1"}) == {"changes": {}}


async def test_what_was_changed_since_is_named(door: Door) -> None:
    rev = await _remark(door, "new")
    await _remark(door, "newer")
    for params in ({}, {"dry_run": "1"}):
        body = await door.call("POST", f"/history/{rev}/undo", 409, params=params, headers={"Accept-Language": "en"})
        assert (body["code"], body["params"]) == ("undo_conflict", {"fields": ["remark"]})
        assert "changed again since: remark." in body["detail"]
    assert door.account().remark == "newer"


async def test_an_etag_guards_an_undo(door: Door) -> None:
    rev = await _remark(door, "new")
    etag = await door.etag("/cookies/shop")
    await door.call("PUT", "/cookies/shop/pause-duration", json={"pause_duration": 3})
    body = await door.call("POST", f"/history/{rev}/undo", 412, headers={"If-Match": etag})
    assert body["current"]["remark"] == "new"
    await door.call("POST", f"/history/{rev}/undo", headers={"If-Match": await door.etag("/cookies/shop")})
    assert (door.account().remark, door.account().pause_duration) == ("", 3)


async def test_removed_rules_return_with_their_ids_and_places(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1", "b": "2", "c": "3"}})
    before = await door.call("GET", "/keywords/shop")
    rev = (await door.call("POST", "/keywords/shop", json={"keywords": {"b": "other"}}))["rev"]
    await door.call("POST", f"/history/{rev}/undo")
    assert await door.call("GET", "/keywords/shop") == before
    assert await door.server.store.load_account("shop") == door.account()


async def test_items_return_too(door: Door) -> None:
    await door.call("PUT", "/cookies/shop/items/7001", json={"reply": "有货"})
    rev = (await door.call("DELETE", "/cookies/shop/items/7001"))["rev"]
    await door.call("POST", f"/history/{rev}/undo")
    assert (await door.call("GET", "/cookies/shop/items/7001"))["reply"] == "有货"


async def test_undoing_a_switch_starts_or_stops_the_account(door: Door) -> None:
    rev = (await door.call("PUT", "/cookies/shop/status", json={"enabled": False}))["rev"]
    assert (await door.call("POST", f"/history/{rev}/undo"))["state"] == "running"
    assert door.site.live["shop"] == 1


async def test_a_cookie_a_creation_and_a_removal_cannot_be_undone(door: Door) -> None:
    sent = {"id": "shop", "value": cookie_of(1, secret="s2")}
    renewed = (await door.call("PUT", "/cookies/shop", json=sent))["rev"]
    resumed = (await door.call("POST", "/cookies/shop/resume"))["rev"]
    for rev in (1, renewed, resumed):
        assert (await door.call("POST", f"/history/{rev}/undo", 422))["code"] == "not_undoable"
    remarked = await _remark(door, "private")
    removed = (await door.call("DELETE", "/cookies/shop"))["rev"]
    assert (await door.call("POST", f"/history/{removed}/undo", 404))["code"] == "unknown_entry"
    await until(lambda: "shop" not in door.server.manager.tasks)
    await door.add()
    for rev in (remarked, removed):
        assert (await door.call("POST", f"/history/{rev}/undo", 422))["code"] == "not_undoable"


@pytest.mark.parametrize("rev", [99, 2**63 - 1])
async def test_unknown_and_foreign_entries_are_the_same(door: Door, rev: int) -> None:
    unknown = await door.call("POST", f"/history/{rev}/undo", 404)
    async with another_person(door) as bob:
        assert await bob.call("POST", "/history/1/undo", 404) == unknown
    await door.call("POST", "/history/0/undo", 422)


async def test_an_undo_is_carried_out_once_for_each_key(door: Door) -> None:
    rev = await _remark(door, "new")
    path, headers = f"/history/{rev}/undo", {"Idempotency-Key": "k"}
    first = await door.client.post(path, headers=headers)
    await _remark(door, "new")
    again = await door.client.post(path, headers=headers)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert door.account().remark == "new"
