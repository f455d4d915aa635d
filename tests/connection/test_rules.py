"""Rules over the real wire: the one that shall answer does, with all that it says, and it is counted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shoal.accounts import edits
from shoal.clock import now_ms
from shoal.messages.decisions import hits_of
from shoal.messages.outbox_rows import OutboxRow
from shoal.rules.keywords import KeywordRow
from shoal.rules.rule_lists import Wanted
from shoal.rules.schedule import moment_in
from support.site.sandboxed import Shoal
from support.site.standins import ANN


async def give(shoal: Shoal, *rules: dict[str, Any], account: str = "shop") -> None:
    """The account's rules, by the ids r0, r1, …"""
    wanted = [Wanted(rule, f"r{place}") for place, rule in enumerate(rules)]
    await shoal.manager.update_rules(account, edits.all_rules(wanted), caller=ANN)


def says(text: str) -> dict[str, Any]:
    return {"parts": [{"text": text}]}


async def test_the_right_rule_answers_by_item_hours_priority_and_mode(shoal: Shoal) -> None:
    unb = await shoal.add()
    item = shoal.item_of(unb)
    await shoal.manager.update_settings("shop", {"timezone": "America/New_York"}, caller=ANN)
    there = moment_in("America/New_York", now_ms())
    now = [{"weekdays": [there.weekday % 7 + 1, there.weekday, (there.weekday - 2) % 7 + 1]}]
    never = [{"weekdays": [(there.weekday + 2) % 7 + 1]}]
    await give(
        shoal,
        {"words": ["xl"], "match_mode": "whole_word", "schedule": never, "priority": 9, **says("not today")},
        {"words": ["xl"], "match_mode": "whole_word", "schedule": now, "priority": 5, **says("whole")},
        {"words": [r"\d+元"], "match_mode": "regex", **says("pattern")},
        {"words": ["在吗"], "match_mode": "exact", **says("exact")},
        {"words": ["在吗", "xl"], "word_mode": "all", "item_ids": ["899999999999", item], **says("bound")},
    )
    for place, (text, about, answer) in enumerate((
        ("有ＸＬ吗", None, "whole"), ("１００元行吗", None, "pattern"), (" 在吗 ", None, "exact"),
        ("在吗 有xl吗", item, "bound"),
    )):  # fmt: skip
        more = {"item": about} if about else {}
        await shoal.sandbox.do("say", account=unb, buyer=f"buyer{place}", text=text, **more)
        assert await shoal.sandbox.seen_soon(unb, f"buyer{place}", 1) == [answer]


async def test_c16_an_item_reply_of_another_account_answers_nothing_here(shoal: Shoal) -> None:
    unb, other = await shoal.add(), await shoal.add("other", number=1)
    item = shoal.item_of(unb)
    await shoal.manager.update_item("other", item, {"reply": "of the other"}, caller=ANN)
    default = {"default_reply_enabled": True, "default_reply": "default"}
    await shoal.manager.update_settings("shop", default, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="你好", item=item)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["default"]
    await shoal.manager.remove_cookie("other", caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="你好", item=item)
    assert await shoal.sandbox.seen_soon(unb, "小虾", 1) == ["default"]
    assert await shoal.sandbox.seen(other, "小鱼") == []


@pytest.mark.settings(reply_debounce_seconds=1.0)
async def test_a_rule_is_counted_once_for_each_burst_that_it_answers_also_when_it_says_nothing(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give(
        shoal, {"words": ["在吗"], "parts": [{"text": "在的"}, {"text": "请说"}]}, {"words": ["嘘"], "parts": []}
    )
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["在的", "请说"]
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="嘘")
    async with asyncio.timeout(60):
        while len(hits := await hits_of(shoal.database, "shop")) < 2:
            await asyncio.sleep(0.02)
    assert {name: hit.count for name, hit in hits.items()} == {"r0": 1, "r1": 1}
    assert all(abs(hit.last_ms - now_ms()) < 60_000 for hit in hits.values())


async def test_a_refused_reply_was_a_hit_and_one_that_certainly_never_left_was_none(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give(shoal, {"words": ["在吗"], **says("在的")})
    await shoal.sandbox.do("fault", account=unb, kind="send_refused", reason="X", times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    async with asyncio.timeout(60):
        while not (hits := await hits_of(shoal.database, "shop")):
            await asyncio.sleep(0.02)
    assert hits["r0"].count == 1
    rows = [
        OutboxRow(account_id="shop", chat_id="c", uuid=f"u{part}", rule_id="r0", text="x", part=part) for part in (0, 1)
    ]
    queued = await shoal.log.outbox.queue(rows, answers=["m"])
    assert (await hits_of(shoal.database, "shop"))["r0"].count == 2
    await shoal.log.outbox.take_back("shop", queued.ids, "connection_lost", answers=["m"])
    assert (await hits_of(shoal.database, "shop"))["r0"].count == 1


async def test_a16_every_way_to_change_a_rule_is_heard_by_the_very_next_message(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "1"})
    said = ["1"]

    async def next_is(answer: str) -> None:
        said.append(answer)
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
        assert await shoal.sandbox.seen_soon(unb, "小鱼", len(said)) == said

    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == said
    await shoal.manager.update_text_keywords("shop", [KeywordRow(keyword="在吗", reply="2")], caller=ANN)
    await next_is("2")
    await give(shoal, {"words": ["在吗"], **says("3")})
    await next_is("3")
    await shoal.manager.update_rules("shop", edits.changed_rule("r0", says("4")), caller=ANN)
    await next_is("4")
    await shoal.manager.update_rules(
        "shop", edits.new_rule("up", {"words": ["在"], "priority": 1, **says("5")}), caller=ANN
    )
    await next_is("5")
    await shoal.manager.remove_keyword("shop", "up", caller=ANN)
    await next_is("4")
    await shoal.manager.update_settings("shop", {"default_reply_enabled": True, "default_reply": "6"}, caller=ANN)
    await shoal.manager.remove_keyword("shop", 0, caller=ANN)
    await next_is("6")
    assert (await shoal.sandbox.sockets(unb))["total"] == 1, "without a reconnection"


async def test_c17_a_shop_that_is_off_answers_nothing_not_even_by_default(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"default_reply_enabled": True, "default_reply": "default"}, caller=ANN)
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    await shoal.sandbox.left(unb)
    after = (await shoal.sandbox.get("state"))["last_seq"]["frames"]
    for text in ("在吗", "你好"):
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text=text)
    await shoal.is_out()
    assert await shoal.sandbox.seen(unb, "小鱼") == []
    assert (await shoal.sandbox.get("frames", account=unb, after=str(after)))["items"] == []
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="你好")
    assert await shoal.sandbox.seen_soon(unb, "小虾", 1) == ["default"]
