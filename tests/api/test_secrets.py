"""The canary: a cookie that was sent appears in no answer, no header and no log, whatever the route and the mistake."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from api.authorisation_calls import whole_answer
from shoal.server.route_table import every_route
from support.servers.api_document import api_document
from support.servers.doors import Door, open_door
from support.site.standins import cookie_of

CANARY = "canary5d1f77"
COOKIE = cookie_of(1, secret=CANARY)
PLATFORM_PASSWORD = "hunter2canary"


Sent = dict[str, Any]
"""A body, as a client of HTTP is given it."""


def _routes() -> Iterator[tuple[str, str, set[str] | None]]:
    """Every method and path of the document, with the fields of the body; ``None``: any, or no JSON."""
    document = api_document()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if path == "/events" or (path in {"/logout", "/cookies/{cid}"} and method != "get"):
                continue
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            named = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            fields = document["components"]["schemas"].get(named, {}).get("properties")
            yield method.upper(), path, set(fields) if fields else None


def test_no_model_of_a_body_repeats_in_its_errors_what_was_sent() -> None:
    fields = (route.body_field for route in every_route() if isinstance(route, APIRoute))
    models = {field.field_info.annotation for field in fields if field is not None}
    sent = [one for one in models if isinstance(one, type) and not one.__name__.startswith("Body_")]  # those are files
    assert len(sent) > 50
    assert [one.__name__ for one in sent if not one.model_config.get("hide_input_in_errors")] == []


def _filled(path: str, account_id: str) -> str:
    values = {
        "cid": account_id,
        "index": "0",
        "rule_id": "x",
        "name": "x",
        "item_id": "7001",
        "op_id": "x",
        "operation": "look",
        "rev": "2",
        "order_id": "x",
        "login_id": "x",
        "session_id": "x",
        "user_id": "2",
        "username": "bob",
        "token_id": "2",
        "invitation_id": "x",
        "chat": "x",
        "message_id": "x",
        "number": "2200000000009",
        "goods_id": "2",
        "unit_id": "2",
        "batch_id": "2",
        "card_id": "2",
        "card_rule_id": "2",
        "channel_id": "2",
        "notification_id": "2",
        "webhook_id": "2",
        "provider_id": "2",
        "buyer_id": "x",
        "plan_id": "x",
        "run_id": "2",
        "note_id": "2",
        "reply_id": "2",
        "table_name": "cookies",
    }
    return re.sub(r"{(\w+)}", lambda match: values[match[1]], path)


def _bodies() -> list[Sent]:
    """What scripts send rightly, and what they send by mistake: the cookie in every wrong place."""
    right: Sent = {"json": {"id": "shop", "value": COOKIE}}
    mistakes: list[Sent] = [
        {"json": {"value": COOKIE, "password": PLATFORM_PASSWORD, "username": "u"}},
        {"json": {"id": COOKIE, "value": 5}},
        {"json": {"id": [COOKIE], "value": [COOKIE], "enabled": COOKIE, "keywords": COOKIE, "updates": COOKIE}},
        {"json": {COOKIE: COOKIE, "keywords": {COOKIE: 1}, "updates": {COOKIE: 1}}},
        {"json": {"opening_hours": COOKIE}},
        {"json": {"holidays": COOKIE}},
        {"json": {"text": [COOKIE], "price_floor_fen": COOKIE, "filter_contacts": COOKIE, "filter_patterns": [COOKIE]}},
        {"json": {"id": "shop", "value": COOKIE + "; broken\nline=1"}},
        {"json": {"id": "shop", "value": COOKIE.replace("unb=", "un=")}},
        {"json": {"id": "shop", "value": cookie_of(2, secret=CANARY)}},
        {"json": COOKIE},
        {"content": json.dumps({"value": COOKIE})[:-1].encode(), "headers": {"Content-Type": "application/json"}},
        {"content": COOKIE.encode(), "headers": {"Content-Type": "text/plain"}},
    ]
    return [right, *mistakes]


def _bodies_for(fields: set[str] | None) -> list[Sent]:
    """The bodies that a route can tell from each other, and the cookie where each of its fields wants something else.

    A body that has none of its fields is to it the same as one with unknown fields, of which one is sent.
    """
    if fields is None:
        return _bodies()
    named = [
        body for body in _bodies() if not isinstance(body.get("json"), dict) or not fields.isdisjoint(body["json"])
    ]
    return [*named, {"json": {COOKIE: COOKIE}}, {"json": {field: {COOKIE: [COOKIE]} for field in fields}}]


async def _said_to(door: Door, method: str, path: str, sent: Sent) -> tuple[int, str]:
    """Status and everything of the answer to one body, straight from the application."""
    body: bytes = sent["content"] if "content" in sent else json.dumps(sent["json"]).encode() if sent else b""
    headers = {name.lower(): value for name, value in sent.get("headers", {"content-type": "application/json"}).items()}
    token = door.client.headers["authorization"].removeprefix("Bearer ")
    status, head, content = await whole_answer(door, method, path, token, body=body, headers=headers)
    return status, f"{head} {content.decode(errors='replace')}"


async def test_a_cookie_leaves_by_no_route(
    door: Door, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "shoal")
    await door.call("PUT", "/cookies/shop", json={"id": "shop", "value": COOKIE})
    await door.call("POST", "/cookies", json={"id": "two", "value": cookie_of(2, secret=CANARY)})
    answers: list[tuple[str, int, str]] = []
    for number, (method, path, fields) in enumerate(_routes()):
        bodies = _bodies_for(fields) if method in {"POST", "PUT", "PATCH"} else [{}]
        answers += [(path, *await _said_to(door, method, _filled(path, "shop"), body)) for body in bodies]
        answers.append(await _over_http(door, method, _filled(path, "nobody"), bodies[number % len(bodies)]))
    for body in _bodies():
        answers.append(await _over_http(door, "PUT", "/cookies/shop", body))
    answers.append(await _over_http(door, "DELETE", "/cookies/two", {}))
    answers.append(await _over_http(door, "GET", "/openapi.json", {}))
    assert not [path for path, status, _ in answers if status == 500]
    assert {200, 400, 403, 404, 409, 422} <= {status for _, status, _ in answers}
    written = capfd.readouterr()
    told = [json.dumps(entry.changes) for entry in await door.server.store.journal()]
    everything = [written.out, written.err, caplog.text, *told]
    assert "change committed" in written.out
    for where, text in [("written", text) for text in everything] + [(path, text) for path, _, text in answers]:
        assert CANARY not in text, where
        assert PLATFORM_PASSWORD not in text, where


async def _over_http(door: Door, method: str, path: str, sent: Sent) -> tuple[str, int, str]:
    answer = await door.client.request(method, path, **sent)
    return path, answer.status_code, f"{answer.headers} {answer.text}"


async def test_a_cookie_and_a_password_lie_in_no_file_in_clear(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door:  # which makes a first password
        await door.add()
        await door.call("PUT", "/cookies/shop", json={"id": "shop", "value": COOKIE})
        await door.call("POST", "/cookie/shop/account-info", json={"password": PLATFORM_PASSWORD})
        for number, body in enumerate(_bodies()):  # answers that are kept for a day
            headers = {"Idempotency-Key": f"k{number}", **body.pop("headers", {})}
            await door.client.put("/cookies/shop", headers=headers, **body)
            await door.client.post("/cookies", headers=headers, **body)
        token = door.client.headers["authorization"].removeprefix("Bearer ")
        raw = b"".join(path.read_bytes() for path in door.server.settings.data_dir.iterdir() if path.is_file())
        for secret in (CANARY, PLATFORM_PASSWORD, token, door.app.state.first_password):
            assert secret.encode() not in raw
