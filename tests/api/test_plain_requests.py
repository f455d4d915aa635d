"""Plain requests take a short way past the layers. Nothing in their answers, permissions and limits differs."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from doors import Door, another_person, open_door
from protocol_transport import ProtocolTransport
from shoal.api.http import plain_requests
from shoal.api.http.direct_routes import DirectRoute
from shoal.api.http.plain_requests import PlainRequests
from shoal.api.http.routing import is_answered_at_once
from shoal.auth.rate_limits import RateLimits
from standins import quick_settings

CHANGING = re.compile(rb'"(op_id|generation|rev|timestamp|at|since|last_used|created_at)": ?("[^"]*"|\d+)')
PUT: dict[str, Any] = {"json": {"enabled": True}}


def by_layers(door: Door, client: tuple[str, int] = ("127.0.0.1", 123)) -> httpx.AsyncClient:
    """The same caller, every request of whom goes through the layers."""
    transport = ProtocolTransport(door.app, client=client, by_layers=True)
    return httpx.AsyncClient(transport=transport, base_url="http://shoal.test", headers=door.client.headers)


@contextmanager
def found_plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Of each request whether it was found to be plain."""
    seen: list[bool] = []
    find = PlainRequests.find

    def watched(self: PlainRequests, *of: Any) -> Any:
        found = find(self, *of)
        seen.append(found is not None)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(PlainRequests, "find", watched)
        yield seen


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/cookies", {}),
    ("GET", "/cookies/details", {}),
    ("GET", "/cookies/check", {}),
    ("GET", "/cookies/shop", {}),
    ("GET", "/cookies/nowhere", {}),
    ("GET", "/cookies/%E4%B8%AD", {}),
    ("GET", "/cookies/a%2Fb", {}),
    ("GET", "/nothing/here", {}),
    ("GET", "/verify", {}),
    ("GET", "/verify", {"headers": {"Authorization": "Bearer wrong"}}),
    ("GET", "/cookies", {"headers": {"Authorization": "Bearer wrong"}}),
    ("GET", "/cookies", {"headers": {"Authorization": "Basic eDp5"}}),
    ("GET", "/users", {}),
    ("GET", "/keywords/shop", {}),
    ("GET", "/health/live", {}),
    ("PUT", "/cookies/shop/status", PUT),
    ("PUT", "/cookies/shop/status", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
    ("PUT", "/cookies/shop/status", {"json": {"enabled": "perhaps"}}),
    ("PUT", "/cookies/shop/status", {"content": b"enabled=1"}),
    ("PUT", "/cookies/shop/status", {**PUT, "headers": {"If-Match": '"g99"'}}),
    ("PUT", "/cookies/shop/status", {**PUT, "headers": {"If-Match": "nonsense"}}),
    ("PUT", "/cookies/shop/status", {**PUT, "headers": {"Accept-Language": "en", "If-Match": '"g99"'}}),
    ("PUT", "/cookies/nowhere/status", PUT),
    ("PUT", "/cookies/shop/auto-confirm", {"json": {"auto_confirm": False}}),
    ("POST", "/cookies", {"json": {"id": "", "value": "x"}}),
    ("POST", "/cookies", {"json": {"id": "shop2", "value": ""}}),
    ("POST", "/cookies/shop/resume", {}),
    ("DELETE", "/cookies/nowhere", {}),
    ("POST", "/cookies/shop", {}),
    ("GET", "/cookies/shop", {"headers": {"Connection": "close"}}),
]


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path, session_calls_per_minute=0) as opened:
        await opened.add()
        yield opened


def told(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """What a caller sees, without what differs between two calls."""
    differing = {"date", "content-length", "etag"}
    headers = sorted((name, value) for name, value in answer.headers.multi_items() if name not in differing)
    return answer.status_code, headers, CHANGING.sub(b"", answer.content)


async def test_both_ways_give_the_same_answer(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async with by_layers(door) as layers:
        with found_plain(monkeypatch) as plain:
            for method, path, request in CALLS:
                short = await door.client.request(method, path, **request)
                long = await layers.request(method, path, **request)
                assert told(short) == told(long), (method, path, request)
    assert sum(plain) > 20


LAYERED: list[tuple[str, dict[str, str]]] = [
    ("/cookies?x=1", {}),
    ("/cookies/" + "long" * 100, {}),
    ("/cookies", {"Cookie": "shoal_session=x"}),
    ("/cookies", {"Origin": "https://elsewhere.test"}),
    ("/cookies", {"X-Forwarded-For": "198.51.100.7"}),
    ("/cookies", {"X-Forwarded-Host": "elsewhere.test"}),
    ("/cookies", {"X-Forwarded-Proto": "https"}),
    ("/cookies", {"X-Real-IP": "198.51.100.7"}),
    ("/cookies", {"Forwarded": "for=198.51.100.7"}),
    ("/cookies", {"Sec-Fetch-Site": "cross-site"}),
    ("/cookies", {"Upgrade": "h2c", "Connection": "upgrade"}),
    ("/cookies", {"Idempotency-Key": "one"}),
    ("/cookies", {"Content-Length": "3"}),
    ("/cookies", {"Range": "bytes=0-1"}),
]


async def test_what_a_layer_looks_at_goes_through_the_layers(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, headers in LAYERED:
        content = b"xyz" if "Content-Length" in headers else None
        with found_plain(monkeypatch) as plain:
            await door.client.request("GET", path, headers=headers, content=content)
        assert plain == [False], (path, headers)


async def test_two_headers_of_one_name_go_through_the_layers(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    with found_plain(monkeypatch) as plain:
        await door.client.get("/cookies", headers=[("Authorization", "Bearer one"), ("Authorization", "Bearer two")])
    assert plain == [False]


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


@contextmanager
def counted_tasks() -> Iterator[list[str]]:
    """The names of the coroutines of which tasks are made."""
    loop, made = asyncio.get_running_loop(), list[str]()

    def make(of: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(getattr(work, "__qualname__", ""))
        return asyncio.Task(work, loop=of, **options)

    loop.set_task_factory(make)
    try:
        yield made
    finally:
        loop.set_task_factory(None)


async def test_a_read_of_a_known_caller_makes_no_task(door: Door) -> None:
    await door.client.get("/cookies")
    with counted_tasks() as made:
        for path in ("/cookies", "/cookies/details", "/cookies/check", "/cookies/shop", "/verify"):
            assert (await door.client.get(path)).status_code == 200
    assert [name for name in made if "run_asgi" in name] == []


async def test_a_change_is_one_task(door: Door) -> None:
    await door.client.put("/cookies/shop/auto-confirm", json={"auto_confirm": False})
    with counted_tasks() as made:
        assert (await door.client.put("/cookies/shop/auto-confirm", json={"auto_confirm": True})).status_code == 200
    assert [name for name in made if "recent" not in name.lower() and "_reads" not in name] == [
        "RequestResponseCycle.run_asgi"
    ]


async def test_every_route_that_is_marked_waits_for_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it is begun twice, each time."""
    routes = [route for route in door.app.router.routes if isinstance(route, DirectRoute)]
    marked = [route.path for route in routes if is_answered_at_once(route.endpoint)]
    waited: list[str] = []
    at_once = plain_requests.PlainRequest.answer_at_once

    def watched(self: plain_requests.PlainRequest) -> Any:
        answer = at_once(self)
        if answer is None:
            waited.append(self.request.url.path)
        return answer

    monkeypatch.setattr(plain_requests.PlainRequest, "answer_at_once", watched)
    await door.client.get("/verify")
    for path in marked:
        assert (await door.client.get(path.replace("{cid}", "shop"))).status_code == 200
    assert len(marked) >= 5
    assert waited == []


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
    """The bytes of a plain request."""
    token = door.client.headers["Authorization"]
    lines = [f"{method} {path} HTTP/1.1", "Host: shoal.test", f"Authorization: {token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {length or len(body)}"] if body else []
    return "\r\n".join([*lines, "", ""]).encode() + body


async def test_of_many_requests_in_one_piece_one_is_answered_at_once_and_all_in_order(door: Door) -> None:
    await door.client.get("/cookies")
    paths = ["/cookies", "/verify", "/cookies/shop", "/nothing", "/cookies/details", "/cookies"] * 50
    with ProtocolTransport(door.app).connected() as (protocol, line):
        protocol.data_received(b"".join(request_of(door, path=path) for path in paths))
        assert len(line.answers) == 1
        await line.until_answered(len(paths))
        bodies = [(await door.client.get(path)).status_code for path in paths[:6]]
        assert [answer.status for answer in line.answers] == bodies * 50


async def test_while_the_client_takes_nothing_nothing_is_answered_at_once(door: Door) -> None:
    await door.client.get("/cookies")
    with ProtocolTransport(door.app).connected() as (protocol, line):
        protocol.pause_writing()
        protocol.data_received(request_of(door))
        for _ in range(20):
            await asyncio.sleep(0)
        assert line.answers == []
        protocol.resume_writing()
        await line.until_answered(1)


async def test_at_debug_each_request_is_a_line(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    lines: dict[int, list[str]] = {
        logging.INFO: [],
        logging.DEBUG: ["GET /cookies 200", "PUT /cookies/shop/status 200"],
    }
    for level, said in lines.items():
        caplog.clear()
        caplog.set_level(level, "shoal")
        caplog.set_level(logging.INFO, "uvicorn.access")
        await door.client.get("/cookies")
        await door.client.put("/cookies/shop/status", **PUT)
        found = [record.args for record in caplog.records if record.name == "uvicorn.access"]
        assert [f"{one[1]} {one[2]} {one[4]}" for one in found if isinstance(one, tuple)] == said


async def test_a_body_that_arrives_in_parts_has_the_time_limit_of_the_layers(door: Door) -> None:
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


async def test_a_connection_that_was_answered_at_once_waits_for_its_client_again(door: Door) -> None:
    await door.client.get("/cookies")
    transport = ProtocolTransport(door.app)
    with transport.connected() as (_, first), transport.connected() as (protocol, second):
        del first
        since = second.connection.waits_since
        protocol.data_received(request_of(door))
        assert [answer.status for answer in second.answers] == [200]
        assert second.connection.waits_since > since
        assert second.connection.waits_for_client
        protocol.data_received(request_of(door).replace(b"Host", b"Connection: close\r\nHost"))
        assert second.is_closing()
