"""A shop talks over the real wire: it answers, and it is silent when it shall be."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from shoal.messages import sender
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import Sending
from shoal.rules.keywords import KeywordRow
from support.messages.chat_steps import sendings
from support.site.sandboxed import UNANSWERED, Shoal, Waits
from support.site.standins import ANN, until

QUICK = Caller(actor="user:ann", wait_seconds=0)
FAREWELL = "shoal.connection.xianyu_live.FAREWELL_SECONDS"
ECHO_GRACE = "shoal.messages.sender.ECHO_GRACE_SECONDS"


async def test_a_buyer_is_answered_by_the_rule_with_the_variables_filled_literally(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "{send_user_name}您好 {send_message} {unknown}"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗{send_user_id}")
    seen = await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    assert seen == ["小鱼您好 在吗{send_user_id} {unknown}"]


async def test_a_keyword_change_answers_the_very_next_message_without_a_reconnect(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "old"})
    await shoal.manager.update_keywords("shop", [("在吗", "new")], caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["new"]
    assert (await shoal.sandbox.sockets(unb))["total"] == 1


async def test_a_disabled_shop_sends_no_frame(shoal: Shoal, monkeypatch: pytest.MonkeyPatch) -> None:
    waits, send, enabled = Waits(monkeypatch), aiohttp.ClientWebSocketResponse.send_str, []

    async def watched(line: aiohttp.ClientWebSocketResponse, *values: Any) -> None:
        enabled.append(shoal.manager.account("shop").enabled)
        await send(line, *values)

    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"debounce_seconds": Waits.SECONDS}, caller=ANN)
    monkeypatch.setattr(aiohttp.ClientWebSocketResponse, "send_str", watched)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await waits.begin()
    await until(lambda: len(enabled) > 1)  # it beats
    await shoal.manager.update_cookie_status("shop", False, caller=QUICK)
    waits.end()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.STOPPED)
    assert all(enabled)
    await shoal.sandbox.left(unb)
    assert await shoal.sandbox.seen(unb, "小鱼") == []
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"], "still fresh, so answered now"


async def test_c1_the_same_text_again_is_answered_again_and_the_same_id_never_twice(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    said = await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 2)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗", message_id=said["message_id"])
    await shoal.is_done()
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 2


async def test_c2_a_duplicate_after_a_restart_is_not_answered(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    said = await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.close()
    await shoal.open()
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗", message_id=said["message_id"])
    await shoal.is_done()
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 1


async def test_c3_a_burst_is_joined_and_gets_one_answer(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"多少钱": "10"})
    await shoal.sandbox.do("fault", account=unb, kind="batch_push", size=3)
    for text in ("多少钱", "?", "在吗"):
        await shoal.sandbox.do("say", account=unb, buyer="小鱼", text=text)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["10"]
    await shoal.is_done()
    assert len(await shoal.sandbox.seen(unb, "小鱼")) == 1


async def test_c3_what_was_asked_before_the_line_dropped_is_answered_after_it_is_back(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"debounce_seconds": Waits.SECONDS}, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await waits.begin()
    await shoal.sandbox.do("fault", account=unb, kind="close", code=1006, when="now", times=1)
    await waits.begin(2)
    assert await shoal.sandbox.seen(unb, "小鱼") == []
    waits.end()
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]


async def test_c4_our_own_echo_does_not_silence_the_chat_but_the_owner_does(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.is_done()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗?")
    await shoal.sandbox.seen_soon(unb, "小鱼", 2)
    await shoal.sandbox.do("seller_say", account=unb, buyer="小鱼", text="我来了")
    await shoal.is_done()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗??")
    await shoal.is_done()
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi", "hi", "我来了"]


@pytest.mark.settings(send_timeout_seconds=UNANSWERED)
@pytest.mark.parametrize("restart", [False, True])
async def test_c4_an_echo_whose_answer_never_came_does_not_silence_the_chat(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, *, restart: bool
) -> None:
    monkeypatch.setattr(FAREWELL, 0.1)
    monkeypatch.setattr(ECHO_GRACE, Waits.SECONDS)
    waits = Waits(monkeypatch, sender)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="send_timeout", delivered=True, times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    if restart:
        await shoal.close()
        await shoal.open()
        await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)
    else:
        await settled(shoal)
        waits.end()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗?")
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["hi", "hi"]
    first, _ = await sendings(shoal, "sent", "sent")
    assert first.reason == "echo", "it settled what had no answer"
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi", "hi"]


async def test_a_sending_that_a_disable_cuts_in_two_is_uncertain_at_once(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FAREWELL, 0.1)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="send_timeout", delivered=False, times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    async with asyncio.timeout(60):
        while not await shoal.log.outbox.list_sendings(["shop"]):
            await asyncio.sleep(0.01)
    stopped = await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    assert stopped.observation.state is AccountState.STOPPED
    await sendings(shoal, "uncertain")  # without another connection


async def test_an_item_rule_comes_before_a_general_one_and_others_are_not_asked(shoal: Shoal) -> None:

    unb = await shoal.add()
    item = shoal.item_of(unb)
    rows = [
        KeywordRow(keyword="尺码", reply="general"),
        KeywordRow(keyword="尺码", reply="bound", item_id=item),
        KeywordRow(keyword="尺码", reply="other", item_id="899999999999"),
    ]
    await shoal.manager.update_text_keywords("shop", rows, caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="尺码?", item=item)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["bound"]


async def test_a_refused_message_does_not_count_as_sent(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="send_refused", reason="CSI_FORBID", times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    (sending,) = await sendings(shoal, "refused")
    assert sending.reason == "CSI_FORBID"


async def settled(shoal: Shoal, count: int = 1) -> list[Sending]:
    """The sendings, oldest first, once there are so many and none is on its way."""
    async with asyncio.timeout(60):
        while True:
            found = (await shoal.log.outbox.list_sendings(["shop"]))[::-1]
            open_still = {"sending", "waiting", "uncertain"}
            if len(found) >= count and not any(sending.outcome in open_still for sending in found):
                return found
            await asyncio.sleep(0.03)


@pytest.mark.settings(send_timeout_seconds=UNANSWERED)
@pytest.mark.parametrize("delivered", [True, False])
async def test_a_message_that_nobody_confirmed_arrives_once_and_is_settled(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, *, delivered: bool
) -> None:
    monkeypatch.setattr(FAREWELL, 0.1)
    monkeypatch.setattr(ECHO_GRACE, 60.0 if delivered else 0.1)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="send_timeout", delivered=delivered, times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    (sending,) = await settled(shoal)
    assert (sending.outcome, sending.reason) == ("sent", "echo" if delivered else "sent_again")
    chat = await shoal.sandbox.get(f"chats/{unb}/小鱼")
    assert [line["uuid"] for line in chat["seen"]] == [sending.row.uuid]
    assert sending.resends == int(not delivered)


@pytest.mark.settings(send_timeout_seconds=UNANSWERED)
async def test_f4_a_refusal_of_what_was_sent_again_leaves_it_uncertain(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first sending may have arrived all the same: it did here, and its echo is slow."""
    monkeypatch.setattr(ECHO_GRACE, 0.1)
    begin_again = Outbox.begin_again

    async def begin_and_refuse(*values: Any, **named: Any) -> bool:
        await shoal.sandbox.do("fault", account=unb, kind="send_refused", reason="CSI_FORBID", times=1)
        return await begin_again(*values, **named)

    monkeypatch.setattr(Outbox, "begin_again", begin_and_refuse)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("fault", account=unb, kind="send_timeout", delivered=False, times=1)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗")
    async with asyncio.timeout(60):
        while not (found := await shoal.log.outbox.list_sendings(["shop"])) or found[0].reason != "CSI_FORBID":
            await asyncio.sleep(0.02)
    assert (found[0].outcome, found[0].resends) == ("uncertain", 1)
