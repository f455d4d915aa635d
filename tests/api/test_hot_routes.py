"""The hot routes reach their functions without FastAPI; answers, permissions and limits are those of any route."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from fastapi import FastAPI
from pydantic import TypeAdapter

from shoal.api.hot import hot
from shoal.api.http.idempotency import ChangingRoute
from shoal.api.http.problems import answer_problems
from shoal.api.schemas.account_requests import StatusBody
from shoal.auth.rate_limits import RateLimits
from support.servers.doors import Door, another_person, open_door
from support.servers.protocol_transport import ProtocolTransport
from support.site.standins import quick_settings

PUT: dict[str, Any] = {"json": {"enabled": True}}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path, session_calls_per_minute=0) as opened:
        await opened.add()
        yield opened


HOOK = {
    "cookie_id": "shop", "msg_time": "", "user_url": "", "send_user_id": "2200000000009", "send_user_name": "小鱼",
    "item_id": "", "send_message": "包邮吗", "chat_id": "50000000001",
}  # fmt: skip
BODIES: dict[str, Any] = {
    "update_cookie_status": {"enabled": True}, "update_auto_confirm": {"auto_confirm": False}, "get_reply_words": HOOK,
}  # fmt: skip


async def test_each_answer_is_what_the_document_says(door: Door) -> None:
    await door.call("POST", "/keywords/shop", json={"keywords": {"包邮": "包的"}})
    for route in hot:
        method = "".join(route.methods or ())
        path = route.path_format.replace("{cid}", "shop")
        answer = await door.client.request(method, path, json=BODIES.get(route.name))
        assert answer.status_code == 200, (path, answer.text)
        found = TypeAdapter(route.response_model).validate_json(answer.content)
        assert TypeAdapter(route.response_model).dump_python(found, mode="json", exclude_none=True) is not None
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-frame-options"] == "DENY"
    assert len(hot) == 8


async def test_a_changing_one_shows_its_etag_and_takes_a_condition_and_a_wait(door: Door) -> None:
    answer = await door.client.put("/cookies/shop/status?wait=0", json={"enabled": False})
    assert answer.headers["etag"] == f'"g{door.account().generation}"'
    late = await door.client.put("/cookies/shop/status", json={"enabled": True}, headers={"If-Match": '"g1"'})
    assert (late.status_code, late.json()["code"]) == (412, "stale_generation")
    assert late.json()["current"]["enabled"] is False
    for wait in ("-1", "nan", "x", "1e9"):
        refused = await door.client.put(f"/cookies/shop/status?wait={wait}", json={"enabled": True})
        assert (refused.status_code, refused.json()["params"]["places"][0]["loc"]) == (422, ["query", "wait"])


SENT: list[tuple[bytes, str | None]] = [
    (b"", None),
    (b"", "application/json"),
    (b"{", "application/json"),
    (b"[]", "application/json"),
    (b"null", "application/json"),
    (b'{"enabled": NaN}', "application/json"),
    (b'{"enabled": "perhaps"}', "application/json"),
    (b'{"enabled": 1}', "application/json"),
    (b'{"enabled": true, "more": 1}', "application/json"),
    (b'{"enabled": true}', "application/merge-patch+json"),
    (b'{"enabled": true}', "application/json; charset=utf-8"),
    (b'{"enabled": true}', "text/plain"),
    (b'{"enabled": true}', None),
    (b"enabled=1", "application/x-www-form-urlencoded"),
    (b'{"enabled": "\\ud800"}', "application/json"),
    (b"\xff", "application/json"),
    (b"[" * 100_000, "application/json"),
]


async def test_a_body_is_read_as_fastapi_reads_it(door: Door) -> None:
    async def switched(body: StatusBody) -> StatusBody:
        return body

    app = FastAPI()
    answer_problems(app)
    app.router.routes.append(ChangingRoute("/switched", switched, methods=["PUT"]))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shoal.test") as fastapi:
        for sent, kind in SENT:
            headers = {} if kind is None else {"Content-Type": kind}
            theirs = await fastapi.put("/switched", content=sent, headers=headers)
            ours = await door.client.put("/cookies/shop/status", content=sent, headers=headers)
            assert ours.status_code == theirs.status_code, (sent[:40], kind, theirs.text, ours.text)
            if ours.status_code != 200:
                assert ours.json() == theirs.json(), (sent[:40], kind)


async def test_other_methods_and_other_words_of_the_same_path_find_their_routes(door: Door) -> None:
    assert (await door.client.delete("/verify")).status_code == 405
    assert (await door.client.head("/cookies")).status_code == 405
    assert (await door.client.get("/cookies/check")).json()["totalCount"] == 1
    assert (await door.client.get("/cookies/nothing")).status_code == 404
    assert (await door.client.post("/cookies/shop")).status_code == 405


async def test_from_another_machine_secrets_over_plain_http_are_refused(door: Door) -> None:
    transport = ProtocolTransport(door.app, client=("198.51.100.7", 9))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://shoal.test", headers=door.client.headers
    ) as client:
        assert (await client.get("/cookies")).json()["code"] == "plain_http"
        assert (await client.put("/cookies/shop/status", **PUT)).json()["code"] == "plain_http"


async def test_under_another_name_nothing_is_answered(tmp_path: Path) -> None:
    async with open_door(tmp_path, allowed_hosts="shop.example") as door:
        assert (await door.client.get("/cookies")).json()["code"] == "unknown_host"
        assert (await door.client.get("/cookies", headers={"Host": "shop.example"})).json() == []


async def test_while_the_database_is_checked_no_change_is_taken(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(door.server.database), "checking", True)
    assert (await door.client.put("/cookies/shop/status", **PUT)).json()["code"] == "store_checking"
    assert (await door.client.get("/cookies")).json() == ["shop"]


async def test_each_call_is_counted_once_against_the_limit(door: Door) -> None:
    door.app.state.server = _with_limit(door, 5)
    for path in ("/cookies", "/cookies/nowhere", "/cookies/shop", "/keywords/shop", "/verify"):
        assert (await door.client.get(path)).status_code in {200, 404}
    assert (await door.client.get("/cookies")).status_code == 429
    assert (await door.client.get("/keywords/shop")).status_code == 429


def _with_limit(door: Door, calls: int) -> Any:
    limits = quick_settings(session_calls_per_minute=calls, api_token_calls_per_minute=calls)
    return dataclasses.replace(door.server, rate_limits=RateLimits(limits))


async def test_an_ended_session_reads_nothing_more(door: Door) -> None:
    async with another_person(door) as bob:
        assert (await bob.client.get("/cookies")).json() == []
        token = bob.client.headers["Authorization"].removeprefix("Bearer ")
        await door.server.sessions.end(token)
        assert (await bob.client.get("/cookies")).status_code == 401


async def test_another_owner_sees_nothing(door: Door) -> None:
    async with another_person(door) as bob:
        for _ in range(2):
            assert (await bob.client.get("/cookies/shop")).status_code == 404
            assert (await bob.client.put("/cookies/shop/status", **PUT)).json()["code"] == "unknown_account"
            assert (await bob.client.get("/cookies/details")).json() == []


async def test_a_defect_of_a_route_is_answered_and_logged(
    door: Door, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(type(door.server.manager), "update_auto_confirm_setting", broken)
    answer = await door.client.put("/cookies/shop/auto-confirm", json={"auto_confirm": True})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert [record.exc_info is not None for record in caplog.records if record.name == "uvicorn.error"] == [True]


def request_of(door: Door, method: str = "GET", path: str = "/cookies", body: bytes = b"", length: int = 0) -> bytes:
    """The bytes of a request."""
    token = door.client.headers["Authorization"]
    lines = [f"{method} {path} HTTP/1.1", "Host: shoal.test", f"Authorization: {token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {length or len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_many_requests_in_one_piece_are_answered_in_their_order(door: Door) -> None:
    await door.client.get("/cookies")
    paths = ["/cookies", "/verify", "/cookies/shop", "/nothing", "/cookies/details", "/cookies"] * 50
    with ProtocolTransport(door.app).connected() as (protocol, line):
        protocol.data_received(b"".join(request_of(door, path=path) for path in paths))
        await line.until_answered(len(paths))
        bodies = [(await door.client.get(path)).status_code for path in paths[:6]]
        assert [answer.status for answer in line.answers] == bodies * 50


async def test_a_refused_request_is_a_line_and_at_debug_each_is(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    refused, fine = ("GET", "/cookies/%E4%B8%AD", 422), ("GET", "/cookies", 200)
    for level, expected in ((logging.INFO, [refused]), (logging.DEBUG, [refused, fine])):
        caplog.set_level(level, "shoal")
        with structlog.testing.capture_logs() as lines:
            await door.client.get("/cookies/%E4%B8%AD?token=secret")
            await door.client.get("/cookies")
        found = [(one["method"], one["path"], one["status"]) for one in lines if one["event"] == "request"]
        assert found == expected


async def test_a_body_that_arrives_in_parts_has_a_time_limit(door: Door) -> None:
    body = b'{"auto_confirm": true}'
    with ProtocolTransport(door.app).connected() as (protocol, line):
        protocol.data_received(request_of(door, "PUT", "/cookies/shop/auto-confirm", body[:5], length=len(body)))
        for _ in range(20):
            await asyncio.sleep(0)
        assert line.connection.deadline > asyncio.get_running_loop().time()
        assert line.connection.waits_for_client
        protocol.data_received(body[5:])
        await line.until_answered(1)
    assert door.account().auto_confirm
