"""Shops that are shared: what those may do who do not own them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter

from api.stream_reader import one_by_one, rows_of
from shoal.accounts.positions import Position
from shoal.api.http.event_feed import account_events
from shoal.api.http.route_rules import ANYBODY, require_rules
from shoal.api.routes import events as stream
from shoal.auth.permission import Permission
from shoal.auth.users import Role
from support.servers.doors import Door, another_person, open_door
from support.site.standins import cookie_of, until

ORDER = list(Permission)


@pytest.fixture
async def bob(door: Door) -> AsyncIterator[Door]:
    async with another_person(door) as other:
        yield other


async def _share(door: Door, permission: Permission, user_id: int = 2) -> None:
    await door.server.authorization.give(door.account(), user_id, permission, given_by="user:admin")


async def test_a_shop_is_unknown_until_it_is_shared_and_again_afterwards(door: Door, bob: Door) -> None:
    assert (await bob.call("GET", "/cookies/shop", 404))["code"] == "unknown_account"
    await _share(door, Permission.READ)
    assert (await bob.call("GET", "/cookies/shop"))["permission"] == "read"
    assert await bob.call("GET", "/cookies") == ["shop"]
    assert [row["permission"] for row in await bob.call("GET", "/cookies/details")] == ["read"]
    assert [row["account"] for row in (await bob.call("GET", "/history"))["items"]] == ["shop"]
    await door.server.authorization.take("shop", 2)
    assert (await bob.call("GET", "/cookies/shop", 404))["code"] == "unknown_account"
    assert await bob.call("GET", "/cookies") == []
    assert (await bob.call("GET", "/history"))["items"] == []


@pytest.mark.parametrize(
    ("needs", "method", "path", "body"),
    [
        (Permission.REPLY, "PUT", "/cookies/shop/chats/1/pause", {"minutes": 5}),
        (Permission.OPERATE, "PUT", "/cookies/shop/status", {"enabled": False}),
        (Permission.OPERATE, "PATCH", "/cookies/shop/settings", {"remark": "x"}),
        (Permission.OWN, "PATCH", "/cookies/shop/settings", {"remark": "x", "proxy": ""}),
        (Permission.OWN, "PUT", "/cookies/shop", {"id": "shop", "value": cookie_of(1)}),
        (Permission.OWN, "POST", "/cookies", {"id": "shop", "value": cookie_of(1)}),
        (Permission.OWN, "POST", "/qr-logins", {"account": "shop"}),
        (Permission.OWN, "POST", "/console/proxy-check", {"account": "shop"}),
        (Permission.OWN, "DELETE", "/cookies/shop", None),
    ],
)
async def test_each_deed_needs_its_right(
    door: Door, bob: Door, needs: Permission, method: str, path: str, body: dict[str, Any] | None
) -> None:
    for permission in ORDER[:-1]:
        await _share(door, permission)
        rev = door.server.manager.newest_rev
        answer = await bob.client.request(method, path, json=body)
        if permission >= needs:
            assert answer.is_success, answer.text
        else:
            refusal = answer.json()
            assert (answer.status_code, refusal["code"]) == (403, "right_missing")
            assert refusal["detail"].count("“") == 2
            assert door.server.manager.newest_rev == rev


async def test_a_change_is_refused_when_the_right_is_taken_while_it_waits_for_its_turn(door: Door, bob: Door) -> None:
    await _share(door, Permission.OPERATE)
    hold = await door.server.manager.locks.acquire("shop", "test")
    who = await door.principal(2)
    waiting = door.server.manager.locks.figures().waiting
    call = asyncio.create_task(bob.client.put("/cookies/shop/status", json={"enabled": False}))
    await until(lambda: door.server.manager.locks.figures().waiting > waiting)
    await door.server.authorization.take("shop", who.id)
    hold.release()
    assert (await call).status_code == 403
    assert door.account().enabled


async def test_a_batch_switches_only_what_the_caller_may_operate(door: Door, bob: Door) -> None:
    await bob.add("mine", 2)
    await _share(door, Permission.REPLY)
    updates = {"updates": {"mine": False, "shop": False, "nobodys": False}}
    rows = (await bob.call("PUT", "/cookies/status", 207, json=updates))["results"]
    assert [(row["outcome"], row["code"]) for row in rows] == [
        ("changed", ""),
        ("failed", "right_missing"),
        ("failed", "unknown_account"),
    ]
    atomic = {"updates": {"mine": True, "shop": False}}
    assert (await bob.call("PUT", "/cookies/status?mode=atomic", 403, json=atomic))["code"] == "right_missing"
    assert not door.account("mine").enabled


async def test_undoing_needs_the_right_for_what_it_changes(door: Door, bob: Door) -> None:
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "new"})
    rev = door.account().rev
    await door.call("PUT", "/cookies/shop", json={"id": "shop", "value": cookie_of(1, secret="s2")})
    renewed = door.account().rev
    assert (await bob.call("POST", f"/history/{rev}/undo", 404))["code"] == "unknown_entry"
    await _share(door, Permission.REPLY)
    assert (await bob.call("POST", f"/history/{rev}/undo", 403))["code"] == "right_missing"
    assert not any(row["undoable"] for row in (await bob.call("GET", "/cookies/shop/history"))["items"])
    await _share(door, Permission.OPERATE)
    assert (await bob.call("POST", f"/history/{renewed}/undo", 403))["code"] == "right_missing"
    assert (await bob.call("POST", f"/history/{rev}/undo"))["changed"]


async def test_a_stream_follows_what_its_reader_may_see(door: Door, bob: Door) -> None:
    who = await door.principal(2)
    async with aclosing(one_by_one(door, who, None, beat_seconds=15)) as events:
        assert await rows_of(door, who, await anext(events)) == []
        await _share(door, Permission.READ)
        assert await anext(events) is None
        given = await rows_of(door, who, await anext(events))
        assert [(row["id"], row["permission"]) for row in given] == [("shop", "read")]
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "seen"})
        told = await anext(events)
        assert told is not None
        assert told.body["changes"] == {"remark": ["", "seen"]}
        await door.server.authorization.take("shop", 2)
        await door.call("PUT", "/cookies/shop/remark", json={"remark": "not for bob"})
        await bob.add("mine", 2)
        heard = [told.body async for told in _until_change(events) if told is not None]
        assert heard[0]["type"] == "change"
        assert {body["account"] for body in heard if "account" in body} == {"mine"}


async def test_f4_a_slow_reader_of_the_stream_is_told_nothing_of_a_shop_that_it_lost(
    door: Door, bob: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes wait for the reader; the shop is taken away after it was told of the first."""
    await _share(door, Permission.READ)
    monkeypatch.setattr(stream, "_PIECE", 1)
    token = await door.server.sessions.open(2, 3600)
    chunks = stream._chunks(door.server, await door.principal(2), token, None)
    async with aclosing(chunks), asyncio.timeout(60):
        assert b'"snapshot"' in [await anext(chunks) for _ in range(2)][1]
        for text in ("seen", "not for bob"):
            await door.call("PUT", "/cookies/shop/remark", json={"remark": text})
        assert b'{"remark":["","seen"]}' in await anext(chunks)
        await door.server.authorization.take("shop", 2)
        assert await anext(chunks) == b": still here\n\n"
        assert b'"accounts":[]' in await anext(chunks)


@pytest.mark.parametrize(
    ("left", "status", "code"), [(None, 403, "unknown_account"), (Permission.READ, 403, "right_missing")]
)
async def test_f4_a_keyed_answer_is_not_given_again_to_who_lost_the_right(
    door: Door, bob: Door, left: Permission | None, status: int, code: str
) -> None:
    await _share(door, Permission.OPERATE)
    request: dict[str, Any] = {"json": {"enabled": False}, "headers": {"Idempotency-Key": "k1"}}
    await bob.call("PUT", "/cookies/shop/status", **request)
    assert (await bob.client.put("/cookies/shop/status", **request)).headers["idempotent-replayed"] == "true"
    await door.server.authorization.take("shop", 2)
    if left is not None:
        await _share(door, left)
    answer = await bob.client.put("/cookies/shop/status", **request)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "idempotent-replayed" not in answer.headers


async def _until_change(events: Any) -> AsyncIterator[Any]:
    """Up to the first snapshot after what waits."""
    async for told in events:
        yield told
        if told is not None and told.body["type"] == "snapshot":
            return


async def test_who_follows_a_shop_hears_that_it_is_gone(door: Door, bob: Door) -> None:
    await _share(door, Permission.READ)
    feed = account_events(door.server, await door.principal(2), None, beat_seconds=15)
    async with aclosing(feed) as batches:
        await anext(batches)
        await door.call("DELETE", "/cookies/shop")
        batch = await anext(batches)
        assert any("deleted" in told.body.get("changes", {}) for told in batch)
    assert (await bob.call("GET", "/cookies/shop", 404))["code"] == "unknown_account"


async def test_a_grant_is_for_one_account_and_not_for_a_later_one_of_the_same_id(door: Door, bob: Door) -> None:
    await _share(door, Permission.OPERATE)
    await door.call("DELETE", "/cookies/shop")
    await until(lambda: "shop" not in door.server.manager.tasks)
    await door.add()
    assert (await bob.call("GET", "/cookies/shop", 404))["code"] == "unknown_account"
    assert door.server.authorization.staff_of(door.account()) == []


async def test_f4_colleagues_see_nothing_of_an_earlier_account_of_the_same_id(door: Door, bob: Door) -> None:
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "of the first"})
    await door.call("DELETE", "/cookies/shop")
    await until(lambda: "shop" not in door.server.manager.tasks)
    await asyncio.sleep(0.005)  # entries are told apart by the millisecond
    await door.add()
    await door.call("PUT", "/cookies/shop/remark", json={"remark": "of the second"})
    await _share(door, Permission.OPERATE)
    for path in ("/history", "/cookies/shop/history"):
        rows = (await bob.call("GET", path))["items"]
        assert [row["changes"].get("remark") for row in rows][:1] == [["", "of the second"]]
        assert "of the first" not in str(rows)
    who = await door.principal(2)
    async with aclosing(one_by_one(door, who, Position(0), beat_seconds=15)) as events:
        heard = [told.body async for told in _until_change(events) if told is not None]
    assert "of the second" in str(heard)
    assert "of the first" not in str(heard)


async def test_grants_outlive_a_restart(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        await door.add()
        person = await door.server.users.create("bob", "a password of theirs")
        await _share(door, Permission.REPLY, person.id)
    async with open_door(tmp_path) as door:
        access = door.server.authorization
        bob = await door.principal(2)
        assert access.permission_on(bob, door.account()) is Permission.REPLY
        assert access.permission_on(await door.principal(1), door.account()) is Permission.OWN


async def test_who_is_removed_may_do_nothing_any_more_and_is_not_listed(door: Door, bob: Door) -> None:
    await _share(door, Permission.OPERATE)
    await door.call("DELETE", "/users/2")
    assert door.server.authorization.staff_of(door.account()) == []
    await door.server.authorization.reload()
    assert door.server.authorization.staff_of(door.account()) == []
    await bob.call("GET", "/cookies", 401)


async def test_staff_add_no_shops(door: Door) -> None:
    async with another_person(door, "sam", Role.STAFF) as sam:
        for path, body in (
            ("/cookies", {"id": "mine", "value": cookie_of(2)}),
            ("/qr-logins", {}),
            ("/qr-login/generate", None),
            ("/console/cookie-check", {"value": cookie_of(2)}),
            ("/console/proxy-check", {}),
        ):
            assert (await sam.call("POST", path, 403, json=body))["code"] == "staff_owns_none"
        assert list(door.server.manager.accounts) == ["shop"]


def test_a_route_without_a_rule_builds_no_application() -> None:
    routes = APIRouter()
    routes.get("/open", dependencies=[ANYBODY])(lambda: None)
    require_rules([routes])
    routes.get("/forgotten")(lambda: None)
    with pytest.raises(LookupError, match="/forgotten"):
        require_rules([routes])


async def test_an_owner_shares_a_shop_and_takes_it_back(door: Door, bob: Door) -> None:
    shared = await door.call("PUT", "/cookies/shop/staff/BOB", json={"permission": "operate"})
    assert (shared["username"], shared["permission"], shared["given_by"]) == ("bob", "operate", "user:admin")
    assert (await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "read"}))["permission"] == "read"
    assert [row["username"] for row in (await door.call("GET", "/cookies/shop/staff"))["items"]] == ["bob"]
    for method, path, body in (
        ("GET", "/cookies/shop/staff", None),
        ("PUT", "/cookies/shop/staff/admin", {"permission": "read"}),
        ("DELETE", "/cookies/shop/staff/bob", None),
    ):
        assert (await bob.call(method, path, 403, json=body))["code"] == "right_missing"
    assert (await door.call("DELETE", "/cookies/shop/staff/bob"))["changed"]
    assert not (await door.call("DELETE", "/cookies/shop/staff/bob"))["changed"]
    assert (await door.call("GET", "/cookies/shop/staff"))["items"] == []


async def test_a_shop_is_shared_with_nobody_who_is_not_there_and_not_with_its_owner(door: Door, bob: Door) -> None:
    for method in ("PUT", "DELETE"):
        body = {"permission": "read"} if method == "PUT" else None
        assert (await door.call(method, "/cookies/shop/staff/nobody", 404, json=body))["code"] == "unknown_person"
        assert (await bob.call(method, "/cookies/shop/staff/admin", 404, json=body))["code"] == "unknown_account"
    assert (await door.call("PUT", "/cookies/shop/staff/admin", 409, json={"permission": "read"}))["code"] == "own_shop"
    await door.call("PUT", "/cookies/shop/staff/bob", 422, json={"permission": "own"})


async def test_d6_who_is_only_signed_in_changes_nothing_of_the_server_and_nothing_of_others(door: Door) -> None:
    async with another_person(door) as bob:
        for method, path, body in (
            ("POST", "/system/keys/rotate", None),
            ("GET", "/system/keys", None),
            ("GET", "/users", None),
            ("PATCH", "/users/1", {"role": "owner"}),
            ("POST", "/invitations", {}),
        ):
            assert (await bob.call(method, path, 403, json=body))["code"] == "forbidden"
        rev = door.server.manager.newest_rev
        for method, path, body in (
            ("PATCH", "/cookies/shop/settings", {"paid_message": "x"}),
            ("PUT", "/item-reply/shop/1", {"reply_content": "x"}),
            ("DELETE", "/cookies/shop", None),
        ):
            answer = await bob.client.request(method, path, json=body)
            assert (answer.status_code in {403, 404}, answer.json()["code"]) == (True, "unknown_account")
        assert door.server.manager.newest_rev == rev


async def test_who_gives_what_another_takes_at_once_is_told_what_was_given(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with another_person(door):
        record = door.server.audit_log.record

        async def taken_meanwhile(*args: Any, **facts: Any) -> None:
            await door.server.authorization.take("shop", 2)
            await record(*args, **facts)

        monkeypatch.setattr(door.server.audit_log, "record", taken_meanwhile)
        given = await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "read"})
        assert (given["username"], given["permission"], given["given_by"]) == ("bob", "read", "user:admin")
        assert (await door.call("GET", "/cookies/shop/staff"))["items"] == []
