"""What was said, decided, sent and paused in the chats, on both databases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable
from dataclasses import replace

import pytest
from sqlalchemy import Connection

from shoal.accounts.events import MessageEvent
from shoal.errors import NotApplied
from shoal.messages.chats import Chats
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, IncomingMessage, LoggedMessage, MessageLog
from shoal.messages.outbox import ECHO_WINDOW_MS, MISNAMED_WINDOW_MS, Outbox, Queued
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, SendOutcome
from shoal.messages.send_guards import HOUR_MS, MINUTE_MS, Intended, guard_of, held_back_by, not_taken_over_since
from shoal.messages.takeovers import TakeoverReason, Takeovers
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from store_steps import Clock, an_account, created


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[MessageEvent]:
    return []


@pytest.fixture
async def log(database: Database, manager: DBManager, clock: Clock, told: list[MessageEvent]) -> MessageLog:
    await created(manager, an_account("shop"), an_account("other"))
    return MessageLog(database, now_ms=clock, publish=told.append)


@pytest.fixture
def sendings(log: MessageLog) -> Outbox:
    return log.outbox


@pytest.fixture
def pauses(database: Database, log: MessageLog, clock: Clock, told: list[MessageEvent]) -> Takeovers:
    return Takeovers(database, now_ms=clock, publish=told.append)


def a_message(number: int, text: str = "在吗", chat_id: str = "c") -> IncomingMessage:
    return IncomingMessage(
        message_id=f"m{number}", chat_id=chat_id, sender_id="b", sender_name="买家", text=text, created_at_ms=number
    )


def ours(message_id: str, at_ms: int, text: str = "我来了") -> IncomingMessage:
    return IncomingMessage(
        message_id=message_id, chat_id="c", sender_id="me", text=text, created_at_ms=at_ms, direction=Direction.OUT
    )


def a_row(number: int, account: str = "shop", **values: object) -> OutboxRow:
    row = OutboxRow(account_id=account, chat_id="c", uuid=f"u{number}", buyer_id="b")
    return replace(row, **values)  # type: ignore[arg-type]


async def queued(sendings: Outbox, row: OutboxRow) -> int:
    (row_id,) = (await sendings.queue([row])).ids
    return row_id


async def echoes(sendings: Outbox, message_id: str, text: str, *, account: str = "shop", kind: str = "1") -> bool:
    return await sendings.claim_echo(account, "c", message_id, text, kind) is not None


async def the_message(log: MessageLog, message_id: str) -> LoggedMessage:
    (found,) = [found for found in await log.list_messages(["shop"]) if found.message.message_id == message_id]
    return found


# ── messages ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_message_is_new_once_and_its_repeats_are_counted(log: MessageLog) -> None:
    assert await log.store_incoming("shop", []) == set()
    assert await log.store_incoming("shop", [a_message(1), a_message(2)]) == {"m1", "m2"}
    assert await log.store_incoming("shop", [a_message(2), a_message(3)]) == {"m3"}
    assert await log.store_incoming("shop", [a_message(2)], pulled=True) == set()
    assert await log.store_incoming("other", [a_message(1)]) == {"m1"}
    racing = await asyncio.gather(*(log.store_incoming("shop", [a_message(9)]) for _ in range(10)))
    assert sorted(len(new) for new in racing) == [0] * 9 + [1]
    assert [(await the_message(log, name)).repeats for name in ("m1", "m2", "m3", "m9")] == [0, 1, 0, 9]
    with pytest.raises(NotApplied):
        await log.store_incoming("nobody", [a_message(1)])


async def test_undecided_messages_are_found_again(log: MessageLog) -> None:
    await log.store_incoming("shop", [a_message(number) for number in (3, 1, 2)])
    await log.decide("shop", ["m2"], Decision.NO_RULE)
    await log.decide("shop", [], Decision.NO_RULE)
    await log.decide("shop", ["m3"], Decision.DISABLED)
    assert [found.message.message_id for found in await log.unhandled("shop", 0)] == ["m1", "m3"]
    assert [found.message.message_id for found in await log.unhandled("shop", 1)] == ["m3"]
    assert await log.unhandled("other", 0) == []
    assert await log.grow_old("shop", 1) == 1
    assert (await the_message(log, "m1")).message.decision is Decision.TOO_OLD
    assert [found.message.message_id for found in await log.unhandled("shop", 0)] == ["m3"]


async def test_a_burst_has_one_verdict_and_is_joined_to_its_last_message(
    log: MessageLog, told: list[MessageEvent]
) -> None:
    await log.store_incoming("shop", [a_message(number) for number in (1, 2, 3)])
    await log.outbox.queue([a_row(1, message_id="m3", rule_id="r")], answers=["m1", "m2", "m3"])
    found = {message.message.message_id: message for message in await log.list_messages(["shop"])}
    assert [found[name].joined_to for name in ("m1", "m2", "m3")] == ["m3", "m3", None]
    assert {(entry.message.decision, entry.rule_id) for entry in found.values()} == {(Decision.ANSWERED, "r")}
    assert [len(found[name].sendings) for name in ("m1", "m2", "m3")] == [0, 0, 1]
    kinds = [(talk.kind, talk.key) for talk in told]
    assert kinds[:3] == [("message", "m1"), ("message", "m2"), ("message", "m3")]
    assert ("decision", "m2") in kinds
    assert kinds[-1][0] == "sending"


async def test_messages_are_listed_newest_first_page_by_page(log: MessageLog) -> None:
    await log.store_incoming("shop", [a_message(number) for number in range(1, 6)])
    await log.store_incoming("other", [a_message(3)])
    seen: list[str] = []
    before = None
    while page := await log.list_messages(["shop"], before=before, limit=2):
        seen += [found.message.message_id for found in page]
        before = page[-1].cursor
    assert seen == ["m5", "m4", "m3", "m2", "m1"]
    assert len(await log.list_messages(["shop", "other"])) == 6
    assert await log.list_messages([]) == []
    assert await log.list_messages(["shop"], chat_id="elsewhere") == []


async def test_messages_are_filtered_by_who_what_and_when(log: MessageLog) -> None:
    await log.store_incoming("shop", [a_message(1), a_message(2), ours("s1", 3)])
    await log.decide("shop", ["m1"], Decision.NO_RULE)

    async def found(**wanted: object) -> list[str]:
        listed = await log.list_messages(["shop"], **wanted)  # type: ignore[arg-type]
        return [message.message.message_id for message in listed]

    assert await found(direction=Direction.OUT) == ["s1"]
    assert await found(decision=Decision.NO_RULE) == ["m1"]
    assert await found(since_ms=2) == ["s1", "m2"]
    assert await found(until_ms=2) == ["m1"]
    assert await found(since_ms=2, until_ms=3) == ["m2"]


async def test_a_search_is_literal(log: MessageLog) -> None:
    texts = ["100% ok", "100 OK", "a_b", "axb"]
    await log.store_incoming("shop", [a_message(number, text) for number, text in enumerate(texts)])

    async def found(query: str) -> list[str]:
        return sorted(message.message.text for message in await log.list_messages(["shop"], query=query))

    assert await found("100%") == ["100% ok"]
    assert await found("ok") == ["100 OK", "100% ok"]
    assert await found("A_B") == ["a_b"]
    assert await found("买家") == sorted(texts)


async def test_old_messages_and_sendings_are_forgotten_but_not_what_is_still_to_go(
    log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    await log.store_incoming("shop", [a_message(1)])
    await sendings.queue([a_row(1), a_row(2, part=1)])
    await sendings.settle(await queued(sendings, a_row(3)), SendOutcome.SENT)
    clock.now += 1000
    await log.store_incoming("shop", [a_message(2)])
    assert await log.forget_older_than(clock.now) == 1
    assert [found.message.message_id for found in await log.list_messages(["shop"])] == ["m2"]
    assert [found.row.uuid for found in await sendings.list_sendings(["shop"])] == ["u2", "u1"]


# ── sendings ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_sending_is_settled_once(log: MessageLog, sendings: Outbox) -> None:
    await log.store_incoming("shop", [a_message(1)])
    row = a_row(1, message_id="m1", text="在的")
    sending = await queued(sendings, row)
    with pytest.raises(NotApplied):
        await sendings.queue([row])
    assert await sendings.settle(sending, SendOutcome.SENT, site_message_id="s1")
    assert not await sendings.settle(sending, SendOutcome.REFUSED)
    assert await echoes(sendings, "s1", "在的")
    assert not await echoes(sendings, "s1", "在的", account="other")
    await log.store_incoming("shop", [ours("s1", 2, "在的")])
    assert not await echoes(sendings, "s2", "在的"), "it was echoed, so the owner says the same"
    message = await the_message(log, "m1")
    assert [(found.outcome, found.row) for found in message.sendings] == [(SendOutcome.SENT, row)]


@pytest.mark.parametrize("named", ["", "s9"])
async def test_c4_an_echo_whose_id_the_answer_did_not_name_is_known_by_its_words_once(
    log: MessageLog, sendings: Outbox, clock: Clock, named: str
) -> None:
    await sendings.settle(
        await queued(sendings, a_row(1, text="在的")), SendOutcome.SENT, site_message_id=named or None
    )
    assert not await echoes(sendings, "s1", "别的")
    await log.store_incoming("shop", [ours("s1", 2, "在的")])
    assert await echoes(sendings, "s1", "在的")
    assert not await echoes(sendings, "s2", "在的"), "one sending has one echo"
    await sendings.settle(await queued(sendings, a_row(2, text="在的")), SendOutcome.SENT, site_message_id="s8")
    clock.now += MISNAMED_WINDOW_MS
    assert not await echoes(sendings, "s3", "在的"), "much later it is the owner's word"


async def test_what_was_on_its_way_at_a_crash_is_uncertain(sendings: Outbox) -> None:
    first = await queued(sendings, a_row(1))
    await queued(sendings, a_row(2, "other"))
    assert [found.id for found in await sendings.interrupted("shop")] == [first]
    assert await sendings.interrupted("shop") == []
    (found,) = await sendings.list_sendings(["shop"])
    assert (found.outcome, found.reason) == (SendOutcome.UNCERTAIN, "interrupted")
    assert await sendings.settle(first, SendOutcome.SENT)


async def test_what_is_uncertain_is_sent_again_so_often_and_no_oftener(sendings: Outbox) -> None:
    await queued(sendings, a_row(1))
    (sending,) = await sendings.interrupted("shop")
    assert await sendings.unfinished("shop", 0) == [sending]
    assert await sendings.unfinished("shop", sending.created_at_ms) == []
    assert await sendings.begin_again(sending, most_resends=2)
    assert not await sendings.begin_again(sending, most_resends=2, guard=lambda _: Decision.PAUSED)
    racing = await asyncio.gather(*(sendings.begin_again(sending, most_resends=2) for _ in range(5)))
    assert sorted(racing) == [False] * 4 + [True]
    assert (await sendings.get(sending.id)).resends == 2
    assert await sendings.settle(sending.id, SendOutcome.SENT)
    assert not await sendings.begin_again(sending, most_resends=9)


async def test_later_parts_wait_for_their_turn_and_may_be_dropped(sendings: Outbox, clock: Clock) -> None:
    three = await sendings.queue([a_row(0), a_row(1, part=1), a_row(2, part=2)])
    parts = [await sendings.get(row_id) for row_id in three.ids]
    assert [part.outcome for part in parts] == ["sending", "waiting", "waiting"]
    assert await sendings.interrupted("shop") == [
        replace(parts[0], outcome=SendOutcome.UNCERTAIN, reason="interrupted", settled_at_ms=clock.now)
    ]
    assert await sendings.begin(parts[1]) is None
    await sendings.put_back(parts[1].id)
    assert (await sendings.get(parts[1].id)).outcome is SendOutcome.WAITING
    assert await sendings.begin(parts[1], lambda _: Decision.PAUSED) is Decision.PAUSED
    await sendings.drop_waiting(three.ids, "earlier_part_dropped")
    ends = [await sendings.get(row_id) for row_id in three.ids]
    assert [(end.outcome, end.reason) for end in ends] == [
        ("uncertain", "interrupted"), ("dropped", "paused"), ("dropped", "earlier_part_dropped"),
    ]  # fmt: skip


async def test_a_request_finds_what_it_sent(sendings: Outbox) -> None:
    sending = await queued(sendings, a_row(1, kind=OutboxKind.MANUAL, op_id="7:key", actor="user:ann"))
    found = await sendings.by_op("shop", "7:key")
    assert found is not None
    assert (found.id, found.row.actor) == (sending, "user:ann")
    assert await sendings.by_op("other", "7:key") is None
    assert await sendings.by_op("shop", "another") is None


async def test_the_echo_of_an_uncertain_sending_is_known_by_its_words_once_and_settles_it(
    sendings: Outbox, clock: Clock
) -> None:
    await queued(sendings, a_row(1, text="在的"))
    assert not await echoes(sendings, "s0", "在的"), "its answer may still come"
    await sendings.interrupted("shop")
    assert not await echoes(sendings, "s1", "在的", account="other")
    assert await sendings.claim_echo("shop", "d", "s1", "在的", "1") is None
    assert not await echoes(sendings, "s1", "我来了")
    assert await echoes(sendings, "s1", "在的")
    assert await echoes(sendings, "s1", "在的"), "the same echo again"
    assert not await echoes(sendings, "s2", "在的"), "one sending has one echo"
    (found,) = await sendings.list_sendings(["shop"])
    assert (found.outcome, found.reason, found.site_message_id) == (SendOutcome.SENT, "echo", "s1")
    await queued(sendings, a_row(2, image_url="https://img.example/1.jpg"))
    await sendings.interrupted("shop")
    assert await echoes(sendings, "s3", "[图片]", kind="2")
    await queued(sendings, a_row(3, text="在的"))
    await sendings.interrupted("shop")
    clock.now += ECHO_WINDOW_MS
    assert not await echoes(sendings, "s4", "在的"), "much later it is somebody else's word"


async def test_what_never_left_is_taken_back_and_asked_again(log: MessageLog, sendings: Outbox) -> None:
    await log.store_incoming("shop", [a_message(1)])
    both = await sendings.queue([a_row(1, message_id="m1"), a_row(2, message_id="m1", part=1)], answers=["m1"])
    await sendings.take_back("shop", both.ids, "connection_lost", answers=["m1"])
    assert [found.outcome for found in await sendings.list_sendings(["shop"])] == ["dropped", "dropped"]
    assert [found.message.decision for found in await log.unhandled("shop", 0)] == [Decision.PENDING]


async def test_f1_an_answer_is_stored_only_where_its_messages_are_undecided(
    log: MessageLog, sendings: Outbox, told: list[MessageEvent]
) -> None:
    await log.store_incoming("shop", [a_message(1), a_message(2), a_message(3)])
    rows = [a_row(1, message_id="m2"), a_row(2, message_id="m2"), a_row(3, message_id="m2")]
    racing = await asyncio.gather(*(sendings.queue([row], answers=["m1", "m2"]) for row in rows))
    assert sorted(len(queued.ids) for queued in racing) == [0, 0, 1]
    assert {queued.decided for queued in racing} == {frozenset(), frozenset({"m1", "m2"})}
    told.clear()
    late = await sendings.queue([a_row(4, message_id="m3")], answers=["m2", "m3"], guard=lambda _: Decision.PAUSED)
    assert late == Queued(decided=frozenset({"m2"}))
    assert [found.message.message_id for found in await log.unhandled("shop", 0)] == ["m3"]
    assert len(await sendings.list_sendings(["shop"])) == 1
    assert told == []


async def test_f1_what_another_connection_goes_on_with_is_not_taken_back(log: MessageLog, sendings: Outbox) -> None:
    await log.store_incoming("shop", [a_message(1)])
    (row_id,) = (await sendings.queue([a_row(1, message_id="m1")], answers=["m1"])).ids
    await sendings.interrupted("shop")
    assert not await sendings.take_back("shop", [row_id], "connection_lost", answers=["m1"])
    assert await log.unhandled("shop", 0) == []
    assert (await sendings.get(row_id)).outcome is SendOutcome.UNCERTAIN


async def test_f1_a_letter_is_stored_once_for_each_request(sendings: Outbox) -> None:
    letters = [a_row(number, kind=OutboxKind.MANUAL, op_id="7:key") for number in range(3)]
    racing = await asyncio.gather(*(sendings.queue([letter]) for letter in letters))
    (stored,) = [queued.ids[0] for queued in racing if queued.ids]
    assert {queued.before.id for queued in racing if queued.before is not None} == {stored}
    assert len(await sendings.list_sendings(["shop"])) == 1


async def test_f1_what_is_under_way_is_settled_behind_what_is_still_to_be_written(
    database: Database, sendings: Outbox
) -> None:
    goes_on = threading.Event()
    standing = asyncio.create_task(database.write(lambda _: goes_on.wait(10)))
    await asyncio.sleep(0.05)
    queueing = [asyncio.create_task(queued(sendings, a_row(number, account))) for number, account in _TWO]
    await asyncio.sleep(0.05)
    asking = asyncio.create_task(sendings.interrupted("shop"))
    await asyncio.sleep(0.1)
    assert not asking.done()
    goes_on.set()
    await asyncio.gather(standing, *queueing)
    assert [found.row.account_id for found in await asking] == ["shop"]
    assert [found.row.account_id for found in await sendings.interrupted(None)] == ["other"]


_TWO = ((1, "shop"), (2, "other"))


# ── what holds back ─────────────────────────────────────────────────────────────────────────────────────────────────


def intended(clock: Clock, **values: object) -> Intended:
    meant = Intended(account_id="shop", chat_id="c", buyer_id="b", asked_at_ms=clock.now, now_ms=clock.now, rule_id="r")
    return replace(meant, **values)  # type: ignore[arg-type]


async def held(database: Database, meant: Intended) -> Decision | None:
    def job(connection: Connection) -> Decision | None:
        return held_back_by(connection, meant)

    return await database.write(job)


async def test_replies_to_one_buyer_are_limited_by_the_hour(database: Database, sendings: Outbox, clock: Clock) -> None:
    for number in range(2):
        await sendings.queue([a_row(10 * number), a_row(10 * number + 1, part=1)])
    await queued(sendings, a_row(50, kind=OutboxKind.MANUAL))
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


# ── pauses ──────────────────────────────────────────────────────────────────────────────────────────────────────────


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
    assert await held(database, intended(clock)) is None, "nobody knows yet whose word it is"
    await log.mark_human("shop", word, pause_minutes=0)
    assert await held(database, intended(clock)) is Decision.HUMAN_ANSWERED
    assert await held(database, intended(clock, asked_at_ms=clock.now + 1)) is None
    guard = not_taken_over_since("shop", "c", clock.now, clock.now)
    assert await database.write(guard) is Decision.HUMAN_ANSWERED
    assert await database.write(not_taken_over_since("shop", "d", 0, clock.now)) is None


# ── chats ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_chats_are_listed_by_their_last_word_whatever_order_it_came_in(
    database: Database, log: MessageLog, pauses: Takeovers, clock: Clock
) -> None:
    chats = Chats(database)
    newest = replace(a_message(30, "尺码?"), item_id="7001")
    await log.store_incoming("shop", [newest, a_message(10), a_message(20, chat_id="d")])
    await log.store_incoming("shop", [ours("s1", 40, "在的")])
    await log.mark_human("shop", ours("s1", 40, "在的"), pause_minutes=0)
    await pauses.take_over("shop", "d", minutes=5, actor="user:ann")
    first, second = await chats.list_chats(["shop"], now_ms=clock.now)
    assert (first.chat_id, first.buyer_id, first.buyer_name, first.item_id) == ("c", "b", "买家", "7001")
    assert (first.last_text, first.last_direction, first.last_at_ms) == ("在的", "human", 40)
    assert (second.chat_id, second.pause_reason, second.pause_actor) == ("d", TakeoverReason.TAKEN_OVER, "user:ann")
    assert await chats.list_chats(["shop"], now_ms=clock.now, before=first.cursor) == [second]
    assert await chats.list_chats(["shop"], now_ms=clock.now, paused=True) == [second]
    assert await chats.list_chats(["shop"], now_ms=clock.now, paused=False) == [first]
    (sought,) = await chats.list_chats(["shop"], now_ms=clock.now, query="尺码")
    assert sought == replace(first, found_text="尺码?"), "also where something else was said since"
    assert await chats.list_chats(["shop"], now_ms=clock.now, query="%") == []
    assert await chats.list_chats(["shop"], now_ms=clock.now, waiting=True) == [second]
    assert await chats.list_chats(["shop"], now_ms=clock.now, waiting=False) == [first]
    assert await chats.list_chats(["other"], now_ms=clock.now) == []
    await log.mark_read("shop", "c", 50)
    await log.mark_read("shop", "c", 45)
    found = await chats.find("shop", "c", now_ms=clock.now)
    assert found is not None
    assert found.read_at_ms == 50
    assert await chats.find("shop", "nowhere", now_ms=clock.now) is None
    await log.forget_older_than(30)
    assert [chat.chat_id for chat in await chats.list_chats(["shop"], now_ms=clock.now)] == ["c"]
    assert await pauses.active(["shop"]), "a pause that holds is kept"
    await log.forget_older_than(clock.now + HOUR_MS)
    clock.now = 0
    assert await pauses.active(["shop"]) == []
