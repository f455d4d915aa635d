"""What is set for a shop from the table: a login by a code, the proxy, remark and tags, the pause; and the keyboard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from playwright.async_api import Page, expect

from browser.conftest import Console, OpenConsole
from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.connection.qr_steps import QrLoginState
from shoal.errors import TemporaryFailure
from support.network.proxies import small_proxy
from support.site.sandboxed import Sandbox, standing_sandbox
from support.site.standins import until, until_told


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox() -> AsyncIterator[Sandbox]:
    """A site that knows three sellers."""
    async with standing_sandbox() as standing:
        yield standing


@pytest_asyncio.fixture(loop_scope="session")
async def shops(open_console: OpenConsole, sandbox: Sandbox) -> Console:
    """A server whose site is the sandbox; its connections are invented."""
    console = await open_console(site_passport_url=sandbox.url, site_mtop_url=sandbox.url, site_timeout_seconds=60.0)
    console.door.server.qr_logins._poll_seconds = 0.05
    return console


async def _scan(console: Console, sandbox: Sandbox, status: str, number: int = 0) -> str:
    """What the seller does with the code that is shown now."""
    logins = console.door.server.qr_logins

    def shown() -> list[str]:
        return [one.content for one in logins.of(1) if one.content and not one.state.is_over]

    await until(lambda: len(shown()) == 1)  # the page may still show the code before
    unb = list(sandbox.world.sellers.values())[number].unb
    key = shown()[0].partition("lgToken=")[2].partition("&")[0]
    await sandbox.do("qr", ck=key, status=status, account=unb)
    return unb


def _row(page: Page, account: str) -> Any:
    return page.locator(f"[data-account='{account}']")


async def _open_menu(page: Page, account: str, what: str) -> None:
    await _row(page, account).locator("[data-test=menu]").click()
    await page.get_by_text(what).click()


async def test_a_shop_is_added_by_scanning_a_code(shops: Console, sandbox: Sandbox) -> None:
    page = await shops.page("/console/accounts")
    await page.locator("[data-test=add]").click()
    await page.locator("[data-test=scan]").click()
    await page.get_by_role("img", name="登录二维码").wait_for()
    await page.locator("[data-test=change-code]").click()
    await page.locator("input[name=shop]").fill("my-shop")
    await page.locator("[data-test=show-code]").click()
    state = page.locator("[data-test=qr-state]")
    await expect(page.get_by_role("img", name="登录二维码")).to_be_visible()
    picture = page.get_by_role("img", name="登录二维码")
    await until_told(lambda: picture.evaluate("image => image.naturalWidth > 100"), True)
    await expect(page.locator("[data-test=qr]")).to_contain_text("失效")
    await _scan(shops, sandbox, "SCANNED")
    await expect(state).to_have_text("已扫码，请在手机上确认")
    unb = await _scan(shops, sandbox, "CONFIRMED")
    await expect(page.locator("[data-test=toast]")).to_contain_text("已添加 my-shop")
    await expect(page.locator("[data-test=qr]")).to_have_count(0)
    await expect(_row(page, "my-shop")).to_be_visible()
    assert shops.door.account("my-shop").unb == unb


async def test_a_cookie_is_renewed_by_scanning_and_another_seller_is_refused(shops: Console, sandbox: Sandbox) -> None:
    begun = await shops.door.call("POST", "/qr-logins", json={"account": "shop"})
    await _scan(shops, sandbox, "CONFIRMED")
    await until(lambda: shops.door.server.qr_logins.get(1, begun["id"]).state is QrLoginState.DONE)
    version = shops.door.account("shop").cookie_version
    page = await shops.page("/console/accounts")
    await _open_menu(page, "shop", "更换 Cookie")
    await page.locator("[data-test=scan]").click()
    await page.get_by_role("img", name="登录二维码").wait_for()
    await _scan(shops, sandbox, "CONFIRMED", number=1)
    await expect(page.locator("[data-test=qr-state]")).to_contain_text("另一个闲鱼号")
    await page.get_by_role("button", name="换一个二维码").click()
    await page.get_by_role("img", name="登录二维码").wait_for()
    await _scan(shops, sandbox, "CONFIRMED")
    await expect(page.locator("[data-test=toast]")).to_contain_text("shop：已更换 Cookie")
    assert shops.door.account("shop").cookie_version > version


async def test_an_expired_code_is_renewed_and_a_check_is_linked(shops: Console, sandbox: Sandbox) -> None:
    logins = shops.door.server.qr_logins
    logins._lifetime_seconds = 0.5
    page = await shops.page("/console/accounts")
    await page.locator("[data-test=add]").click()
    await page.locator("[data-test=scan]").click()
    await until(lambda: any(one.content or one.state.is_over for one in logins.of(1)))
    logins._lifetime_seconds = 300.0
    await until(lambda: [one.state for one in logins.of(1)] == [QrLoginState.WAITING, QrLoginState.EXPIRED], seconds=60)
    await page.get_by_role("img", name="登录二维码").wait_for()
    await _scan(shops, sandbox, "RISK")
    await until(lambda: logins.of(1)[0].state is QrLoginState.NEEDS_OWNER)
    check = page.get_by_role("link", name="去验证")
    await expect(check).to_have_attribute("href", logins.of(1)[0].action_url)
    await expect(check).to_have_attribute("rel", "noopener noreferrer")


OPENED_AGAIN = """async () => {
  const dialog = document.querySelector('dialog[open]')
  const told = new Promise(resolve => dialog.addEventListener('close', resolve, {once: true}))
  dialog.querySelector('header button').click()
  while (dialog.open) await null
  document.querySelector('[data-test=add]').click()
  await told
}"""
"""Closes a dialog, and opens it again before the browser tells that it was closed."""


async def test_a_code_that_nobody_looks_at_any_more_logs_nobody_in(shops: Console) -> None:
    logins = shops.door.server.qr_logins
    page = await shops.page("/console/accounts")
    await page.locator("[data-test=add]").click()
    await page.locator("[data-test=dialog]").wait_for()
    await page.evaluate(OPENED_AGAIN)
    await page.locator("[data-test=show-code]").click()
    await page.get_by_role("img", name="登录二维码").wait_for()
    await page.keyboard.press("Escape")
    await until(lambda: logins.of(1)[0].state is QrLoginState.CANCELLED, seconds=60)


async def test_a_page_that_is_loaded_again_gives_its_code_up(shops: Console) -> None:
    """Else three loads would take all the codes that an owner may have at once, for five minutes."""
    logins = shops.door.server.qr_logins
    page = await shops.page("/console/accounts")
    await page.locator("[data-test=add]").click()
    await page.locator("[data-test=show-code]").click()
    await page.get_by_role("img", name="登录二维码").wait_for()
    await page.reload()
    await until(lambda: [one.state for one in logins.of(1)] == [QrLoginState.CANCELLED], seconds=60)


async def test_a_code_that_the_server_has_forgotten_can_be_replaced(shops: Console, sandbox: Sandbox) -> None:
    """As after a restart in the middle of a check of the face."""
    logins = shops.door.server.qr_logins
    page = await shops.page("/console/accounts")
    await page.locator("[data-test=add]").click()
    await page.locator("[data-test=scan-more]").click()
    await page.locator("input[name=shop]").fill("my-shop")
    await page.locator("[data-test=show-code]").click()
    await page.get_by_role("img", name="登录二维码").wait_for()
    await _scan(shops, sandbox, "FACE")
    await expect(page.locator("[data-test=qr-state]")).to_contain_text("人脸")
    await logins.close()
    logins._logins.clear()
    await expect(page.locator("[data-test=qr]")).to_contain_text("没有这次扫码登录")
    await expect(page.get_by_role("img", name="登录二维码")).to_have_count(0)
    await page.get_by_role("button", name="换一个二维码").click()
    await page.get_by_role("img", name="登录二维码").wait_for()
    await _scan(shops, sandbox, "CONFIRMED")
    await expect(page.locator("[data-test=toast]")).to_contain_text("已添加 my-shop")


async def test_a_proxy_is_tried_then_set_then_taken_away_and_its_password_never_shown(shops: Console) -> None:
    await shops.door.add("afu")
    page = await shops.page("/console/accounts")
    async with small_proxy("http", "ann:canaryproxy") as proxy:
        await _open_menu(page, "afu", "备注、暂停与代理")
        typed, found = page.locator("input[name=proxy]"), page.locator("[data-test=proxy-found]")
        await typed.fill("http://127.0.0.1:9")
        await page.locator("[data-test=proxy-check]").click()
        await expect(found).to_contain_text("没有响应")
        await typed.fill(proxy.url)
        await expect(found).to_have_count(0)
        await page.locator("[data-test=proxy-check]").click()
        await expect(found).to_contain_text("能连到闲鱼")
        await page.locator("[data-test=save]").click()
        await expect(page.locator("[data-test=toast]")).to_contain_text("afu：已保存")
        assert shops.door.account("afu").proxy == proxy.url
        await _open_menu(page, "afu", "备注、暂停与代理")
        await expect(page.locator("[data-test=dialog]")).to_contain_text(f"http://***@127.0.0.1:{proxy.port}")
        await page.locator("[data-test=proxy-check]").click()
        await expect(found).to_contain_text("能连到闲鱼")
        assert "canaryproxy" not in await page.content()
    await page.locator("[data-test=proxy-drop]").click()
    await page.locator("[data-test=save]").click()
    await until(lambda: shops.door.account("afu").proxy == "")


async def test_remark_tags_and_pause_are_set_found_by_and_taken_back(console: Console) -> None:
    page = await console.page("/console/accounts")
    await _open_menu(page, "muzi", "备注、暂停与代理")
    await page.locator("input[name=remark]").fill("木子数码 #主力 #数码")
    await page.locator("input[name=pause]").fill("25")
    await page.locator("[data-test=save]").click()
    await expect(_row(page, "muzi")).to_contain_text("木子数码")
    await until(lambda: console.door.account("muzi").remark == "木子数码 #主力 #数码")
    await until(lambda: console.door.account("muzi").pause_duration == 25)
    await expect(_row(page, "muzi").get_by_text("+1")).to_have_attribute("title", "#主力 #数码")
    await _row(page, "muzi").get_by_role("button", name="#主力").click()
    await expect(page.locator("[data-account]")).to_have_count(1)
    await page.wait_for_url("**/console/accounts?q=%23%E4%B8%BB%E5%8A%9B")
    await page.reload()
    await expect(page.locator("[data-account]")).to_have_count(1)
    await page.get_by_role("searchbox").fill("")
    await _open_menu(page, "muzi", "备注、暂停与代理")
    await expect(page.locator("[data-test=save]")).to_be_disabled()
    await page.locator("input[name=remark]").fill("x")
    await page.locator("[data-test=save]").click()
    await until(lambda: console.door.account("muzi").remark == "x")
    await page.get_by_role("button", name="撤销").click()
    await until(lambda: console.door.account("muzi").remark == "木子数码 #主力 #数码")
    await expect(_row(page, "muzi")).to_contain_text("木子数码")


async def test_a_batch_is_taken_back_as_a_whole(console: Console) -> None:
    await console.door.call("PUT", "/cookies/xiaoyu/status", json={"enabled": False})
    page = await console.page("/console/accounts")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "dry_run=1" in request.url else None)
    await page.get_by_label("选择全部显示的店铺").click()
    await page.locator("[data-test=batch-off]").click()
    await page.locator("[data-outcome]").first.wait_for()
    await page.evaluate("new Promise(done => setTimeout(done, 400))")  # a form's next look comes after 300
    assert len(asked) == 1, "another look takes the button away while it is pressed"
    await page.locator("[data-test=go]").click()
    toast = page.locator("[data-test=toast]")
    await expect(toast).to_contain_text("已修改 2 个店铺")
    await toast.get_by_role("button", name="撤销").click()
    await expect(page.get_by_text("已撤销")).to_be_visible()
    names = ("afu", "muzi", "xiaoyu")
    await until(lambda: [console.door.account(name).enabled for name in names] == [True, True, False])


async def test_auto_confirm_and_tags_are_set_for_many_shops_and_taken_back(console: Console) -> None:
    await console.door.call("PUT", "/cookies/muzi/auto-confirm", json={"auto_confirm": True})
    await console.door.call("PUT", "/cookies/xiaoyu/remark", json={"remark": "小鱼 #主力"})
    page = await console.page("/console/accounts")

    def shops() -> list[Account]:
        return [console.door.account(name) for name in ("afu", "muzi", "xiaoyu")]

    async def choose(what: str) -> None:
        await page.get_by_label("选择全部显示的店铺").click()
        await page.locator("[data-test=batch-more]").click()
        await page.get_by_text(what, exact=True).click()

    await choose("开启自动确认发货")
    await expect(page.locator("[data-outcome=would_change]")).to_have_count(2)
    await page.locator("[data-test=go]").click()
    await until(lambda: all(shop.auto_confirm for shop in shops()))
    toast = page.locator("[data-test=toast]").last
    await expect(toast).to_contain_text("已修改 2 个店铺")
    await toast.get_by_role("button", name="撤销").click()
    await until(lambda: [shop.auto_confirm for shop in shops()] == [False, True, False])

    await choose("添加标签…")
    await page.locator("[data-test=dialog]").get_by_role("button", name="#主力").click()
    await expect(page.locator("[data-outcome=would_change]")).to_have_count(2)
    await console.door.call("PUT", "/cookies/muzi/remark", json={"remark": "木子"})
    await page.locator("[data-test=go]").click()
    await until(lambda: [shop.remark for shop in shops()] == ["#主力", "木子 #主力", "小鱼 #主力"])
    await choose("移除标签…")
    await page.locator("[name=tag]").fill("#主力")
    await page.locator("[data-test=go]").click()
    await until(lambda: [shop.remark for shop in shops()] == ["", "木子", "小鱼"])


async def test_what_is_tried_again_counts_down(console: Console) -> None:
    async def fails(_: Account, __: Link) -> None:
        raise TemporaryFailure("the site is away", code="unreachable")

    console.door.site.behave = fails
    limits = console.door.server.manager.tasks["afu"]._backoff
    limits.failed = lambda *_, **__: 60.0  # type: ignore[method-assign]
    await console.door.call("POST", "/cookies/afu/resume")
    page = await console.page("/console/accounts")
    time = _row(page, "afu").locator("time")
    await expect(time).to_contain_text("秒")
    seen = await time.inner_text()
    await expect(time).not_to_have_text(seen)
    await expect(_row(page, "afu")).to_contain_text("连不上闲鱼")


async def _led(page: Page, *keys: str) -> str:
    """Press keys of which the second holds for a second after the first, which a busy machine may miss."""
    for key in keys:
        await page.keyboard.press(key)
    return await page.get_by_role("heading", level=1).inner_text()


async def test_the_keyboard_leads_everywhere_and_tells_how(console: Console) -> None:
    page = await console.page()
    await page.keyboard.press("?")
    await expect(page.get_by_role("heading", name="键盘快捷键")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("heading", name="键盘快捷键")).to_have_count(0)
    await until_told(lambda: _led(page, "g", "s"), "店铺")
    await page.locator("[data-account]").first.wait_for()
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.type("mu?n")
    await expect(page.get_by_role("searchbox")).to_have_value("mu?n")
    await page.get_by_role("searchbox").fill("")
    await page.locator("[data-account=afu] [data-test=enabled]").focus()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("[data-account=muzi] [data-test=enabled]")).to_be_focused()
    await page.keyboard.press("x")
    await expect(page.locator("[data-test=batch]")).to_contain_text("已选 1 个")
    await page.keyboard.press("ArrowUp")
    await expect(page.locator("[data-account=afu] [data-test=enabled]")).to_be_focused()
    await page.keyboard.press("Space")
    await until(lambda: not console.door.account("afu").enabled)
    await until_told(lambda: _led(page, "g", "o"), "总览")
    await page.keyboard.press("n")
    await page.locator("[data-test=paste]").press("Enter")
    await expect(page.locator("textarea[name=cookie]")).to_be_focused()
