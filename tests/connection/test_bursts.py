"""Bursts: how long one may last, which item it is about, who is next when there is room, and who speaks in between."""

from __future__ import annotations

import asyncio

import pytest

from shoal.messages.decisions import Decision
from shoal.messages.outbox_rows import SendOutcome
from shoal.rules.keywords import KeywordRow
from shoal.sandbox import codec
from support.messages.chat_steps import PAIR, ask, give_rule, held_up, pass_by, reopen, sendings, verdict
from support.orders.order_steps import pushed
from support.site.sandboxed import Machine, Shoal, Waits
from support.site.standins import ANN


async def test_f4_a_buyer_who_never_pauses_is_answered_all_the_same(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.messages.conversations.LONGEST_BURST_FACTOR", 2)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"debounce_seconds": 0.6}, caller=ANN)
    for _ in range(600):
        await ask(shoal, unb)
        if await shoal.sandbox.seen(unb, "小鱼"):
            return
        await asyncio.sleep(0.1)  # much shorter than the quiet that would end the burst
    raise AssertionError("no answer while the buyer went on writing")


async def test_f4_a_burst_is_about_the_last_item_that_was_named_in_it(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add()
    await shoal.manager.update_settings("shop", {"debounce_seconds": Waits.SECONDS}, caller=ANN)
    item = shoal.item_of(unb)
    await shoal.manager.update_text_keywords("shop", [KeywordRow(keyword="在吗", reply="general")], caller=ANN)
    await give_rule(shoal, item_ids=[item], parts=[{"text": "bound {item_id}"}])
    await ask(shoal, unb, item=item)
    await pushed(shoal, unb, codec.text_content("？"), content_type=codec.TEXT, summary="？")  # names no item
    await shoal.has_taken_all()
    waits.end()
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == [f"bound {item}"]


async def test_f4_who_waits_for_room_in_the_shops_minute_is_overtaken_by_nobody(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.messages.conversations.LONGEST_ROOM_WAIT_SECONDS", Waits.SECONDS)
    machine, waits = Machine(monkeypatch), Waits(monkeypatch)
    await shoal.close()
    await shoal.open()
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"shop_replies_per_minute": 1}, caller=ANN)
    await verdict(shoal, await ask(shoal, unb, buyer="小鱼"), Decision.ANSWERED)
    first = await ask(shoal, unb, buyer="小虾")
    await held_up(shoal, 1)
    await waits.begin()
    await pass_by(shoal, machine, 61)  # there is room now, and 小虾 looks for it later
    second = await ask(shoal, unb, buyer="小蟹")
    await verdict(shoal, second, Decision.SHOP_LIMIT)
    waits.end(later=False)
    await verdict(shoal, first, Decision.ANSWERED)
    await waits.begin(2)  # 小蟹 is next, and there is no room any more
    sent = await shoal.log.outbox.list_sendings(["shop"], outcome=SendOutcome.SENT)
    assert second not in {sending.row.message_id for sending in sent}
    await verdict(shoal, second, Decision.SHOP_LIMIT)


async def test_f4_a_default_reply_that_is_given_once_stops_no_rule(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    default = {"default_reply_enabled": True, "default_reply": "稍等", "default_reply_once": True}
    await shoal.manager.update_settings("shop", default, caller=ANN)
    answered, once = Decision.ANSWERED, Decision.SAID_ONCE
    said = [("包邮吗", answered), ("在吗", answered), ("在吗", answered), ("包邮吗", once), ("在吗", answered)]
    for text, wanted in said:
        await verdict(shoal, await ask(shoal, unb, text), wanted)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 4) == ["稍等", "hi", "hi", "hi"]


@pytest.mark.parametrize(("pause", "reason"), [(10, Decision.PAUSED), (0, Decision.HUMAN_ANSWERED)])
async def test_f4_the_owner_who_speaks_between_two_parts_has_the_last_word(
    shoal: Shoal, pause: int, reason: Decision
) -> None:
    unb = await shoal.add()
    await give_rule(shoal, parts=PAIR)
    await shoal.manager.update_settings("shop", {"pause_duration": pause}, caller=ANN)
    await reopen(shoal, send_timeout_seconds=30)
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="send", times=1)
    await ask(shoal, unb)
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.sandbox.do("seller_say", account=unb, buyer="小鱼", text="我来了")
    async with asyncio.timeout(60):
        while "我来了" not in [entry.message.text for entry in await shoal.log.list_messages(["shop"])]:
            await asyncio.sleep(0.02)
    await shoal.sandbox.do("fault/release")
    _, second = await sendings(shoal, "sent", "dropped")
    assert second.reason == reason.value
    assert await shoal.sandbox.seen(unb, "小鱼") == ["一", "我来了"]
