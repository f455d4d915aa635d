"""Drafts of a model in the chats, and its runs: sent once, edited or not, dropped, withdrawn with a word why."""

from __future__ import annotations

from typing import Any

import pytest_asyncio
from playwright.async_api import Page, ViewportSize, expect
from sqlalchemy import update

from browser.axe import findings
from browser.conftest import NAME, WiredConsole, hangs_over, press
from shoal.accounts.callers import Caller
from shoal.accounts.events import MessageEvent
from shoal.clock import now_ms
from shoal.storage.assistant_tables import ai_runs
from support.models.model_runs import a_run, state_of
from support.models.model_steps import served_model, settings_for
from support.site.standins import until_told

TEXT = "在的，今天可以发货"
CARD, WORDS = "[data-test=model-draft]", "[name=model-draft]"
PHONE: ViewportSize = {"width": 390, "height": 844}
HIDDEN = """() => [...document.querySelectorAll('header .about > *')].filter(one => one.offsetParent).filter(one =>
  one.clientWidth === 0 || one.getBoundingClientRect().right > one.closest('.who').getBoundingClientRect().right + 1)
  .map(one => one.outerHTML)"""
"""What stands under the buttons of a chat's head, or has no room left."""


async def _drafted(wired: WiredConsole, chat: str, **values: Any) -> int:
    """A draft of the model, told as the server tells it."""
    listed = (await wired.door.call("GET", "/chats", params={"cid": "muzi", "chat": chat}))["items"]
    buyer = {"buyer_id": listed[0]["buyer_id"]} if listed else {}
    row = {"chat_id": chat, "text": TEXT, "created_at_ms": now_ms(), **buyer, **values}
    run = await a_run(wired.door.server.database, "muzi", **row)
    _tell(wired, chat, run, "drafted")
    return run


def _tell(wired: WiredConsole, chat: str, run: int, state: str) -> None:
    facts = {"chat_id": chat, "run_id": run, "state": state}
    event = MessageEvent(account_id="muzi", kind="model", key=str(run), facts=facts, at_ms=now_ms(), owner_id=1)
    wired.door.server.manager.events.publish(event)


async def _withdrawn(wired: WiredConsole, chat: str, run: int) -> None:
    """A newer word of the buyer ends a draft."""
    query = update(ai_runs).where(ai_runs.c.id == run).values(state="superseded", why="buyer_wrote")
    await wired.door.server.database.write(lambda connection: connection.execute(query))
    _tell(wired, chat, run, "superseded")


async def _state(wired: WiredConsole, run: int) -> str:
    return (await state_of(wired.door.server.database, run))[0]


async def _received(wired: WiredConsole, *texts: str) -> None:
    """The buyer has these texts, and no others."""
    await until_told(lambda: wired.sandbox.seen(wired.unb, NAME), list(texts))


@pytest_asyncio.fixture(loop_scope="session")
async def chat(wired: WiredConsole) -> str:
    """The chat of a buyer with a shop whose model drafts."""
    values = {"ai_mode": "draft", "ai_provider_id": 1}
    await wired.door.server.manager.update_settings("muzi", values, caller=Caller(actor="user:admin"))
    return str((await wired.say("今天能发货吗"))["cid"])


async def _open(wired: WiredConsole, chat: str, **look: Any) -> Page:
    page = await wired.page(f"/console/conversations/muzi/{chat}", **look)
    await page.locator("[data-entry]").first.wait_for()
    return page


async def test_a_draft_comes_by_itself_is_marked_in_the_list_and_leaves_by_enter(
    wired: WiredConsole, chat: str
) -> None:
    page = await _open(wired, chat)
    run = await _drafted(wired, chat)
    await expect(page.locator(WORDS)).to_have_value(TEXT)
    await expect(page.locator(f"[data-chat='muzi/{chat}'] [data-test=has-draft]")).to_have_text("模型草稿")
    assert await findings(page) == []
    await page.locator(WORDS).press("Enter")
    await expect(page.locator(CARD)).to_have_count(0)
    await expect(page.locator("[data-entry]", has_text=TEXT)).to_have_count(1)
    await _received(wired, TEXT)
    await until_told(lambda: _state(wired, run), "answered")
    await expect(page.locator("[data-test=has-draft], [data-test=draft-gone]")).to_have_count(0)


async def test_in_english_the_words_of_a_chats_head_keep_off_the_buttons_beside_them(
    wired: WiredConsole, chat: str
) -> None:
    page = await _open(wired, chat, locale="en-US")
    await expect(page.locator("[data-test=take]")).to_have_text("Take over")
    await expect(page.locator("[data-test=to-runs]")).to_be_visible()
    await until_told(lambda: page.evaluate(HIDDEN), [])


async def test_a_draft_is_edited_warned_of_like_typed_words_and_sent_all_the_same(
    wired: WiredConsole, chat: str
) -> None:
    await wired.door.call("PATCH", "/cookies/muzi/settings", json={"filter_contacts": True})
    page = await _open(wired, chat, viewport=PHONE, color_scheme="dark")
    run = await _drafted(wired, chat)
    await page.locator(WORDS).fill("打 13800138000")
    assert not await hangs_over(page)
    assert await findings(page) == []
    await press(page.locator("[data-test=send-draft]"))
    warning = page.locator("[data-test=toast].refused")
    await expect(warning).to_contain_text("13800138000")
    assert await _state(wired, run) == "drafted"
    await expect(page.locator(WORDS)).to_have_value("打 13800138000")
    await warning.get_by_role("button", name="仍然发送").click()
    await expect(page.locator(CARD)).to_have_count(0)
    await _received(wired, "打 13800138000")


async def test_a_buyers_question_becomes_a_draft_that_is_edited_sent_and_shown_in_its_run(wired: WiredConsole) -> None:
    """The whole way: the site, the connection, the provider over a socket, the desk, the site again."""
    async with served_model() as (base, model):
        made = await wired.door.server.assistant.providers.create(1, settings_for(base))
        values = {"ai_mode": "draft", "ai_provider_id": made.id}
        await wired.door.server.manager.update_settings("muzi", values, caller=Caller(actor="user:admin"))
        model.script([{"action": "reply", "text": "在的，亲", "offered_fen": None, "facts": []}], cycles=True)
        chat = str((await wired.say("还在吗"))["cid"])
        page = await _open(wired, chat)
        await expect(page.locator(WORDS)).to_have_value("在的，亲")
        await page.locator(WORDS).fill("在的，喜欢可以直接拍")
        await press(page.locator("[data-test=send-draft]"))
        await expect(page.locator(CARD)).to_have_count(0)
        await _received(wired, "在的，喜欢可以直接拍")
        await page.locator("[data-test=to-runs]").click()
        row = page.locator("[data-run]")
        await expect(row).to_have_attribute("data-state", "answered")
        await expect(row).to_contain_text("在的，喜欢可以直接拍")
        await expect(row.locator("[data-test=question]")).to_have_text("还在吗")
        await row.locator("summary").click()
        await expect(row.locator("[data-test=raw]")).to_contain_text("在的，亲")
        assert len(model.calls.after(0)) == 1


async def test_a_newer_word_ends_a_draft_with_the_reason_and_keeps_what_was_edited(
    wired: WiredConsole, chat: str
) -> None:
    page = await _open(wired, chat)
    run = await _drafted(wired, chat)
    await page.locator(WORDS).fill("今天下午")
    await _withdrawn(wired, chat, run)
    await expect(page.locator("[data-test=draft-gone]")).to_contain_text("买家又发来了消息")
    await expect(page.locator("textarea[name=words]")).to_have_value("今天下午")
    second = await _drafted(wired, chat, text="好的")
    await expect(page.locator(WORDS)).to_have_value("好的")
    await press(page.locator("[data-test=drop-draft]"))
    await expect(page.locator(CARD)).to_have_count(0)
    await until_told(lambda: _state(wired, second), "dropped")
    assert await wired.sandbox.seen(wired.unb, NAME) == []


async def test_a_draft_that_another_person_sent_is_not_sent_again(wired: WiredConsole, chat: str) -> None:
    page = await _open(wired, chat)
    run = await _drafted(wired, chat)
    await page.locator(CARD).wait_for()
    await wired.door.call("POST", f"/ai-runs/{run}/approve", json={})
    await expect(page.locator("[data-test=draft-gone]")).to_contain_text("已由其他人发送")
    await _received(wired, TEXT)


async def test_the_runs_of_a_chat_say_why_and_show_the_raw_output_when_asked(wired: WiredConsole, chat: str) -> None:
    blocked = await _drafted(wired, chat, state="blocked", rail="amount", why="below_floor", raw='{"text": "15元"}')
    await _drafted(wired, "another", state="answered")
    page = await _open(wired, chat)
    await page.locator("[data-test=to-runs]").click()
    row = page.locator("[data-run]")
    await expect(row).to_have_count(1)
    await expect(page.locator("[data-tab].router-link-exact-active")).to_have_attribute("data-tab", "account-model")
    await page.set_viewport_size(PHONE)
    await page.reload()
    await expect(page.locator("[data-tab=account-model]")).to_be_in_viewport(ratio=1)
    await expect(row.locator("[data-test=why]")).to_have_text("检查：金额 · 低于底价")
    await expect(row).to_have_attribute("data-run", str(blocked))
    await row.locator("summary").click()
    await expect(row.locator("[data-test=raw]")).to_have_text('{"text": "15元"}')
    assert await findings(page) == []
    await _drafted(wired, "a third", state="failed", why="money", duration_ms=0)
    await page.locator("[data-test=runs-of-chat] button").click()
    await expect(page.locator("[data-run]")).to_have_count(3)
    await expect(page.locator("[data-test=outcome]").first).to_have_text("没有调用")
