"""Hours, hand-off and output filter of a shop, by a real connection over a stand-in of the site."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from sqlalchemy import select

from shoal.assistant.asking import ProposalKind
from shoal.assistant.rail_facts import Rail
from shoal.errors import Conflict
from shoal.messages.decisions import Decision
from shoal.messages.manual_sending import Filtered, send_by_hand
from shoal.messages.outgoing import OutgoingMessage
from shoal.messages.replies import AnswerSource, Asked, choose, explain
from shoal.messages.takeovers import Takeovers
from shoal.storage.notice_tables import incidents
from support.messages.answer_ways import ALWAYS_CLOSED, FILTER, WAYS, account_by, said_by_model
from support.messages.filter_texts import named
from support.site.without_sockets import BUYER, CHAT, ME, OneShop


async def wishes(shop: OneShop) -> list[tuple[str, bool]]:
    query = select(incidents.c.subject, incidents.c.closed_at_ms).where(incidents.c.kind == "wants_person")
    rows = await shop.database.read(lambda connection: connection.execute(query).all())
    return [(row.subject, row.closed_at_ms is None) for row in rows]


async def pause_reasons(shop: OneShop) -> list[str]:
    return [pause.reason.value for pause in await Takeovers(shop.database).active(["shop"])]


async def test_a_new_shop_holds_back_contact_details_and_links_and_hands_off(shop: OneShop) -> None:
    await shop.add()
    account = shop.manager.account("shop")
    assert (account.filter_contacts, account.filter_links, account.price_floor_fen) == (True, True, None)
    assert account.handoff_words == "人工\n转人工"


async def test_a_filtered_answer_leaves_no_row_and_says_its_words(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "加我微信 13800138000"})
    found = await shop.decided(shop.site.says("在吗"), Decision.FILTERED)
    assert (found.filtered_words, found.sendings) == (("加我微", "13800138000"), ())
    await shop.set(filter_contacts=False)
    await shop.decided(shop.site.says("在吗"), Decision.ANSWERED)
    await shop.sendings("sent")


async def test_what_a_buyer_writes_does_not_come_back_through_a_template(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "您说：{send_message}"})
    await shop.decided(shop.site.says("在吗 加我V信"), Decision.FILTERED)
    assert shop.site.said == []


async def test_a_buyer_who_asks_for_a_person_is_left_to_the_owner_once(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的", "人工": "规则"}, handoff_reply="稍等，店主马上来")
    found = await shop.decided(shop.site.says("转人工"), Decision.HANDED_OFF)
    await shop.sendings("sent")
    assert (shop.site.said, found.rule_id) == (["稍等，店主马上来"], "handoff")
    assert (await wishes(shop), await pause_reasons(shop)) == ([(f"chat:shop/{CHAT}", True)], ["wants_person"])
    await shop.decided(shop.site.says("人工"), Decision.PAUSED)
    await shop.decided(shop.site.says("在吗"), Decision.PAUSED)
    await shop.reopen()
    await shop.running()
    await shop.decided(shop.site.says("转人工"), Decision.PAUSED)
    await shop.decided(shop.site.says("在吗", chat="52"), Decision.ANSWERED)
    await shop.sendings("sent", "sent")
    assert shop.site.said == ["稍等，店主马上来", "在的"]


@pytest.mark.parametrize("minutes", [0, 10])
async def test_the_owners_word_ends_the_hand_off(shop: OneShop, minutes: int) -> None:
    await shop.add(keywords={"在吗": "在的"}, pause_duration=minutes)
    await shop.decided(shop.site.says("人工"), Decision.HANDED_OFF)
    await shop.decided(shop.site.says("我来了", by=ME), Decision.HUMAN)
    assert await wishes(shop) == [(f"chat:shop/{CHAT}", False)]
    assert await pause_reasons(shop) == (["human"] if minutes else [])


async def test_a_hand_back_ends_the_hand_off_and_the_next_wish_is_another(shop: OneShop) -> None:
    await shop.add(handoff_reply="稍等")
    await shop.decided(shop.site.says("人工"), Decision.HANDED_OFF)
    assert await Takeovers(shop.database).hand_back("shop", CHAT, actor="user:ann")
    assert await wishes(shop) == [(f"chat:shop/{CHAT}", False)]
    await shop.decided(shop.site.says("人工"), Decision.HANDED_OFF)
    assert (await wishes(shop))[-1] == (f"chat:shop/{CHAT}", True)
    assert shop.site.said == ["稍等", "稍等"]


@pytest.mark.parametrize("sentence", ["", "加我微信"])
async def test_without_a_sentence_the_chat_is_handed_off_all_the_same(shop: OneShop, sentence: str) -> None:
    await shop.add(handoff_reply=sentence)
    found = await shop.decided(shop.site.says("人工"), Decision.HANDED_OFF)
    assert (bool(found.filtered_words), found.sendings, shop.site.said) == (bool(sentence), (), [])
    assert (await pause_reasons(shop), len(await wishes(shop))) == (["wants_person"], 1)


async def test_who_was_taken_over_already_is_not_handed_off(shop: OneShop) -> None:
    await shop.add()
    await Takeovers(shop.database).take_over("shop", CHAT, minutes=5, actor="user:ann")
    await shop.decided(shop.site.says("人工"), Decision.PAUSED)
    assert (await wishes(shop), shop.site.said) == ([], [])


async def test_a_closed_shop_says_its_away_word_once_in_each_chat_also_after_a_restart(shop: OneShop) -> None:
    await shop.add(keywords={"在吗": "在的"}, holidays=ALWAYS_CLOSED, away_reply="休息中，明天回复您")
    await shop.decided(shop.site.says("在吗"), Decision.CLOSED)
    await shop.sendings("sent")
    assert not (await shop.decided(shop.site.says("在吗"), Decision.CLOSED)).sendings
    await shop.reopen()
    await shop.running()
    assert not (await shop.decided(shop.site.says("在吗"), Decision.CLOSED)).sendings
    await shop.decided(shop.site.says("在吗", chat="52"), Decision.CLOSED)
    await shop.sendings("sent", "sent")
    assert shop.site.said == ["休息中，明天回复您"] * 2
    await shop.set(holidays="")
    await shop.decided(shop.site.says("在吗"), Decision.ANSWERED)


async def test_a_hand_off_comes_before_the_away_word(shop: OneShop) -> None:
    await shop.add(holidays=ALWAYS_CLOSED, away_reply="休息中", handoff_reply="稍等")
    await shop.decided(shop.site.says("人工"), Decision.HANDED_OFF)
    await shop.decided(shop.site.says("在吗"), Decision.PAUSED)
    assert shop.site.said == ["稍等"]


async def test_what_is_written_by_hand_is_refused_unless_its_writer_insists(shop: OneShop) -> None:
    await shop.add()
    account, seen = shop.manager.account("shop"), shop.manager.observation("shop")
    outgoing = OutgoingMessage(chat_id=CHAT, buyer_id=BUYER, text="加我微信", actor="user:ann")

    async def send(**more: Any) -> None:
        await send_by_hand(shop._live, shop.log.outbox, account, seen, outgoing, repeats=False, **more)

    with pytest.raises(Filtered) as refused:
        await send()
    assert isinstance(refused.value, Conflict)
    assert refused.value.params == {"words": "加我微"}
    assert await shop.log.outbox.list_sendings(["shop"]) == []
    await send(anyway=True)
    assert shop.site.said == ["加我微信"]


# ── every way out ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("way", WAYS)
async def test_made_up_texts_leave_by_no_way(way: AnswerSource) -> None:
    rng = Random(f"{way}")
    asked = Asked(text="在吗", chat_id="c", buyer_id="b", buyer_name="小鱼", item_id="1")
    for text in (named(rng) for _ in range(300)):
        account = account_by(way, text)
        choice, tried = await choose(account, asked), explain(account, asked)
        assert choice.words, (way, text)
        assert choice.answer is None or not choice.answer.parts, (way, text)
        assert tried.words == choice.words
        assert tried.decision is choice.decision


async def test_made_up_texts_leave_by_no_model_either() -> None:
    """Also when the owner's own words have them: what the filter names is never said."""
    rng = Random(8)
    for text in (named(rng) for _ in range(300)):
        proposal = await said_by_model(text)
        assert proposal.kind is ProposalKind.BLOCKED, text
        assert Rail.FILTER in [verdict.rail for verdict in proposal.verdicts if not verdict.passed], text
        assert proposal.text == ""


async def test_made_up_texts_are_not_sent_by_hand_either(shop: OneShop) -> None:
    await shop.add(**FILTER)
    rng = Random(7)
    account, seen = shop.manager.account("shop"), shop.manager.observation("shop")
    for text in (named(rng) for _ in range(200)):
        outgoing = OutgoingMessage(chat_id=CHAT, buyer_id=BUYER, text=text)
        with pytest.raises(Filtered):
            await send_by_hand(shop._live, shop.log.outbox, account, seen, outgoing, repeats=False)
    assert await shop.log.outbox.list_sendings(["shop"]) == []
