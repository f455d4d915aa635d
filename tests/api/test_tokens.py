"""Personal API tokens: what they may do, never do, and when they are over."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from shoal.auth.permission import Permission
from support.servers.doors import Door, another_person, client_of, open_door, served
from support.site.standins import cookie_of, until


@asynccontextmanager
async def by_token(door: Door, **body: Any) -> AsyncIterator[Door]:
    """A script with a token of the door's person."""
    made = await door.call("POST", "/tokens", json={"name": "a script", **body})
    async with client_of(door.app, made["token"]) as client:
        yield Door(door.app, client, door.site)


async def test_a_token_is_shown_once_and_stored_nowhere(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        answer = await door.client.post("/tokens", json={"name": "夜间报表"}, headers={"Idempotency-Key": "once"})
        made = answer.json()
        assert made["token"].startswith("shoal_")
        assert len(made["token"]) > 40
        assert (made["scope"], made["accounts"], made["expired"]) == ("read", None, False)
        assert answer.headers["cache-control"] == "no-store"
        listed = (await door.call("GET", "/tokens"))["items"]
        assert listed == [{name: value for name, value in made.items() if name not in {"token", "already_shown"}}]
        twin = await door.client.post("/tokens", json={"name": "夜间报表"}, headers={"Idempotency-Key": "once"})
        assert twin.json() == {**made, "token": "", "already_shown": True}
    kept = await asyncio.to_thread(lambda: [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()])
    assert kept
    assert not any(made["token"].encode() in data for data in kept)


@pytest.mark.parametrize(
    ("scope", "may"), [("read", set()), ("reply", {"pause"}), ("operate", {"pause", "remark"}), ("manage", None)]
)
async def test_a_token_may_what_its_scope_says(door: Door, scope: str, may: set[str] | None) -> None:
    asked = {
        "pause": ("PUT", "/cookies/shop/chats/1/pause", {"minutes": 5}),
        "remark": ("PUT", "/cookies/shop/remark", {"remark": "x"}),
        "cookie": ("PUT", "/cookies/shop", {"id": "shop", "value": cookie_of(1)}),
        "add": ("POST", "/cookies", {"id": "other", "value": cookie_of(2)}),
    }
    async with by_token(door, scope=scope) as script:
        assert (await script.call("GET", "/cookies/shop"))["permission"] == ("own" if scope == "manage" else scope)
        for name, (method, path, body) in asked.items():
            answer = await script.client.request(method, path, json=body)
            if may is None or name in may:
                assert answer.status_code == 200, answer.text
            else:
                assert (answer.status_code, answer.json()["code"]) == (403, "right_missing")


async def test_a_token_may_never_more_than_its_person(door: Door) -> None:
    async with another_person(door) as bob, by_token(bob, scope="manage") as script:
        assert (await script.call("GET", "/cookies/shop", 404))["code"] == "unknown_account"
        await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "read"})
        assert (await script.call("GET", "/cookies/shop"))["permission"] == "read"
        refused = await script.call("PUT", "/cookies/shop/remark", 403, json={"remark": "x"})
        assert refused["params"] == {"needed": "operate", "given": "read"}


async def test_a_token_for_some_shops_knows_no_other(door: Door) -> None:
    await door.add("other", 2)
    assert (await door.call("POST", "/tokens", 404, json={"name": "x", "accounts": ["nope"]}))["code"]
    async with by_token(door, scope="manage", accounts=["shop"]) as script:
        assert await script.call("GET", "/cookies") == ["shop"]
        assert (await script.call("GET", "/cookies/other", 404))["code"] == "unknown_account"
        assert {row["account"] for row in (await script.call("GET", "/history"))["items"]} == {"shop"}
        assert (await script.call("GET", "/system/status"))["accounts"] == {"running": 1}
        for body in ({"id": "third", "value": cookie_of(3)}, {"id": "other", "value": cookie_of(2)}):
            assert (await script.call("POST", "/cookies", 403, json=body))["code"] == "token_not_allowed"
        assert (await script.call("POST", "/qr-logins", 403, json={}))["code"] == "token_not_allowed"
        rev = door.account("other").rev
        assert (await script.call("POST", f"/history/{rev}/undo", 404))["code"] == "unknown_entry"


async def test_a_token_for_a_colleagues_shop_does_not_see_the_texts_of_its_persons_own_shops(door: Door) -> None:
    await door.call("POST", "/quick-replies", json={"text": "of the colleague"})
    async with another_person(door) as bob:
        await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "read"})
        await bob.call("POST", "/quick-replies", json={"text": "of the person"})
        for accounts, texts in ((["shop"], {"of the colleague"}), (None, {"of the colleague", "of the person"})):
            limited = {} if accounts is None else {"accounts": accounts}
            async with by_token(bob, scope="read", **limited) as script:
                assert {one["text"] for one in (await script.call("GET", "/quick-replies"))["items"]} == texts


async def test_a_revoked_and_an_expired_token_and_that_of_a_deactivated_person_are_dead(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with by_token(door) as script:
        (token,) = (await door.call("GET", "/tokens"))["items"]
        assert await script.call("GET", "/cookies") == ["shop"]
        await door.call("DELETE", f"/tokens/{token['id']}")
        assert (await script.call("GET", "/cookies", 401))["code"] == "unauthenticated"
        assert (await door.call("DELETE", f"/tokens/{token['id']}", 404))["code"] == "unknown_token"
    async with by_token(door, expires_days=1) as script:
        now = door.server.api_tokens._now_ms()
        monkeypatch.setattr(door.server.api_tokens, "_now_ms", lambda: now + 24 * 3600 * 1000 - 60_000)
        await script.call("GET", "/cookies")
        monkeypatch.setattr(door.server.api_tokens, "_now_ms", lambda: now + 24 * 3600 * 1000 + 60_000)
        await script.call("GET", "/cookies", 401)
    async with another_person(door) as bob, by_token(bob) as script:
        await script.call("GET", "/cookies")
        await door.call("PATCH", "/users/2", json={"active": False})
        await script.call("GET", "/cookies", 401)


async def test_somebody_elses_token_is_seen_and_revoked_only_by_an_administrator(door: Door) -> None:
    made = await door.call("POST", "/tokens", json={"name": "mine"})
    async with another_person(door) as bob:
        assert (await bob.call("DELETE", f"/tokens/{made['id']}", 404))["code"] == "unknown_token"
        assert (await bob.call("DELETE", f"/users/1/tokens/{made['id']}", 403))["code"] == "forbidden"
        assert (await bob.call("GET", "/users/tokens", 403))["code"] == "forbidden"
        assert (await bob.call("GET", "/tokens"))["items"] == []
        async with by_token(bob, scope="reply") as script:
            await script.call("GET", "/cookies")
            mine, his = (await door.call("GET", "/users/tokens"))["items"]
            assert (mine["username"], mine["id"], his["username"], his["scope"]) == (
                "admin",
                made["id"],
                "bob",
                "reply",
            )
            assert not any("shoal_" in str(value) for row in (mine, his) for value in row.values())
            wrong = await door.call("DELETE", f"/users/1/tokens/{his['id']}", 404)
            assert wrong["code"] == "unknown_token", "it belongs to another user"
            await door.call("DELETE", f"/users/{his['user_id']}/tokens/{his['id']}")
            await script.call("GET", "/cookies", 401)
        noted = (await bob.call("GET", "/security-log", params={"kind": "token_revoked"}))["items"]
        assert [(one["actor"], one["facts"]["token_id"]) for one in noted] == [("user:admin", his["id"])]
    assert [row["id"] for row in (await door.call("GET", "/users/tokens"))["items"]] == [made["id"]]
    now = door.server.api_tokens._now_ms()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(door.server.api_tokens, "_now_ms", lambda: now + 91 * 24 * 3600 * 1000)
        assert (await door.call("GET", "/users/tokens"))["items"] == [], "an expired one is no danger any more"


async def test_a_token_in_the_cookie_is_no_sign_in(door: Door) -> None:
    made = await door.call("POST", "/tokens", json={"name": "mine", "scope": "manage"})
    async with client_of(door.app) as client:
        client.cookies.set("shoal_session", made["token"])
        assert (await client.get("/cookies")).status_code == 401


async def test_a_key_of_one_token_is_not_that_of_another(door: Door) -> None:
    key = {"Idempotency-Key": "k"}
    async with by_token(door, scope="operate") as able, by_token(door, scope="read") as unable:
        await able.call("PUT", "/cookies/shop/remark", json={"remark": "x"}, headers=key)
        await unable.call("PUT", "/cookies/shop/remark", 403, json={"remark": "x"}, headers=key)
        again = await able.client.put("/cookies/shop/remark", json={"remark": "x"}, headers=key)
        assert again.headers["idempotent-replayed"] == "true"
        assert (await able.call("GET", "/ops/k"))["state"] == "applied"
        assert (await door.call("GET", "/ops/k"))["state"] == "not_applied"


async def test_an_answer_is_not_given_again_to_who_has_lost_the_right(door: Door) -> None:
    key = {"Idempotency-Key": "k"}
    async with another_person(door) as bob:
        await door.server.authorization.give(door.account(), 2, Permission.OPERATE, given_by="user:admin")
        await bob.call("PUT", "/cookies/shop/remark", json={"remark": "x"}, headers=key)
        await door.server.authorization.give(door.account(), 2, Permission.READ, given_by="user:admin")
        refused = await bob.call("PUT", "/cookies/shop/remark", 403, json={"remark": "x"}, headers=key)
        assert refused["code"] == "right_missing"


async def test_a_stream_ends_when_its_token_is_revoked(door: Door) -> None:
    made = await door.call("POST", "/tokens", json={"name": "follower"})
    headers = {"Authorization": f"Bearer {made['token']}"}
    async with (
        served(door) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client,
        client.stream("GET", "/events") as stream,
    ):
        lines = stream.aiter_lines()
        async for line in lines:
            if line.startswith("data:"):
                assert json.loads(line[5:])["type"] == "snapshot"
                break
        await door.call("DELETE", f"/tokens/{made['id']}")
        assert [line async for line in lines if line.startswith("data:")] == []


async def test_who_calls_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"api_token_calls_per_minute": 5, "session_calls_per_minute": 20}
    async with open_door(tmp_path, **settings) as door, by_token(door) as script, by_token(door) as other:
        assert [(await script.client.get("/cookies")).status_code for _ in range(7)] == [200] * 5 + [429] * 2
        refused = await script.client.get("/cookies", headers={"Accept-Language": "en"})
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_calls")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await other.client.get("/cookies")).status_code == 200
        old = {"api_key": other.client.headers["authorization"].removeprefix("Bearer ")}
        async with client_of(door.app) as without:
            assert [(await without.post("/send-message", json=old)).status_code for _ in range(6)] == [200] * 4 + [
                429
            ] * 2
        assert {(await door.client.get("/cookies")).status_code for _ in range(20)} == {200, 429}
        assert (await door.client.get("/health/live")).status_code == 200


async def test_the_security_log_tells_of_tokens_rights_and_refusals(door: Door) -> None:
    async with another_person(door) as bob, by_token(bob, scope="read") as script:
        await door.call("PUT", "/cookies/shop/staff/bob", json={"permission": "operate"})
        for _ in range(5):
            await script.call("PUT", "/cookies/shop/remark", 403, json={"remark": "x"})
        await script.call("GET", "/tokens", 403)
        await door.call("DELETE", "/cookies/shop/staff/bob")
        items = (await door.call("GET", "/security-log"))["items"]
        told = [(row["kind"], row["outcome"], row["times"]) for row in items if row["kind"] != "person_made"]
        assert told == [
            ("right_taken", "ok", 1),
            ("refused_right", "token_not_allowed", 1),
            ("refused_right", "right_missing", 5),
            ("right_given", "ok", 1),
            ("token_made", "ok", 1),
        ]


async def test_the_last_use_of_a_token_is_told(door: Door) -> None:
    async with by_token(door) as script:
        assert (await door.call("GET", "/tokens"))["items"][0]["last_used_at"] is None
        await script.call("GET", "/cookies")

        async def used() -> bool:
            return (await door.call("GET", "/tokens"))["items"][0]["last_used_at"] is not None

        while not await used():
            await until(lambda: not door.server.api_tokens._touching)


async def test_no_more_than_so_many_tokens(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.auth.api_tokens.MOST_TOKENS", 2)
    for _ in range(2):
        await door.call("POST", "/tokens", json={"name": "x"})
    assert (await door.call("POST", "/tokens", 409, json={"name": "x"}))["code"] == "too_many_tokens"
