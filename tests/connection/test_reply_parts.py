"""Replies of several parts: in order, each after the one before has arrived."""

from __future__ import annotations

import pytest

from shoal.accounts.change_path import Caller
from shoal.messages.decisions import Decision
from shoal.rules.keywords import KeywordRow
from support.messages.chat_steps import PAIR, ask, give_rule, sendings, verdict
from support.site.sandboxed import Shoal, Waits
from support.site.standins import ANN

QUICK = Caller(actor="user:ann", wait_seconds=0)


@pytest.mark.lenient("picture_host")
async def test_the_parts_of_an_answer_arrive_in_order_pictures_with_their_size(shoal: Shoal) -> None:
    unb = await shoal.add()
    picture = {"image_url": "https://img.example/a.jpg", "width": 30, "height": 20}
    await give_rule(shoal, parts=[{"text": "一"}, picture, {"text": "三"}])
    asked = await ask(shoal, unb)
    seen = await shoal.sandbox.seen_soon(unb, "小鱼", 3)
    assert [line for line in seen if "图片" not in line] == ["一", "三"]
    assert "图片" in seen[1]
    first, second, third = await sendings(shoal, "sent", "sent", "sent")
    assert [sending.row.part for sending in (first, second, third)] == [0, 1, 2]
    assert {sending.row.message_id for sending in (first, second, third)} == {asked}
    await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    await shoal.sandbox.seen_soon(unb, "小鱼", 6)


async def test_a_refused_part_keeps_the_later_ones_back(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_rule(shoal, parts=PAIR)
    await shoal.sandbox.do("fault", account=unb, kind="send_refused", reason="CSI_FORBID", times=1)
    await ask(shoal, unb)
    first, second = await sendings(shoal, "refused", "dropped")
    assert (first.reason, second.reason) == ("CSI_FORBID", "earlier_part_refused")


async def test_a_disable_between_two_parts_drops_the_later_one(shoal: Shoal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 60.0)
    unb = await shoal.add()
    await give_rule(shoal, parts=PAIR)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send", times=1)
    await ask(shoal, unb)
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.manager.update_cookie_status("shop", False, caller=QUICK)
    await shoal.sandbox.do("fault/release")
    _, second = await sendings(shoal, "sent", "dropped")
    assert second.reason == "disabled"
    assert await shoal.sandbox.seen(unb, "小鱼") == ["一"]


@pytest.mark.parametrize("echoed", [True, False])
async def test_a_line_that_drops_between_two_parts_costs_neither(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, *, echoed: bool
) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add()
    await give_rule(shoal, parts=PAIR, delay_seconds=Waits.DELAY)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send", times=1)
    await ask(shoal, unb)
    await waits.begin()
    if not echoed:
        await shoal.sandbox.do("fault", account=unb, kind="silent_zombie")
    waits.end()
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.has_taken_all()
    await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["一", "二"]
    await sendings(shoal, "sent", "sent")
    await shoal.is_done()
    assert await shoal.sandbox.seen(unb, "小鱼") == ["一", "二"]


async def test_an_item_rule_of_several_messages_answers_before_a_general_one(shoal: Shoal) -> None:
    unb = await shoal.add()
    item = shoal.item_of(unb)
    await shoal.manager.update_text_keywords("shop", [KeywordRow(keyword="在吗", reply="general")], caller=ANN)
    await give_rule(shoal, item_ids=[item], parts=PAIR)
    await ask(shoal, unb, item=item)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["一", "二"]
