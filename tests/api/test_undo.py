"""Taking a change back over the API."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.api.routes import history
from support.databases.store_steps import stored
from support.servers.doors import Door, another_person, client_of
from support.site.standins import cookie_of, until


async def _remark(door: Door, text: str) -> int:
    rev: int = (await door.call("PUT", "/cookies/shop/remark", json={"remark": text}))["rev"]
    return rev


async def _undoable(door: Door, path: str) -> list[int]:
    return [row["rev"] for row in (await door.call("GET", path))["items"] if row["undoable"]]


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
    assert newest["origin"] == "api 127.0.0.1"


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
    preview = await door.client.post(f"/history/{rev}/undo", params={"dry_run": "1"})
    await door.call("POST", f"/history/{rev}/undo", headers={"If-Match": preview.headers["ETag"]})
    assert (door.account().remark, door.account().pause_duration) == ("", 3)


async def test_removed_rules_return_with_their_ids_and_places(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"a": "1", "b": "2", "c": "3"}})
    before = await door.call("GET", "/keywords/shop")
    rev = (await door.call("POST", "/keywords/shop", json={"keywords": {"b": "other"}}))["rev"]
    await door.call("POST", f"/history/{rev}/undo")
    assert await door.call("GET", "/keywords/shop") == before
    assert await stored(door.server.store, "shop") == door.account()


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
    for path in ("/history", "/cookies/shop/history"):
        assert await _undoable(door, path) == [remarked]
    removed = (await door.call("DELETE", "/cookies/shop"))["rev"]
    body = await door.call("POST", f"/history/{removed}/undo", 422, headers={"Accept-Language": "en"})
    assert (body["code"], "was removed" in body["detail"]) == ("not_undoable", True)
    assert await _undoable(door, "/history") == []
    await until(lambda: "shop" not in door.server.manager.tasks)
    await door.add()
    for rev in (remarked, removed):
        assert (await door.call("POST", f"/history/{rev}/undo", 422))["code"] == "not_undoable"
    assert await _undoable(door, "/history") == []


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


async def test_the_history_is_searched_by_account_person_field_and_time(door: Door, monkeypatch: Any) -> None:
    await door.add("other", 2)
    for text in ("a", "b", "c"):
        await _remark(door, text)
    await door.call("PUT", "/cookies/other/status", json={"enabled": False})

    async def found(**asked: Any) -> list[tuple[str, list[str]]]:
        items: list[Any] = []
        cursor = None
        for _ in range(20):
            page = await door.call("GET", "/history", params={**asked, **({"cursor": cursor} if cursor else {})})
            items += page["items"]
            if (cursor := page["next"]) is None:
                break
        return [(row["account"], sorted(row["changes"])) for row in items]

    whole = await found()
    assert [account for account, _ in whole] == ["other", "shop", "shop", "shop", "other", "shop"]
    for limit in (1, 2, 3, 6):
        assert await found(limit=limit) == whole
        assert await found(limit=limit, account="other") == [whole[0], whole[4]]
        assert await found(limit=limit, field="remark") == [*whole[1:4], *whole[4:]], "an added account has its remark"
        assert await found(limit=limit, field="enabled", account="other") == [whole[0], whole[4]]
    monkeypatch.setattr(history, "_PAGE", 2)
    monkeypatch.setattr(history, "_MOST_PAGES", 1)
    assert await found(field="cookie") == [whole[4], whole[5]], "page by page, though pages are empty"
    assert await found(actor="user:admin") == whole
    assert await found(actor="user:bob") == []
    assert await found(since="2026-01-01T00:00:00Z") == whole
    assert await found(until="2026-01-01T00:00:00Z") == []
    assert await found(since="2100-01-01T00:00:00Z") == []
    await door.call("GET", "/history", 404, params={"account": "nobody"})
    async with another_person(door) as bob:
        assert (await bob.call("GET", "/history", 404, params={"account": "shop"}))["code"] == "unknown_account"


async def test_a_search_that_no_database_could_take_is_refused(door: Door) -> None:
    await door.call("GET", "/history", 422, params={"cid": "a\x00b"})


async def test_a_change_says_from_where_it_was_asked_for(door: Door) -> None:
    token = await door.server.sessions.open(1, 3600, kind="console")
    headers = {"Cookie": f"shoal_session={token}", "Origin": "http://shoal.test"}
    async with client_of(door.app) as browser:
        answer = await browser.put("/cookies/shop/remark", json={"remark": "x"}, headers=headers)
        assert answer.status_code == 200, answer.text
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "y"}, headers={"User-Agent": "shoal/1.0"})
    rows = (await door.call("GET", "/history"))["items"]
    assert [row["origin"] for row in rows] == ["shell 127.0.0.1", "console 127.0.0.1", "api 127.0.0.1"]
