"""Notices in the console: a channel is added and tried, the bell rings, and an incident tells what was told of it."""

from __future__ import annotations

import re
from functools import partial

from playwright.async_api import expect

from browser.axe import findings
from browser.conftest import OpenConsole
from shoal.clock import now_ms
from shoal.orders.order_store import OrderUpdate
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, chat_subject, open_incidents
from support.site.sandbox_driver import sandbox
from support.site.standins import until_told

OFF_CENTRE = """link => {
  const text = document.createRange()
  text.selectNodeContents(link)
  const [inner, outer] = [text.getBoundingClientRect(), link.getBoundingClientRect()]
  return Math.abs(inner.top + inner.bottom - outer.top - outer.bottom) > 4 ? inner.top - outer.top : 0
}"""
"""How far from the top a text stands in a button whose middle it is not."""
ROWS = "all => new Set(all.map(one => one.getBoundingClientRect().top)).size"


async def test_a_channel_is_added_and_tried_an_incident_rings_and_its_notice_is_shown(
    open_console: OpenConsole,
) -> None:
    async with sandbox() as box:
        console = await open_console(allow_private_targets="127.0.0.1/32")
        door = console.door
        await door.add("afu", 1)
        page = await console.page("/console/settings/notices")
        await page.locator("[data-test=add-channel]").click()
        await page.locator("[data-service=webhook]").click()
        await page.locator("[name=field-url]").fill("http://127.0.0.1:1/hook")
        await page.locator("[name=channel-name]").fill("值班")
        await page.locator("[data-test=save-and-test]").click()
        await expect(page.locator("[data-test=answer]")).to_contain_text("没有送达")
        await expect(page.locator("[data-test=answer]")).to_contain_text("连不上 127.0.0.1")
        await expect(page.locator("[data-test=answer]")).to_be_in_viewport()
        await page.locator("[name=field-url]").fill(f"{box.url}/hook/shop")
        await page.locator("[data-test=save-and-test]").click()
        await expect(page.locator("[data-test=answer]")).to_contain_text('HTTP 200 {"ok":true}')
        assert await findings(page) == []
        await page.keyboard.press("Escape")
        await expect(page.locator("[data-channel=值班]")).to_contain_text("还没有通知过")

        async def told() -> list[str]:
            return [one["state"] for one in (await door.call("GET", "/notices"))["items"]]

        refund = OrderUpdate(
            order_id="7000000001", status="refunding", source="card", buyer_id="221", chat_id="c1", item_id="7001",
            words="退款", message_id="1.PNM",
        )  # fmt: skip
        await door.server.order_store.receive("afu", refund)
        waits = [
            Opening(
                subject=chat_subject("afu", chat), kind=IncidentKind.WANTS_PERSON, at_ms=now_ms(), account_id="afu",
                facts={"chat_id": chat},
            )
            for chat in ("c1", "c2")
        ]  # fmt: skip
        await door.server.database.write(partial(open_incidents, openings=waits))
        await door.call("PUT", "/cookies/afu/remark", json={"remark": "醒来"})
        await page.reload()
        await expect(page.locator("[data-test=bell-count]")).to_have_text("2")  # it has nothing to answer with, too
        await page.locator("[data-test=bell]").click()
        await expect(page.locator("[data-test=bell-panel]")).to_contain_text("1 个订单需要处理")
        assert await findings(page) == []
        await until_told(told, ["sent", "sent", "sent"])
        await page.locator("[data-test=all-incidents]").click()
        await expect(page.locator("[data-test=waits] [data-waiting=afu]")).to_contain_text("2 位买家在等您回复")
        await page.locator("[data-test=show-each]").click()
        await expect(page.locator("[data-waiting=afu] [data-incident=wants_person]")).to_have_count(2)
        row = page.locator("[data-test=hand] [data-incident=refund_asked]")
        await expect(row.locator("[data-test=do] a[href$='=seller']")).to_have_text("goofish.com/order-detail")
        await row.locator("[data-test=show-told]").click()
        await expect(row.locator("[data-test=told]")).to_contain_text(re.compile("已发送.*值班"))
        assert await findings(page) == []
        await page.set_viewport_size({"width": 390, "height": 844})
        await until_told(lambda: row.locator("[data-test=act]").evaluate(OFF_CENTRE), 0)
        await until_told(lambda: page.locator(".tools .n-select").evaluate_all(ROWS), 1)
        await row.locator("[data-test=act]").click()
        await expect(page).to_have_url(f"{console.url}/console/orders/afu/7000000001")


async def test_a_webhook_shows_its_secret_once_its_test_and_its_calls(open_console: OpenConsole) -> None:
    async with sandbox() as box:
        console = await open_console(allow_private_targets="127.0.0.1/32")
        page = await console.page("/console/settings/notices")
        await page.locator("[data-test=add-webhook]:not([disabled])").click()
        await page.locator("[name=webhook-url]").fill(f"{box.url}/hook/own")
        await page.locator("[data-test=save-webhook]").click()
        secret = await page.locator("[data-test=secret]").inner_text()
        assert secret.startswith("whsec_")
        assert await findings(page) == []
        await page.locator("[data-test=close]").click()
        row = page.locator("[data-webhook]")
        await row.locator("[data-test=test]").click()
        await expect(row.locator("[data-test=answer]")).to_contain_text("HTTP 200")
        await row.locator("[data-test=calls]").click()
        await expect(page.locator("[data-test=attempts]")).to_contain_text("webhook.test")
        assert await findings(page) == []
        assert secret not in await page.content()
        await page.keyboard.press("Escape")
        await row.locator("[data-test=switch]").click()
        await expect(row.locator("[data-test=webhook-state]")).to_have_text("已关闭")
