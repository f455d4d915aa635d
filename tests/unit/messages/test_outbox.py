"""The outbox's transactions: what is decided, stored and counted in one step, and what may change later."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from shoal.messages.decisions import Decision, first_once, hits_of
from shoal.messages.message_log import IncomingMessage
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from support.site.without_sockets import BUYER, CHAT, OneShop

ROW = OutboxRow(account_id="shop", chat_id=CHAT, uuid="u1", buyer_id=BUYER, message_id="m1", rule_id="r", text="在的")
LATER = replace(ROW, uuid="u2", part=1, text="二")


@pytest.fixture
async def outbox(shop: OneShop) -> Outbox:
    """The outbox of a shop that has stored one question and is off: a running one would decide about it."""
    await shop.add()
    await shop.stop()
    asked = IncomingMessage(message_id="m1", chat_id=CHAT, sender_id=BUYER, text="在吗", created_at_ms=1)
    await shop.log.store_incoming("shop", [asked])
    return shop.log.outbox


async def hits(shop: OneShop) -> int:
    """How often the rule has fired."""
    found = await hits_of(shop.database, "shop")
    return found["r"].count if "r" in found else 0


async def test_an_answer_is_queued_with_its_decision_and_its_hit(shop: OneShop, outbox: Outbox) -> None:
    queued = await outbox.queue([ROW, LATER], answers=["m1"])
    assert [sending.outcome for sending in queued.sendings] == [SendOutcome.SENDING, SendOutcome.WAITING]
    assert [sending.row for sending in queued.sendings] == [ROW, LATER]
    assert (await shop.decided("m1", Decision.ANSWERED)).rule_id == "r"
    assert await hits(shop) == 1


async def test_a_guard_stores_the_reason_and_no_row(shop: OneShop, outbox: Outbox) -> None:
    queued = await outbox.queue([ROW], answers=["m1"], guard=lambda _: Decision.COOLDOWN)
    assert (queued.decision, queued.sendings) == (Decision.COOLDOWN, ())
    await shop.decided("m1", Decision.COOLDOWN)
    assert await outbox.list_sendings(["shop"]) == []
    assert await hits(shop) == 0


async def test_what_is_decided_is_not_answered_a_second_time(shop: OneShop, outbox: Outbox) -> None:
    await outbox.queue([ROW], answers=["m1"])
    again = await outbox.queue([replace(ROW, uuid="u9")], answers=["m1"])
    assert (again.decided, again.ids) == (frozenset({"m1"}), [])
    assert len(await outbox.list_sendings(["shop"])) == 1
    assert await hits(shop) == 1


async def test_taking_back_takes_back_all_that_the_answer_wrote(shop: OneShop, outbox: Outbox) -> None:
    def once(connection: Connection) -> Decision | None:
        return None if first_once(connection, "shop", CHAT, 1) else Decision.SAID_ONCE

    queued = await outbox.queue([ROW, LATER], answers=["m1"], guard=once)
    assert await outbox.take_back("shop", queued.ids, "connection_lost", answers=["m1"], once_in=CHAT)
    await shop.decided("m1", Decision.PENDING)
    assert {sending.outcome for sending in await outbox.list_sendings(["shop"])} == {SendOutcome.DROPPED}
    assert await hits(shop) == 0
    assert await shop.database.write(lambda connection: first_once(connection, "shop", CHAT, 2))


async def test_what_was_settled_is_neither_settled_nor_taken_back_again(shop: OneShop, outbox: Outbox) -> None:
    queued = await outbox.queue([ROW], answers=["m1"])
    assert await outbox.settle(queued.ids[0], SendOutcome.SENT, "", "s1")
    assert not await outbox.settle(queued.ids[0], SendOutcome.REFUSED, "no")
    assert not await outbox.take_back("shop", queued.ids, "connection_lost", answers=["m1"])
    await shop.decided("m1", Decision.ANSWERED)


async def test_what_was_on_its_way_at_the_end_is_uncertain_and_its_echo_settles_it(outbox: Outbox) -> None:
    queued = await outbox.queue([ROW, LATER], answers=["m1"])
    assert [cut.id for cut in await outbox.interrupted("shop")] == queued.ids[:1]
    assert await outbox.claim_echo("shop", CHAT, "s7", "别的", "1") is None
    echoed = await outbox.claim_echo("shop", CHAT, "s7", "在的", "1")
    assert echoed is not None
    assert (echoed.outcome, echoed.site_message_id) == (SendOutcome.SENT, "s7")
    assert [sending.outcome for sending in await outbox.unfinished("shop", 0)] == [SendOutcome.WAITING]


async def test_an_uncertain_sending_is_begun_again_so_often_and_no_oftener(outbox: Outbox) -> None:
    (sending,) = (await outbox.queue([ROW], answers=["m1"])).sendings
    await outbox.interrupted("shop")
    begun = [await outbox.begin_again(sending, most_resends=2) for _ in range(3)]
    assert begun == [True, True, False]
