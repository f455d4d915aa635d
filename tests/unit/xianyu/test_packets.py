import base64
import dataclasses
import json
from typing import cast

import msgpack  # type: ignore[import-untyped]  # the package ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.xianyu import push_events
from shoal.xianyu.packets import read_event
from shoal.xianyu.speakers import Speaker
from shoal.xianyu.trade_texts import is_system_text
from shoal.xianyu.wire_bytes import UndecodableFrame, decode_entry, encode_entry, pack

ME = "2200000000002"
BUYER = "2200000000001"
CHAT = "51000000001"
ORDER = "4000000000000000001"
AT = 1750000000123

# Entries as the site pushes them; ids are invented.
TEXT = (
    "ggGLAYEBtTIyMDAwMDAwMDAwMDFAZ29vZmlzaAKzNTEwMDAwMDAwMDFAZ29vZmlzaAOxMzUwMDAwMDAwMDAwMS5QTk0EAAXPAAABl3Qg3HsGggFlA4UB"
    "oAKm5Zyo5ZCXA6AEAQXaADd7ImF0VXNlcnMiOltdLCJjb250ZW50VHlwZSI6MSwidGV4dCI6eyJ0ZXh0Ijoi5Zyo5ZCXIn19BwIIAQkACoupX3BsYXRm"
    "b3Jtp2FuZHJvaWSmYml6VGFn2gBBeyJzb3VyY2VJZCI6IlM6MSIsIm1lc3NhZ2VJZCI6ImExYjJjM2Q0YTFiMmMzZDRhMWIyYzNkNGExYjJjM2Q0In2s"
    "ZGV0YWlsTm90aWNlpuWcqOWQl6dleHRKc29u2gBLeyJxdWlja1JlcGx5IjoiMSIsIm1lc3NhZ2VJZCI6ImExYjJjM2Q0YTFiMmMzZDRhMWIyYzNkNGEx"
    "YjJjM2Q0IiwidGFnIjoidSJ9r3JlbWluZGVyQ29udGVudKblnKjlkJeucmVtaW5kZXJOb3RpY2W15Y+R5p2l5LiA5p2h5paw5raI5oGvrXJlbWluZGVy"
    "VGl0bGWs5Lmw5a625bCP6bG8q3JlbWluZGVyVXJs2gCbZmxlYW1hcmtldDovL21lc3NhZ2VfY2hhdD9pdGVtSWQ9ODAwMDAwMDAwMDAxJnBlZXJVc2Vy"
    "SWQ9MjIwMDAwMDAwMDAwMSZwZWVyVXNlck5pY2s9dCoqKjEmc2lkPTUxMDAwMDAwMDAxJm1lc3NhZ2VJZD1hMWIyYzNkNGExYjJjM2Q0YTFiMmMzZDRh"
    "MWIyYzNkNCZhZHY9bm+sc2VuZGVyVXNlcklkrTIyMDAwMDAwMDAwMDGuc2VuZGVyVXNlclR5cGWhMKtzZXNzaW9uVHlwZaExDAEDgahuZWVkUHVzaKR0"
    "cnVl"
)
ORDER_MARK = (
    "hAGzNTEwMDAwMDAwMDFAZ29vZmlzaAIBA4KrcmVkUmVtaW5kZXKy562J5b6F"
    "5Y2W5a625Y+R6LSnsHJlZFJlbWluZGVyU3R5bGWhMQTPAAABl3Qg3Hs="
)
NEW_MESSAGE = "hAGzNTEwMDAwMDAwMDFAZ29vZmlzaAIBA7EzNTAwMDAwMDAwMDAxLlBOTQTPAAABl3Qg3Hs="
READ_RECEIPT = "hQGRsTM1MDAwMDAwMDAwMDEuUE5NAgIDszUxMDAwMDAwMDAxQGdvb2Zpc2gEAQXPAAABl3Qg3Hs="
TYPING = "gQGRgwGzNTEwMDAwMDAwMDFAZ29vZmlzaAIBA7UyMjAwMDAwMDAwMDAxQGdvb2Zpc2g="


def chat_payload(text: str, **changes: object) -> dict[str, object]:
    content_type = changes.get("content_type", 1)
    content = changes.get("content", {"contentType": content_type, "text": {"text": text}})
    extension = {
        "bizTag": json.dumps({"messageId": "a1" * 16}),
        "extJson": json.dumps(changes.get("ext_json", {"messageId": "a1" * 16})),
        "reminderContent": text,
        "reminderTitle": "fan",
        "reminderUrl": changes.get(
            "url", f"fleamarket://message_chat?itemId=800000000001&peerUserId={BUYER}&sid={CHAT}"
        ),
        "senderUserId": changes.get("sender", BUYER),
    }
    return {
        "1": {
            "1": {"1": f"{BUYER}@goofish"},
            "2": f"{CHAT}@goofish",
            "3": changes.get("message_id", "3500000000001.PNM"),
            "5": changes.get("at", AT),
            "6": {"1": 101, "3": {"1": "", "2": text, "3": "", "4": content_type, "5": json.dumps(content)}},
            "10": extension,
        },
        "3": {"needPush": changes.get("need_push", "true")},
    }


def card(title: str, *, button: str = "", target: str = "", **more: object) -> dict[str, object]:
    main = {"exContent": {"button": {"text": "x", "targetUrl": button}, "title": title}, "targetUrl": target}
    return {"contentType": 26, "dxCard": {"item": {"main": main}}, **more}


def card_payload(reminder: str, content: dict[str, object], **changes: object) -> dict[str, object]:
    return chat_payload(reminder, content_type=26, content=content, **changes)


def trade_card(payload: dict[str, object]) -> push_events.TradeCard:
    event = read_event(decode_entry(encode_entry(payload)), ME)
    assert isinstance(event, push_events.TradeCard)
    return event


def message(payload: dict[str, object]) -> push_events.ChatMessage:
    event = read_event(decode_entry(encode_entry(payload)), ME)
    assert isinstance(event, push_events.ChatMessage)
    return event


PAID = card(
    "我已付款，等待你发货",
    button=f"fleamarket://ship?bizOrderId={ORDER}",
    target=f"fleamarket://order_detail?id={ORDER}&role=seller",
)


# ── decoding ──


@pytest.mark.parametrize("sample", [TEXT, ORDER_MARK, NEW_MESSAGE, READ_RECEIPT, TYPING])
def test_packing_a_decoded_sample_gives_its_bytes_again(sample: str) -> None:
    assert pack(decode_entry(sample)) == base64.b64decode(sample)
    assert encode_entry(decode_entry(sample)) == sample


def test_long_texts_are_packed_as_the_old_specification_has_them() -> None:
    assert pack({"a": "x" * 40})[:6] == b"\x81\xa1a\xda\x00\x28"


@pytest.mark.parametrize(
    "entry",
    [
        base64.b64encode(b'{"chatType": 1, "9": {"10": "x"}}').decode(),
        base64.urlsafe_b64encode(b'{"chatType": 1, "9": {"10": "x"}}').decode().rstrip("="),
        base64.b64encode(msgpack.packb({"chatType": 1, 9: {10: "x"}})).decode(),
        '{"chatType": 1, "9": {"10": "x"}}',
    ],
)
def test_three_forms_of_entry_decode_to_the_same_object(entry: str) -> None:
    assert decode_entry(entry) == {"chatType": 1, "9": {"10": "x"}}


def test_half_an_emoji_does_not_cost_the_message() -> None:
    assert decode_entry('{"a": "x\\ud83d"}') == {"a": "x\ufffd"}
    assert decode_entry('{"a\\u0000": "x\\u0000"}') == {"a\ufffd": "x\ufffd"}  # no database of ours takes a NUL
    assert decode_entry(base64.b64encode(b"\x81\xa1a\xa1\xff").decode()) == {"a": "\ufffd"}


def bomb(head: bytes, times: int) -> str:
    return base64.b64encode(head * times).decode()


@pytest.mark.parametrize(
    "entry",
    [
        None,
        5,
        b"gQ==",
        ["gQ=="],
        "",
        "====",
        "hello world!",
        "[1]",
        '"text"',
        "{",
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"a":' * 100 + "1" + "}" * 100,
        base64.b64encode(b"[" * 100_000).decode(),
        base64.b64encode(b'{"a":' * 100_000).decode(),
        base64.b64encode(b"\xc1").decode(),
        base64.b64encode(b"\x05").decode(),
        base64.b64encode(b"\x81\x90\x01").decode(),
        base64.b64encode(b"\x81\xc0\x01").decode(),
        base64.b64encode(b"\x81\xa1a\xd7\xff" + b"\xff" * 8).decode(),
        base64.b64encode(b"\x81\xa1a\x01rest").decode(),
        bomb(b"\x91", 500_000),
        bomb(b"\x81\xa1a", 300),
        bomb(b"\xdd\xff\xff\xff\xff", 1000),
        bomb(b"\xdc\xff\xff", 1000),
        bomb(b"\xdf\x7f\xff\xff\xff", 1000),
        bomb(b"\xc6\xff\xff\xff\xff", 1),
        "A" * (1024 * 1024 + 1),
        '{"a": ' + "9" * 5000 + "}",
    ],
)
def test_what_the_site_never_sends_is_undecodable(entry: object) -> None:
    with pytest.raises(UndecodableFrame):
        decode_entry(entry)


def test_extension_values_and_numbers_that_are_none_become_nothing() -> None:
    packed = base64.b64encode(msgpack.packb({"a": msgpack.ExtType(5, b"x"), "b": float("inf"), "c": 2.5})).decode()
    assert decode_entry(packed) == {"a": None, "b": None, "c": 2.5}


KEYS = st.sampled_from(["1", "2", "3", "4", "5", "6", "10", "operation", "content", "contentType", "custom", "data"])
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from([f"{CHAT}@goofish", "3500000000001.PNM", '{"contentType":26,"dxCard":{"item":[]}}', "[" * 3000]),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, st.text(max_size=4)), inner, max_size=5)
    ),
    max_leaves=30,
)


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.b64encode(raw).decode()), VALUES))
def test_decoding_raises_nothing_but_undecodable(entry: object) -> None:
    try:
        decoded = decode_entry(entry)
    except UndecodableFrame:
        return
    json.dumps(decoded).encode()
    read_event(decoded, ME)


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


# ── messages ──


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


# ── cards ──


def test_a_paid_card_carries_its_order() -> None:
    paid = trade_card(card_payload("[我已付款，等待你发货]", PAID))
    assert paid.paid
    assert not paid.group_price
    assert (paid.order_id, paid.buyer_id, paid.item_id) == (ORDER, BUYER, "800000000001")
    assert (paid.title, paid.content_type, paid.created_at_ms) == ("我已付款，等待你发货", 26, AT)


def test_an_unpaid_card_is_not_paid() -> None:
    content = card("我已拍下，待付款", target=f"fleamarket://order_detail?id={ORDER}&role=seller")
    assert not trade_card(card_payload("[我已拍下，待付款]", content)).paid


def test_a_paid_card_without_order_counts_for_nothing() -> None:
    found = trade_card(card_payload("[我已付款，等待你发货]", card("我已付款，等待你发货")))
    assert (found.order_id, found.paid) == (None, False)


def test_our_own_purchase_is_nothing_to_deliver() -> None:
    as_buyer = card("我已付款，等待你发货", target=f"fleamarket://order_detail?id={ORDER}&role=buyer")
    assert not trade_card(card_payload("[我已付款，等待你发货]", as_buyer)).paid
    no_role = card("我已付款，等待你发货", target=f"fleamarket://order_detail?id={ORDER}")
    assert not trade_card(card_payload("[我已付款，等待你发货]", no_role, sender=ME)).paid
    assert trade_card(card_payload("[记得及时发货]", PAID, sender=ME)).buyer_id == BUYER


def test_a_group_price_card_is_recognised_by_its_title() -> None:
    content = card("我已小刀，待刀成", target=f"fleamarket://order_detail?id={ORDER}&role=seller")
    found = trade_card(card_payload("[卡片消息]", content))
    assert (found.group_price, found.paid) == (True, False)


CHANGED = {
    "changeContent": {
        "dxCard": {"item": {"main": {"exContent": {"button": {"targetUrl": "x://y?orderId=3333333333"}}}}}
    }
}


@pytest.mark.parametrize(
    ("content", "order_id"),
    [
        (card("t", button="x://y?orderId=1111111111", target="x://order_detail?id=2222222222"), "1111111111"),
        (card("t", target="x://order_detail?id=2222222222", dynamicOperation=CHANGED), "2222222222"),
        (card("t", dynamicOperation=CHANGED, note="x?orderId=4444444444"), "3333333333"),
        (card("t", note='orderId:4444444444 "id":"5555555555"'), "4444444444"),
        (card("t", id="5555555555", note="bizOrderId=6666666666"), "6666666666"),
        (card("t", id="5555555555"), None),
        (card("t", note="bizOrderId=6666666666"), "6666666666"),
        (card("t", note="orderId=123"), None),
        (card("t", button="x://y?orderId=" + "1" * 33, target="x://order_detail?id=" + "2" * 400), None),
    ],
)
def test_the_order_id_is_looked_for_in_order(content: dict[str, object], order_id: str | None) -> None:
    assert trade_card(card_payload("[卡片消息]", content)).order_id == order_id


def update_payload(**ext_json: object) -> dict[str, object]:
    return {
        "1": "3500000000001.PNM",
        "2": f"{CHAT}@goofish",
        "4": {
            "reminderContent": "[我已付款，等待你发货]",
            "senderUserId": BUYER,
            "reminderTitle": "买家已付款",
            "reminderUrl": "fleamarket://message_chat?itemId=800000000001",
            "extJson": json.dumps(ext_json),
        },
        "5": AT,
    }


def test_a_card_update_says_that_an_order_is_paid_now() -> None:
    event = read_event(update_payload(contentType="26", updateKey=f"{CHAT}:{ORDER}:2_pay"), ME)
    assert isinstance(event, push_events.CardUpdate)
    assert (event.chat_id, event.message_id, event.order_id, event.paid) == (CHAT, "3500000000001.PNM", ORDER, True)
    assert (event.buyer_id, event.item_id, event.created_at_ms) == (BUYER, "800000000001", AT)


@pytest.mark.parametrize(
    "ext_json", [{}, {"contentType": "26"}, {"contentType": "1", "updateKey": f"{CHAT}:{ORDER}:x"}]
)
def test_a_card_update_without_proof_is_not_paid(ext_json: dict[str, object]) -> None:
    event = read_event(update_payload(**ext_json), ME)
    assert isinstance(event, push_events.CardUpdate)
    assert not event.paid


def updated(**extension: object) -> push_events.CardUpdate:
    payload = update_payload(contentType="26", updateKey=f"{CHAT}:{ORDER}:2_pay")
    payload["4"] = {**cast("dict[str, object]", payload["4"]), **extension}
    event = read_event(payload, ME)
    assert isinstance(event, push_events.CardUpdate)
    return event


def test_f4_a_card_that_an_act_of_our_own_caused_is_no_sale() -> None:
    """Whose act caused a card is all that tells, where it links to no role."""
    assert updated().is_sale
    assert [updated(senderUserId=ME).is_sale, updated(senderUserId=ME).paid] == [False, False]
    no_role = card("你已发货", target=f"fleamarket://order_detail?id={ORDER}")
    assert trade_card(card_payload("[你已发货]", no_role)).is_sale
    assert not trade_card(card_payload("[你已发货]", no_role, sender=ME)).is_sale


def test_f4_an_update_tells_a_group_price_by_its_words_and_not_by_a_name() -> None:
    """``reminderTitle`` is a headline or the buyer's name, which he chooses."""
    texts = {"reminderTitle": "我已小刀，待刀成", "reminderContent": "[卡片消息]"}
    assert not updated(**texts).group_price
    assert updated(**texts).is_sale
    assert updated(reminderContent="[我已小刀，待刀成]").group_price


# ── marks and the rest ──


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
    assert read_event(operation({"contentType": 8, "sessionArouse": {}}), ME) == push_events.SessionArouse(CHAT)
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
@pytest.mark.timeout(5)
def test_long_texts_are_searched_in_linear_time(long: str) -> None:
    read_event(update_payload(contentType="26", updateKey=long), ME)
    read_event(card_payload(long, card(long, button=long, target=long)), ME)
    read_event(chat_payload(long, url=long), ME)
    is_system_text(long)


@pytest.mark.parametrize("order_id", ["abc", "", "1" * 33, "12 34"])
def test_a_context_whose_order_is_no_number_is_not_read(order_id: str) -> None:
    told = {"orderId": order_id, "itemSellerId": ME, "extUserId": BUYER}
    event = read_event(decode_entry(encode_entry({"1": f"{CHAT}@goofish", "2": 1, "3": told, "4": AT})), ME)
    assert isinstance(event, push_events.UnknownEvent)


def test_a_role_in_the_words_of_a_text_card_tells_whose_order_it_is() -> None:
    content = {"contentType": 6, "textCard": {"content": f"order_detail?id={ORDER}&role=Buyer x?orderId={ORDER}"}}
    event = read_event(decode_entry(encode_entry(chat_payload("x", content_type=6, content=content))), ME)
    assert isinstance(event, push_events.TradeCard)
    assert (event.order_id, event.we_sell) == (ORDER, False)


def test_a_plain_json_push_of_another_name_is_not_expected() -> None:
    assert read_event({"bizType": "IDLE_SPACE_PRICING", "x": 1}, ME) == push_events.UnknownEvent(
        "keys bizType,x", is_expected=True
    )
    assert read_event({"bizType": "IDLE_NEW_MESSAGE", "x": 1}, ME) == push_events.UnknownEvent("keys bizType,x")
