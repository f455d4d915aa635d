"""The canary: a cookie that was sent appears in no answer, no header and no log, whatever the route and the mistake."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from api_document import api_document
from doors import Door, open_door
from shoal.api.http.route_rules import routes_of
from shoal.server.route_table import routers
from standins import cookie_of

CANARY = "canary5d1f77"
COOKIE = cookie_of(1, secret=CANARY)
PLATFORM_PASSWORD = "hunter2canary"


def _routes(door: Door) -> list[tuple[str, str]]:
    """Every method and path of the document."""
    paths = api_document()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods if path != "/events"]


def test_no_model_of_a_body_repeats_in_its_errors_what_was_sent() -> None:
    fields = (route.body_field for route in routes_of(routers()) if isinstance(route, APIRoute))
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


def _bodies() -> list[dict[str, Any]]:
    """What scripts send rightly, and what they send by mistake: the cookie in every wrong place."""
    right: dict[str, Any] = {"json": {"id": "shop", "value": COOKIE}}
    mistakes: list[dict[str, Any]] = [
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


async def test_a_cookie_leaves_by_no_route(
    door: Door, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    await door.call("PUT", "/cookies/shop", json={"id": "shop", "value": COOKIE})
    await door.call("POST", "/cookies", json={"id": "two", "value": cookie_of(2, secret=CANARY)})
    answers: list[httpx.Response] = []
    for number, (method, path) in enumerate(_routes(door)):
        if path in {"/logout", "/cookies/{cid}"} and method != "GET":
            continue
        bodies = _bodies() if method in {"POST", "PUT", "PATCH"} else [{}]
        answers += [await door.client.request(method, _filled(path, "shop"), **body) for body in bodies]
        in_turn = bodies[number % len(bodies)]
        answers.append(await door.client.request(method, _filled(path, "nobody"), **in_turn))
    for body in _bodies():
        answers.append(await door.client.put("/cookies/shop", **body))
    answers.append(await door.client.delete("/cookies/two"))
    answers.append(await door.client.get("/openapi.json"))
    assert not [answer.request.url.path for answer in answers if answer.status_code == 500]
    assert {200, 400, 403, 404, 409, 422} <= {answer.status_code for answer in answers}
    written = capfd.readouterr()
    told = [json.dumps(entry.changes) for entry in await door.server.store.journal()]
    everything = [written.out, written.err, caplog.text, *told]
    everything += [f"{answer.headers} {answer.text}" for answer in answers]
    assert "change committed" in written.out
    for text in everything:
        assert CANARY not in text
        assert PLATFORM_PASSWORD not in text


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
