"""The console before two servers, behind a proxy that asks one after the other: no page notices."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest_asyncio
from playwright.async_api import Browser, expect

from browser.conftest import PASSWORD, Console, Place, turn
from support.databases.postgres_fixture import postgres  # noqa: F401  (a fixture)
from support.databases.postgres_server import Postgres
from support.files.picture_files import a_png
from support.servers.doors import Door, served
from support.servers.two_doors import AlternatingProxy, open_two_doors
from support.site.sandboxed import Sandbox, standing_sandbox
from support.site.standins import cookie_of


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    async with standing_sandbox() as standing:
        yield standing


@pytest_asyncio.fixture(loop_scope="session")
async def doors(tmp_path: Path, postgres: Postgres, sandbox: Sandbox) -> AsyncIterator[tuple[Door, Door]]:  # noqa: F811
    site: dict[str, Any] = {"site_passport_url": sandbox.url, "site_mtop_url": sandbox.url}
    with postgres.database(migrated=True) as url:
        async with open_two_doors(tmp_path, url, admin_password=PASSWORD, **site) as opened:
            for door in opened:
                door.server.qr_logins._poll_seconds = 0.05
            yield opened


async def test_a_shop_is_added_by_scanning_a_code_that_each_look_finds_at_another_server(
    chromium: Browser, place: Place, doors: tuple[Door, Door], sandbox: Sandbox
) -> None:
    proxy = AlternatingProxy(doors)

    async def scan(status: str) -> str:
        (login,) = [one for door in doors for one in door.server.qr_logins.of(1) if not one.state.is_over]
        unb = next(iter(sandbox.world.sellers.values())).unb
        await sandbox.do("qr", ck=login.content.partition("lgToken=")[2].partition("&")[0], status=status, account=unb)
        return unb

    async with (
        served(replace(doors[0], app=cast("Any", proxy)), place.listener),
        Console(doors[0], place, chromium) as console,
    ):
        page = await console.page("/console/accounts")
        await page.locator("[data-test=add]").click()
        await page.locator("[data-test=scan-more]").click()
        await page.locator("input[name=shop]").fill("my-shop")
        await page.locator("[data-test=show-code]").click()
        await expect(page.get_by_role("img", name="登录二维码")).to_be_visible()
        await scan("SCANNED")
        await expect(page.locator("[data-test=qr-state]")).to_have_text("已扫码，请在手机上确认")
        await scan("CONFIRMED")
        await expect(page.locator("[data-test=toast]")).to_contain_text("已添加 my-shop")
        await expect(page.locator("[data-account='my-shop']")).to_be_visible()
        picture = (await doors[0].call("POST", "/pictures", files={"image": ("a.png", a_png(), "image/png")}))[
            "image_url"
        ]
        for _ in doors:
            assert await page.evaluate("async url => (await fetch(url)).status", picture) == 200
    assert console.complaints == []
    assert proxy.asked > 10


async def test_a_walk_shows_each_change_and_each_state_whichever_server_answers(
    chromium: Browser, place: Place, doors: tuple[Door, Door]
) -> None:
    proxy = AlternatingProxy(doors)
    async with (
        served(replace(doors[0], app=cast("Any", proxy)), place.listener),
        Console(doors[0], place, chromium) as console,
    ):
        pages = [await console.page("/console/accounts") for _ in doors]  # their sockets are at different servers
        page, other = pages
        await page.locator("[data-test=add]").click()
        await page.locator("[data-test=paste]").click()
        pairs = dict(pair.split("=") for pair in cookie_of(1).split("; "))
        cookie = json.dumps([{"name": name, "value": value} for name, value in pairs.items()])
        await page.locator("textarea[name=cookie]").fill(cookie)
        await expect(page.locator("input[name=shop]")).not_to_have_value("")  # the check of the cookie proposes a name
        await page.locator("[data-test=scan-more]").click()
        await page.locator("input[name=shop]").fill("afu")
        await page.locator("[data-test=save]").click()
        for one in pages:
            await expect(one.locator("[data-account=afu] [data-state]")).to_have_text("运行中，不会回复")
        await page.locator("[data-test=write-own]").click()  # what is offered after a shop was added
        for number in range(4):
            await page.locator("[data-tab=account-rules]").click()
            await page.locator("[data-test=add-rule]").click()
            await page.locator("[name=words]").fill(f"词{number}")
            await page.locator("[name=part-0]").fill("在的")
            await page.locator("[data-test=save-rule]").click()
            await expect(page.locator("[data-rule]")).to_have_count(number + 1)
            await page.get_by_role("link", name="店铺", exact=True).first.click()
            await page.get_by_role("link", name="afu", exact=True).first.click()
        for state in ("已停用", "运行中"):
            await turn(other.locator("[data-account=afu] [data-test=enabled]"))
            await expect(other.locator("[data-account=afu] [data-state]")).to_have_text(state)
    assert console.complaints == []
