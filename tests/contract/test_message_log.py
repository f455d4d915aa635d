"""Messages and their decisions on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import select

from contract.message_steps import a_message, a_row, ours, queued, the_message
from shoal.accounts.events import MessageEvent
from shoal.errors import NotApplied
from shoal.messages.chat_status import ChatFilter
from shoal.messages.chats import Chats
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, MessageLog
from shoal.messages.outbox import Outbox
from shoal.messages.outbox_rows import SendOutcome
from shoal.messages.send_guards import HOUR_MS
from shoal.messages.takeovers import TakeoverReason, Takeovers
from shoal.storage.database import Database
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import chat_subject
from shoal.storage.notice_tables import incidents
from support.databases.asked_statements import asked, plans
from support.databases.store_steps import Clock


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


async def test_what_comes_again_after_a_restart_is_known(log: MessageLog, database: Database, clock: Clock) -> None:
    await log.store_incoming("shop", [a_message(1)])
    restarted = MessageLog(database, now_ms=clock, publish=lambda _: None)
    assert await restarted.store_incoming("shop", [a_message(1), a_message(2)]) == {"m2"}


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
    assert {talk.facts["chat"] for talk in told if talk.kind == "message"} == {"c"}
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


async def test_a_question_waits_when_no_automatic_answer_is_coming(
    database: Database, log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    chats = Chats(database)
    for_a_person = {
        Decision.NO_RULE, Decision.BUYER_LIMIT, Decision.PAUSED, Decision.TOO_OLD, Decision.DISABLED,
        Decision.REPLIES_OFF, Decision.COOLDOWN, Decision.NOTHING_SAID, Decision.SHOP_LIMIT, Decision.SAID_ONCE,
    }  # fmt: skip
    for_nobody = {Decision.SILENT_RULE, Decision.SITE_TIP, Decision.OFFICIAL, Decision.GROUP_CHAT}

    async def waiting() -> set[str]:
        found = await chats.list_chats(["shop"], now_ms=clock.now)
        asked = await chats.list_chats(["shop"], now_ms=clock.now, only=ChatFilter(waiting=True))
        assert [chat for chat in found if chat.waits] == asked
        assert len(await chats.list_chats(["shop"], now_ms=clock.now, only=ChatFilter(waiting=False))) == len(
            found
        ) - len(asked)
        return {chat.chat_id for chat in asked}

    for number, decision in enumerate(sorted(for_a_person | for_nobody), 1):
        before, last = a_message(number, chat_id=decision), a_message(100 + number, chat_id=decision)
        await log.store_incoming("shop", [before, last])
        await log.decide("shop", [before.message_id], Decision.NO_RULE)
        await log.decide("shop", [last.message_id], decision)
    await log.store_incoming("shop", [a_message(201, chat_id="undecided"), a_message(202, chat_id="answered")])
    answer = a_row(1, chat_id="answered", message_id="m202")
    (row,) = (await sendings.queue([answer], answers=["m202"])).ids
    await log.decide("shop", ["m202"], Decision.ANSWERED)
    assert await waiting() == set(for_a_person)
    await sendings.settle(row, SendOutcome.REFUSED)
    clock.now += 121_000
    assert await waiting() == {*for_a_person, "answered", "undecided"}, "no answer arrived, and nothing seems to decide"
    spoken = replace(ours("s1", 300), chat_id=Decision.NO_RULE)
    await log.store_incoming("shop", [spoken])
    await log.mark_human("shop", spoken, pause_minutes=0)
    assert Decision.NO_RULE not in await waiting()


async def test_emojis_alone_ask_nothing_and_hide_no_question(
    database: Database, log: MessageLog, sendings: Outbox, clock: Clock
) -> None:
    said = {
        "thanks": ["[旺柴][比心] \u2764\ufe0f"],
        "asked before": ["在吗", "😂👍"],
        "words beside": ["[旺柴]在吗"],
        "a sign": ["?"],
        "not sent": ["在吗", "[旺柴]"],
        "spoken since": ["在吗"],
        "a picture": ["[图片]"],
        "an emoji that asks": ["\u2753"],
    }
    number = 0
    for chat, texts in said.items():
        burst = [a_message(number := number + 1, text, chat_id=chat) for text in texts]
        if chat == "a picture":
            burst = [replace(one, content_type="2") for one in burst]
        await log.store_incoming("shop", burst)
        decision = Decision.ANSWERED if chat == "not sent" else Decision.NO_RULE
        await log.decide("shop", [one.message_id for one in burst], decision)
    (row,) = (await sendings.queue([a_row(1, chat_id="not sent", message_id="m7")])).ids
    await sendings.settle(row, SendOutcome.REFUSED)
    spoken = replace(ours("s1", 100), chat_id="spoken since")
    await log.store_incoming("shop", [spoken])
    await log.mark_human("shop", spoken, pause_minutes=0)
    await log.store_incoming("shop", [a_message(101, "[旺柴]", chat_id="spoken since")])
    await log.decide("shop", ["m101"], Decision.NO_RULE)
    waiting = await Chats(database).list_chats(["shop"], now_ms=clock.now, only=ChatFilter(waiting=True))
    assert {chat.chat_id for chat in waiting} == said.keys() - {"thanks", "spoken since"}
    kinds = select(incidents.c.subject).where(incidents.c.kind == IncidentKind.BUYER_WAITS.value)
    told = await database.read(lambda connection: set(connection.scalars(kinds)))
    assert told == {chat_subject("shop", chat) for chat in said if chat not in {"thanks", "not sent"}}


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
    assert await chats.list_chats(["shop"], now_ms=clock.now, only=ChatFilter(paused=True)) == [second]
    assert await chats.list_chats(["shop"], now_ms=clock.now, only=ChatFilter(paused=False)) == [first]
    (sought,) = await chats.list_chats(["shop"], now_ms=clock.now, query="尺码")
    assert sought == replace(first, found_text="尺码?"), "also where something else was said since"
    assert await chats.list_chats(["shop"], now_ms=clock.now, query="%") == []
    await log.decide("shop", ["m20"], Decision.PAUSED)
    second = replace(second, waits=True)
    assert await chats.list_chats(["shop"], now_ms=clock.now, only=ChatFilter(waiting=True)) == [second]
    assert await chats.list_chats(["shop"], now_ms=clock.now, only=ChatFilter(waiting=False)) == [first]
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


async def test_an_own_message_is_looked_up_among_what_was_sent_by_an_index_of_its_own(
    database: Database, log: MessageLog
) -> None:
    with asked() as statements:
        await log.store_incoming("shop", [ours("s1", 1, "在的"), ours("s2", 2, "在的")])
        await log.store_incoming("shop", [a_message(3)])
    looked = [one for one in statements if "FROM outbox" in one[0]]
    assert len(looked) == 2, "of several messages, and of none of a buyer"
    if database.is_sqlite:
        found = await plans(database, looked)
        assert ["ix_outbox_digest" in found[0], "ix_outbox_site_message" in found[1]] == [True, True], found
