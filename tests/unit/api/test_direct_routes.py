"""A direct call gives the answer that FastAPI gives, and solves no dependencies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import routing
from starlette.types import Message

from doors import Door, client_of, open_door
from shoal.accounts.account import AccountState
from shoal.api.http.direct_routes import DirectRoute
from shoal.api.http.route_rules import routes_of
from standins import until

HOT = {
    ("GET", "/cookies"), ("GET", "/cookies/details"), ("GET", "/cookies/check"), ("GET", "/cookies/{cid}"),
    ("PUT", "/cookies/{cid}/status"), ("PUT", "/cookies/{cid}/auto-confirm"), ("PUT", "/cookies/{cid}/remark"),
    ("PUT", "/cookies/{cid}/pause-duration"), ("GET", "/keywords/{cid}"), ("GET", "/verify"), ("GET", "/health"),
    ("POST", "/xianyu/reply"), ("POST", "/cookies/{cid}/send"), ("PATCH", "/cookies/{cid}/settings"),
}  # fmt: skip
STILL = (
    "/cookies",
    "/keywords",
    "/default-repl",
    "/item",
    "/rules",
    "/verify",
    "/me",
    "/users",
    "/tokens",
    "/reference",
)
"""The beginnings of paths whose answers tell no time of this moment, but for these:"""
MOVING = {"/cookies/shop/diagnosis", "/cookies/shop/uptime", "/cookies/shop/timeline"}
CHANGING = ("PUT", "/cookies/shop/status")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path, session_calls_per_minute=0) as door:
        await door.add()
        await until(lambda: door.server.manager.observation("shop").state is AccountState.RUNNING)
        yield door


def routes(door: Door) -> list[DirectRoute]:
    return [route for route in routes_of([door.app.router]) if isinstance(route, DirectRoute)]


@pytest.fixture
def solved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths whose dependencies FastAPI solved."""
    paths: list[str] = []
    solve: Any = vars(routing)["solve_dependencies"]

    async def noted(**values: Any) -> Any:
        paths.append(values["request"].url.path)
        return await solve(**values)

    monkeypatch.setattr(routing, "solve_dependencies", noted)
    return paths


def told(answer: httpx.Response) -> tuple[int, dict[str, str], Any]:
    return answer.status_code, dict(answer.headers), answer.content


@pytest.mark.slow
def test_the_hot_routes_are_called_directly(door: Door) -> None:
    direct = {
        (method, route.path) for route in routes(door) for method in route.methods or () if route.call is not None
    }
    assert direct >= HOT


@pytest.mark.slow
async def test_a_read_is_answered_as_fastapi_answers_it(door: Door, solved: list[str]) -> None:
    paths = [
        route.path_format.replace("{cid}", "shop").replace("{rule_id}", "nothing")
        for route in routes(door)
        if "GET" in (route.methods or ()) and route.call is not None and "/console" not in route.path
    ]
    compared = 0
    async with client_of(door.app) as stranger:
        for path in paths:
            if "{" in path:
                continue
            still = path.startswith(STILL) and path not in MOVING
            for client in (door.client, stranger):
                solved.clear()
                direct = await client.get(path)
                assert solved == [], path
                by_fastapi = await client.get(path, params={"_": "1"})
                assert solved, path
                assert (direct.status_code, direct.headers.keys()) == (
                    by_fastapi.status_code,
                    by_fastapi.headers.keys(),
                )
                if still:
                    assert told(direct) == told(by_fastapi), path
                    compared += 1
    assert compared > 30


@pytest.mark.parametrize(
    "request_of",
    [
        {"json": {"enabled": "perhaps"}},
        {"json": {"enabled": 1}},
        {"json": {}},
        {"json": [True]},
        {"json": {"enabled": True, "more": 1}},
        {"content": b'{"enabled": tru', "headers": {"content-type": "application/json"}},
        {"content": b"\xff\xfe", "headers": {"content-type": "application/json"}},
        {"content": b"[" * 100_000, "headers": {"content-type": "application/json"}},
        {"content": b'{"enabled": true}', "headers": {"content-type": "text/plain"}},
        {"content": b'{"enabled": true}', "headers": {"content-type": "application/json; charset=latin-1"}},
        {"content": b'{"enabled": true}'},
        {"content": b"", "headers": {"content-type": "application/json"}},
        {},
    ],
)
async def test_a_body_that_does_not_fit_is_answered_as_fastapi_answers_it(
    door: Door, request_of: dict[str, Any]
) -> None:
    direct = await door.client.request(*CHANGING, **request_of)
    by_fastapi = await door.client.request(*CHANGING, params={"_": "1"}, **request_of)
    assert direct.status_code == by_fastapi.status_code
    if direct.status_code != 200:
        assert told(direct) == told(by_fastapi)
    else:
        assert direct.json().keys() == by_fastapi.json().keys()


async def test_a_method_that_a_route_does_not_have_is_answered_once(door: Door) -> None:
    sent: list[str] = []

    async def nothing() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(f"{message['type']} {message.get('status', '')}".strip())

    (route,) = (route for route in routes(door) if route.path == "/verify")
    await route.handle({"type": "http", "method": "DELETE", "path": "/verify", "headers": []}, nothing, send)
    assert sent == ["http.response.start 405", "http.response.body"]


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer nobody"}, {"If-Match": '"g0"'}, {"If-Match": "nonsense"}]
)
@pytest.mark.parametrize("path", ["/cookies/shop/status", "/cookies/nobodys/status", "/cookies/a%2Fb/status"])
async def test_a_refusal_is_the_same_both_ways(door: Door, path: str, headers: dict[str, str]) -> None:
    answers = [
        await door.client.put(path, params=query, json={"enabled": True}, headers=headers) for query in ({}, {"_": "1"})
    ]
    assert answers[0].status_code >= 400
    assert told(answers[0]) == told(answers[1])


async def test_a_change_solves_nothing_and_one_with_a_key_is_carried_out_once(door: Door, solved: list[str]) -> None:
    await door.call(*CHANGING, json={"enabled": False})
    assert solved == []
    key = {"Idempotency-Key": "once"}
    first = await door.client.request(*CHANGING, json={"enabled": True}, headers=key)
    again = await door.client.request(*CHANGING, json={"enabled": True}, headers=key)
    assert (first.json(), again.headers["Idempotent-Replayed"]) == (again.json(), "true")
    assert solved == ["/cookies/shop/status"]


async def test_a_direct_answer_carries_what_its_function_set(door: Door) -> None:
    read = await door.client.get("/cookies/shop")
    assert read.headers["etag"] == f'"g{door.account().generation}"'
    changed = await door.client.request(*CHANGING, json={"enabled": True})
    assert changed.headers["etag"] == f'"g{changed.json()["generation"]}"'
    assert (await door.client.get("/cookies")).headers["content-length"] == str(len(b'["shop"]'))


async def test_a_client_who_leaves_before_the_body_is_complete_gets_no_failure_of_the_server(door: Door) -> None:
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": b'{"ena', "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "PUT", "scheme": "http",
        "path": "/cookies/shop/status", "raw_path": b"/cookies/shop/status", "query_string": b"", "root_path": "",
        "headers": [(b"content-type", b"application/json"), (b"content-length", b"17")], "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }  # fmt: skip
    await door.app(scope, receive, send)
    assert sent[0]["status"] == 400


async def test_a_large_body_of_a_stranger_is_not_validated(door: Door, solved: list[str]) -> None:
    large = {f"field{number}": number for number in range(5_000)}
    async with client_of(door.app) as stranger:
        assert (await stranger.request(*CHANGING, json=large)).status_code == 401
    assert solved == ["/cookies/shop/status"], "FastAPI asks who it is before it looks at the fields"


async def test_another_person_sees_nothing_directly(door: Door) -> None:
    async with client_of(door.app, "nobody's token") as stranger:
        for path in ("/cookies", "/cookies/details", "/cookies/shop"):
            assert (await stranger.get(path)).status_code == 401


async def test_a_signed_in_read_asks_the_database_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """But once a second for the sign-in: that second does not end here."""
    database, of_this_test = door.server.database, ContextVar("of_this_test", default=False)
    read, asked = database.read, list[str]()
    of_this_test.set(True)  # its requests run in copies of this context, and what runs beside them does not

    async def noted(job: Any) -> Any:
        if of_this_test.get():
            asked.append(job.__qualname__)
        return await read(job)

    monkeypatch.setattr(door.server.sessions._recent, "_clock", lambda: 1e9)
    await door.call("GET", "/verify")
    monkeypatch.setattr(database, "read", noted)
    for path in ("/cookies", "/cookies/details", "/cookies/check", "/cookies/shop", "/verify", "/keywords/shop"):
        await door.call("GET", path)
        assert asked == [], path
    await door.call("GET", "/cookies/shop/history")
    assert len(asked) == 1, "what lies in the database is read there, once"
