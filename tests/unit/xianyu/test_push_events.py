"""Pushes become events: messages, cards, marks; unknown ones are named without their content."""

import base64
import dataclasses
import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.xianyu import push_events
from shoal.xianyu.packets import read_event
from shoal.xianyu.speakers import Speaker
from shoal.xianyu.trade_texts import is_system_text
from shoal.xianyu.wire_bytes import decode_entry
from support.site.packed_pushes import encode_entry
from support.site.push_samples import (
    AT,
    BUYER,
    CHAT,
    KEYS,
    ME,
    NEW_MESSAGE,
    ORDER_MARK,
    PAID,
    READ_RECEIPT,
    TEXT,
    TYPING,
    VALUES,
    card,
    card_payload,
    chat_payload,
    update_payload,
)


def message(payload: dict[str, object]) -> push_events.ChatMessage:
    event = read_event(decode_entry(encode_entry(payload)), ME)
    assert isinstance(event, push_events.ChatMessage)
    return event


@given(st.dictionaries(KEYS, VALUES, max_size=6))
def test_reading_never_raises_and_ids_are_text(payload: dict[str, object]) -> None:
    event = read_event(payload, ME)
    for name, value in dataclasses.asdict(event).items():
        if name.endswith("_id"):
            assert value is None or isinstance(value, str)


@given(VALUES)
def test_values_in_a_chat_may_have_any_type(value: object) -> None:
    payload = chat_payload("x")
    inner = cast("dict[str, object]", payload["1"])
    for key in ("1", "2", "3", "5", "6"):
        read_event({**payload, "1": {**inner, key: value}}, ME)
    extension = cast("dict[str, object]", inner["10"])
    for key in extension:
        read_event({**payload, "1": {**inner, "10": {**extension, key: value}}}, ME)


def test_a_captured_text_message_is_read() -> None:
    assert read_event(decode_entry(TEXT), ME) == push_events.ChatMessage(
        chat_id=CHAT,
        message_id="3500000000001.PNM",
        sender_id=BUYER,
        sender_name="买家小鱼",
        text="在吗",
        content_type=1,
        item_id="800000000001",
        created_at_ms=AT,
        speaker=Speaker.PERSON,
    )


def test_the_echo_of_an_own_message_is_own() -> None:
    echo = read_event(decode_entry(TEXT), BUYER)
    assert isinstance(echo, push_events.ChatMessage)
    assert echo.speaker is Speaker.OWN


def test_a_message_without_id_takes_the_inner_one_and_none_is_invented() -> None:
    assert message(chat_payload("hi", message_id=None)).message_id == "a1" * 16
    bare = message({"1": {"2": f"{CHAT}@goofish", "10": {"reminderContent": "hi"}}})
    assert (bare.message_id, bare.item_id, bare.created_at_ms, bare.sender_id) == ("", None, 0, "")


def test_no_item_is_invented() -> None:
    assert message(chat_payload("hi", url="fleamarket://message_chat?sid=1")).item_id is None


@pytest.mark.parametrize("phrase", ["[我已付款，等待你发货]", "[记得及时发货]", "我已付款，等待你发货"])
def test_a_trigger_that_somebody_typed_is_only_a_message(phrase: str) -> None:
    typed = message(chat_payload(phrase))
    assert typed.text == phrase
    assert isinstance(message(chat_payload(phrase, content=PAID)), push_events.ChatMessage)


def test_system_texts_are_the_sites_and_need_push_tells_nothing() -> None:
    assert message(chat_payload("发来一条消息")).speaker is Speaker.SITE
    assert message(chat_payload("hi", need_push="false")).speaker is Speaker.PERSON
    assert message(chat_payload("hi", ext_json={"msgArg1": "MsgTips"})).speaker is Speaker.TIP
    assert message(chat_payload("hi", ext_json={"msgArg1": "MsgCard"})).speaker is Speaker.CARD
    assert message(chat_payload("tip", content_type=14, content={"contentType": 14})).speaker is Speaker.TIP
    assert message(chat_payload("你好")).speaker is Speaker.PERSON
    assert is_system_text("[不想宝贝被砍价?设置不砍价回复]")
    assert is_system_text(" 快给ta一个评价吧~ ")
    assert not is_system_text("你已发货了吗")


def test_pictures_are_read() -> None:
    content = {"contentType": 2, "image": {"pics": [{"url": "https://img.example/x.jpg", "width": 8, "height": 6}, 5]}}
    picture = message(chat_payload("[图片]", content_type=2, content=content))
    assert picture.images == (push_events.ChatImage("https://img.example/x.jpg", 8, 6),)
    assert picture.text == "[图片]"


@pytest.mark.parametrize(
    ("sample", "event"),
    [
        (ORDER_MARK, push_events.OrderMark(CHAT, "等待卖家发货", AT)),
        (NEW_MESSAGE, push_events.NewMessageMark(CHAT, "3500000000001.PNM", AT)),
        (READ_RECEIPT, push_events.ReadReceipt(CHAT, ("3500000000001.PNM",), AT)),
        (TYPING, push_events.Typing(CHAT, BUYER)),
    ],
)
def test_captured_marks_are_read(sample: str, event: push_events.Event) -> None:
    assert read_event(decode_entry(sample), ME) == event


def operation(content: dict[str, object]) -> dict[str, object]:
    return {
        "chatType": 1,
        "sessionId": CHAT,
        "operation": {
            "content": content,
            "senderInfo": {"senderUserId": BUYER},
            "sessionInfo": {"sessionId": CHAT, "sessionType": 1, "extensions": {"itemId": "800000000001"}},
        },
    }


def test_plain_pushes_are_read() -> None:
    arouse = read_event(operation({"contentType": 8, "sessionArouse": {}}), ME)
    assert arouse == push_events.SessionArouse(CHAT, item_id="800000000001")
    plain = read_event(operation({"contentType": 1, "text": {"text": "还在吗"}}), ME)
    inner = base64.b64encode(json.dumps({"contentType": 1, "text": {"text": "还在吗"}}).encode()).decode()
    assert read_event(operation({"contentType": 101, "custom": {"data": inner}}), ME) == plain
    assert isinstance(plain, push_events.ChatMessage)
    assert (plain.text, plain.chat_id, plain.sender_id, plain.item_id) == ("还在吗", CHAT, BUYER, "800000000001")


@pytest.mark.parametrize("payload", [{}, {"1": 5}, {"1": "x"}, {"1": []}, {"1": {}}, {"operation": {}}, [], "x", None])
def test_unknown_shapes_are_named_without_their_content(payload: object) -> None:
    assert isinstance(read_event(payload, ME), push_events.UnknownEvent)


@pytest.mark.parametrize(
    "long", ["1" * 500_000, "a:" * 250_000, '"id" ' * 100_000, "orderId" * 70_000, "?itemId" * 70_000]
)
@pytest.mark.timeout(60)  # hours, were it not linear
def test_long_texts_are_searched_in_linear_time(long: str) -> None:
    read_event(update_payload(contentType="26", updateKey=long), ME)
    read_event(card_payload(long, card(long, button=long, target=long)), ME)
    read_event(chat_payload(long, url=long), ME)
    is_system_text(long)


def test_a_plain_json_push_of_another_name_is_not_expected() -> None:
    assert read_event({"bizType": "IDLE_SPACE_PRICING", "x": 1}, ME) == push_events.UnknownEvent(
        "keys bizType,x", is_expected=True
    )
    assert read_event({"bizType": "IDLE_NEW_MESSAGE", "x": 1}, ME) == push_events.UnknownEvent("keys bizType,x")
