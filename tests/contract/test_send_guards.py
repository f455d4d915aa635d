"""What prevents a reply is asked in the transaction that stores it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace

from contract.message_steps import a_message, a_row, held, intended, queued, the_message
from shoal.messages.decisions import Decision
from shoal.messages.message_log import MessageLog
from shoal.messages.outbox import Outbox, Queued
from shoal.messages.outbox_rows import OutboxKind, SendOutcome
from shoal.messages.send_guards import HOUR_MS, MINUTE_MS, guard_of
from shoal.storage.database import Database
from support.databases.store_steps import Clock


async def test_replies_to_one_buyer_are_limited_by_the_hour(database: Database, sendings: Outbox, clock: Clock) -> None:
    for number in range(2):
        await sendings.queue([a_row(10 * number), a_row(10 * number + 1, part=1)])
    await queued(sendings, a_row(50, kind=OutboxKind.MANUAL, chat_id="d"))
    await queued(sendings, a_row(51, buyer_id="another"))
    assert await held(database, intended(clock, buyer_replies_per_hour=3)) is None
    assert await held(database, intended(clock, buyer_replies_per_hour=2)) is Decision.BUYER_LIMIT
    assert await held(database, intended(clock, buyer_replies_per_hour=0)) is None
    clock.now += HOUR_MS
    assert await held(database, intended(clock, buyer_replies_per_hour=2)) is None


async def test_replies_of_one_shop_are_limited_by_the_minute(
    database: Database, sendings: Outbox, clock: Clock
) -> None:
    for number in range(3):
        await queued(sendings, a_row(number, buyer_id=f"b{number}"))
    await queued(sendings, a_row(9, "other"))
    assert await held(database, intended(clock, shop_replies_per_minute=4)) is None
    assert await held(database, intended(clock, shop_replies_per_minute=3)) is Decision.SHOP_LIMIT
    clock.now += MINUTE_MS
    assert await held(database, intended(clock, shop_replies_per_minute=3)) is None


async def test_a_rule_that_spoke_rests_for_that_buyer(database: Database, sendings: Outbox, clock: Clock) -> None:
    refused = await queued(sendings, a_row(1, rule_id="r"))
    await sendings.settle(refused, SendOutcome.REFUSED, "CSI_FORBID")
    cooling = intended(clock, cooldown_seconds=30)
    assert await held(database, cooling) is None, "it was refused, so it said nothing"
    await queued(sendings, a_row(2, rule_id="r"))
    assert await held(database, cooling) is Decision.COOLDOWN
    assert await held(database, replace(cooling, rule_id="q")) is None
    assert await held(database, replace(cooling, buyer_id="another")) is None
    clock.now += 30_000
    assert await held(database, intended(clock, cooldown_seconds=30)) is None


async def test_a_once_only_reply_is_due_once_per_chat_and_again_if_it_never_left(
    sendings: Outbox, clock: Clock
) -> None:
    def once(number: int, account: str = "shop", chat: str = "c") -> Awaitable[Queued]:
        meant = intended(clock, account_id=account, chat_id=chat, once=True)
        return sendings.queue([a_row(number, account, chat_id=chat)], guard=guard_of(meant))

    racing = await asyncio.gather(*(once(number) for number in range(8)))
    (first,) = [found.ids for found in racing if found.ids]
    assert [found.decision for found in racing if not found.ids] == [Decision.SAID_ONCE] * 7
    assert (await once(8, chat="d")).ids
    assert (await once(9, account="other")).ids
    await sendings.take_back("shop", first, "connection_lost", once_in="c")
    assert (await once(10)).ids
    assert not (await once(11)).ids


async def test_a_verdict_that_holds_back_is_stored_in_the_place_of_the_answer(
    log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    await log.store_incoming("shop", [a_message(1)])
    found = await sendings.queue(
        [a_row(1, message_id="m1", rule_id="r")], answers=["m1"], guard=lambda _: Decision.BUYER_LIMIT
    )
    assert found == Queued(decision=Decision.BUYER_LIMIT)
    assert await sendings.list_sendings(["shop"]) == []
    logged = await the_message(log, "m1")
    assert (logged.message.decision, logged.rule_id, logged.message.handled) == (Decision.BUYER_LIMIT, "r", True)


async def test_an_answer_that_was_overtaken_is_kept_as_dropped(log: MessageLog, sendings: Outbox) -> None:
    await log.store_incoming("shop", [a_message(1)])
    await sendings.drop_answer([a_row(1, message_id="m1", text="在的")], Decision.PAUSED, answers=["m1"])
    logged = await the_message(log, "m1")
    assert logged.message.decision is Decision.PAUSED
    assert [(found.outcome, found.reason, found.row.text) for found in logged.sendings] == [
        (SendOutcome.DROPPED, "paused", "在的")
    ]
