"""Every route that changes something gives the same thing for the same key, and shows a secret once (G5)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pyotp
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import select

from api.authorisation_callers import MINE
from api.authorisation_calls import BODIES, NAMES, RECIPES, example_of, multipart_of
from api.keyed_requests import KEY
from shoal.api.http.idempotency import CHANGING_METHODS, ChangingRoute
from shoal.auth.users import Role
from shoal.errors import NotApplied
from shoal.server.route_table import every_route
from shoal.storage.history_tables import ops
from shoal.storage.idempotency_keys import IdempotencyKeys
from support.servers.api_document import api_document
from support.servers.doors import Door, another_person, open_door
from support.site.standins import cookie_of

IGNORING = {
    *("login", "logout", "open_console_session", "close_console_session"),  # what signs in and out
    *("begin_qr_login", "generate_qr_code"),
    "reload_cache",
    *("answer_call", "stream_events"),  # one server asks another; the one that a person asked heeds the key
    # These only show or try something: nothing is changed, and they are asked anew.
    *("try_message", "try_filter", "try_purchase", "get_reply_words", "read_rules", "check_pasted_cookie"),
    *("check_proxy", "look_at_link", "reveal_unit", "plan_import"),
}
"""By hand: the routes that ignore a key, by their functions."""

REVEALING = {"create_token", "add_webhook", "create_invitation", "create_password_link", "begin_totp"}
"""By hand: the routes that give a secret, shown once, when they are called as here."""

PASSWORD = "a password of theirs"

SENT: dict[str, Any] = {
    "create_password_link": {"expires_hours": 24},
    "begin_totp": {"password": PASSWORD},
    "change_admin_password": {"current_password": PASSWORD, "new_password": "another password of theirs"},
    "change_my_password": {"current_password": "another password of theirs", "new_password": PASSWORD},
    "add_cookie": {"id": "two", "value": cookie_of(2)},
}
"""What is sent where the table of calls has nothing that the server takes."""

UNFINISHED = {"register": 403, "confirm_totp": 403}
"""By hand: of the calls made here those whose answer is not final, since nothing was done, with their status."""


def changing_routes() -> list[tuple[str, APIRoute]]:
    routes = [route for route in every_route() if isinstance(route, APIRoute)]
    return [(method, route) for route in routes for method in sorted(CHANGING_METHODS & (route.methods or set()))]


def request_of(method: str, route: APIRoute, names: dict[str, str]) -> dict[str, Any]:
    """A request that the route can read: as the table of calls has it, but without a stale ETag."""
    recipe = RECIPES.get((method, route.path))
    path = re.sub(r"{(\w+)(?::path)?}", lambda found: names[found[1]], route.path)
    query = urlencode(recipe.query(MINE)) if recipe and recipe.query else ""
    multipart = multipart_of(route.path)
    content: bytes
    if multipart is not None:
        content, content_type = multipart
    else:
        body = SENT.get(route.name) or BODIES.get((method, route.path)) or example_of(api_document(), route, method)
        body = recipe.body(MINE) if recipe and recipe.body and route.name not in SENT else body
        content, content_type = b"" if body is None else json.dumps(body).encode(), "application/json"
    return {
        "method": method, "url": f"{path}?{query}" if query else path, "content": content,
        "headers": {"content-type": content_type},
    }  # fmt: skip


@pytest.mark.slow
async def test_g5_the_same_key_gives_the_same_thing_on_every_route_that_changes_something(door: Door) -> None:
    names = {**NAMES, "cid": MINE, "rev": "1", "reply_id": "999"}
    await door.server.users.set_password(1, PASSWORD)
    door.client.headers["Authorization"] = f"Bearer {await door.server.sessions.open(1, 3600)}"
    other = await door.server.users.create("other", PASSWORD)
    heeding, shown_once, wrong = set(), set(), []
    for number, (method, route) in enumerate(changing_routes()):
        if route.name in IGNORING:
            continue
        request = request_of(method, route, {**names, "user_id": str(other.id)} if "link" in route.path else names)
        request["headers"] |= {"idempotency-key": f"k{number}"}
        first = await door.client.request(**request)
        again = await door.client.request(**request)
        heeding.add((method, route.path))
        shown_once |= {route.name} if first.is_success and first.json() != again.json() else set()
        if (problem := what_differs(route.name, first, again)) is not None:
            wrong.append(f"{method} {route.path} ({route.name}): {problem}")
    assert not wrong, "\n".join(wrong)
    assert len(heeding) > 140
    assert shown_once == REVEALING


def test_g5_the_document_says_which_routes_heed_keys(door: Door) -> None:
    for method, route in changing_routes():
        assert isinstance(route, ChangingRoute)
        assert route.heeds_keys is (route.name not in IGNORING), route.path
        operation = api_document()["paths"].get(route.path_format, {}).get(method.lower(), {})
        if operation.get("security"):
            shown = any(row["name"] == "Idempotency-Key" for row in operation.get("parameters", ()))
            assert shown is route.heeds_keys, route.path


def what_differs(name: str, first: httpx.Response, again: httpx.Response) -> str | None:
    shown = f"{first.status_code} {first.text[:200]} then {again.status_code} {again.text[:200]}"
    if first.status_code != again.status_code:
        return shown
    if name in UNFINISHED:
        return None if first.status_code == UNFINISHED[name] else shown
    if "idempotent-replayed" in first.headers or "idempotent-replayed" not in again.headers:
        return f"it was asked again: {shown}"
    if name in REVEALING and first.is_success:
        told, kept = first.json(), again.json()
        hidden = {key for key in told if told[key] != kept[key]} - {"already_shown"}
        honest = kept["already_shown"] is True and told["already_shown"] is False
        return None if hidden and honest and not any(kept[key] for key in hidden) else shown
    return None if first.content == again.content else shown


ADDING: dict[str, tuple[str, dict[str, Any], str]] = {
    "token": ("/tokens", {"name": "x"}, "token"),
    "webhook": ("/webhooks", {"url": "https://hooks.example.com/x"}, "secret"),
    "invitation": ("/invitations", {"role": "staff"}, "token"),
    "user": ("/users", {"username": "ann", "password": PASSWORD}, ""),
    "channel": ("/channels", {"service": "bark", "name": "x", "fields": {"device_key": "k"}}, ""),
    "old channel": ("/notification-channels", {"name": "x", "type": "bark", "config": '{"device_key": "k"}'}, ""),
}
"""What a key adds once: where it is listed and added, what is sent, and the secret that is shown once."""


@pytest.mark.parametrize("what", ADDING)
async def test_g5_a_key_adds_one_and_its_secret_is_shown_once_and_never_stored(door: Door, what: str) -> None:
    path, body, secret = ADDING[what]
    before = await _listed(door, path)
    first, again = [(await door.call("POST", path, json=body, headers=KEY)) for _ in range(2)]
    assert await _listed(door, path) == before + 1
    if secret:
        assert (first["already_shown"], again["already_shown"], again[secret]) == (False, True, "")
        assert len(first[secret]) > 20
        kept = await door.server.database.read(lambda connection: str(connection.execute(select(ops)).all()))
        assert first[secret] not in kept
        assert again["id"] == first["id"]
    else:
        assert again == first
    other = await door.client.post(path, json={**body, "more": 1}, headers=KEY)
    assert other.json()["code"] == "idempotency_mismatch"


@pytest.mark.parametrize("what", ADDING)
async def test_g5_what_was_added_before_its_answer_was_lost_is_not_added_again(
    door: Door, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a death between the transaction and its answer: the row of the request has none."""
    path, body, _ = ADDING[what]
    before = await _listed(door, path)

    async def fail(*_: object) -> None:
        raise NotApplied("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(IdempotencyKeys, "keep", fail)
        await door.call("POST", path, json=body, headers=KEY)
    assert (await door.call("GET", "/ops/k1"))["state"] == "applied"
    for _ in range(2):
        lost = await door.call("POST", path, 409, json=body, headers=KEY)
        assert lost["code"] == "answer_lost"
    assert await _listed(door, path) == before + 1


async def _listed(door: Door, path: str) -> int:
    found = await door.call("GET", path)
    return len(found if isinstance(found, list) else found["items"])


async def test_g5_seed_and_recovery_codes_are_shown_once(door: Door) -> None:
    await door.server.users.set_password(1, PASSWORD)
    door.client.headers["Authorization"] = f"Bearer {await door.server.sessions.open(1, 3600)}"
    seed = (await _twice(door, "/me/totp", {"password": PASSWORD}, "secret", "uri", "picture"))["secret"]
    confirmed = await _twice(door, "/me/totp/confirm", {"code": pyotp.TOTP(seed).now()}, "recovery_codes")
    codes = confirmed["recovery_codes"]
    proof = {"password": PASSWORD, "code": codes[0]}
    renewed = (await _twice(door, "/me/recovery-codes", proof, "recovery_codes"))["recovery_codes"]
    kept = await door.server.database.read(lambda connection: str(connection.execute(select(ops)).all()))
    assert not any(secret in kept for secret in (seed, *codes, *renewed))


async def _twice(door: Door, path: str, body: dict[str, Any], *secrets: str) -> dict[str, Any]:
    first: dict[str, Any] = await door.call("POST", path, json=body, headers=KEY)
    again = await door.call("POST", path, json=body, headers=KEY)
    assert (first["already_shown"], again["already_shown"]) == (False, True)
    assert all(first[name] and not again[name] for name in secrets)
    return first


async def test_g5_who_is_no_administrator_any_more_gets_no_answer_of_before(door: Door) -> None:
    async with another_person(door, role=Role.ADMIN) as bob:
        await bob.call("POST", "/invitations", json={"role": "staff"}, headers=KEY)
        await door.call("PATCH", f"/users/{await _id_of(door, 'bob')}", json={"role": "owner"})
        refused = await bob.call("POST", "/invitations", 403, json={"role": "staff"}, headers=KEY)
        assert refused["code"] == "forbidden"


async def _id_of(door: Door, username: str) -> int:
    users = (await door.call("GET", "/users"))["items"]
    return int(next(one["id"] for one in users if one["username"] == username))


async def test_g5_a_removal_that_still_waits_is_asked_anew(tmp_path: Path) -> None:
    async with open_door(tmp_path, stop_wait_seconds=0.1) as door:
        async with another_person(door) as bob:
            await bob.add("bobs", 2)
        path = f"/users/{await _id_of(door, 'bob')}"
        released = door.site.hold_farewells()
        waits = await door.call("DELETE", path, headers=KEY)
        assert (waits["removed"], waits["leaving"]) == (False, True)
        released.set()
        done = await door.call("DELETE", path, headers=KEY)
        while done["leaving"]:
            done = await door.call("DELETE", path, headers=KEY)
        assert done["removed"]
        assert await door.call("DELETE", path, headers=KEY) == done
