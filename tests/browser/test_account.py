"""One shop: how it stands and why it does not reply, how it ran, and its settings, merged with what others change."""

from __future__ import annotations

import re

from playwright.async_api import Page, expect

from browser.conftest import Console, choose_item, hangs_over
from shoal.accounts.account import Account, ParkReason
from shoal.accounts.account_task import Link
from shoal.connection.push_counts import PushKind, push_kind
from shoal.errors import ActionRequired
from shoal.xianyu.push_events import UnknownEvent
from support.site.standins import cookie_of, until
from wire.frames import all_events


async def test_a_shop_is_opened_from_the_table_and_its_pages_are_one_step_apart(console: Console) -> None:
    page = await console.page("/console/accounts")
    await page.get_by_role("link", name="muzi").click()
    await page.wait_for_url("**/console/accounts/muzi")
    await expect(page.get_by_role("heading", level=2)).to_have_text("muzi")
    named = {"name": "木子", "remark": "木子，网盘 #资料"}
    await console.door.call("PATCH", "/cookies/muzi/settings", json=named)
    await expect(page.get_by_role("heading", level=2)).to_have_text("木子")
    await expect(page.get_by_role("heading", level=1)).to_have_text("木子")
    await expect(page).to_have_title("木子 · 店铺 · Shoal")
    await expect(page.locator("[data-account=muzi] .names .small")).to_contain_text(re.compile("^网盘 · #资料"))
    await page.locator("[data-tab=account-settings]").click()
    await page.wait_for_url("**/console/accounts/muzi/settings")
    await expect(page.locator("[data-tab=account-settings]")).to_have_attribute("aria-current", "page")
    await expect(page.locator("[name=timezone]")).to_have_css("background-image", re.compile("svg"))  # its arrow
    await page.goto("/console/accounts/nobody")
    await expect(page.get_by_text("店铺“nobody”不存在")).to_be_visible()


async def test_the_diagnosis_says_what_is_in_the_way_and_leads_to_the_remedy(console: Console) -> None:
    page = await console.page("/console/accounts/afu")
    card = page.locator("[data-test=diagnosis]")
    await expect(card.locator("[data-test=replying]")).to_have_text("买家的新消息不会自动回复")
    await expect(card.locator("[data-check=answers]")).to_contain_text("回复内容")
    await console.door.call("PUT", "/default-replies/afu", json={"enabled": True, "reply_content": "在的"})
    await expect(card.locator("[data-test=replying]")).to_have_text("买家的新消息会自动回复")
    await expect(card.locator("[data-check=answers]")).to_have_count(0)
    await console.door.call("PATCH", "/cookies/afu/settings", json={"holidays": "2020-01-01/2098-12-31"})
    remedy = card.locator("[data-check=hours]").get_by_role("link", name="去设置")
    await expect(remedy).to_have_attribute("href", "/console/accounts/afu/settings")
    await console.door.call("PATCH", "/cookies/afu/settings", json={"holidays": ""})
    await expect(card.locator("[data-check=hours]")).to_have_count(0)
    await page.locator("[data-test=enabled]").click()
    await expect(card.locator("[data-check=enabled]")).to_be_visible()
    await card.get_by_role("button", name="启用").click()
    await until(lambda: console.door.account("afu").enabled)
    await expect(card.locator("[data-check=enabled]")).to_have_count(0)


async def test_what_the_site_sends_is_counted_and_what_nobody_can_read_is_said(console: Console) -> None:
    said = all_events()
    console.door.server.push_counts.note("afu", [*said, UnknownEvent("keys 1,7,9")])
    page = await console.page("/console/accounts/afu")
    card = page.locator("[data-test=diagnosis]")
    await expect(card.locator("[data-check=readable]")).to_contain_text("keys 1,7,9")
    pushes = card.locator("[data-test=pushes]")
    await pushes.locator("summary").click()
    await expect(pushes.locator("[data-kind=unreadable]")).to_contain_text("无法识别")
    persons = sum(push_kind(event) is PushKind.PERSON for event in said)
    await expect(pushes.locator("[data-kind=person] dd")).to_have_text(re.compile(rf"^\s*{persons}\s"))
    assert not await hangs_over(page)


async def test_a_parked_shop_shows_its_next_step_and_what_it_cost_in_uptime(console: Console) -> None:
    async def asks_for_a_check(_: Account, __: Link) -> None:
        raise ActionRequired(ParkReason.RISK_CONTROL, action_url="https://h5api.m.goofish.com/check")

    page = await console.page("/console/accounts/afu")
    timeline = page.locator("[data-test=timeline]")
    await expect(timeline.locator("li").first).to_contain_text("运行中")
    console.door.site.behave = asks_for_a_check
    await console.door.call("POST", "/cookies/afu/resume")
    await expect(timeline.locator("li").first).to_contain_text("闲鱼要求验证")
    await expect(timeline.locator(".strip i.parked")).to_have_count(1)
    await expect(timeline.locator("[data-test=uptime-day]")).to_contain_text("%")
    await expect(timeline.locator("[data-test=uptime-day]")).not_to_contain_text("100%")
    parked = page.locator("[data-test=diagnosis] [data-check=parked]")
    await expect(parked).to_contain_text("闲鱼要求验证")
    await expect(page.locator("[data-test=resume], [data-test=newest]")).to_have_count(0)  # the box is what helps
    await page.locator("[data-account=afu] [data-test=menu]").click()
    await page.get_by_text("恢复连接", exact=True).click()
    await expect(page.get_by_role("dialog")).to_contain_text("Cookie 还没有换过")
    await page.locator("[data-test=paste-newest]").click()
    box = page.locator("[data-test=newest-cookie]")
    await expect(box).to_contain_text("https://h5api.m.goofish.com/check")
    console.door.site.behave = None
    await box.locator("textarea").fill(console.door.account("afu").cookie)
    await box.locator("[data-test=save-newest]").click()
    await expect(box.get_by_role("alert")).to_contain_text("没有任何变化")
    await box.locator("textarea").fill(cookie_of(1, secret="newest"))
    await box.locator("[data-test=save-newest]").click()
    await expect(parked).to_have_count(0)
    await expect(timeline.locator("li").first).to_contain_text("运行中")


async def _fill(page: Page, name: str, text: str) -> None:
    await page.locator(f"[name={name}]").fill(text)


async def test_settings_are_saved_as_one_change_that_can_be_taken_back(console: Console) -> None:
    page = await console.page("/console/accounts/afu/settings")
    before = console.door.account("afu")
    await _fill(page, "remark", "阿福的闲置")
    await _fill(page, "pause_duration", "25")
    await page.locator("[data-test=free-shipping]").click()
    await page.locator("select[name=timezone]").select_option("Europe/Paris")
    await _fill(page, "default_reply", "您好，")
    await page.locator("[name=default_reply]").press("End")
    await page.get_by_role("button", name="买家昵称").first.click()
    bar = page.locator("[data-test=save-bar]")
    await expect(bar).to_contain_text("有 5 项修改未保存")
    await page.locator("[name=remark]").press("Enter")
    await expect(bar).to_have_count(0)
    await until(lambda: console.door.account("afu").generation > before.generation)
    now = console.door.account("afu")
    assert (now.remark, now.pause_duration, now.free_shipping) == ("阿福的闲置", 25, True)
    assert (now.timezone, now.default_reply) == ("Europe/Paris", "您好，{send_user_name}")
    assert now.generation == before.generation + 1
    await page.get_by_role("button", name="撤销").click()
    await expect(page.locator("[name=remark]")).to_have_value("")
    await until(lambda: console.door.account("afu").timezone == "")


async def test_a_refused_setting_says_why_and_loses_nothing_that_was_typed(console: Console) -> None:
    page = await console.page("/console/accounts/afu/settings")
    await _fill(page, "remark", "mine")
    await _fill(page, "proxy", "gopher://nowhere")
    await page.locator("[data-test=save-settings]").click()
    await expect(page.get_by_role("alert")).to_contain_text("代理")
    await expect(page.locator("[name=remark]")).to_have_value("mine")
    assert console.door.account("afu").remark == ""
    await page.get_by_role("button", name="放弃修改").click()
    await expect(page.locator("[name=remark]")).to_have_value("")
    await expect(page.locator("[data-test=save-bar]")).to_have_count(0)


async def test_what_another_changed_meanwhile_is_merged_or_shown_beside_mine(console: Console) -> None:
    page = await console.page("/console/accounts/afu/settings")
    await _fill(page, "remark", "mine")
    await console.door.call("PATCH", "/cookies/afu/settings", json={"pause_duration": 33})
    await expect(page.locator("[name=pause_duration]")).to_have_value("33")  # not touched here: it follows
    await console.door.call("PATCH", "/cookies/afu/settings", json={"remark": "theirs"})
    clash = page.locator("[data-conflict]")
    await expect(clash).to_contain_text("“admin”也改了这一项")
    await expect(clash).to_contain_text("theirs")
    await expect(clash).to_contain_text("mine")
    await page.locator("[data-test=save-settings]").click()
    assert console.door.account("afu").remark == "theirs"  # nothing is overwritten before somebody chose
    await clash.locator("[data-test=keep]").click()
    await page.locator("[data-test=save-settings]").click()
    await until(lambda: console.door.account("afu").remark == "mine")
    assert console.door.account("afu").pause_duration == 33
    await expect(page.locator("[data-test=save-bar]")).to_have_count(0)


async def test_an_item_gets_words_of_its_own_by_its_link_and_loses_them_again(console: Console) -> None:
    page = await console.page("/console/accounts/afu/settings")
    items = page.locator("[data-test=items]")
    await expect(items).to_contain_text("还没有单独设置的商品")
    await page.locator("[data-test=add-item]").click()
    await page.locator("[data-test=save-item]").click()
    await expect(page.locator("dialog[open] footer [role=alert]")).to_contain_text("商品")
    await choose_item(page, "item", "https://www.goofish.com/item?spm=a1&id=700000000001&categoryId=2")
    await _fill(page, "reply", "这款今天发货")
    await page.locator("[data-test=save-item]").click()
    row = items.locator("[data-item='700000000001']")
    await expect(row).to_contain_text("这款今天发货")
    made = [("700000000001", "这款今天发货")]
    await until(lambda: [(one.item_id, one.reply) for one in console.door.account("afu").items] == made)
    await row.get_by_role("button", name="清除商品").click()
    await expect(row).to_have_count(0)
    cleared = page.locator("[data-test=toast]").filter(has_text="已清除商品 700000000001")
    await cleared.get_by_role("button", name="撤销").click()
    await expect(row).to_contain_text("这款今天发货")
