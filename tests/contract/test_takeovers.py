"""Automatic replies of a chat pause while its owner writes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contract.message_steps import a_message, a_row, held, intended, ours, queued
from shoal.accounts.events import MessageEvent
from shoal.messages.decisions import Decision
from shoal.messages.message_log import MessageLog
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import OutboxKind, SendOutcome
from shoal.messages.send_guards import MINUTE_MS, not_taken_over_since
from shoal.messages.takeovers import TakeoverReason, Takeovers
from shoal.storage.database import Database
from support.databases.store_steps import Clock


async def test_the_owners_word_pauses_the_chat_from_when_it_was_said(
    database: Database, log: MessageLog, pauses: Takeovers, clock: Clock, told: list[MessageEvent]
) -> None:
    word = ours("s1", clock.now - MINUTE_MS)
    await log.store_incoming("shop", [word])
    assert await log.mark_human("shop", word, pause_minutes=10)
    (pause,) = await pauses.active(["shop", "other"])
    assert (pause.reason, pause.until_ms) == (TakeoverReason.HUMAN, clock.now + 9 * MINUTE_MS)
    assert told[-1].kind == "pause"
    assert await held(database, intended(clock)) is Decision.PAUSED
    clock.now += 9 * MINUTE_MS
    assert await held(database, intended(clock)) is None
    assert await pauses.active(["shop"]) == []
    old = ours("s2", clock.now - 10 * MINUTE_MS)
    assert not await log.mark_human("shop", old, pause_minutes=10), "learnt of too late to matter"
    assert not await log.mark_human("shop", ours("s3", clock.now), pause_minutes=0), "the shop never pauses"


async def test_a_chat_is_taken_over_and_handed_back_by_hand(log: MessageLog, pauses: Takeovers, clock: Clock) -> None:
    taken = await pauses.take_over("shop", "c", minutes=60, actor="user:ann")
    assert await pauses.active(["shop"]) == [taken]
    word = ours("s1", clock.now)
    assert not await log.mark_human("shop", word, pause_minutes=10), "a longer pause holds already"
    assert await pauses.active(["shop"]) == [taken]
    clock.now += 5
    assert await pauses.hand_back("shop", "c", actor="user:ann")
    assert not await pauses.hand_back("shop", "c", actor="user:ann")
    assert await pauses.active(["shop"]) == []
    assert not await log.mark_human("shop", word, pause_minutes=10), "said before the chat was handed back"
    clock.now += 5
    assert await log.mark_human("shop", ours("s2", clock.now), pause_minutes=10)


async def test_what_the_owner_answered_is_not_answered_again(database: Database, log: MessageLog, clock: Clock) -> None:
    word = ours("s1", clock.now)
    await log.store_incoming("shop", [word])
    assert await held(database, intended(clock)) is None, "it is not known yet who wrote it"
    await log.mark_human("shop", word, pause_minutes=0)
    assert await held(database, intended(clock)) is Decision.HUMAN_ANSWERED
    assert await held(database, intended(clock, asked_at_ms=clock.now + 1)) is None
    guard = not_taken_over_since("shop", "c", clock.now, clock.now)
    assert await database.write(guard) is Decision.HUMAN_ANSWERED
    assert await database.write(not_taken_over_since("shop", "d", 0, clock.now)) is None


async def test_words_typed_with_shoal_are_the_owners_too(database: Database, sendings: Outbox, clock: Clock) -> None:
    asked = clock.now
    assert await held(database, intended(clock)) is None
    clock.now += 5
    await queued(sendings, a_row(1, kind=OutboxKind.MANUAL, actor="user:ann"))
    assert await held(database, intended(clock, asked_at_ms=asked)) is Decision.HUMAN_ANSWERED
    assert await database.write(not_taken_over_since("shop", "c", asked, clock.now)) is Decision.HUMAN_ANSWERED
    assert await held(database, intended(clock, asked_at_ms=clock.now + 1)) is None, "the buyer wrote again"
    assert await held(database, intended(clock, chat_id="d", asked_at_ms=asked)) is None


@pytest.mark.parametrize("site_ahead_ms", [-MINUTE_MS, MINUTE_MS])
async def test_typed_words_and_a_question_are_compared_by_our_clock(
    database: Database, log: MessageLog, sendings: Outbox, clock: Clock, site_ahead_ms: int
) -> None:
    await queued(sendings, a_row(1, kind=OutboxKind.MANUAL))
    clock.now += 5
    question = replace(a_message(1), created_at_ms=clock.now + site_ahead_ms)
    await log.store_incoming("shop", [question])
    meant = intended(clock, asked_at_ms=question.created_at_ms)
    assert await held(database, meant) is None, "typed before the question"
    clock.now += 5
    await queued(sendings, a_row(2, kind=OutboxKind.MANUAL))
    assert await held(database, meant) is Decision.HUMAN_ANSWERED


async def test_words_that_did_not_leave_hold_nothing_back(database: Database, sendings: Outbox, clock: Clock) -> None:
    refused = await queued(sendings, a_row(1, kind=OutboxKind.MANUAL))
    await sendings.settle(refused, SendOutcome.REFUSED, "CSI_FORBID")
    assert await held(database, intended(clock)) is None
