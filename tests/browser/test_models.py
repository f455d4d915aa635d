"""Providers of language models on their page: nothing is sent before the consent, then each is checked and left."""

from __future__ import annotations

from playwright.async_api import expect

from browser.axe import findings
from browser.conftest import OpenConsole, choose_item, hangs_over
from shoal.clock import now_ms
from shoal.items.item_page_rows import store_page
from shoal.xianyu.item_page import ItemPage, SpecPrice
from support.models.model_steps import KEY, served_model, settings_for


async def test_a_provider_is_added_agreed_to_checked_and_left(open_console: OpenConsole) -> None:
    async with served_model() as (base, model):
        console = await open_console(allow_private_targets="all")
        page = await console.page("/console/settings/models", color_scheme="dark")
        await page.locator("[data-test=add-provider]").click()
        for name, text in (("name", "小模型"), ("url", f"{base}/v1"), ("key", KEY), ("model", "tiny")):
            await page.locator(f"[name=provider-{name}]").fill(text)
        await page.locator("[name=price-in]").fill("2.5")
        await page.locator("[name=money]").fill("5")
        await page.locator("[data-test=save-provider]").click()
        await expect(page.get_by_role("heading", name=f"同意向 {base} 发送内容")).to_be_visible()
        assert await findings(page) == []
        await page.keyboard.press("Escape")
        row = page.locator("[data-provider='小模型']")
        await expect(row.locator("[data-test=standing]")).to_have_text("未同意发送")
        assert model.calls.after(0) == [], "nothing is sent before the consent"
        await row.locator("[data-test=consent]").click()
        await page.locator("[data-test=agree]").click()
        await expect(row.locator("[data-test=standing]")).to_have_text("可用")
        await row.locator("[data-test=check]").click()
        await expect(row.locator("[data-test=checked]")).to_contain_text("可以使用")
        model.lay("500", times=1, seconds=0)
        await row.locator("[data-test=check]").click()
        await expect(row.locator("[data-test=checked]")).to_contain_text("服务商报错 500")
        await expect(page.locator("body")).not_to_contain_text(KEY)
        assert await findings(page) == []
        await row.locator("[data-test=edit-provider]").click()
        await expect(page.locator("[name=provider-key]")).to_have_value("")
        await page.locator("[name=provider-name]").fill("便宜的")
        await page.locator("[data-test=save-provider]").click()
        await expect(page.locator("[data-provider='便宜的'] [data-test=standing]")).to_have_text("可用")
        (kept,) = (await console.door.call("GET", "/ai-providers"))["items"]
        assert (kept["price_in_fen"], kept["fen_per_day"], kept["has_key"]) == (250, 500, True)
        await page.locator("[data-test=withdraw]").click()
        await expect(page.locator("[data-test=withdraw]")).to_have_text("停用所有店铺的模型？")
        await expect(page.locator("[data-test=standing]")).to_have_text("可用")
        await page.locator("[data-test=withdraw]").click()
        await expect(page.locator("[data-test=standing]")).to_have_text("未同意发送")
        await page.set_viewport_size({"width": 390, "height": 844})
        assert not await hangs_over(page)
        await page.locator("[data-test=remove-provider]").click()
        await page.locator("[data-test=remove-provider]").click()
        await expect(page.locator("[data-provider]")).to_have_count(0)


async def test_a_shop_is_given_facts_a_floor_and_drafts_and_its_model_is_tried(open_console: OpenConsole) -> None:
    async with served_model() as (base, model):
        console = await open_console(allow_private_targets="all")
        await console.door.add("afu")
        await console.door.call("POST", "/ai-providers", json=settings_for(base))
        page = await console.page("/console/accounts/afu/model")
        await page.locator("[data-test=mode] [name=provider]").select_option("1")
        await page.locator("[data-test=mode] button", has_text="拟草稿").click()
        await page.locator("[data-test=paste-facts]").click()
        await page.locator("[name=pasted-facts]").fill("包邮吗：满 30 元包邮\n只有一句")
        await expect(page.locator("[data-test=paste-found]")).to_contain_text("第 2 行：没有找到答案")
        await page.locator("[data-test=take-facts]").click()
        await page.locator("[data-test=save-model]").click()
        await expect(page.locator("[data-test=save-bar]")).to_have_count(0)
        kept = console.door.account("afu")
        assert (kept.ai_mode, kept.ai_provider_id, kept.ai_facts) == ("draft", 1, '[["包邮吗","满 30 元包邮"]]')
        await page.locator("[data-test=add-item-facts]").click()
        kept = console.door.account("afu")
        specs = (SpecPrice("时长:月卡", 2_500, 3), SpecPrice("时长:年卡", 20_000, 0))
        read = ItemPage(title="会员", description="即时发货", has_specs=True, specs=specs)
        await console.door.server.database.write(
            lambda connection: store_page(connection, kept, "7001", read, "", now_ms=now_ms())
        )
        await choose_item(page, "model-item", "7001")
        about = page.locator("[data-test=item-page]")
        await expect(about).to_contain_text("时长:年卡 ¥200.00 · 无货")
        await page.locator("[data-test=read-page]").click()
        await expect(about.get_by_role("alert")).to_contain_text("店铺没有连接")
        await page.locator("[name=item-floor]").fill("20")
        await page.locator("[data-test=save-item-facts]").click()
        await expect(page.locator("[data-item='7001']")).to_contain_text("底价 ¥20.00")
        model.script([{"action": "reply", "text": "15元给您", "offered_fen": 1500, "facts": []}], cycles=True)
        await page.locator("[name=try-model]").fill("最低多少")
        await choose_item(page, "try-model-item", "会员")
        await page.locator("[data-test=run-try]").click()
        await expect(page.locator("[data-rail=amount]")).to_have_attribute("data-passed", "false")
        await expect(page.locator("[data-test=tried-model]")).to_contain_text("被拦下，转给您")
        await expect(page.locator("[data-test=tried-item]")).to_contain_text("会员 · 时长:月卡 ¥25.00")
        assert await findings(page) == []
        assert not await hangs_over(page)


async def test_a_provider_in_use_stays_and_its_shop_says_when_nobody_may_be_asked(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.door.add("afu")
    one = await console.door.call("POST", "/ai-providers", json=settings_for("https://api.example.com"))
    await console.door.call("PUT", "/cookies/afu/ai", json={"ai_mode": "auto", "ai_provider_id": one["id"]})
    page = await console.page("/console/settings/models")
    await page.locator("[data-test=remove-provider]").click()
    await page.locator("[data-test=remove-provider]").click()
    await expect(page.get_by_text("这些店铺的语言模型正在用这个服务商：afu")).to_be_visible()
    for _ in range(2):
        await page.locator("[data-test=withdraw]").click()
    await expect(page.locator("[data-test=standing]")).to_have_text("未同意发送")
    await page.goto(f"{console.url}/console/accounts/afu/model")
    await expect(page.locator("[data-hindrance=consent]")).to_contain_text("还没有同意向 api.example.com 发送内容")
    assert not await hangs_over(page)
