"""The page of the servers that share one database: who is there, what stands out, and giving up the shops of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect
from sqlalchemy import create_engine, text

from browser.axe import findings
from browser.conftest import Console, OpenConsole, hangs_over, intercept
from shoal.accounts.ownership import SHARDS
from shoal.cluster.node_rows import join
from support.databases.postgres_fixture import postgres  # noqa: F401  (a fixture)
from support.databases.postgres_server import Postgres
from support.servers.doors import open_door
from support.site.standins import until_told

KEY = "5a" * 32
PHONE = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}
SMALL = """
    main => [...main.querySelectorAll('[data-test=servers-page] button, summary, .way')]
        .filter(one => one.getBoundingClientRect().height < 44).map(one => one.outerHTML)
"""


@dataclass
class Cluster:
    """The console of ``one`` of two servers, and a row of one that is not there any more."""

    console: Console
    url: str

    def add_strangers(self) -> None:
        """Let two workers of a newer version join, of which one has a wrong clock, and one does not renew its lease."""
        facts = {"host": "machine-9", "address": "", "version": "99.0.0", "schema": "9999"}
        engine = create_engine(self.url)
        with engine.begin() as connection:
            assert join(connection, "new/1", 290_000, facts)
            assert join(connection, "new/2", 90_000, facts)
            connection.execute(text("UPDATE nodes SET clock_offset_ms = 2300 WHERE name = 'new/1'"))
        engine.dispose()


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:  # noqa: F811  (the fixture)
    """A database that ends after the servers."""
    with postgres.database(migrated=True) as fresh:
        yield fresh


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(
    url: str, open_console: OpenConsole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Cluster]:
    monkeypatch.setattr("shoal.cluster.handover.GIVEN_UP_AT_ONCE", SHARDS)
    shared: dict[str, Any] = {"database_url": url, "secret_key": KEY, "node_lease_seconds": 300.0}
    async with open_door(tmp_path / "gone", node="old", **shared):
        pass
    console = await open_console(node="one", **shared)
    async with open_door(tmp_path / "two", node="two", **shared):
        yield Cluster(console, url)


def row(page: Page, name: str) -> Locator:
    return page.locator(f"[data-test=servers-page] [data-name='{name}']")


async def test_a_server_gives_up_its_shops_after_a_question_and_takes_them_again(cluster: Cluster) -> None:
    page = await cluster.console.page("/console/administration", **PHONE)
    card = page.locator("[data-test=servers]")
    await expect(card).to_contain_text("2 台在运行")
    await card.locator("a").click()
    await expect(page.locator("[data-tab=admin-servers][aria-current]")).to_be_visible()
    one, two, old = (row(page, name) for name in ("one", "two", "old"))
    await expect(one).to_contain_text("当前连接")
    await expect(two).to_contain_text("正常运行")
    await expect(two.locator("[data-fact=shops]")).to_contain_text("50%")
    await expect(old).to_contain_text("已停止或失联")
    await expect(old.locator("button")).to_have_count(0)
    await until_told(lambda: page.locator("main").evaluate(SMALL), [])

    await two.locator("[data-test=drain]").click()
    dialog = page.locator("[data-test=dialog]")
    await expect(dialog).to_contain_text("让 two 移交店铺？")
    assert await findings(page) == []
    await dialog.locator("[data-test=sure]").click()
    await expect(two).to_contain_text("店铺已移交，可以停止")
    await expect(one).to_contain_text("只有这台接手店铺")
    await expect(one.locator("[data-test=drain]")).to_have_count(0)
    await two.locator("[data-test=undrain]").click()
    await dialog.locator("[data-test=sure]").click()
    await expect(two).to_contain_text("正常运行")
    await expect(one.locator("[data-test=drain]")).to_be_visible()


async def test_what_stands_out_is_marked_and_what_was_heard_last_is_told_as_old(cluster: Cluster) -> None:
    cluster.add_strangers()
    page = await cluster.console.page("/console/servers", **PHONE)
    new = row(page, "new")
    await expect(new.locator("[data-test=whole]")).to_contain_text("2 个工作进程")
    await expect(new.locator("[data-test=silent]")).to_have_text("1 个工作进程无法联系")
    await expect(row(page, "new/1")).to_contain_text("快 2.3 秒")
    await expect(row(page, "new/1").locator("[data-test=clock]")).to_be_visible()
    await expect(row(page, "new/2")).to_contain_text("无法联系")
    await expect(row(page, "new/1").locator("[data-fact=version]")).not_to_contain_text("不同")
    await expect(row(page, "one").locator("[data-fact=version]")).to_contain_text("与其他服务器不同")
    assert await findings(page) == []
    assert not await hangs_over(page)

    await page.locator("[data-tab=admin]").click()
    await expect(page.locator("[data-test=servers]")).to_contain_text("3 台需要留意")
    away = {"code": "away", "detail": "away"}
    await intercept(page, "**/system/nodes", lambda route: route.fulfill(status=503, json=away))
    await page.locator("[data-tab=admin-servers]").click()
    await expect(page.locator("[data-test=old]")).to_be_visible()
    await expect(new).to_be_visible()
    assert await findings(page) == []
    async with page.expect_request("**/system/nodes"):  # the page asks by itself too, as soon as it is answered again
        await page.get_by_role("button", name="重试").click()
    await page.unroute("**/system/nodes")
    await expect(page.locator("[data-test=old]")).to_have_count(0)


async def test_a_single_server_shows_a_sentence_and_no_way_to_it(console: Console) -> None:
    page = await console.page("/console/administration")
    await expect(page.locator("[data-test=server]")).to_contain_text("运行中 3")
    for what in ("[data-test=servers]", "[data-tab=admin-servers]"):
        await expect(page.locator(what)).to_have_count(0)
    await page.goto("/console/servers")
    single = page.locator("[data-test=single]")
    await expect(single).to_contain_text("所有店铺由一台服务器运行")
    await expect(single.locator("[data-test=help]")).to_have_attribute("href", "/help/howto/several-machines/")
