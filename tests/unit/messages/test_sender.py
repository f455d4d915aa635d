"""What leaves over one connection, and what becomes of it. The site is a stand-in that needs no socket."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from shoal.errors import TemporaryFailure
from shoal.messages import sender as sender_module
from shoal.messages.decisions import Decision
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, Sending, SendOutcome
from shoal.messages.sender import OutgoingMessage, Reply
from shoal.rules.rule import Part
from support.site.standins import ANN, until
from support.site.without_sockets import BUYER, CHAT, SEND, OneShop

LETTER = OutgoingMessage(chat_id=CHAT, buyer_id=BUYER, text="你好")
TWO = Reply(chat_id=CHAT, buyer_id=BUYER, parts=(Part(text="一"), Part(text="二")), answers=["m1"], rule_id="r")


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sender_module, "ECHO_GRACE_SECONDS", 0.01)


async def test_a_letter_is_stored_before_it_leaves_and_settled_by_the_answer(shop: OneShop) -> None:
    await shop.add()
    sent = await shop.sender.send(LETTER)
    (sending,) = await shop.sendings("sent")
    assert (sent.outcome, sent.message_id) == (SendOutcome.SENT, sending.site_message_id)
    assert shop.site.said_as == [("你好", sending.row.uuid)]


async def test_the_parts_of_an_answer_leave_in_their_order(shop: OneShop) -> None:
    await shop.add()
    await shop.sender.answer(TWO, lambda _: None)
    await shop.sendings("sent", "sent")
    assert shop.site.said == ["一", "二"]


async def test_an_answer_that_begins_while_the_last_connections_rest_is_read_is_no_part_of_it(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, unfinished = asyncio.Event(), Outbox.unfinished

    async def late(*values: Any) -> list[Sending]:
        await until(lambda: bool(shop.site.held))
        found = await unfinished(*values)
        read.set()
        return found

    monkeypatch.setattr(Outbox, "unfinished", late)
    shop.site.held = []
    await shop.add()
    answering = asyncio.create_task(shop.sender.answer(TWO, lambda _: None))
    await read.wait()
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name().startswith("outbox:")])
    assert shop.site.said == ["一"]
    shop.site.release()
    await answering
    await shop.sendings("sent", "sent")
    assert shop.site.said == ["一", "二"]


async def test_a_part_that_another_connection_has_begun_is_left_to_it(shop: OneShop) -> None:
    await shop.add()
    shop.site.held = []
    three = replace(TWO, parts=(*TWO.parts, Part(text="三")))
    answering = asyncio.create_task(shop.sender.answer(three, lambda _: None))
    await until(lambda: bool(shop.site.held))
    _, second, _ = await shop.sendings("sending", "waiting", "waiting")
    assert await shop.log.outbox.begin(second)
    shop.site.release()
    assert (await answering).outcome is SendOutcome.SENDING
    await shop.sendings("sent", "sending", "waiting")
    assert shop.site.said == ["一"]


@pytest.mark.parametrize("said", [0, 1])
async def test_replies_switched_off_after_a_part_was_stored_let_it_not_leave(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch, said: int
) -> None:
    await shop.add()
    text_of, asked = Outbox.text_of, 0

    async def late(store: Outbox, row: OutboxRow) -> str:
        nonlocal asked
        if asked == said:
            await shop.manager.update_settings("shop", {"replies": False}, caller=ANN)
        asked += 1
        return await text_of(store, row)

    monkeypatch.setattr(Outbox, "text_of", late)
    sent = await shop.sender.answer(TWO, lambda _: None)
    assert (sent.outcome, sent.reason) == (SendOutcome.DROPPED, Decision.REPLIES_OFF)
    assert shop.site.said == ["一", "二"][:said]
    rows = await shop.sendings(*["sent"] * said, *["dropped"] * (2 - said))
    assert {row.reason for row in rows if row.outcome is SendOutcome.DROPPED} == {Decision.REPLIES_OFF.value}
    assert (await shop.sender.send(LETTER)).outcome is SendOutcome.SENT, "a person may write"


async def test_a_refused_part_ends_the_answer(shop: OneShop) -> None:
    await shop.add()
    shop.site.refusal = {"reason": "FORBID", "code": 403}
    sent = await shop.sender.answer(TWO, lambda _: None)
    assert (sent.outcome, sent.reason) == (SendOutcome.REFUSED, "FORBID")
    _, dropped = await shop.sendings("refused", "dropped")
    assert dropped.reason == "earlier_part_refused"
    assert shop.site.said == ["一"]


@pytest.mark.slow
async def test_an_unanswered_letter_is_sent_again_once_with_its_uuid(shop: OneShop) -> None:
    await shop.reopen(send_timeout_seconds=1.5)  # its second sending is answered in time
    await shop.add()
    shop.site.silent = [SEND]
    sent = await shop.sender.send(LETTER)
    assert (sent.outcome, sent.reason) == (SendOutcome.SENT, "sent_again")
    (sending,) = await shop.sendings("sent")
    assert shop.site.said_as == [("你好", sending.row.uuid)] * 2


async def test_an_unanswered_message_of_an_order_is_left_uncertain(shop: OneShop) -> None:
    await shop.reopen(send_timeout_seconds=0.5)
    await shop.add()
    shop.site.silent = [SEND]
    letter = OutgoingMessage(chat_id=CHAT, buyer_id=BUYER, text="货", kind=OutboxKind.PAID, order_id="4" * 19)
    assert (await shop.sender.send(letter)).outcome is SendOutcome.UNCERTAIN
    assert shop.site.said == ["货"]


async def test_a_request_that_comes_again_sends_nothing_again(shop: OneShop) -> None:
    await shop.add()
    letter = OutgoingMessage(chat_id=CHAT, buyer_id=BUYER, text="你好", op_id="op-1")
    first, again = await shop.sender.send(letter), await shop.sender.send(letter)
    assert first == again
    assert shop.site.said == ["你好"]


async def test_a_letter_that_finds_its_connection_ended_is_taken_back(shop: OneShop) -> None:
    await shop.add()
    sender = shop.sender
    await shop.manager.update_cookie_status("shop", False, caller=ANN)
    with pytest.raises(TemporaryFailure):
        await sender.send(LETTER)
    (sending,) = await shop.sendings("dropped")
    assert sending.reason == "connection_lost"
    assert shop.site.said == []


async def test_the_next_message_of_a_chat_waits_for_the_answer_to_the_one_before(shop: OneShop) -> None:
    await shop.add()
    shop.site.held = []
    letters = [OutgoingMessage(chat_id=CHAT, buyer_id=BUYER, text=str(number)) for number in range(3)]
    sending = asyncio.gather(*(shop.sender.send(letter) for letter in letters))
    await until(lambda: bool(shop.site.held))
    elsewhere = OutgoingMessage(chat_id="52", buyer_id=BUYER, text="elsewhere")
    other = asyncio.create_task(shop.sender.send(elsewhere))
    await until(lambda: len(shop.site.held or ()) == 2)
    assert shop.site.said == ["0", "elsewhere"]
    shop.site.release()
    await sending
    await other
    assert shop.site.said == ["0", "elsewhere", "1", "2"]
