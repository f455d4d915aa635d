"""The overview: figures that move, what needs a hand with its next step, messages and changes as they happen."""

from __future__ import annotations

import time

from playwright.async_api import expect

from browser.conftest import Console, answering
from shoal.accounts.account import Account, ParkReason
from shoal.accounts.account_task import Link
from shoal.errors import ActionRequired
from shoal.messages.message_log import IncomingMessage
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from support.site.standins import cookie_of, until


async def test_a_shop_that_needs_a_hand_appears_with_its_next_step_and_goes_when_it_is_done(console: Console) -> None:
    await answering(console, "afu", "muzi", "xiaoyu")
    page = await console.page()
    todo = page.locator("[data-test=todo]")
    await expect(todo).to_contain_text("没有需要您处理的")

    async def login_is_over(_: Account, __: Link) -> None:
        raise ActionRequired(ParkReason.LOGIN_EXPIRED)

    console.door.site.behave = login_is_over
    await console.door.call("POST", "/cookies/muzi/resume")
    await expect(todo.locator("[data-todo=muzi]")).to_contain_text("登录已过期")
    console.door.site.behave = None
    await todo.get_by_role("button", name="更新 Cookie").click()
    await page.locator("textarea[name=cookie]").fill(cookie_of(2, secret="fresh"))
    await page.locator("[data-test=save]").click()
    await expect(todo).to_contain_text("没有需要您处理的")
    await until(lambda: console.door.server.manager.observation("muzi").state == "running")


async def test_after_a_check_the_box_for_the_newest_cookie_is_one_step_away(console: Console) -> None:
    async def asks_for_a_check(_: Account, __: Link) -> None:
        raise ActionRequired(ParkReason.RISK_CONTROL, action_url="https://h5api.m.goofish.com/check")

    console.door.site.behave = asks_for_a_check
    await console.door.call("POST", "/cookies/afu/resume")
    page = await console.page()
    await page.locator("[data-todo=afu] [data-test=newest]").click()
    steps = page.locator("[data-test=after-check]")
    link = steps.get_by_role("link", name="闲鱼消息页")
    await expect(link).to_have_attribute("href", "https://www.goofish.com/im")
    await expect(link).to_have_attribute("rel", "noopener noreferrer")
    await steps.get_by_text("闲鱼给出的验证地址").click()
    await expect(steps.locator("[data-test=action-text]")).to_have_text("https://h5api.m.goofish.com/check")
    console.door.site.behave = None
    await page.locator("textarea[name=cookie]").fill(cookie_of(1, secret="newest"))
    await page.locator("[data-test=save]").click()
    await until(lambda: console.door.server.manager.observation("afu").state == "running")


async def test_messages_with_their_answers_and_changes_appear_as_they_happen(console: Console) -> None:
    page = await console.page()
    await expect(page.locator("[data-test=messages]")).to_contain_text("还没有消息")
    log = console.door.server.message_log
    spoken = "<img src=x onerror=alert(1)> 在吗"
    message = IncomingMessage(
        message_id="m1", chat_id="c1", sender_name="豆豆妈", text=spoken, created_at_ms=int(time.time() * 1000)
    )
    await log.store_incoming("afu", [message])
    row = OutboxRow(account_id="afu", chat_id="c1", uuid="u1", message_id="m1", text="在的，请说")
    (sending,) = (await log.outbox.queue([row], answers=["m1"])).ids
    await log.outbox.settle(sending, SendOutcome.REFUSED, reason="含有联系方式")
    messages = page.locator("[data-test=messages]")
    await expect(messages).to_contain_text(spoken)
    await expect(messages).to_contain_text("在的，请说")
    await expect(messages.get_by_text("被拒绝")).to_have_attribute("title", "含有联系方式")
    await console.door.call("PUT", "/cookies/afu/remark", json={"remark": "阿福的闲置"})
    await expect(page.locator("[data-test=changes] li").first).to_contain_text("备注 （空） → 阿福的闲置")
    await page.reload()
    await expect(page.locator("[data-test=changes] li").first).to_contain_text("备注 （空） → 阿福的闲置")


async def test_f18_a_running_shop_with_nothing_to_say_is_a_state_of_its_own_with_its_next_step(
    console: Console,
) -> None:
    await answering(console, "xiaoyu")
    await console.door.call("PATCH", "/cookies/muzi/settings", json={"paid_message": "卡密 123"})
    page = await console.page()
    figure = page.locator(".figures a", has_text="运行中")
    await expect(figure.locator("strong")).to_have_text("1+2 不会回复")
    await expect(page.locator(".figures a", has_text="需要处理").locator("strong")).to_have_text("1")
    todo = page.locator("[data-test=todo]")
    await expect(todo.locator("[data-todo]")).to_have_count(1)  # who serves orders may be meant to say no more
    await expect(todo.locator("[data-todo=afu]")).to_contain_text("运行中，不会回复")
    await expect(todo.locator("[data-todo=afu]")).to_contain_text("没有规则和默认回复")
    await page.goto("/console/accounts?filter=mute")
    rows = page.locator("[data-account]")
    await expect(rows).to_have_count(2)
    await expect(page.locator("[data-account=afu] [data-state]")).to_have_text("运行中，不会回复")
    await expect(page.locator("[data-account=muzi]")).to_contain_text("只处理付款后的订单")
    await page.goto("/console/")
    await todo.locator("[data-test=set-answers]").click()
    await expect(page.locator("[data-test=add-rule]")).to_be_visible()
    await expect(page.locator(".account .top [data-state]")).to_have_attribute("data-state", "mute")
    await console.door.call("POST", "/cookies/afu/rules", json={"words": ["在吗"], "parts": [{"text": "在的"}]})
    await expect(page.locator(".account .top [data-state]")).to_have_text("运行中")
