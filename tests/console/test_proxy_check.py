"""A proxy is tried before an account depends on it: what works, each way of failing, and what is never shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shoal.sandbox import World, build_sandbox, serve_sandbox
from support.network.proxies import Kind, small_proxy
from support.servers.doors import Door, another_person, open_door
from support.site.standins import until_told

EN = {"Accept-Language": "en"}


@pytest.fixture
async def door(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Door]:
    """A server whose site is a sandbox. It waits a second only for what never answers."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = build_sandbox(World(seed=5, shops=1))
    serving = asyncio.create_task(serve_sandbox(app=app, ready=ready))
    never_answers = "is_silent" in request.node.name
    seconds = 1.0 if never_answers else 60.0
    async with open_door(tmp_path / "data", site_mtop_url=await ready, site_timeout_seconds=seconds) as opened:
        yield opened
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_proxy_that_works_is_told_with_its_time(door: Door, kind: Kind) -> None:
    async with small_proxy(kind, "ann:secret") as proxy:
        found = await door.call("POST", "/console/proxy-check", json={"proxy": proxy.url}, headers=EN)
        assert (found["ok"], found["code"]) == (True, "")
        assert len(proxy.passed) == 1
    assert f"{kind}://***@127.0.0.1" in found["detail"]
    assert "secret" not in str(found)


@pytest.mark.parametrize(
    ("failing", "code"),
    [
        ("refuses", "proxy_refused"),
        ("no_route", "proxy_no_route"),
        ("hangs_up", "proxy_refused"),
        ("is_silent", "proxy_unreachable"),
        ("talks_nonsense", "proxy_refused"),
    ],
)
async def test_one_that_fails_says_how_and_what_to_do(door: Door, failing: str, code: str) -> None:
    async with small_proxy("http") as proxy:
        proxy.failing = failing  # type: ignore[assignment]
        found = await door.call("POST", "/console/proxy-check", json={"proxy": proxy.url})
    assert (found["ok"], found["milliseconds"], found["code"]) == (False, 0, code)
    assert found["do"]


async def test_nobody_at_home_and_the_way_without_a_proxy(door: Door) -> None:
    gone = await door.call("POST", "/console/proxy-check", json={"proxy": "http://127.0.0.1:9"})
    assert gone["code"] == "proxy_unreachable"
    direct = await door.call("POST", "/console/proxy-check", json={"proxy": None}, headers=EN)
    assert direct["ok"]
    assert "without a proxy" in direct["detail"]


async def test_a_site_that_cannot_be_reached_directly_is_told(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data", site_mtop_url="http://127.0.0.1:9") as door:
        found = await door.call("POST", "/console/proxy-check", json={})
        assert (found["ok"], found["code"]) == (False, "unreachable")


async def test_the_stored_proxy_is_tried_by_its_owner_only(door: Door) -> None:
    async with small_proxy("http", "ann:secret") as proxy:
        await door.add()
        await door.call("PATCH", "/cookies/shop/settings", json={"proxy": proxy.url})
        assert (await door.call("POST", "/console/proxy-check", json={"account": "shop"}))["ok"]
        assert len(proxy.passed) == 1
        async with another_person(door) as bob:
            await bob.call("POST", "/console/proxy-check", 404, json={"account": "shop"})
        assert len(proxy.passed) == 1


@pytest.mark.parametrize(("proxy", "code"), [("ftp://h:1", "bad_proxy"), ("http://***@h:1", "masked_proxy")])
async def test_what_is_no_proxy_is_refused(door: Door, proxy: str, code: str) -> None:
    assert (await door.call("POST", "/console/proxy-check", 422, json={"proxy": proxy}))["code"] == code


async def test_one_inside_is_refused_unknocked_and_noted_unless_it_is_allowed(tmp_path: Path) -> None:
    async with small_proxy("http", "ann:secret") as proxy, open_door(tmp_path, allow_private_targets="") as door:
        found = await door.call("POST", "/console/proxy-check", json={"proxy": proxy.url}, headers=EN)
        assert (found["ok"], found["code"], proxy.knocks) == (False, "proxy_not_allowed", 0)
        assert "SHOAL_ALLOW_PRIVATE_TARGETS" in found["do"]

        async def noted() -> list[Any]:
            items = (await door.call("GET", "/security-log?kind=refused_target"))["items"]
            return [(one["outcome"], one["facts"]) for one in items]

        # a server that did not refuse it reads the note once the other has written it, after its answer
        await until_told(noted, [("target_refused", {"host": "127.0.0.1"})])
