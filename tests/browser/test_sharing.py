"""A shop shared with a colleague, who sees what they may do with it; and a token for a script."""

from __future__ import annotations

from playwright.async_api import expect

from browser.conftest import Console
from shoal.auth.users import Role
from support.servers.doors import client_of
from support.site.standins import until, until_told


async def test_f18_a_colleague_sees_the_shop_with_its_remark_and_what_they_may_do_with_it(console: Console) -> None:
    server = console.door.server
    lina = await server.users.create("lina", "zebra orbit lantern 7", role=Role.STAFF)
    page = await console.page("/console/accounts/afu/settings")
    share = page.locator("[data-test=share]")
    await share.locator("[name=colleague]").fill("nobody")
    await share.locator("[data-test=give]").click()
    await expect(share.get_by_role("alert")).to_be_visible()
    await share.locator("[name=colleague]").fill("lina")
    await share.locator("[data-test=give]").click()
    await expect(share.locator("[data-colleague=lina] [data-test=permission]")).to_have_value("reply")

    context = await console.browser()
    token = await server.sessions.open(lina.id, kind="console")
    await context.add_cookies([{"name": "shoal_session", "value": token, "url": console.url, "httpOnly": True}])
    theirs = await context.new_page()
    await theirs.goto("/console/accounts")
    row = theirs.locator("[data-account=afu]")
    await expect(row.locator("[data-test=shared]")).to_have_text("共享：回复")
    await expect(theirs.locator("[data-account]")).to_have_count(1)
    await expect(theirs.locator("[data-test=add]")).to_have_count(0)
    await expect(page.locator("nav a[href$='/stock']")).to_have_count(1)
    await expect(theirs.locator("nav a[href$='/stock']")).to_have_count(0)
    await expect(row.locator("[data-test=enabled]")).to_have_attribute("aria-disabled", "true")
    await console.door.call("PUT", "/cookies/afu/remark", json={"remark": "进价 12 元"})
    await expect(row).to_contain_text("进价 12 元")
    await expect(page.get_by_text("能看到这个店铺的人都能看到")).to_be_visible()
    await theirs.goto("/console/accounts/afu/settings")
    await expect(theirs.locator("[data-test=settings]")).to_have_attribute("inert", "")
    await expect(theirs.locator("[data-test=share]")).to_have_count(0)

    await share.locator("[data-colleague=lina] [data-test=permission]").select_option("operate")
    await until(lambda: server.authorization.staff_of(console.door.account("afu"))[0].permission.word == "operate")
    await theirs.reload()
    await theirs.locator("[data-account=afu] [data-test=enabled]").click()
    await until(lambda: not console.door.account("afu").enabled)
    await share.locator("[data-test=take]").click()
    await expect(share.locator("[data-colleague=lina]")).to_have_count(0)
    await theirs.goto("/console/accounts")
    await expect(theirs.get_by_text("店主把店铺共享给您后")).to_be_visible()


async def _is_used(console: Console) -> bool:
    (token,) = (await console.door.call("GET", "/tokens"))["items"]
    return token["last_used_at"] is not None


async def test_a_token_is_shown_once_does_what_it_may_and_is_revoked(console: Console) -> None:
    page = await console.page("/console/settings/tokens")
    await page.locator("[data-test=make-token]").click()
    await page.locator("[name=token-name]").fill("report")
    await page.locator("[data-test=save-token]").click()
    token = await page.locator("[data-test=secret]").inner_text()
    assert token.startswith("shoal_")
    await page.locator("[data-test=close]").click()
    await expect(page.locator("[data-test=secret]")).to_have_count(0)
    assert token not in await page.content()
    async with client_of(console.door.app, token) as script:
        assert (await script.get("/cookies")).status_code == 200
        assert (await script.put("/cookies/afu/status", json={"enabled": False})).status_code == 403
        assert (await script.get("/security-log")).status_code in {401, 403}
        await until_told(lambda: _is_used(console), True)  # it is noted after the answer
        await page.reload()
        await expect(page.locator("[data-token=report]")).to_contain_text("最近使用")
        await page.locator("[data-token=report] [data-test=revoke]").click()
        await page.locator("[data-token=report] [data-test=revoke]").click()
        await expect(page.locator("[data-token=report]")).to_have_count(0)
        assert (await script.get("/cookies")).status_code == 401
    await console.door.call("POST", "/tokens", json={"name": "nightly", "scope": "reply", "accounts": ["afu"]})
    await page.goto("/console/administration/users")
    row = page.locator("[data-test=user-tokens] [data-token=nightly]")
    await expect(row).to_contain_text("admin · 1 个店铺 · 从未使用")
    await row.locator("[data-test=revoke]").click()
    await row.locator("[data-test=revoke]").click()
    await expect(page.locator("[data-test=user-tokens]")).to_have_count(0)
    assert (await console.door.call("GET", "/tokens"))["items"] == []
