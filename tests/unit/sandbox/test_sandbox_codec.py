"""The sandbox packs payloads as the site does, byte for byte (docs/protocol.md §3)."""

from __future__ import annotations

import base64
import json
import re

import pytest

from shoal.sandbox import cards, codec
from support.site.sandbox_driver import unpack

AT_MS = 1_750_000_000_123
CID = "51000000001"
BUYER_ID = "2200000000001"
MESSAGE_ID = "3500000000001.PNM"
HEX_ID = "a1b2c3d4a1b2c3d4a1b2c3d4a1b2c3d4"

TEXT_FRAME = (
    "ggGLAYEBtTIyMDAwMDAwMDAwMDFAZ29vZmlzaAKzNTEwMDAwMDAwMDFAZ29vZmlzaAOxMzUwMDAwMDAwMDAwMS5QTk0EAAXPAAABl3Qg3HsG"
    "ggFlA4UBoAKm5Zyo5ZCXA6AEAQXaADd7ImF0VXNlcnMiOltdLCJjb250ZW50VHlwZSI6MSwidGV4dCI6eyJ0ZXh0Ijoi5Zyo5ZCXIn19BwII"
    "AQkACoupX3BsYXRmb3Jtp2FuZHJvaWSmYml6VGFn2gBBeyJzb3VyY2VJZCI6IlM6MSIsIm1lc3NhZ2VJZCI6ImExYjJjM2Q0YTFiMmMzZDRh"
    "MWIyYzNkNGExYjJjM2Q0In2sZGV0YWlsTm90aWNlpuWcqOWQl6dleHRKc29u2gBLeyJxdWlja1JlcGx5IjoiMSIsIm1lc3NhZ2VJZCI6ImEx"
    "YjJjM2Q0YTFiMmMzZDRhMWIyYzNkNGExYjJjM2Q0IiwidGFnIjoidSJ9r3JlbWluZGVyQ29udGVudKblnKjlkJeucmVtaW5kZXJOb3RpY2W1"
    "5Y+R5p2l5LiA5p2h5paw5raI5oGvrXJlbWluZGVyVGl0bGWs5Lmw5a625bCP6bG8q3JlbWluZGVyVXJs2gCbZmxlYW1hcmtldDovL21lc3Nh"
    "Z2VfY2hhdD9pdGVtSWQ9ODAwMDAwMDAwMDAxJnBlZXJVc2VySWQ9MjIwMDAwMDAwMDAwMSZwZWVyVXNlck5pY2s9dCoqKjEmc2lkPTUxMDAw"
    "MDAwMDAxJm1lc3NhZ2VJZD1hMWIyYzNkNGExYjJjM2Q0YTFiMmMzZDRhMWIyYzNkNCZhZHY9bm+sc2VuZGVyVXNlcklkrTIyMDAwMDAwMDAw"
    "MDGuc2VuZGVyVXNlclR5cGWhMKtzZXNzaW9uVHlwZaExDAEDgahuZWVkUHVzaKR0cnVl"
)


def text_line(text: str = "在吗") -> codec.ChatLine:
    return codec.ChatLine(
        message_id=MESSAGE_ID,
        cid=CID,
        sender_id=BUYER_ID,
        sender_nick="买家小鱼",
        peer_id=BUYER_ID,
        peer_mask="t***1",
        item_id="800000000001",
        created_ms=AT_MS,
        hex_id=HEX_ID,
        summary=text,
        content=codec.text_content(text),
    )


def test_a_text_message_has_the_captured_699_bytes() -> None:
    packed = codec.encode(codec.chat_message(text_line()))
    assert packed == TEXT_FRAME
    assert len(base64.b64decode(packed)) == 699


@pytest.mark.parametrize(
    ("payload", "captured"),
    [
        (
            codec.order_mark(CID, "等待卖家发货", AT_MS),
            "hAGzNTEwMDAwMDAwMDFAZ29vZmlzaAIBA4KrcmVkUmVtaW5kZXKy562J5b6F5Y2W5a625Y+R6LSnsHJlZFJlbWluZGVyU3R5bGWhMQTPAAABl3Qg3Hs=",
        ),
        (
            codec.new_message_mark(CID, MESSAGE_ID, AT_MS),
            "hAGzNTEwMDAwMDAwMDFAZ29vZmlzaAIBA7EzNTAwMDAwMDAwMDAxLlBOTQTPAAABl3Qg3Hs=",
        ),
        (
            codec.read_receipt(CID, [MESSAGE_ID], AT_MS),
            "hQGRsTM1MDAwMDAwMDAwMDEuUE5NAgIDszUxMDAwMDAwMDAxQGdvb2Zpc2gEAQXPAAABl3Qg3Hs=",
        ),
        (
            codec.typing(CID, BUYER_ID),
            "gQGRgwGzNTEwMDAwMDAwMDFAZ29vZmlzaAIBA7UyMjAwMDAwMDAwMDAxQGdvb2Zpc2g=",
        ),
    ],
    ids=["order mark", "new message", "read receipt", "typing"],
)
def test_small_payloads_have_the_captured_bytes(payload: codec.Payload, captured: str) -> None:
    assert codec.encode(payload) == captured


def test_long_text_is_packed_without_str8_and_bin() -> None:
    packed = codec.pack({1: "x" * 200})
    assert packed[2:5] == b"\xda\x00\xc8"


@pytest.mark.parametrize("kind", cards.CARDS)
def test_a_trade_card_holds_the_order_id_and_its_words(kind: str) -> None:
    order_id = "4500000000000000001"
    extra = cards.card_extra(kind, order_id, cid=CID, hex_id=HEX_ID, receiver_id="2200000000002")
    line = codec.ChatLine(
        MESSAGE_ID,
        CID,
        BUYER_ID,
        "买家小鱼",
        BUYER_ID,
        "t***1",
        "800000000001",
        AT_MS,
        HEX_ID,
        cards.CARDS[kind].reminder,
        cards.card_content(kind, order_id),
        codec.TRADE_CARD,
        extra=extra,
    )
    decoded = unpack(codec.encode(codec.chat_message(line)))
    body = decoded[1][6][3]
    main = json.loads(body[5])["dxCard"]["item"]["main"]
    assert body[4] == 26
    assert re.search(r"order_detail\?id=(\d+)", main["targetUrl"])[1] == order_id  # type: ignore[index]
    assert decoded[1][7] == 1
    assert decoded[1][10]["reminderContent"] == body[2] == cards.CARDS[kind].reminder
    assert "messageId" not in json.loads(decoded[1][10]["bizTag"])
    assert json.loads(decoded[1][10]["extJson"])["updateKey"].startswith(f"{CID}:{order_id}:")


def test_the_paid_card_says_what_delivery_waits_for() -> None:
    assert cards.CARDS["paid"].reminder == "[我已付款，等待你发货]"
    assert cards.CARDS["group"].reminder == "[卡片消息]"
    assert cards.CARDS["group"].title == "我已小刀，待刀成"


def test_a_card_update_and_a_json_push_have_their_shapes() -> None:
    update = unpack(codec.encode(codec.card_update(text_line())))
    assert update[1] == MESSAGE_ID
    assert update[4]["senderUserId"] == BUYER_ID
    arouse = unpack(codec.encode_json(codec.session_arouse(CID, BUYER_ID, "800000000001", "还在吗")))
    assert arouse["operation"]["content"]["contentType"] == 8
    said = unpack(codec.encode_json(codec.json_text(CID, BUYER_ID, "800000000001", "在吗")))
    assert said["operation"]["content"]["text"]["text"] == "在吗"
