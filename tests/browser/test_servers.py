"""The card of the servers that share one database: who is there, and giving up the shops of one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from browser.axe import findings
from browser.conftest import Console, OpenConsole, hangs_over
from doors import open_door
from postgres_fixture import postgres  # noqa: F401  (a fixture)
from postgres_server import Postgres
from shoal.accounts.ownership import SHARDS

KEY = "5a" * 32


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(
    open_console: OpenConsole,
    tmp_path: Path,
    postgres: Postgres,  # noqa: F811  (the fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Console]:
    """The console of ``one`` of two servers, and a row of one that is not there any more."""
    monkeypatch.setattr("shoal.cluster.cluster_ownership.GIVEN_UP_AT_ONCE", SHARDS)
    with postgres.database(migrated=True) as url:
        shared: dict[str, Any] = {"database_url": url, "secret_key": KEY}
        async with open_door(tmp_path / "gone", node="old", **shared):
            pass
        console = await open_console(node="one", **shared)
        async with open_door(tmp_path / "two", node="two", **shared):
            yield console
        await console.door.call("GET", "/health/live")


async def test_the_servers_are_listed_and_one_gives_up_its_shops_and_takes_them_again(cluster: Console) -> None:
    page = await cluster.page("/console/settings", viewport={"width": 390, "height": 844}, color_scheme="dark")
    card = page.locator("[data-test=servers]")
    one, two, old = (card.locator(f"[data-name={name}]") for name in ("one", "two", "old"))
    await expect(one).to_contain_text("当前连接")
    await expect(two).to_contain_text("运行中")
    await expect(old).to_contain_text("未运行")
    await expect(old.locator("button")).to_have_count(0)
    assert await findings(page) == []
    assert not await hangs_over(page)
    await two.locator("[data-test=drain]").click()
    await expect(two).to_contain_text("店铺已移交，可以停止")
    await expect(one.locator("[data-test=drain]")).to_have_count(0)
    await two.locator("[data-test=undrain]").click()
    await expect(two).to_contain_text("运行中")
    await expect(one.locator("[data-test=drain]")).to_be_visible()
    assert await findings(page) == []


async def test_a_single_server_shows_no_card(console: Console) -> None:
    page = await console.page("/console/settings")
    await expect(page.locator("[data-test=backups]")).to_be_visible()
    await expect(page.locator("[data-test=server]")).to_contain_text("运行中 3")
    await expect(page.locator("[data-test=servers]")).to_have_count(0)
