"""The orders: as they come, what needs a hand and what to do, what was handed out; from the chat and back to it."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Page, expect

from browser.axe import findings
from browser.conftest import NAME, Console, WiredConsole, hangs_over, press, said
from shoal.clock import now_ms
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, IncomingMessage
from shoal.orders.order_store import Action, ActionState, OrderUpdate
from support.servers.doors import Door
from support.site.standins import until_told

ID = "4500000000000000001"


async def _paid(console: Console, order_id: str = ID, *, shop: str = "afu", **news: Any) -> None:
    values = {
        "status": "pending_ship", "source": "card", "buyer_id": "221", "chat_id": "c1", "item_id": "7001",
        "paid": True, "words": "我已付款，等待你发货", "message_id": "1.PNM", "amount": "19.90", **news,
    }  # fmt: skip
    await console.door.server.order_store.receive(shop, OrderUpdate(order_id=order_id, **values))


async def _became(console: Console, state: ActionState, detail: str = "", order_id: str = ID) -> None:
    await console.door.server.order_store.settle_action("afu", order_id, Action.PAID_MESSAGE, state, detail)


async def test_an_order_appears_when_it_is_paid_and_is_followed_to_its_end_and_into_its_chat(
    wired: WiredConsole,
) -> None:
    await wired.door.call("PATCH", "/cookies/muzi/settings", json={"paid_message": "提取码 8k2m"})
    await wired.door.call("PUT", "/cookies/muzi/auto-confirm", json={"auto_confirm": True})
    page = await wired.page("/console/orders")
    await expect(page.get_by_text("还没有订单")).to_be_visible()
    await expect(page.locator("[data-test=first-rules]")).to_be_visible()
    (item,) = [one for one in (await wired.sandbox.get("sellers"))["items"] if one["unb"] == wired.unb]
    paid = await wired.sandbox.do("pay", account=wired.unb, buyer=NAME, item=item["items"][0]["id"])
    row = page.locator(f"[data-order='muzi/{paid['order_id']}']")
    await expect(row.locator("[data-status=shipped]")).to_be_visible()
    await expect(row.locator("[data-test=title]")).to_have_text(item["items"][0]["title"])
    await press(row)
    order = page.locator("[data-test=order]")
    await expect(order.locator("[data-act=paid_message]")).to_have_attribute("data-state", "done")
    await expect(order.locator("[data-act=confirm]")).to_have_attribute("data-state", "done")
    await expect(order.locator("[data-test=handed]")).to_contain_text("提取码 8k2m")
    await expect(order.locator("[data-test=handed]")).to_contain_text("已发送")
    await expect(order.locator("[data-test=timeline]")).to_contain_text("待发货 我已付款，等待你发货")
    await press(order.locator("[data-test=to-chat]"))
    await expect(page.get_by_role("log")).to_contain_text("提取码 8k2m")
    await press(page.locator("[data-test=to-orders]"))
    await expect(page.locator("[data-test=chat-only]")).to_be_visible()
    await expect(page.locator("[data-order]")).to_have_count(1)
    await until_told(lambda: _has_picture(wired.door), True)
    await page.reload()
    picture = page.locator("[data-order] img")
    await expect(picture).to_have_js_property("complete", True)
    await expect(picture).to_have_js_property("naturalWidth", 80)


async def test_g2_an_order_whose_refund_ended_unseen_is_served_once_its_page_was_read(wired: WiredConsole) -> None:
    await wired.door.call("PATCH", "/cookies/muzi/settings", json={"paid_message": "提取码 8k2m"})
    await wired.door.call("PUT", "/cookies/muzi/status", json={"enabled": False})
    (item,) = [one for one in (await wired.sandbox.get("sellers"))["items"] if one["unb"] == wired.unb]
    about = {"account": wired.unb, "buyer": NAME, "item": item["items"][0]["id"]}
    about["order_id"] = (await wired.sandbox.do("pay", **about))["order_id"]
    await wired.sandbox.do("pay", **about, card="refund_asked")
    await wired.door.call("PUT", "/cookies/muzi/status", json={"enabled": True})
    page = await wired.page("/console/orders?filter=hand")
    await press(page.locator(f"[data-order='muzi/{about['order_id']}']"))
    order = page.locator("[data-test=order]")
    await expect(order.locator("[data-problem=refund_asked]")).to_contain_text("重新处理")
    await press(order.locator("[data-test=serve]"))
    await expect(page.locator("[data-test=page-decides]")).to_contain_text("先读取闲鱼的订单页")
    await press(page.locator("[data-test=order-go]"))
    await expect(page.get_by_role("alert")).to_contain_text("还显示退款中")
    await wired.sandbox.do("pay", **about, card="refund_withdrawn", quiet=True)
    await press(page.locator("[data-test=order-go]"))
    await expect(order.locator("[data-act=paid_message]")).to_have_attribute("data-state", "done")
    assert await wired.sandbox.seen(wired.unb, NAME) == ["提取码 8k2m"]


async def _has_picture(door: Door) -> bool:
    (order,) = (await door.call("GET", "/orders"))["items"]
    return bool(order["item_picture"])


async def test_a_refused_message_is_sent_again_by_its_owner(wired: WiredConsole) -> None:
    await wired.door.call("PATCH", "/cookies/muzi/settings", json={"paid_message": "提取码 8k2m"})
    await wired.sandbox.do("fault", account=wired.unb, kind="send_refused", times=1)
    (item,) = [one for one in (await wired.sandbox.get("sellers"))["items"] if one["unb"] == wired.unb]
    page = await wired.page("/console/orders?filter=hand")
    paid = await wired.sandbox.do("pay", account=wired.unb, buyer=NAME, item=item["items"][0]["id"])
    await press(page.locator(f"[data-order='muzi/{paid['order_id']}']"))
    order = page.locator("[data-test=order]")
    await expect(order.locator("[data-problem=message_refused]")).to_contain_text("（安全拦截）")
    await expect(order.locator("[data-test=timeline]")).to_contain_text("发送付款后消息：失败")
    await expect(order.get_by_text("CSI_FORBID")).to_have_count(1)
    await expect(order.locator("[data-test=delivery]")).to_have_attribute("data-state", "refused")
    await expect(order.locator("[data-test=send-again]")).to_have_count(0)
    await press(order.locator("[data-test=serve]"))
    await expect(page.locator("[data-test=dialog]")).to_contain_text("发送付款后消息（上次：失败）")
    await page.locator("[data-test=order-go]").click()
    await expect(page.locator("[data-test=toast]", has_text="订单已处理")).to_be_visible()
    await expect(order.locator("[data-problem]")).to_have_count(0)
    await expect(order.locator("[data-test=handed]").last).to_contain_text("已发送")
    await expect(order.locator("[data-test=send-again]")).to_be_visible()
    await expect(page.get_by_text("没有需要您处理的订单")).to_be_visible()


async def test_a_parcel_waits_for_its_owner_and_one_text_for_several_pieces_is_seen(console: Console) -> None:
    await console.door.call("PUT", "/cookies/afu/status", json={"enabled": False})
    await _paid(console, parcel="yes")
    await _became(console, ActionState.DONE)
    store = console.door.server.order_store
    await store.settle_action("afu", ID, Action.CONFIRM, ActionState.FAILED, "needs_parcel")
    await _paid(console, "4500000000000000002", chat_id="c2", quantity="3", parcel="no")
    await _became(console, ActionState.DONE, order_id="4500000000000000002")
    await store.settle_action("afu", "4500000000000000002", Action.CONFIRM, ActionState.DONE)
    page = await console.page("/console/orders?filter=hand")
    await page.locator(f"[data-order='afu/{ID}']").click()
    order = page.locator("[data-test=order]")
    await expect(order.locator("[data-problem=needs_parcel]")).to_contain_text("要寄快递")
    await expect(order.locator("[data-act=confirm]")).to_contain_text("没有说明不用寄")
    await page.locator("[data-order='afu/4500000000000000002']").click()
    await expect(order.locator("[data-problem=one_text]")).to_contain_text("共 3 件")
    await order.locator("[data-test=settle]").click()
    await page.locator("[data-test=order-go]").click()
    await expect(order.locator("[data-problem]")).to_have_count(0)
    await expect(page.locator("[data-order]")).to_have_count(1)
    await press(order.locator("[data-test=to-chat]"))  # its buyer never wrote
    await page.wait_for_url("**/console/conversations/afu/c2*")


async def test_what_needs_a_hand_is_found_and_settled_by_the_owners_word(console: Console) -> None:
    await console.door.call("PUT", "/cookies/afu/status", json={"enabled": False})
    await said(console, 1, "在吗")
    await _paid(console)
    await _became(console, ActionState.UNCERTAIN)
    await _paid(console, "4500000000000000002", status="completed", paid=False, chat_id="c2")
    await _paid(console, "4500000000000000003", chat_id="c3")
    await _became(console, ActionState.FAILED, "no_paid_message", "4500000000000000003")
    page = await console.page("/console/orders")
    rows, badge = page.locator("[data-order]"), page.locator("nav a[href='/console/orders'] .badge")
    await expect(rows).to_have_count(3)
    await expect(badge).to_have_text("2")
    await page.get_by_role("button", name="需要处理 2").click()
    await expect(rows).to_have_count(2)
    await page.get_by_role("searchbox").fill(NAME[:2])
    await expect(rows).to_have_count(1)
    await page.reload()
    await expect(rows).to_have_attribute("data-order", f"afu/{ID}")
    await press(page.locator("[data-test=open-first]"))
    order = page.locator("[data-test=order]")
    await expect(order.locator("[data-problem=message_uncertain]")).to_contain_text("不确定买家是否收到")
    await order.locator("[data-test=serve]").click()
    dialog = page.locator("[data-test=dialog]")
    await expect(dialog).to_contain_text("上次的结果不确定")
    await page.keyboard.press("Escape")
    await expect(order.locator("[data-test=serve]")).to_be_focused()
    await order.locator("[data-test=settle]").click()
    await dialog.locator("[data-test=order-go]").click()
    await expect(order.locator("[data-act=paid_message]")).to_have_attribute("data-state", "done")
    await expect(order.locator("[data-test=timeline] li").last).to_contain_text("admin")
    await expect(page.get_by_text("没有符合条件的订单")).to_be_visible()
    await expect(badge).to_have_text("1")
    await page.locator(".empty").get_by_role("button", name="清除筛选").click()
    await expect(rows).to_have_count(3)
    await page.locator("[data-order='afu/4500000000000000003']").click()
    await expect(order.locator("[data-test=mend]")).to_have_attribute("href", "/console/accounts/afu/deliveries")
    await expect(order.locator("[data-test=add-rule]")).to_have_text("为这件商品添加规则…")
    await console.door.call("PATCH", "/cookies/afu/settings", json={"paid_message": "货"})
    await order.locator("[data-test=serve]", has_text="发货…").click()
    await dialog.locator("[data-test=order-go]").click()
    # that of the order before may still be there
    await expect(page.locator("[data-test=toast]", has_text="店铺连接后处理").last).to_be_visible()
    await expect(order).to_contain_text("店铺未连接（已停用）")
    await page.goto("/console/orders?cid=gone")
    await expect(page.locator(".side [role=alert]")).to_be_visible()
    await page.goto("/console/orders?status=completed")
    await expect(rows).to_have_attribute("data-order", "afu/4500000000000000002")


async def test_what_waits_is_listed_with_its_reason_and_its_age(console: Console) -> None:
    await console.door.call("PUT", "/cookies/afu/status", json={"enabled": False})
    orders = console.door.server.order_store
    await _paid(console)
    await orders.put_off("afu", ID, Action.PAID_MESSAGE, None, "page_unread")
    await _paid(console, "4500000000000000002", chat_id="c2")
    await _paid(console, "4500000000000000003", chat_id="c3")
    await orders.put_off("afu", "4500000000000000003", Action.PAID_MESSAGE, now_ms() + 3600_000)  # by its rule
    page = await console.page("/console/orders")
    rows = page.locator("[data-order]")
    await expect(rows).to_have_count(3)
    await page.get_by_role("button", name="等待中").click()
    await expect(rows).to_have_count(2)
    await expect(page.locator(f"[data-order='afu/{ID}'] [data-test=waits]")).to_contain_text("等订单页")
    await expect(page.locator("[data-order='afu/4500000000000000002'] [data-test=waits]")).to_contain_text("排队中")
    await page.locator(f"[data-order='afu/{ID}']").click()
    await expect(page.locator("[data-test=order] [data-test=waits]")).to_contain_text("等订单页")
    for order_id in (ID, "4500000000000000002"):
        await _paid(console, order_id, status="completed", paid=False, message_id="2.PNM")
    await expect(page.get_by_text("没有在等待的订单")).to_be_visible()


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), pytest.param(1280, "light", marks=pytest.mark.long)])
async def test_axe_finds_nothing_in_the_orders(console: Console, width: int, scheme: str) -> None:
    await said(console, 1, "在吗")
    await _paid(console, spec_name="尺码", spec_value="大", quantity="2")
    await _became(console, ActionState.UNCERTAIN)
    look = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme, "reduced_motion": "reduce"}
    page = await console.page("/console/orders?chat=c1", **look)
    await expect(page.locator("[data-order]")).to_have_count(1)
    assert await findings(page) == []
    await page.locator("[data-order]").click()
    await expect(page.locator("[data-problem]")).to_be_visible()
    assert await findings(page) == []
    assert not await hangs_over(page)
    await page.locator("[data-test=settle]").click()
    await expect(page.locator("[data-test=order-go]")).to_be_visible()
    assert await findings(page) == []
    await page.keyboard.press("Escape")
    await _speak_otherwise(page, width)
    await expect(page.locator("[data-problem]")).to_contain_text("The buyer may or may not have it")
    await _speak_otherwise(page, width)
    if width == 390:
        await page.get_by_role("button", name="返回").click()
        await expect(page.locator("[data-order]")).to_be_focused()


async def _speak_otherwise(page: Page, width: int) -> None:
    """Change the console's language by the button in the head, which on a phone stands among “more”."""
    if width == 390:
        await page.locator("[data-test=more-pages]").click()
    await page.locator("[data-test=language]").click()
    if width == 390:
        await page.keyboard.press("Escape")
        await expect(page.locator("[data-test=dialog]")).to_have_count(0)


async def test_a_payment_that_names_no_order_is_shown_with_the_orders_until_it_is_handled(console: Console) -> None:
    payment = IncomingMessage(
        message_id="paid-77.PNM", chat_id="c1", direction=Direction.SITE, text="[已付款，待发货]",
        created_at_ms=now_ms(), decision=Decision.PAID_UNKNOWN,
    )  # fmt: skip
    await console.door.server.message_log.store_incoming("afu", [payment])
    page = await console.page("/console/orders")
    box, badge = page.locator("[data-test=payments]"), page.locator("nav a[href='/console/orders'] .badge")
    await expect(badge).to_have_text("1")
    await expect(box).to_contain_text("已付款，订单不明")
    assert await findings(page) == []
    await box.get_by_role("link").click()
    await expect(page.get_by_role("log")).to_contain_text("已付款，订单不明")
    await page.go_back()
    await box.get_by_role("button", name="已处理").click()
    await expect(box).to_have_count(0)
    await expect(badge).to_have_count(0)
    await page.goto("/console/conversations/afu/c1")
    await expect(page.locator("[data-test=remark]")).to_have_text("已付款，订单不明 · 已处理")


@pytest.mark.parametrize("width", [1280, 390])
async def test_an_order_leads_to_the_chat_of_a_buyer_who_never_wrote_and_who_can_be_written_to(
    wired: WiredConsole, width: int
) -> None:
    (item,) = [one for one in (await wired.sandbox.get("sellers"))["items"] if one["unb"] == wired.unb]
    page = await wired.page("/console/orders", viewport={"width": width, "height": 800})
    paid = await wired.sandbox.do("pay", account=wired.unb, buyer=NAME, item=item["items"][0]["id"])
    await press(page.locator(f"[data-order='muzi/{paid['order_id']}']"))
    await press(page.locator("[data-test=to-chat]"))
    await page.wait_for_url("**/console/conversations/muzi/*")
    await expect(page.locator("[data-test=thread]")).to_be_visible()
    await expect(page.locator("[data-test=thread] h2")).not_to_have_text("…")
    await page.get_by_role("textbox", name="回复").fill("您好，货已备好")
    await page.get_by_role("textbox", name="回复").press("Enter")
    await expect(page.get_by_role("log").locator("[data-test=outcome]", has_text="已发送")).to_be_visible()
    await expect(page.get_by_role("log")).to_contain_text("您好，货已备好")
    if width < 760:
        await page.locator("[data-test=thread] .back").click()
    await expect(page.locator("[data-chat]")).to_have_count(1)


async def test_orders_are_summed_by_day_shop_and_item_and_saved_as_a_file(console: Console) -> None:
    await console.door.call("PUT", "/cookies/afu/status", json={"enabled": False})
    await _paid(console, amount="19.90", quantity="2")
    await _paid(console, "4500000000000000002", item_id="7002", amount="5", chat_id="c2")
    await _paid(console, "4500000000000000003", item_id="7002", amount="", chat_id="c3", status="refunding")
    page = await console.page("/console/orders")
    await page.get_by_role("button", name="统计").click()
    total = page.locator("[data-test=total]")
    await expect(total).to_contain_text("¥24.90")
    await expect(page.locator("[data-test=unknown]")).to_contain_text("1 个订单的金额")
    await expect(page.get_by_role("img", name="每天的付款金额和退款金额. 付款 ¥24.90")).to_be_visible()
    await page.get_by_role("button", name="按商品").click()
    rows = page.locator("[data-test=sums] tbody tr")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("¥19.90")
    assert await findings(page) == []
    await page.reload()
    await rows.nth(1).get_by_role("button").click()
    await expect(page.locator("[data-order]")).to_have_count(2)
    await page.get_by_role("searchbox").fill("0002")
    await expect(page.locator("[data-order]")).to_have_count(1)
    await page.locator("[data-test=export]").click()
    async with page.expect_download() as saving:
        await page.get_by_text("CSV 文件").click()
    text = (await (await saving.value).path()).read_text(encoding="utf-8-sig")
    assert [line.split(",")[0] for line in text.splitlines()] == ["订单号", "\t4500000000000000002"]
    await expect(page.locator("[data-test=toast]")).to_contain_text("已保存")
    await page.set_viewport_size({"width": 390, "height": 800})
    await page.get_by_role("button", name="统计").click()
    await expect(total).to_contain_text("¥5.00")
    assert not await hangs_over(page)
