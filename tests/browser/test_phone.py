"""The console in the hand: tabs, rows of two lines, targets for a finger, the way out behind a question, the app."""

from __future__ import annotations

from functools import partial
from typing import Any

from playwright.async_api import Page, expect

from browser.conftest import Console, answering, scrolled
from shoal.accounts.account import Account, ParkReason
from shoal.accounts.account_task import Link
from shoal.clock import now_ms
from shoal.errors import ActionRequired
from shoal.orders.order_store import Action, ActionState, OrderUpdate
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, goods_subject, open_incidents
from support.site.standins import until_told

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
NEEDS = "4"
"""Two shops, an order, and goods that are sold out."""
SMALL = """() => [...document.querySelectorAll(`.tab-bar a, .tab-bar button, header button, [data-account] button,
  .tools button, .filters button`)].filter(one => one.offsetParent)
  .map(one => [one.outerHTML.slice(0, 90), one.getBoundingClientRect()])
  .filter(([, box]) => box.height < 43.5 || box.width < 43.5)
  .map(([html, box]) => `${html} ${box.width}×${box.height}`)"""


async def test_seven_shops_are_in_sight_each_with_its_switch_and_what_is_due(console: Console) -> None:
    await answering(console, "afu", "xiaoyu")
    await console.door.call("PUT", "/cookies/xiaoyu/remark", json={"remark": "#books"})  # a list of groups beside
    for number in range(4, 13):
        await console.door.add(f"shop-{number}", number)

    async def login_is_over(_: Account, __: Link) -> None:
        raise ActionRequired(ParkReason.LOGIN_EXPIRED)

    console.door.site.behave = login_is_over
    await console.door.call("POST", "/cookies/afu/resume")
    page = await console.page("/console/accounts", **PHONE)
    row = page.locator("[data-account=afu]")
    await expect(row.get_by_role("button", name="扫码登录")).to_be_visible()
    bar = await page.locator(".tab-bar").bounding_box()
    assert bar is not None
    seen = (
        f"[...document.querySelectorAll('[data-account]')]"
        f".filter(one => one.getBoundingClientRect().bottom <= {bar['y']}).length >= 7"
    )
    await until_told(lambda: page.evaluate(seen), True)
    switch = await row.locator("[data-test=enabled]").bounding_box()
    assert switch is not None
    assert switch["x"] > 390 * 3 / 4
    due = await row.get_by_role("button", name="扫码登录").bounding_box()
    state = await row.locator(".stand .state").bounding_box()
    reason = await row.locator(".stand > .small").bounding_box()
    assert due is not None
    assert state is not None
    assert reason is not None
    assert state["x"] + state["width"] <= due["x"], "the button stands on the state"
    assert reason["y"] >= due["y"] + due["height"] - 1, "the button stands on the reason"
    await until_told(lambda: page.evaluate(SMALL), [])
    await row.get_by_role("checkbox").tap()
    await expect(row).to_have_attribute("aria-selected", "true")
    await row.get_by_role("button", name="扫码登录").tap()
    await expect(page.get_by_role("dialog")).to_contain_text("afu")


async def test_what_needs_a_hand_comes_first_and_is_one_number_everywhere_also_on_the_icon(console: Console) -> None:
    await answering(console, "xiaoyu")
    await _order_in_need(console)
    await console.door.call("POST", "/goods", json={"name": "月卡", "kind": "stock"})
    gone = Opening(
        subject=goods_subject(1), kind=IncidentKind.OUT_OF_STOCK, at_ms=now_ms(), user_id=1, facts={"goods": "月卡"}
    )
    await console.door.server.database.write(partial(open_incidents, openings=[gone]))
    desk = await console.page("/console/orders")
    await _is_told(desk, NEEDS)
    await expect(desk.locator("aside .badge:not(.calm)")).to_have_text(["2", "1", "1"])  # shops, orders, stock
    await expect(desk.get_by_role("button", name="需要处理 1")).to_be_visible()
    await desk.locator("[data-test=bell]").click()
    await expect(desk.locator("[data-test=bell-panel] li")).to_have_count(4)
    await desk.locator("aside a[href='/console/accounts']").click()
    await expect(desk.get_by_role("button", name="需要处理 2")).to_be_visible()
    page = await console.page(**PHONE)
    await _is_told(page, NEEDS)
    await expect(page.locator("[data-test=needs]")).to_have_text(NEEDS)
    await expect(page.locator(".figures a", has_text="需要处理").locator("strong")).to_have_text(NEEDS)
    await expect(page.locator(".tab-bar .badge:not(.calm)")).to_have_text(["2", "1", "1"])
    await expect(page.locator("[data-todo], [data-test=todo-orders], [data-test=todo-other]")).to_have_count(4)
    todo = await page.locator("[data-test=todo]").bounding_box()
    figures = await page.locator(".figures").bounding_box()
    assert todo is not None
    assert figures is not None
    assert todo["y"] < figures["y"]
    await page.add_init_script(
        "navigator.setAppBadge = async n => { document.documentElement.dataset.number = n };"
        "navigator.clearAppBadge = async () => { document.documentElement.dataset.number = 0 }"
    )
    await page.reload()
    await expect(page.locator("html")).to_have_attribute("data-number", NEEDS)
    await answering(console, "afu", "muzi")
    await expect(page.locator("html")).to_have_attribute("data-number", "2")
    await page.locator("[data-test=more-pages]").tap()
    await page.locator("[data-test=install-app]").tap()
    await expect(page.locator("[data-test=install]")).to_contain_text("添加到主屏幕")


async def _order_in_need(console: Console) -> None:
    paid = OrderUpdate(
        order_id="4500000000000000001", status="pending_ship", source="card", buyer_id="221", chat_id="c1",
        item_id="7001", paid=True, words="我已付款，等待你发货", message_id="1.PNM",
    )  # fmt: skip
    await console.door.call("PUT", "/cookies/xiaoyu/status", json={"enabled": False})
    store = console.door.server.order_store
    await store.receive("xiaoyu", paid)
    await store.settle_action("xiaoyu", paid.order_id, Action.PAID_MESSAGE, ActionState.FAILED, "no_paid_message")


async def _is_told(page: Page, number: str) -> None:
    await expect(page.locator("[data-test=bell-count]")).to_have_text(number)


async def test_the_box_to_try_rules_stands_below_them_and_the_first_steps_lead_to_it(console: Console) -> None:
    for word in ("在吗", "包邮"):
        await console.door.call(
            "POST", "/cookies/xiaoyu/rules", json={"words": [word], "parts": [{"text": f"答{word}"}]}
        )
    page = await console.page("/console/accounts/xiaoyu/rules", **PHONE)
    await expect(page.locator("[data-rule]")).to_have_count(2)
    rule = await page.locator("[data-rule]").last.bounding_box()
    box = await page.locator("[data-test=try]").bounding_box()
    assert rule is not None
    assert box is not None
    assert box["y"] > rule["y"]
    page = await console.page("/console/accounts/xiaoyu/rules#try", **PHONE)
    await expect(page.locator("textarea[name=try]")).to_be_focused()
    await expect(page.locator("textarea[name=try]")).to_be_in_viewport()
    for number in range(6):
        await console.door.call(
            "POST", "/cookies/xiaoyu/rules", json={"words": [f"问{number}"], "parts": [{"text": "好"}]}
        )
    await expect(page.locator("[data-rule]")).to_have_count(8)
    await scrolled(page.locator("main"), "0")
    await expect(page.locator("textarea[name=try]")).not_to_be_in_viewport()
    await page.locator("[data-test=to-try]").tap()
    await expect(page.locator("textarea[name=try]")).to_be_focused()
    await page.locator("textarea[name=try]").fill("包邮吗")
    await expect(page.locator("[data-test=tried] .bubble")).to_be_in_viewport(ratio=1)


async def test_each_page_begins_at_its_top(console: Console) -> None:
    await answering(console, "afu", "muzi", "xiaoyu")
    page = await console.page(**PHONE)
    await expect(page.locator("[data-test=todo]")).to_be_visible()
    await scrolled(page.locator("main"), "box.scrollHeight")
    await expect(page.locator("[data-test=todo]")).not_to_be_in_viewport()
    await page.locator(".tab-bar a").nth(1).tap()
    await expect(page.locator("[data-account]")).to_have_count(3)
    await page.locator(".tab-bar a").first.tap()
    await expect(page.locator("[data-test=todo]")).to_be_in_viewport()


async def test_rare_filters_of_orders_are_put_away_and_say_how_many_are_set(console: Console) -> None:
    page = await console.page("/console/orders?status=shipped&time=week", **PHONE)
    more = page.locator("[data-test=order-filters]")
    await expect(more).to_have_text("2")
    await expect(more).to_have_attribute("aria-expanded", "false")
    await expect(page.locator("[data-test=status]")).to_have_count(0)
    await more.tap()
    await expect(page.locator("[data-test=status]")).to_contain_text("已发货")
    await page.locator("[data-test=clear-rare]").tap()
    await expect(more).to_have_text("")
    await expect(page).to_have_url(f"{console.url}/console/orders")
