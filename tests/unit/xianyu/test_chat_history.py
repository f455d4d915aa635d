import base64
import json

import pytest

from shoal.xianyu.chat_history import read_chats, read_history
from shoal.xianyu.push_events import ChatMessage, TradeCard
from shoal.xianyu.speakers import Speaker
from shoal.xianyu.wire_bytes import UndecodableFrame

ME, BUYER, CHAT = "2200000000002", "2200000000001", "51000000001"
Json = dict[str, object]


def message(
    message_id: str, at_ms: object, content: Json, *, sender: str = BUYER, told: int = 1, **extension: str
) -> Json:
    """One row of a history, as the site gives it."""
    data = base64.b64encode(json.dumps(content).encode()).decode()
    return {
        "message": {
            "messageId": message_id,
            "cid": f"{CHAT}@goofish",
            "createAt": at_ms,
            "sender": {"uid": f"{sender}@goofish"},
            "content": {"contentType": 101, "custom": {"type": told, "summary": "…", "data": data}},
            "extension": {"senderUserId": sender, "reminderTitle": "买家", **extension},
        }
    }


def text(words: str) -> Json:
    return {"contentType": 1, "text": {"text": words}}


def history(*rows: Json, **more: object) -> Json:
    return {"code": 200, "headers": {}, "body": {"userMessageModels": list(rows), "hasMore": 0, **more}}


def chat(at_ms: int, last: Json | None = None, cid: str = CHAT) -> Json:
    inner: Json = {"singleChatConversation": {"cid": f"{cid}@goofish"}, "modifyTime": at_ms}
    return {"singleChatUserConversation": inner | ({"lastMessage": last} if last else {})}


def chats(*rows: Json, **more: object) -> Json:
    return {"code": 200, "headers": {}, "body": {"userConvs": list(rows), "hasMore": 0, **more}}


def test_what_was_said_reads_as_if_it_were_pushed() -> None:
    row = message("35.PNM", 1750000000123, text("在吗"), reminderUrl="fleamarket://message_chat?itemId=800000000001")
    ((at_ms, event),) = read_history(history(row), ME).lines
    assert at_ms == 1750000000123
    assert isinstance(event, ChatMessage)
    assert (event.message_id, event.chat_id, event.sender_id, event.text) == ("35.PNM", CHAT, BUYER, "在吗")
    assert (event.item_id, event.created_at_ms, event.content_type, event.speaker is Speaker.OWN) == (
        "800000000001",
        1750000000123,
        1,
        False,
    )


def test_our_own_words_are_known_as_ours() -> None:
    ((_, event),) = read_history(history(message("36.PNM", 1, text("有的"), sender=ME)), ME).lines
    assert isinstance(event, ChatMessage)
    assert event.speaker is Speaker.OWN


def test_a_trade_card_in_the_history_is_a_trade_card() -> None:
    target = "fleamarket://order_detail?id=4500000000000000001&role=seller"
    main = {"exContent": {"title": "我已付款，等待你发货"}, "targetUrl": target}
    card = {"contentType": 26, "dxCard": {"item": {"main": main}}}
    ((_, event),) = read_history(history(message("37.PNM", 1, card)), ME).lines
    assert isinstance(event, TradeCard)
    assert (event.order_id, event.paid) == ("4500000000000000001", True)


@pytest.mark.parametrize("content", [{"dxCard": {}}, text("给个评价吧")])
def test_a_line_that_its_type_calls_a_card_is_no_persons(content: Json) -> None:
    row = message("37.PNM", 1, content, told=25)
    ((_, event),) = read_history(history(row), ME).lines
    assert isinstance(event, ChatMessage)
    assert (event.speaker, event.content_type) == (Speaker.CARD, 25)


def test_a_row_that_cannot_be_read_is_left_out_and_the_rest_is_read() -> None:
    broken: Json = {"message": "none"}
    assert len(read_history(history(broken, message("38.PNM", 1, text("x"))), ME).lines) == 1


@pytest.mark.parametrize(
    ("more", "cursor"),
    [
        ({"hasMore": 1, "nextCursor": 7}, 7),
        ({"hasMore": 0, "nextCursor": 7}, None),
        ({"hasMore": 1}, None),
        ({"hasMore": 1, "nextCursor": "7"}, None),
    ],
)
def test_the_next_page_is_asked_for_only_when_there_is_one(more: Json, cursor: int | None) -> None:
    assert read_history(history(**more), ME).next_cursor == cursor
    assert read_chats(chats(**more), ME).next_cursor == cursor


def test_a_list_of_chats_names_each_with_its_last_moment_and_words() -> None:
    page = read_chats(chats(chat(20, message("39.PNM", 19, text("在吗"))), chat(10, cid="52")), ME)
    assert [(head.chat_id, head.last_at_ms) for head in page.chats] == [(CHAT, 20), ("52", 10)]
    last = page.chats[0].last
    assert isinstance(last, ChatMessage)
    assert last.message_id == "39.PNM"
    assert page.chats[1].last is None


def test_the_outer_wrapping_of_a_chat_may_be_missing() -> None:
    page = read_chats(chats({"singleChatConversation": {"cid": "53@goofish"}, "modifyTime": 5}), ME)
    assert [(head.chat_id, head.last_at_ms) for head in page.chats] == [("53", 5)]


@pytest.mark.parametrize(
    "reply",
    [
        {"code": 401, "body": {"reason": "not auth"}},
        {"code": 200, "body": {"reason": "flow limit", "userConvs": [], "userMessageModels": []}},
        {"code": 200, "body": {}},
        {"code": 200},
    ],
)
def test_a_refusal_is_no_empty_list(reply: Json) -> None:
    with pytest.raises(UndecodableFrame):
        read_chats(reply, ME)
    with pytest.raises(UndecodableFrame):
        read_history(reply, ME)
