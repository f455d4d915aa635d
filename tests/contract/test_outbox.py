"""The rows of the outbox: settled once, recognised by their echo, sent again only while that is safe."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest
from sqlalchemy import insert, select

from contract.message_steps import a_message, a_row, echoes, ours, queued, the_message
from shoal.accounts.events import MessageEvent
from shoal.errors import NotApplied
from shoal.messages.decisions import Decision
from shoal.messages.echoes import ECHO_WINDOW_MS, MISNAMED_WINDOW_MS
from shoal.messages.message_log import MessageLog
from shoal.messages.outbox import Outbox, Queued
from shoal.messages.outbox_rows import OutboxKind, SendOutcome
from shoal.storage.database import Database
from shoal.storage.schema import once_replies
from support.databases.store_steps import Clock, Place


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


async def test_a_row_that_is_gone_is_told_as_missing(sendings: Outbox) -> None:
    with pytest.raises(LookupError):
        await sendings.get(7)


async def test_later_parts_wait_for_their_turn_and_may_be_dropped(
    sendings: Outbox, clock: Clock, told: list[MessageEvent]
) -> None:
    three = await sendings.queue([a_row(0), a_row(1, part=1), a_row(2, part=2)])
    parts = [await sendings.get(row_id) for row_id in three.ids]
    assert [part.outcome for part in parts] == ["sending", "waiting", "waiting"]
    assert await sendings.interrupted("shop") == [
        replace(parts[0], outcome=SendOutcome.UNCERTAIN, reason="interrupted", settled_at_ms=clock.now)
    ]
    assert sorted(await asyncio.gather(*(sendings.begin(parts[1]) for _ in range(3)))) == [False, False, True]
    assert not await sendings.begin(parts[1], lambda _: Decision.PAUSED)
    assert (await sendings.get(parts[1].id)).outcome is SendOutcome.SENDING, "another has begun it"
    await sendings.put_back(parts[1].id)
    assert (await sendings.get(parts[1].id)).outcome is SendOutcome.WAITING
    assert not await sendings.begin(parts[1], lambda _: Decision.PAUSED)
    await sendings.drop_waiting(three.ids, "earlier_part_dropped")
    ends = [await sendings.get(row_id) for row_id in three.ids]
    assert [(end.outcome, end.reason) for end in ends] == [
        ("uncertain", "interrupted"), ("dropped", "paused"), ("dropped", "earlier_part_dropped"),
    ]  # fmt: skip
    assert (told[-1].kind, told[-1].facts["reason"]) == ("sending", "earlier_part_dropped")


async def test_a_request_finds_what_it_sent(sendings: Outbox) -> None:
    sending = await queued(sendings, a_row(1, kind=OutboxKind.MANUAL, op_id="7:key", actor="user:ann"))
    found = await sendings.by_op("shop", "7:key")
    assert found is not None
    assert (found.id, found.row.actor) == (sending, "user:ann")
    assert await sendings.by_op("other", "7:key") is None
    assert await sendings.by_op("shop", "another") is None


async def test_the_echo_of_a_message_whose_outcome_was_not_stored_settles_it(sendings: Outbox) -> None:
    row_id = await queued(sendings, a_row(1, text="在的"))
    assert await echoes(sendings, "s1", "在的")
    assert not await sendings.settle(row_id, SendOutcome.UNCERTAIN, "no_answer")
    assert (await sendings.get(row_id)).outcome is SendOutcome.SENT


async def test_an_echo_that_is_read_hours_later_is_known_by_the_time_at_which_it_was_sent(
    sendings: Outbox, clock: Clock
) -> None:
    sent_at_ms = clock.now
    await queued(sendings, a_row(1, text="在的"))
    await sendings.interrupted("shop")
    clock.now += 2 * ECHO_WINDOW_MS
    late = sent_at_ms + ECHO_WINDOW_MS
    assert await sendings.claim_echo("shop", "c", "s1", "在的", "1", sent_at_ms=late) is None, "the owner's own word"
    echoed = await sendings.claim_echo("shop", "c", "s1", "在的", "1", sent_at_ms=sent_at_ms + 1)
    assert echoed is not None
    assert echoed.outcome is SendOutcome.SENT


async def test_the_echo_of_an_uncertain_sending_is_known_by_its_words_once_and_settles_it(
    sendings: Outbox, clock: Clock
) -> None:
    await queued(sendings, a_row(1, text="在的"))
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


async def test_a_reply_that_is_sent_once_and_never_left_is_due_again_in_its_own_chat_alone(
    sendings: Outbox, database: Database
) -> None:
    had = [("shop", "c"), ("shop", "d"), ("other", "c")]
    rows = [{"account_id": account, "chat_id": chat, "at_ms": 1} for account, chat in had]
    await database.write(lambda connection: connection.execute(insert(once_replies), rows).rowcount)
    await sendings.take_back("shop", [await queued(sendings, a_row(1))], "connection_lost", once_in="c")
    query = select(once_replies.c.account_id, once_replies.c.chat_id)
    left = await database.read(lambda connection: connection.execute(query).all())
    assert {tuple(row) for row in left} == {("shop", "d"), ("other", "c")}


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


async def test_f1_a_letter_that_two_servers_store_at_once_is_stored_once(
    sendings: Outbox, database: Database, place: Place
) -> None:
    if database.is_sqlite:
        pytest.skip("a file has one server")
    another = Outbox(await place.open_again(data_dir=place.data_dir / "second"))
    for round_ in range(5):
        letters = [a_row(10 * round_ + number, kind=OutboxKind.MANUAL, op_id=f"7:{round_}") for number in range(6)]
        stores = [sendings, another] * 3
        racing = await asyncio.gather(*(store.queue([letter]) for store, letter in zip(stores, letters, strict=True)))
        (stored,) = [queued.ids[0] for queued in racing if queued.ids]
        assert [queued.before.id for queued in racing if queued.before is not None] == [stored] * 5


async def test_f1_what_is_under_way_is_settled_behind_what_is_still_to_be_written(
    database: Database, sendings: Outbox
) -> None:
    goes_on = threading.Event()
    standing = asyncio.create_task(database.write(lambda _: goes_on.wait(60)))
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
