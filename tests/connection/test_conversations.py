"""Over the real wire: every message gets a verdict, an answer goes out whole or says why not, and people come first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection

from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.messages.chats import Chats
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, IncomingMessage, LoggedMessage, MessageLog
from shoal.messages.outbox import Outbox
from shoal.messages.takeovers import TakeoverReason, Takeovers
from support.messages.chat_steps import ask, give_rule, reopen, sendings, verdict
from support.site.sandboxed import Shoal, Waits
from support.site.standins import ANN


async def test_every_message_says_why_it_was_answered_or_was_not(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_rule(shoal)
    await give_rule(shoal, "quiet", words=["谢谢"], parts=[])
    answered = await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    assert (answered.rule_id, [sending.row.text for sending in answered.sendings]) == ("r", ["hi"])
    await verdict(shoal, await ask(shoal, unb, "多少钱"), Decision.NO_RULE)
    assert (await verdict(shoal, await ask(shoal, unb, "谢谢"), Decision.SILENT_RULE)).rule_id == "quiet"
    await verdict(shoal, await ask(shoal, unb, "发来一条新消息"), Decision.SYSTEM_TEXT)
    await verdict(shoal, await ask(shoal, unb, "在吗", tip=True), Decision.SITE_TIP)
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi"]
    (echo,) = [found for found in await shoal.log.list_messages(["shop"]) if found.message.direction == "out"]
    await verdict(shoal, echo.message.message_id, Decision.ECHO)


async def test_c1_a_repeated_id_is_counted_and_left_aside(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    first = await ask(shoal, unb)
    await verdict(shoal, first, Decision.ANSWERED)
    await ask(shoal, unb, message_id=first)
    async with asyncio.timeout(60):
        while not (await verdict(shoal, first, Decision.ANSWERED)).repeats:
            await asyncio.sleep(0.02)
    again = await ask(shoal, unb)
    await verdict(shoal, again, Decision.ANSWERED)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["hi", "hi"], "the same words again are answered again"


async def test_c3_a_burst_is_joined_whole_and_says_so(shoal: Shoal, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add(keywords={"多少钱": "{send_message}"})
    await shoal.manager.update_settings("shop", {"debounce_seconds": Waits.SECONDS}, caller=ANN)
    ids = [await ask(shoal, unb, text) for text in ("多少钱", "？", "在吗")]
    await shoal.has_taken_all()
    waits.end()
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["多少钱\n？\n在吗"]
    found = [await verdict(shoal, message_id, Decision.ANSWERED) for message_id in ids]
    assert [entry.joined_to for entry in found] == [ids[2], ids[2], None]


async def test_what_the_buyer_has_read_is_shown(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    asked = await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    chat_id = asked.message.chat_id
    await sendings(shoal, "sent")
    await shoal.sandbox.do("push", account=unb, buyer="小鱼", shape="read_receipt")
    async with asyncio.timeout(60):
        while True:
            chat = await Chats(shoal.database).find("shop", chat_id, now_ms=now_ms())
            if chat is not None and chat.read_at_ms:
                break
            await asyncio.sleep(0.02)
    assert chat.buyer_name == "小鱼"


async def test_a_message_without_an_id_is_kept_and_answered_once(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    for _ in range(2):
        await shoal.sandbox.do("push", account=unb, buyer="小鱼", shape="json_text", text="在吗")
    async with asyncio.timeout(60):
        while not (
            listed := [entry for entry in await shoal.log.list_messages(["shop"]) if entry.message.direction == "in"]
        ):
            await asyncio.sleep(0.02)
    await verdict(shoal, listed[0].message.message_id, Decision.ANSWERED)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]


async def test_what_has_grown_old_is_not_answered(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.close()
    await shoal.open()
    old = IncomingMessage(message_id="old", chat_id="1", sender_id="22", text="在吗", created_at_ms=now_ms() - 301_000)
    await shoal.log.store_incoming("shop", [old])
    await reopen(shoal)
    await verdict(shoal, "old", Decision.TOO_OLD)
    assert await shoal.log.outbox.list_sendings(["shop"]) == []
    assert await shoal.sandbox.seen(unb, "小鱼") == []


async def test_a_message_that_a_disable_catches_is_answered_if_that_ends_in_time(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add()
    await give_rule(shoal, delay_seconds=Waits.DELAY)
    asked = await ask(shoal, unb)
    await waits.begin()
    await shoal.manager.update_cookie_status("shop", False, caller=ANN)
    waits.end()
    assert await shoal.sandbox.seen(unb, "小鱼") == []
    await shoal.manager.update_cookie_status("shop", True, caller=ANN)
    await verdict(shoal, asked, Decision.ANSWERED)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]


async def test_a_disk_that_is_full_when_the_site_has_answered_costs_no_answer_and_doubles_none(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    database, failed = shoal.database, asyncio.Event()
    write = database.write

    async def full(job: Callable[[Connection], Any], **told: Any) -> Any:
        if not failed.is_set() and await shoal.sandbox.seen(unb, "小鱼") and not failed.is_set():
            failed.set()
            raise StoreError("disk full")
        return await write(job, **told)

    monkeypatch.setattr(database, "write", full)
    asked = await ask(shoal, unb)
    await verdict(shoal, asked, Decision.ANSWERED)
    (sending,) = await sendings(shoal, "sent")
    assert failed.is_set()
    assert sending.reason in {"echo", "sent_again", ""}
    await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 2) == ["hi", "hi"]


@pytest.mark.parametrize("step", ["store_incoming", "queue", "decide"])
async def test_a_disk_that_is_full_for_a_while_loses_no_message(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    owner = Outbox if step == "queue" else MessageLog
    done = getattr(owner, step)
    once: list[str] = []

    async def full(self: Any, *values: Any, **named: Any) -> Any:
        if not once:
            once.append(step)
            raise StoreError("disk full")
        return await done(self, *values, **named)

    monkeypatch.setattr(owner, step, full)
    text, wanted = ("多少钱", Decision.NO_RULE) if step == "decide" else ("在吗", Decision.ANSWERED)
    await verdict(shoal, await ask(shoal, unb, text), wanted)
    assert once
    await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)


async def test_what_is_heard_while_the_last_connections_rest_is_read_is_answered_once(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shoal.sandbox.do("policy", replays_missed=False)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.close()
    await ask(shoal, unb)
    unhandled = MessageLog.unhandled

    async def slow(self: MessageLog, *values: Any, **named: Any) -> list[LoggedMessage]:
        while not (found := await unhandled(self, *values, **named)):
            await asyncio.sleep(0.01)
        await shoal.sandbox.seen_soon(unb, "小鱼", 1)  # what was read is not so any more when it comes
        return found

    monkeypatch.setattr(MessageLog, "unhandled", slow)
    await shoal.open(reply_debounce_seconds=0.5)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    await shoal.is_done()
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi"]


async def test_c5_a_pause_outlives_a_restart_and_ends_when_it_is_handed_back(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    pauses = Takeovers(shoal.database)
    await ask(shoal, unb)
    await shoal.sandbox.seen_soon(unb, "小鱼", 1)
    await shoal.sandbox.do("seller_say", account=unb, buyer="小鱼", text="我来了")
    async with asyncio.timeout(60):
        while not await pauses.active(["shop"]):
            await asyncio.sleep(0.02)
    await reopen(shoal)
    pauses = Takeovers(shoal.database)
    (pause,) = await pauses.active(["shop"])
    assert pause.reason is TakeoverReason.HUMAN
    await verdict(shoal, await ask(shoal, unb), Decision.PAUSED)
    await verdict(shoal, await ask(shoal, unb, buyer="小虾"), Decision.ANSWERED)
    assert await pauses.hand_back("shop", pause.chat_id, actor="user:ann")
    await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 3) == ["hi", "我来了", "hi"]


async def test_c5_what_the_owner_said_while_the_shop_was_away_pauses_the_chat_too(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    await shoal.close()
    await shoal.sandbox.do("seller_say", account=unb, buyer="小鱼", text="我来了")
    await shoal.open()
    async with asyncio.timeout(60):
        while not await Takeovers(shoal.database).active(["shop"]):
            await asyncio.sleep(0.02)
    await verdict(shoal, await ask(shoal, unb), Decision.PAUSED)


async def test_c4_a_word_of_ours_that_a_crash_left_undecided_is_told_apart_by_the_next_connection(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    asked = await ask(shoal, unb)
    chat_id = (await verdict(shoal, asked, Decision.ANSWERED)).message.chat_id
    await shoal.close()
    await shoal.open()
    word = IncomingMessage(
        message_id="word",
        chat_id=chat_id,
        sender_id=unb,
        text="我来了",
        created_at_ms=now_ms(),
        direction=Direction.OUT,
    )
    await shoal.log.store_incoming("shop", [word])
    await reopen(shoal)
    await verdict(shoal, "word", Decision.HUMAN)
    await verdict(shoal, await ask(shoal, unb), Decision.PAUSED)
