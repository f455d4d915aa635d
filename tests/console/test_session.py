"""A browser's sign-in: a cookie that no script reads, and that no other site can use."""

from __future__ import annotations

import httpx
import pytest

from console.conftest import PASSWORD, page_of, sign_in
from support.servers.doors import Door, client_of, open_door


async def test_the_token_is_in_a_cookie_that_scripts_cannot_read_and_nowhere_else(browser: httpx.AsyncClient) -> None:
    answer = await sign_in(browser)
    assert answer.json() == {"user_id": 1, "username": "admin", "is_admin": True}
    assert answer.headers["cache-control"] == "no-store"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("shoal_session=")
    assert {"httponly", "samesite=strict", "path=/", "max-age=86400"} <= set(cookie.lower().split("; "))


async def test_over_https_the_cookie_is_bound_to_this_very_host(door: Door) -> None:
    async with page_of(door, "https://shoal.test", address="192.0.2.7") as browser:
        cookie = (await sign_in(browser)).headers["set-cookie"]
        assert cookie.startswith("__Host-shoal_session=")
        assert {"secure", "httponly", "samesite=strict", "path=/"} <= set(cookie.lower().split("; "))
        assert "domain" not in cookie.lower()
        assert (await browser.get("/cookies")).json() == ["shop"]


async def test_a_signed_in_browser_may_look_and_change(browser: httpx.AsyncClient, door: Door) -> None:
    assert (await browser.get("/cookies")).status_code == 401
    await sign_in(browser)
    assert (await browser.get("/verify")).json()["username"] == "admin"
    answer = await browser.put(
        "/cookies/shop/remark", json={"remark": "from a browser"}, headers={"Idempotency-Key": "a"}
    )
    assert answer.status_code == 200
    assert door.account().remark == "from a browser"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://localhost:8081", "http://localhost", "null", "", "http://localhost:8080@x"],
)
@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "k"}])
async def test_another_sites_page_changes_nothing_with_the_cookie(
    browser: httpx.AsyncClient, door: Door, origin: str, key: dict[str, str]
) -> None:
    await sign_in(browser)
    answer = await browser.put("/cookies/shop/status", json={"enabled": False}, headers={"Origin": origin, **key})
    assert answer.status_code == 401
    assert door.account().enabled


async def test_a_change_without_any_origin_does_not_count_the_cookie(browser: httpx.AsyncClient, door: Door) -> None:
    await sign_in(browser)
    token = browser.cookies["shoal_session"]
    async with client_of(door.app) as script:
        script.cookies.set("shoal_session", token)
        assert (await script.put("/cookies/shop/status", json={"enabled": False})).status_code == 401
        assert (await script.get("/cookies")).json() == ["shop"]
        script.headers["Authorization"] = f"Bearer {token}"
        assert (await script.put("/cookies/shop/remark", json={"remark": "a script"})).status_code == 200


async def test_a_foreign_page_cannot_sign_a_browser_in_or_out(browser: httpx.AsyncClient) -> None:
    await sign_in(browser)
    foreign = {"Origin": "https://evil.example"}
    answer = await browser.post("/console/session", json={"name": "admin", "password": PASSWORD}, headers=foreign)
    assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert "set-cookie" not in answer.headers
    assert (await browser.delete("/console/session", headers=foreign)).status_code == 403
    assert (await browser.get("/cookies")).status_code == 200


async def test_behind_a_proxy_that_ends_tls_the_default_port_and_the_scheme_do_not_matter(door: Door) -> None:
    async with page_of(door, "http://shoal.test") as browser:
        browser.headers["Origin"] = "https://shoal.test:443"
        assert (await sign_in(browser)).status_code == 200
    async with page_of(door, "https://shoal.test") as browser:
        browser.headers["Origin"] = "http://shoal.test"
        assert (await sign_in(browser)).status_code == 403


async def test_a_wrong_password_is_told_in_a_sentence_and_opens_nothing(browser: httpx.AsyncClient) -> None:
    answer = await sign_in(browser, "wrong")
    assert (answer.status_code, answer.json()["code"]) == (401, "wrong_login")
    assert "set-cookie" not in answer.headers


async def test_signing_out_ends_the_session_and_forgets_the_cookie(browser: httpx.AsyncClient, door: Door) -> None:
    await sign_in(browser)
    token = browser.cookies["shoal_session"]
    answer = await browser.delete("/console/session")
    assert answer.status_code == 200
    assert "shoal_session" not in browser.cookies
    assert await door.server.sessions.of(token) is None
    assert (await browser.delete("/console/session")).status_code == 200


async def test_signing_in_again_ends_what_the_browser_had(browser: httpx.AsyncClient, door: Door) -> None:
    await sign_in(browser)
    before = browser.cookies["shoal_session"]
    assert (await sign_in(browser, "wrong")).status_code == 401
    assert await door.server.sessions.of(before) is not None
    await sign_in(browser)
    assert browser.cookies["shoal_session"] != before
    assert await door.server.sessions.of(before) is None


async def test_no_password_travels_over_plain_http_from_another_machine(door: Door) -> None:
    async with page_of(door, "http://192.0.2.1:8080", address="192.0.2.7") as browser:
        answer = await sign_in(browser)
        assert (answer.status_code, answer.json()["code"]) == (403, "plain_http")


async def test_the_administrator_may_permit_plain_http(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("plain")
    async with (
        open_door(data, admin_password=PASSWORD, allow_plain_http=True) as door,
        page_of(door, "http://192.0.2.1:8080", address="192.0.2.7") as browser,
    ):
        assert (await sign_in(browser)).status_code == 200


async def test_changing_the_password_keeps_the_browser_that_did_it(browser: httpx.AsyncClient, door: Door) -> None:
    await sign_in(browser)
    body = {"current_password": PASSWORD, "new_password": "another fine password"}
    assert (await browser.post("/change-admin-password", json=body)).json()["success"]
    assert (await browser.get("/cookies")).status_code == 200
    assert (await door.client.get("/cookies")).status_code == 401
