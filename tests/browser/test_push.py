"""A browser told by web push, from the switch in the console to the notice on the screen; and what an open page does.

The subscription is of a push service on this machine: Chromium asks its maker's. What arrives there is decrypted by the
keys of the subscription, as the browser does it, and handed to the console's own worker by the debug protocol.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, CDPSession, Page, expect

from browser.conftest import Console, OpenConsole, said
from shoal.messages.decisions import Decision
from support.notices.push_service import BrowserKeys, push_service
from support.site.standins import until, until_told

SUBSCRIBE = """fields => {
    let given = null
    PushManager.prototype.getSubscription = async () => given
    PushManager.prototype.subscribe = async options => {
        const keys = { p256dh: fields.p256dh, auth: fields.auth }
        given = {
            endpoint: fields.endpoint,
            options: { applicationServerKey: options.applicationServerKey.buffer },
            toJSON: () => ({ endpoint: fields.endpoint, keys }),
            unsubscribe: async () => { given = null; return true },
        }
        return given
    }
}"""
SHOWN = """async () => (await (await navigator.serviceWorker.ready).getNotifications())
    .map(({ title, body, tag, lang, data }) => ({ title, body, tag, lang, page: data.page }))"""
HEARD = """
    window.heard = 0
    const start = OscillatorNode.prototype.start
    OscillatorNode.prototype.start = function (...at) { window.heard += 1; return start.apply(this, at) }
"""


async def _open(console: Console, whole: Browser, path: str, *, more: str = "") -> Page:
    """A signed-in page of a browser that allows notices."""
    console.chromium = whole
    context = await console.browser()
    await context.grant_permissions(["notifications"], origin=console.url)
    await context.add_init_script(more)
    token = await console.door.server.sessions.open(1, 3600, kind="console")
    await context.add_cookies([{"name": "shoal_session", "value": token, "url": console.url, "httpOnly": True}])
    page = await context.new_page()
    await page.goto(path)
    await page.locator("[data-test=line].live").wait_for()
    return page


async def _deliver(devtools: CDPSession, console: Console, registrations: list[str], data: dict[str, Any]) -> None:
    await until(lambda: bool(registrations))
    push = {"origin": f"{console.url}/", "registrationId": registrations[0], "data": json.dumps(data)}
    await devtools.send("ServiceWorker.deliverPushMessage", push)


async def test_a_notice_reaches_the_screen_of_a_browser_that_was_switched_on(
    open_console: OpenConsole, notifying_chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with push_service(tmp_path, monkeypatch) as service:
        console = await open_console()
        browser = BrowserKeys()
        fields = browser.fields(service.url)
        page = await _open(
            console, notifying_chromium, "/console/settings/notices", more=f"({SUBSCRIBE})({json.dumps(fields)})"
        )
        devtools = await page.context.new_cdp_session(page)
        registrations: list[str] = []
        devtools.on(
            "ServiceWorker.workerRegistrationUpdated",
            lambda event: registrations.extend(one["registrationId"] for one in event["registrations"]),
        )
        await devtools.send("ServiceWorker.enable")
        card = page.locator("[data-test=push]")
        await expect(card.locator("[data-test=push-state]")).to_have_text("已关闭")
        await card.locator("[data-test=push-on]").click()
        await expect(card.locator("[data-test=push-state]")).to_contain_text("已开启")
        await card.locator("[data-test=push-test]").click()
        await until(lambda: len(service.pushed) == 1)
        told = browser.read(service.pushed[0][1])
        assert told["title"] == "测试通知"
        await _deliver(devtools, console, registrations, {**told, "page": "/console/accounts/shop", "tag": "i1"})
        await until_told(lambda: page.evaluate(f"({SHOWN})().then(shown => shown.length)"), 1)
        (shown,) = await page.evaluate(f"({SHOWN})()")
        assert shown == {
            "title": "测试通知", "body": told["body"], "tag": "i1", "lang": "zh", "page": "/console/accounts/shop",
        }  # fmt: skip
        again = {**told, "page": "https://evil.example/", "tag": "i1"}
        await _deliver(devtools, console, registrations, again)
        pages = f"({SHOWN})().then(shown => shown.map(one => one.page))"
        await until_told(lambda: page.evaluate(pages), ["/console/"])  # in place of the first, and to no other site

        service.answers.append((410, {}))
        await card.locator("[data-test=push-test]").click()
        await expect(card.locator("[data-test=push-ended]")).to_be_visible()
        await card.locator("[data-test=push-on]").click()
        await expect(card.locator("[data-test=push-state]")).to_contain_text("已开启")
        assert [one["off_reason"] for one in (await console.door.call("GET", "/channels"))["items"]] == [""]
        await card.locator("[data-test=push-off]").click()
        await expect(card.locator("[data-test=push-state]")).to_have_text("已关闭")
        assert (await console.door.call("GET", "/channels"))["items"] == []


async def test_an_open_page_counts_sounds_and_notifies_when_a_question_waits(
    console: Console, notifying_chromium: Browser
) -> None:
    log = console.door.server.message_log
    await console.door.call("PUT", "/me/alerts", json={"title": True, "sound": True, "notify": True})
    await said(console, 1, "早上的问题")
    await log.decide("afu", ["m1"], Decision.NO_RULE)
    page = await _open(console, notifying_chromium, "/console/settings/me", more=HEARD)
    await page.locator("body").click(position={"x": 5, "y": 5})
    await expect(page).to_have_title("(1) 设置 · Shoal")
    assert await page.evaluate("window.heard") == 0, "it waited before the page was opened"
    await said(console, 2, "在吗", shop="muzi", chat="c2")
    await log.decide("muzi", ["m2"], Decision.ANSWERED)
    await said(console, 3, "有货吗", shop="xiaoyu", chat="c3")
    await log.decide("xiaoyu", ["m3"], Decision.NO_RULE)
    await expect(page).to_have_title("(2) 设置 · Shoal")
    await until_told(lambda: page.evaluate("window.heard"), 2)  # two tones
    await until_told(lambda: page.evaluate(f"({SHOWN})().then(shown => shown.map(one => one.tag))"), ["xiaoyu/c3"])
    (shown,) = await page.evaluate(f"({SHOWN})()")
    assert (shown["body"], shown["page"]) == ("xiaoyu", "/console/conversations/xiaoyu/c3")
    assert "有货吗" not in shown["title"]
    narrower = {"title": True, "sound": False, "notify": False, "accounts": ["afu"]}
    await console.door.call("PUT", "/me/alerts", json=narrower)
    await page.reload()
    await expect(page).to_have_title("(1) 设置 · Shoal")
