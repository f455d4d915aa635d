"""The machine's clock is wrong, or is set: messages are as old as they are, and orders as well."""

from __future__ import annotations

import asyncio

import pytest

from shoal.messages.decisions import Decision
from shoal.messages.message_log import MessageLog
from shoal.orders.order_store import Action, ActionState
from support.messages.chat_steps import pass_by
from support.orders.order_steps import held, order_action, pay, paying_shop
from support.site.sandboxed import Machine, Shoal, Waits
from support.site.standins import ANN

HOUR_MS = 3600_000
WRONG = [-30 * HOUR_MS, 30 * HOUR_MS]


async def verdict_of(shoal: Shoal, text: str) -> str:
    """What was decided about the message with those words, once something was."""
    async with asyncio.timeout(60):
        while True:
            for logged in await shoal.log.list_messages(["shop"]):
                if logged.message.text == text and logged.message.handled:
                    return logged.message.decision.value
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("wrong_by_ms", WRONG)
async def test_a_server_whose_clock_is_wrong_calls_the_site_at_the_sites_time(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, wrong_by_ms: int
) -> None:
    machine = Machine(monkeypatch)
    machine.shown_ahead_ms = wrong_by_ms
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    machine.shown_ahead_ms = -wrong_by_ms  # set again, and wrong again
    order_id = await pay(shoal, unb)
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    ahead_ms = shoal.site_time.ahead_ms
    assert abs(ahead_ms - wrong_by_ms) < HOUR_MS


@pytest.mark.parametrize("wrong_by_ms", WRONG)
async def test_a_wrong_clock_answers_what_is_new_and_nothing_that_is_old(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, wrong_by_ms: int
) -> None:
    machine = Machine(monkeypatch)
    machine.shown_ahead_ms = wrong_by_ms
    await shoal.sandbox.do("policy", replays_missed=False)
    unb = await paying_shop(shoal)
    await shoal.manager.update_keywords("shop", [("在吗", "hi")], caller=ANN)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗1")
    assert await verdict_of(shoal, "在吗1") == Decision.ANSWERED
    await shoal.close()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗2")
    await pass_by(shoal, machine, 900)
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="在吗3")
    order_id = await pay(shoal, unb, buyer="小蟹")
    await shoal.open()
    assert await verdict_of(shoal, "在吗3") == Decision.ANSWERED, (
        "pulled from where the feed was left, by the site's clock"
    )
    assert await verdict_of(shoal, "在吗2") == Decision.TOO_OLD
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)


@pytest.mark.parametrize("set_by_ms", WRONG)
async def test_a_clock_that_is_set_makes_nothing_too_old_that_waits_for_its_answer(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, set_by_ms: int
) -> None:
    machine, waits = Machine(monkeypatch), Waits(monkeypatch)
    await shoal.close()
    await shoal.open(reply_debounce_seconds=Waits.SECONDS)
    unb = await shoal.add(keywords={"在吗": "hi"})
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗1")
    await waits.begin()
    machine.shown_ahead_ms = set_by_ms
    waits.end()
    assert await verdict_of(shoal, "在吗1") == Decision.ANSWERED


@pytest.mark.parametrize("set_by_ms", WRONG)
async def test_what_waits_over_a_restart_is_as_old_as_it_is_though_the_clock_was_set(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch, set_by_ms: int
) -> None:
    monkeypatch.setattr("shoal.connection.xianyu_live.FAREWELL_SECONDS", 0.1)
    machine = Machine(monkeypatch)
    unb = await paying_shop(shoal)
    await shoal.manager.update_keywords("shop", [("在吗", "hi")], caller=ANN)
    await shoal.close()
    await shoal.open(reply_debounce_seconds=30.0)
    await shoal.runs()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗1")
    await pass_by(shoal, machine, 600)
    await shoal.sandbox.do("say", account=unb, buyer="小虾", text="在吗2")
    await shoal.sandbox.do("fault", account=unb, kind="hold", which="order", times=1)
    order_id = await pay(shoal, unb, buyer="小蟹")
    await held(shoal, "order")
    await shoal.has_taken_all()
    assert len(await shoal.log.list_messages(["shop"])) >= 2
    await shoal.close()
    await shoal.sandbox.do("faults/clear")
    machine.shown_ahead_ms = set_by_ms
    await shoal.open()
    assert await verdict_of(shoal, "在吗2") == Decision.ANSWERED
    assert await verdict_of(shoal, "在吗1") == Decision.TOO_OLD
    await order_action(shoal, order_id, Action.CONFIRM, ActionState.DONE)
    await shoal.close()
    await shoal.open(reply_debounce_seconds=30.0)
    await shoal.runs()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗3")
    async with asyncio.timeout(60):
        while "在吗3" not in [logged.message.text for logged in await shoal.log.list_messages(["shop"])]:
            await asyncio.sleep(0.02)
    await shoal.close()
    await shoal.open()
    assert await verdict_of(shoal, "在吗3") == Decision.ANSWERED, "it was set once, and that is known by now"


async def test_g22_what_the_first_look_back_stores_is_not_too_old_though_the_clock_was_set_back(
    shoal: Shoal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By less than an hour: else the site's time counts, and nothing was set back."""
    machine, grow_old = Machine(monkeypatch), MessageLog.grow_old
    await shoal.sandbox.do("policy", replays_missed=False)
    unb = await paying_shop(shoal)
    await shoal.manager.update_keywords("shop", [("在吗", "hi")], caller=ANN)
    await shoal.close()
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text="在吗1")
    machine.shown_ahead_ms = -50 * 60_000

    async def after_the_look_back(self: MessageLog, account_id: str, older_than_ms: int) -> int:
        for _ in range(25):
            if await self.list_messages(["shop"]):
                break
            await asyncio.sleep(0.02)
        return await grow_old(self, account_id, older_than_ms)

    monkeypatch.setattr(MessageLog, "grow_old", after_the_look_back)
    await shoal.open(reply_debounce_seconds=1.0)
    assert await verdict_of(shoal, "在吗1") == Decision.ANSWERED
