"""Limits of replies: by buyer and hour, by shop and minute, by rule; and a reply's delay."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import SendOutcome
from support.messages.chat_steps import ask, give_rule, held_up, pass_by, reopen, sendings, stored, verdict
from support.site.sandboxed import Machine, Shoal, Waits
from support.site.standins import ANN, until


async def test_a_buyer_gets_so_many_replies_an_hour_over_restarts(shoal: Shoal) -> None:
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"buyer_replies_per_hour": 2}, caller=ANN)
    for _ in range(2):
        await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    await reopen(shoal)
    await verdict(shoal, await ask(shoal, unb), Decision.BUYER_LIMIT)
    await verdict(shoal, await ask(shoal, unb, buyer="小虾"), Decision.ANSWERED)
    await shoal.is_done()
    assert await shoal.sandbox.seen(unb, "小鱼") == ["hi", "hi"]


@pytest.mark.parametrize("restart", [False, True])
async def test_a_shop_sends_so_many_replies_a_minute_and_the_rest_in_turn_when_there_is_room(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, *, restart: bool
) -> None:
    monkeypatch.setattr("shoal.messages.conversations.LONGEST_ROOM_WAIT_SECONDS", 0.2)
    refused: list[str] = []
    queue = Outbox.queue

    async def queued(self: Outbox, *values: Any, **named: Any) -> Any:
        found = await queue(self, *values, **named)
        if found.decision is Decision.SHOP_LIMIT:
            refused.append(found.decision)
        return found

    monkeypatch.setattr(Outbox, "queue", queued)
    machine = Machine(monkeypatch)
    await shoal.close()
    await shoal.open()
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"shop_replies_per_minute": 2}, caller=ANN)
    for number in range(5):
        asked = await ask(shoal, unb, buyer=f"买家{number}")
        if number < 2:
            await verdict(shoal, asked, Decision.ANSWERED)
    await held_up(shoal, 3)
    await ask(shoal, unb, buyer="买家2")
    await held_up(shoal, 4)
    if restart:
        await reopen(shoal)
    for seconds, answered in ((61, 4), (61, 5)):
        await pass_by(shoal, machine, seconds)
        async with asyncio.timeout(60):
            while len(await shoal.log.outbox.list_sendings(["shop"], outcome=SendOutcome.SENT)) < answered:
                await asyncio.sleep(0.02)
        if answered == 5:
            await shoal.is_done()
        else:
            refused.clear()
            await until(lambda: len(refused) > 1)
        assert len(await shoal.log.outbox.list_sendings(["shop"])) == answered, "no more than there is room for"
    assert [await shoal.sandbox.seen(unb, f"买家{number}") for number in range(5)] == [["hi"]] * 5
    found = await shoal.log.list_messages(["shop"])
    assert {entry.message.decision for entry in found if entry.message.direction is Direction.IN} == {Decision.ANSWERED}


async def test_what_waited_for_room_until_it_was_too_old_says_what_it_waited_for(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.messages.conversations.LONGEST_ROOM_WAIT_SECONDS", 0.2)
    machine = Machine(monkeypatch)
    await shoal.close()
    await shoal.open(message_age_seconds=30)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.manager.update_settings("shop", {"shop_replies_per_minute": 1}, caller=ANN)
    await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    late = await ask(shoal, unb, buyer="小虾")
    await held_up(shoal, 1)
    await pass_by(shoal, machine, 31)
    async with asyncio.timeout(60):
        while not [
            entry
            for entry in await shoal.log.list_messages(["shop"], decision=Decision.SHOP_LIMIT)
            if entry.message.message_id == late and entry.message.handled
        ]:
            await asyncio.sleep(0.02)
    await pass_by(shoal, machine, 61)
    await verdict(shoal, await ask(shoal, unb, buyer="小蟹"), Decision.ANSWERED)
    assert await shoal.sandbox.seen(unb, "小虾") == []


async def test_a_delay_counts_from_the_buyers_word_over_a_restart_and_makes_nothing_too_old(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch)
    await shoal.close()
    await shoal.open(message_age_seconds=60)
    unb = await shoal.add()
    await give_rule(shoal, delay_seconds=[100, 100])
    first = await ask(shoal, unb)
    await shoal.sandbox.do("policy", replays_missed=False)
    await stored(shoal, first)
    await shoal.close()
    await pass_by(shoal, machine, 110)
    await shoal.open(message_age_seconds=60)
    await verdict(shoal, first, Decision.ANSWERED)
    second = await ask(shoal, unb, buyer="小虾")
    await stored(shoal, second)
    await shoal.close()
    await pass_by(shoal, machine, 170)
    await shoal.open(message_age_seconds=60)
    await verdict(shoal, second, Decision.TOO_OLD)


async def test_a_rule_rests_for_the_buyer_it_has_just_answered(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_rule(shoal, cooldown_seconds=60)
    await verdict(shoal, await ask(shoal, unb), Decision.ANSWERED)
    cooling = await verdict(shoal, await ask(shoal, unb), Decision.COOLDOWN)
    assert cooling.rule_id == "r"
    await verdict(shoal, await ask(shoal, unb, buyer="小虾"), Decision.ANSWERED)


async def test_an_answer_waits_its_delay(shoal: Shoal) -> None:
    unb = await shoal.add()
    await give_rule(shoal, delay_seconds=[0.4, 0.4])
    began = time.monotonic()
    await ask(shoal, unb)
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["hi"]
    assert time.monotonic() - began > 0.39  # the site tells its time in milliseconds


async def test_an_answer_that_waits_takes_in_what_is_said_meanwhile(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add()
    await give_rule(shoal, parts=[{"text": "{send_message}"}], delay_seconds=Waits.DELAY)
    await ask(shoal, unb)
    await waits.begin()
    await ask(shoal, unb, "？")
    await shoal.has_taken_all()
    assert await shoal.sandbox.seen(unb, "小鱼") == []
    waits.end()
    assert await shoal.sandbox.seen_soon(unb, "小鱼", 1) == ["在吗\n？"]


@pytest.mark.parametrize(
    ("meanwhile", "found"), [("spoken", Decision.PAUSED), ("spoken, no pause", Decision.HUMAN_ANSWERED)]
)
async def test_a_delayed_answer_that_the_owner_overtakes_is_dropped(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, meanwhile: str, found: Decision
) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add()
    await give_rule(shoal, delay_seconds=Waits.DELAY)
    if found is Decision.HUMAN_ANSWERED:
        await shoal.manager.update_settings("shop", {"pause_duration": 0}, caller=ANN)
    asked = await ask(shoal, unb)
    await waits.begin()
    said = await shoal.sandbox.do("seller_say", account=unb, buyer="小鱼", text="我来了")
    await verdict(shoal, said["message_id"], Decision.HUMAN)
    waits.end()
    await verdict(shoal, asked, found)
    (dropped,) = await sendings(shoal, "dropped")
    assert (dropped.reason, dropped.row.text) == (found.value, "hi")
    assert await shoal.sandbox.seen(unb, "小鱼") == ["我来了"]


async def test_a_delayed_answer_is_that_of_the_rules_at_its_moment(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Waits(monkeypatch)
    unb = await shoal.add()
    await give_rule(shoal, delay_seconds=Waits.DELAY)
    asked = await ask(shoal, unb)
    await waits.begin()
    await shoal.manager.update_rules("shop", lambda account: account.evolve(keywords=()), caller=ANN)
    waits.end()
    await verdict(shoal, asked, Decision.NO_RULE)
    (dropped,) = await sendings(shoal, "dropped")
    assert dropped.reason == "no_rule"
