"""What every answer tells browsers, and what pages of other sites, and listeners on the way, get: nothing."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from console.conftest import page_of, sign_in
from shoal.api.http.layer import SAFE
from support.servers.api_document import api_document
from support.servers.doors import Door, client_of
from support.site.standins import until_told

MAY_BE_NOBODY = {"/verify", "/logout", "/register", "/send-message"}
"""They answer without a sign-in, also a foreign page; the last one has its key in the body."""
OFF = {"/metrics"}
"""Answers 404 until it has a token of its own."""


def routes_of(*, closed: bool = False) -> list[tuple[str, str]]:
    """Every method and path of the document (or those that need a sign-in), each name filled in."""
    return [
        (method.upper(), re.sub(r"{(\w+)}", lambda match: "shop" if match[1] == "cid" else "1", path))
        for path, methods in api_document()["paths"].items()
        for method, operation in methods.items()
        if not closed or "security" in operation
    ]


def lacks(answer: httpx.Response) -> set[str]:
    """What a browser is not told."""
    policy = answer.headers.get("content-security-policy", "")
    told = {name for name in SAFE if name.lower() in answer.headers}
    return (set(SAFE) - told) | ({"frame-ancestors"} if "frame-ancestors 'none'" not in policy else set())


async def test_every_answer_forbids_scripts_frames_guessing_and_keeping(door: Door) -> None:
    left = {"/events", "/logout"}  # it does not end, and it would end the rest
    answers = [await door.client.request(method, path) for method, path in routes_of() if path not in left]
    assert {answer.status_code for answer in answers} >= {200, 404, 422}
    async with client_of(door.app) as nobody:
        answers += [
            await nobody.get("/cookies"),
            await nobody.get("/nothing/here"),
            await nobody.request("TRACE", "/cookies"),
            await nobody.post("/login", content=b"x" * (3 << 20)),
            await nobody.post("/login", content=b"{"),
        ]
    assert {answer.status_code for answer in answers} >= {401, 404, 405, 413}
    for answer in answers:
        assert not lacks(answer), (answer.request.url, answer.status_code, answer.headers)
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'"), answer.request.url
        assert "script" not in policy
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_a_failure_of_the_program_has_the_headers_too(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.api.routes.system.KeptDays", None)
    answer = await door.client.get("/system/status")
    assert (answer.status_code, lacks(answer)) == (500, set())


@pytest.mark.parametrize("path", ["/", "/docs", "/console/", "/console/login", "/openapi.json"])
async def test_a_page_has_a_policy_without_inline_script(door: Door, path: str) -> None:
    async with client_of(door.app) as nobody:
        answer = await nobody.get(path)
    policy = answer.headers["content-security-policy"]
    scripts = re.search(r"script-src ([^;]*)", policy)
    assert scripts is None or scripts[1] == "'self'"
    assert "default-src 'none'" in policy or "default-src 'self'" in policy
    assert "<script>" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in policy


FOREIGN: list[dict[str, str]] = [
    {"Origin": "https://evil.example"},
    {"Origin": "http://localhost:8081"},  # SameSite lets the cookie through: another port is the same site
    {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-site"},
    {"Origin": "null"},
    {"Origin": "http://[bad"},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_foreign_page_does_and_reads_nothing_with_the_cookie(door: Door, headers: dict[str, str]) -> None:
    async with page_of(door) as browser:
        await sign_in(browser)
        for method, path in routes_of(closed=True):
            if path in MAY_BE_NOBODY | OFF:
                continue
            answer = await browser.request(method, path, headers=headers)
            assert answer.status_code in {401, 403}, (method, path, answer.status_code, answer.text[:200])
        assert (await browser.get("/events", headers=headers)).status_code == 401
    assert door.account().remark == ""

    async def noted() -> set[tuple[str, str]]:  # each of several servers stores its notes a moment later
        found = (await door.call("GET", "/security-log?kind=refused_origin&limit=100"))["items"]
        return {(note["outcome"], note["facts"]["page"]) for note in found}

    await until_told(noted, {("foreign_origin", headers["Origin"])})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),  # somebody typed the address
        ({"Sec-Fetch-Site": "same-site"}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 401),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8080"}, 200),
        ({"Sec-Fetch-Site": "none", "Origin": "https://evil.example"}, 401),
    ],
    ids=str,
)
async def test_reading_by_the_cookie_is_for_pages_of_ours_and_for_who_types_the_address(
    door: Door, headers: dict[str, str], status: int
) -> None:
    async with page_of(door) as browser:
        await sign_in(browser)
        del browser.headers["Origin"]
        assert (await browser.get("/cookies", headers=headers)).status_code == status


async def test_typing_an_address_changes_nothing(door: Door) -> None:
    async with page_of(door) as browser:
        await sign_in(browser)
        answer = await browser.put("/cookies/shop/remark", json={"remark": "x"}, headers={"Sec-Fetch-Site": "none"})
        assert answer.status_code == 401


async def test_a_token_in_the_header_counts_wherever_the_script_came_from_and_is_told_to_no_page(door: Door) -> None:
    """The token alone is enough; a browser's page cannot read the answer, for no header allows it to."""
    foreign = {"Origin": "https://tool.example", "Sec-Fetch-Site": "cross-site"}
    answer = await door.client.put("/cookies/shop/remark", json={"remark": "a tool"}, headers=foreign)
    assert (answer.status_code, door.account().remark) == (200, "a tool")
    asked = await door.client.options("/cookies", headers={**foreign, "Access-Control-Request-Method": "PUT"})
    for one in (answer, asked):
        assert not [name for name in one.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("method", "path", "more", "code"),
    [
        ("GET", "/cookies", {"headers": {"Authorization": "Bearer x"}}, "plain_http"),
        ("GET", "/events", {"headers": {"Cookie": "shoal_session=x"}}, "plain_http"),
        ("POST", "/login", {"json": {"username": "admin", "password": "secret"}}, "plain_http"),
        ("GET", "/cookies", {}, "unauthenticated"),
    ],
)
async def test_no_secret_is_taken_over_plain_http_from_another_machine(
    door: Door, method: str, path: str, more: dict[str, Any], code: str
) -> None:
    async with page_of(door, "http://192.0.2.1:8080", address="192.0.2.7") as far:
        assert (await far.request(method, path, **more)).json()["code"] == code
        assert (await far.get("/health/live")).status_code == 200
    async with page_of(door, "https://192.0.2.1:8080", address="192.0.2.7") as far:
        assert (await far.get("/cookies", headers={"Authorization": "Bearer x"})).json()["code"] == "unauthenticated"


async def test_the_document_is_shown_over_plain_http_to_another_machine(door: Door) -> None:
    async with page_of(door, "http://192.0.2.1:8080", address="192.0.2.7") as far:
        assert (await far.get("/docs")).status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
async def test_what_an_unknown_proxy_passes_on_does_not_come_from_this_machine(door: Door, header: str) -> None:
    """Or a reverse proxy without TLS before a server that trusts none would pass for a person at this machine."""
    async with page_of(door) as browser:
        browser.headers[header] = "192.0.2.7"
        assert (await sign_in(browser)).json()["code"] == "plain_http"
