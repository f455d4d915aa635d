"""Away words and hand-offs, as they are stored: once in a closed period, once for a wish, whoever races or dies."""

from __future__ import annotations

import asyncio

from contract.message_steps import a_message, a_row, held, intended, ours, the_message
from shoal.messages.decisions import Decision
from shoal.messages.handoff import HANDOFF, HANDOFF_PAUSE_MS
from shoal.messages.message_log import MessageLog
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import SendOutcome
from shoal.messages.send_guards import guard_of, not_taken_over_since
from shoal.storage.database import Database
from support.databases.store_steps import Clock

AWAY = "away_reply"


async def test_an_away_word_is_due_once_in_a_chat_and_closed_period(sendings: Outbox, clock: Clock) -> None:
    closed_at = clock.now - 5
    meant = intended(clock, rule_id=AWAY, once_since_ms=closed_at)
    racing = await asyncio.gather(
        *(sendings.queue([a_row(number, rule_id=AWAY)], guard=guard_of(meant)) for number in range(8))
    )
    assert sorted(len(found.ids) for found in racing) == [0] * 7 + [1]
    assert {found.decision for found in racing if not found.ids} == {Decision.CLOSED}
    other = intended(clock, rule_id=AWAY, once_since_ms=closed_at, chat_id="d")
    assert (await sendings.queue([a_row(20, rule_id=AWAY, chat_id="d")], guard=guard_of(other))).ids
    clock.now += 1000
    next_period = intended(clock, rule_id=AWAY, once_since_ms=clock.now)
    assert (await sendings.queue([a_row(21, rule_id=AWAY)], guard=guard_of(next_period))).ids


async def test_an_away_word_that_certainly_never_left_is_due_again_and_one_in_doubt_is_not(
    database: Database, sendings: Outbox, clock: Clock
) -> None:
    meant = intended(clock, rule_id=AWAY, once_since_ms=clock.now)
    first = await sendings.queue([a_row(1, rule_id=AWAY)], guard=guard_of(meant))
    await sendings.take_back("shop", first.ids, "connection_lost")
    second = await sendings.queue([a_row(2, rule_id=AWAY)], guard=guard_of(meant))
    assert second.ids
    assert [one.outcome for one in await sendings.interrupted("shop")] == [SendOutcome.UNCERTAIN]  # it was killed
    assert await held(database, meant) is Decision.CLOSED


async def test_a_hand_off_pauses_the_chat_in_the_transaction_that_stores_its_sentence(
    database: Database, log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    await log.store_incoming("shop", [a_message(1, "人工"), a_message(2, "人工")])
    meant = intended(clock, rule_id=HANDOFF, hands_off=True)
    found = await sendings.queue(
        [a_row(1, message_id="m1", rule_id=HANDOFF)],
        answers=["m1"],
        guard=guard_of(meant),
        decision=Decision.HANDED_OFF,
    )
    assert found.ids
    assert (await the_message(log, "m1")).message.decision is Decision.HANDED_OFF
    assert await held(database, intended(clock)) is Decision.PAUSED
    again = await sendings.queue(
        [a_row(2, message_id="m2", rule_id=HANDOFF)],
        answers=["m2"],
        guard=guard_of(meant),
        decision=Decision.HANDED_OFF,
    )
    assert again.decision is Decision.PAUSED
    clock.now += HANDOFF_PAUSE_MS - 1
    assert await held(database, intended(clock)) is Decision.PAUSED, "a person has a day to answer"
    clock.now += 1
    assert await held(database, intended(clock)) is None


async def test_a_sentence_that_never_left_is_said_by_the_next_connection(sendings: Outbox, clock: Clock) -> None:
    meant = intended(clock, rule_id=HANDOFF, hands_off=True)
    first = await sendings.queue([a_row(1, rule_id=HANDOFF)], guard=guard_of(meant))
    await sendings.take_back("shop", first.ids, "connection_lost")
    second = await sendings.queue([a_row(2, rule_id=HANDOFF)], guard=guard_of(meant))
    assert second.ids
    third = await sendings.queue([a_row(3, rule_id=HANDOFF)], guard=guard_of(meant))
    assert third.decision is Decision.PAUSED


async def test_filtered_words_are_stored_with_the_decision_and_forgotten_with_the_message(log: MessageLog) -> None:
    await log.store_incoming("shop", [a_message(1)])
    await log.decide("shop", ["m1"], Decision.FILTERED, words=["微信", "13800138000"])
    assert (await the_message(log, "m1")).filtered_words == ("微信", "13800138000")


async def test_a_handoff_does_not_hold_back_its_own_sentence_but_the_owners_word_does(
    database: Database, log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    meant = intended(clock, rule_id=HANDOFF, hands_off=True)
    assert (await sendings.queue([a_row(1, rule_id=HANDOFF)], guard=guard_of(meant))).ids
    again = not_taken_over_since("shop", "c", clock.now, clock.now, hands_off=True)
    another = not_taken_over_since("shop", "c", clock.now, clock.now)
    assert await database.write(again) is None, "it may be sent again after a server that was killed"
    assert await database.write(another) is Decision.PAUSED
    word = ours("o1", clock.now)
    await log.store_incoming("shop", [word])
    await log.mark_human("shop", word, pause_minutes=10)
    assert await database.write(again) is Decision.PAUSED, "the owner is there"
