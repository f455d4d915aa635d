"""The owner's own word in a chat: what was not given to the socket by then does not leave."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from shoal.accounts.edits import all_rules
from shoal.errors import SendUnknown
from shoal.messages.decisions import Decision
from shoal.messages.logged_message import Direction, IncomingMessage
from shoal.messages.own_messages import ECHO_MS, OwnMessages, Unrecognised
from shoal.rules.rule_lists import Wanted
from shoal.xianyu.socket_errors import GateClosed
from support.site.standins import ANN, until
from support.site.without_sockets import CHAT, ME, SEND, OneShop

OWNERS = "我来处理"


def own(chat: str = CHAT, message_id: str = "o1", at_ms: int = 1) -> IncomingMessage:
    return IncomingMessage(
        message_id=message_id, chat_id=chat, sender_id=ME, direction=Direction.OUT, text=OWNERS, created_at_ms=at_ms
    )


def also(monkeypatch: pytest.MonkeyPatch, on: Any, name: str, act: Callable[[], object]) -> None:
    """Let ``act`` happen once, right after the next call of a method has done its work."""
    real: Callable[..., Awaitable[Any]] = getattr(on, name)

    async def called(*values: Any, **named: Any) -> Any:
        result = await real(*values, **named)
        monkeypatch.setattr(on, name, real)
        act()
        return result

    monkeypatch.setattr(on, name, called)


async def test_g4_a_word_that_comes_while_the_answer_is_stored_holds_it_back(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The frame is read after the transaction that asked whether the owner wrote, and before the answer is given."""
    await shop.add(keywords={"在吗": "在的"}, pause_duration=0)
    also(monkeypatch, shop.log.outbox, "queue", lambda: shop.site.says(OWNERS, by=ME))
    question = shop.site.says("在吗")
    await shop.decided(question, Decision.HUMAN_ANSWERED)
    (sending,) = await shop.sendings("dropped")
    assert (shop.site.said, sending.reason) == ([], "human_answered")
    shop.site.says("在吗")  # the next one is answered as usual
    await shop.sendings("dropped", "sent")
    assert shop.site.said == ["在的"]


async def test_g4_a_word_whose_storing_takes_long_holds_the_answer_back(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.reopen(reply_debounce_seconds=0.1)
    await shop.add(keywords={"在吗": "在的"}, pause_duration=0)
    go_on, store = asyncio.Event(), shop.log.store_incoming

    async def stored(account_id: str, incoming: Sequence[IncomingMessage], **named: Any) -> set[str]:
        if any(message.direction is Direction.OUT for message in incoming):
            await go_on.wait()
        return await store(account_id, incoming, **named)

    monkeypatch.setattr(shop.log, "store_incoming", stored)
    question = shop.site.says("在吗")
    await until(lambda: shop.site.acknowledged() > 0)
    shop.site.says(OWNERS, by=ME)
    await asyncio.sleep(0.5)  # by now it would have left
    assert shop.site.said == []
    go_on.set()
    await shop.decided(question, Decision.HUMAN_ANSWERED)
    assert shop.site.said == []


async def test_g4_a_word_between_two_parts_holds_the_second_back(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.add(pause_duration=0)
    await two_parts(shop)
    also(monkeypatch, shop.log.outbox, "begin", lambda: shop.site.says(OWNERS, by=ME))
    await shop.decided(shop.site.says("在吗"), Decision.ANSWERED)
    first, second = await shop.sendings("sent", "dropped")
    assert (shop.site.said, second.reason) == (["在的"], "human_answered")
    assert first.row.text == "在的"


async def two_parts(shop: OneShop) -> None:
    rule = {"words": ["在吗"], "parts": [{"text": "在的"}, {"text": "请说"}]}
    await shop.manager.update_rules("shop", all_rules([Wanted(rule, "r")]), caller=ANN)


async def test_g4_the_echo_of_our_own_answer_holds_nothing_back(shop: OneShop) -> None:
    await shop.add(pause_duration=0)
    await two_parts(shop)

    def echo(path: str) -> None:
        if path == SEND:
            shop.site.says(shop.site.said[-1], by=ME)  # before the site's answer

    shop.site.before_answer = echo
    await shop.decided(shop.site.says("在吗"), Decision.ANSWERED)
    await shop.sendings("sent", "sent")
    assert shop.site.said == ["在的", "请说"]


async def test_g4_an_echo_that_only_the_outbox_knows_delays_the_answer(
    shop: OneShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last connection sent it; this one takes it for the owner's word until the outbox was asked."""
    await shop.reopen(send_timeout_seconds=0.2)
    await shop.add(keywords={"在吗": "在的", "多少钱": "五元"}, pause_duration=0)
    shop.site.silent = [SEND] * 9
    shop.site.says("在吗")
    await shop.sendings("uncertain")
    monkeypatch.setattr("shoal.messages.sender.MOST_RESENDS", 0)
    await shop.reopen()
    await shop.running()
    shop.site.silent.clear()
    before = len(shop.site.said)
    also(monkeypatch, shop.log.outbox, "queue", lambda: shop.site.says("在的", by=ME))
    await shop.decided(shop.site.says("多少钱"), Decision.ANSWERED)
    await shop.sendings("sent", "sent")
    assert shop.site.said[before:] == ["五元"]


# ── what holds a reply back, by itself ──────────────────────────────────────────────────────────────────────────────


def test_g4_one_sending_explains_one_own_message() -> None:
    messages = OwnMessages()
    with messages.expecting(CHAT, "在的"):
        messages.arrived(CHAT, "1", "在的", 1)
        messages.check(CHAT, 0, 0)
        messages.arrived(CHAT, "2", "在的", 1)
        with pytest.raises(Unrecognised):
            messages.check(CHAT, 0, 0)
    messages.check("another", 0, 0)


@pytest.mark.parametrize("failure", [GateClosed("closed"), SendUnknown("u1")])
def test_g4_what_certainly_was_not_sent_explains_nothing(failure: Exception) -> None:
    messages = OwnMessages()
    with pytest.raises(type(failure)), messages.expecting(CHAT, "在的"):
        raise failure
    messages.arrived(CHAT, "1", "在的", 1)
    assert messages.is_open(CHAT) is isinstance(failure, GateClosed)


def test_g4_what_was_sent_long_ago_explains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    monkeypatch.setattr("shoal.messages.own_messages.steady_ms", lambda: now[0])
    messages = OwnMessages()
    with messages.expecting(CHAT, "在的"):
        pass
    now[0] += ECHO_MS + 1
    messages.arrived(CHAT, "1", "在的", 1)
    assert messages.is_open(CHAT)


def test_g4_the_owners_word_holds_back_what_was_begun_before_it_and_asked_before_it() -> None:
    messages = OwnMessages()
    begun = messages.place
    messages.arrived(CHAT, "o1", OWNERS, 5)
    messages.recognised(own(at_ms=5), by_owner=True)
    with pytest.raises(GateClosed, match="the owner has written"):
        messages.check(CHAT, begun, 5)
    messages.check(CHAT, begun, 6)  # asked after the word
    messages.check(CHAT, messages.place, 0)  # begun after it
    messages.check("another", begun, 0)


def test_g4_a_message_that_was_known_is_passed_over_unless_it_is_being_checked() -> None:
    messages = OwnMessages()
    for name in ("o1", "o2"):
        messages.arrived(CHAT, name, OWNERS, 1)
    messages.taken("o1")
    messages.passed_over(["o1", "o2"])
    assert messages.is_open(CHAT)
    messages.recognised(own(), by_owner=False)
    assert not messages.is_open(CHAT)
