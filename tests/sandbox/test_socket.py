"""The sandbox's IM socket behaves as the site's does (docs/protocol.md §3 and §4)."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import unquote

import pytest

from sandbox.strict_client import BUYER
from support.site.sandbox_driver import START_MS, sandbox, unpack


async def test_a_handshake_may_carry_host_and_connection_twice_and_offer_deflate() -> None:
    async with sandbox() as box:
        port = int(box.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        lines = [
            "GET / HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            "Cookie: unb=2200000000002; cookie2=x",
            "Host: wss-goofish.dingtalk.com",
            "Connection: Upgrade",
            "Origin: https://www.goofish.com",
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(60):
            answer = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"permessage-deflate" not in answer


async def test_registering_is_answered_and_followed_by_a_first_push() -> None:
    async with sandbox() as box, box.shop().socket() as im:
        reply = await im.register(await im.shop.token())
        assert reply["code"] == 200
        assert reply["headers"]["reg-uid"] == f"{im.shop.unb}@goofish"
        assert reply["body"]["timestamp"] == START_MS
        first = await im.frame()
        assert "code" not in first
        assert first["body"]["syncPushPackage"]["data"] == []
        sockets = (await box.get("sockets"))[im.shop.unb]
        assert (sockets["now"], sockets["max"], sockets["total"]) == (1, 1, 1)
        assert sockets["cookie"] == im.shop.cookie


async def test_a_token_may_be_given_decoded() -> None:
    async with sandbox() as box, box.shop().socket() as im:
        assert (await im.register(unquote(await im.shop.token())))["code"] == 200


async def test_refusals_of_registering_have_their_reasons() -> None:
    async with sandbox() as box, box.shop().socket() as im:
        token = await im.shop.token()

        async def reason(used: str = token, **changes: str) -> str:
            reply = await im.register(used, **changes)
            assert reply["code"] == 401
            text: str = reply["body"]["reason"]
            return text

        assert await reason("nonsense") == "invalid token"
        assert await reason(did="other") == "device id or appkey is not equal"
        await box.fault("token_refused", im.shop, reason="not auth", times=1)
        assert await reason() == "not auth"
        await box.fault("connect_limit", im.shop, times=1)
        assert await reason() == "connect limit"
        assert (await im.ask("/r/SyncStatus/getState", [{"topic": "sync"}]))["body"]["reason"] == "not auth"
        assert (await im.ask("/!"))["code"] == 200
        box.world.clock.advance(86_401)
        assert await reason() == "token invalid"
        assert (await box.get("sockets"))[im.shop.unb]["refused"] == 5


async def test_a_token_of_somebody_else_is_refused() -> None:
    async with sandbox() as box, box.shop(0).socket() as im:
        other = box.shop(1)
        reply = await im.register(await other.token(), did=other.device_id)
        assert (reply["code"], reply["body"]["reason"]) == (401, "not auth")


async def test_heartbeats_strangers_and_nonsense() -> None:
    async with sandbox() as box, box.shop().online() as im:
        beat = await im.ask("/!")
        assert (beat["code"], "body" in beat) == (200, False)
        assert (await im.ask("/r/No/such"))["code"] == 404
        assert (await im.ask("/r/MessageSend/sendByReceiverScope", [{"cid": 1}]))["code"] == 400
        await im.websocket.send_str("not json")
        await im.websocket.send_bytes(b"\x00")
        await im.websocket.send_json({"code": 200, "headers": {"mid": "any 0"}})
        assert await im.silence()


async def test_what_a_buyer_says_is_pushed() -> None:
    async with sandbox() as box, box.shop().online() as im:
        said = await box.post("say", account=im.shop.unb, buyer=BUYER, text="在吗", item="800000000002")
        message = (await im.payload())[1]
        assert message[3] == said["message_id"] == "3500000000001.PNM"
        assert message[10]["reminderContent"] == "在吗"
        assert message[10]["reminderTitle"] == BUYER
        assert message[10]["senderUserId"] == said["buyer_id"]
        assert "itemId=800000000002&" in message[10]["reminderUrl"]
        box.world.clock.advance(1)
        again = await box.post("say", account=im.shop.unb, buyer=BUYER, text="在吗", message_id=said["message_id"])
        assert again["message_id"] == said["message_id"]
        repeated = (await im.payload())[1]
        assert (repeated[3], repeated[5]) == (said["message_id"], START_MS)
        assert len((await box.get(f"chats/{im.shop.unb}/{BUYER}"))["lines"]) == 1


async def test_a_reply_is_confirmed_echoed_and_seen_by_the_buyer() -> None:
    async with sandbox() as box, box.shop().online() as im:
        said = await box.post("say", account=im.shop.unb, buyer=BUYER, text="在吗")
        await im.payload()
        reply = await im.write(said["cid"], said["buyer_id"], "您好，在的")
        assert reply["body"]["messageId"].endswith(".PNM")
        assert reply["body"]["uuid"] == "-17500000000001"
        echo = (await im.payload())[1]
        assert echo[3] == reply["body"]["messageId"]
        assert echo[10]["senderUserId"] == im.shop.unb
        chat = await box.get(f"chats/{im.shop.unb}/{BUYER}")
        assert [line["text"] for line in chat["seen"]] == ["您好，在的"]
        assert chat["seen"][0]["wall_ms"] >= chat["lines"][0]["wall_ms"]
        kinds = [line["kind"] for line in (await box.get("events"))["items"]]
        assert kinds == ["connected", "said", "replied"]


async def test_the_same_uuid_is_delivered_once_unless_the_policy_says_otherwise() -> None:
    async with sandbox() as box, box.shop().online() as im:
        said = await box.post("say", account=im.shop.unb, buyer=BUYER, text="在吗")
        first = await im.write(said["cid"], said["buyer_id"], "在的", uuid="-1")
        second = await im.write(said["cid"], said["buyer_id"], "在的", uuid="-1")
        assert first["body"]["messageId"] == second["body"]["messageId"]
        await box.post("policy", dedupe_uuid=False)
        await im.write(said["cid"], said["buyer_id"], "在的", uuid="-1")
        assert len((await box.get(f"chats/{im.shop.unb}/{BUYER}"))["seen"]) == 2


async def test_a_refused_message_has_code_200_and_a_reason() -> None:
    async with sandbox() as box, box.shop().online() as im:
        said = await box.post("say", account=im.shop.unb, buyer=BUYER, text="在吗")
        await im.payload()
        await box.fault("send_refused", im.shop, reason="SENSITIVE", times=1)
        reply = await im.write(said["cid"], said["buyer_id"], "微信")
        assert reply["code"] == 200
        assert reply["body"]["reason"] == "SENSITIVE"
        assert "messageId" not in reply["body"]
        assert await im.silence()
        assert (await box.get(f"chats/{im.shop.unb}/{BUYER}"))["seen"] == []
        assert "reason" in (await im.write("1", said["buyer_id"], "x"))["body"]
        assert "reason" in (await im.write(said["cid"], "1", "x"))["body"]


@pytest.mark.parametrize("delivered", [True, False])
async def test_a_send_without_reply_may_or_may_not_have_arrived(delivered: bool) -> None:
    async with sandbox() as box, box.shop().online() as im:
        said = await box.post("say", account=im.shop.unb, buyer=BUYER, text="在吗")
        await im.payload()
        await box.fault("send_timeout", im.shop, delivered=delivered)
        writing = asyncio.create_task(im.write(said["cid"], said["buyer_id"], "在的"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(writing, 0.4)
        async with asyncio.timeout(60):
            while len(seen := (await box.get(f"chats/{im.shop.unb}/{BUYER}"))["seen"]) < int(delivered):
                await asyncio.sleep(0.02)
        assert len(seen) == int(delivered)


async def test_the_seller_may_type_in_the_app() -> None:
    async with sandbox() as box, box.shop().online() as im:
        await box.post("seller_say", account=im.shop.unb, buyer=BUYER, text="我来")
        assert (await im.payload())[1][10]["senderUserId"] == im.shop.unb


async def test_paying_pushes_both_cards_and_both_marks() -> None:
    async with sandbox() as box, box.shop().online() as im:
        order = await box.post("pay", account=im.shop.unb, buyer=BUYER)
        pushed = [await im.payload() for _ in range(4)]
        assert pushed[0][1][10]["reminderContent"] == "[我已拍下，待付款]"
        assert pushed[1][3]["redReminder"] == "等待买家付款"
        assert pushed[2][1][10]["reminderContent"] == "[我已付款，等待你发货]"
        assert order["order_id"] in pushed[2][1][6][3][5]
        assert pushed[3][3]["redReminder"] == "等待卖家发货"
        again: dict[str, Any] = {"account": im.shop.unb, "buyer": BUYER, "order_id": order["order_id"], "mark": False}
        await box.post("pay", card="paid", message_id=order["message_ids"][1], **again)
        assert (await im.payload())[1][3] == order["message_ids"][1]
        await box.post("pay", card="paid", as_update=True, **again)
        assert (await im.payload())[4]["reminderContent"] == "[我已付款，等待你发货]"
        await box.post("pay", card="closed", **again)
        assert (await box.get("orders"))["items"][0]["status"] == "cancelled"


async def test_the_sync_position_decides_what_is_pushed_again() -> None:
    async with sandbox() as box:
        shop = box.shop()
        token = await shop.token()
        async with shop.online(token) as im:
            await box.post("say", account=shop.unb, buyer=BUYER, text="一")
            stored = (await im.push())["body"]["syncPushPackage"]["maxPts"]
            state = (await im.ask("/r/SyncStatus/getState", [{"topic": "sync"}]))["body"]
            assert state["pts"] < stored  # not acked yet
        box.world.clock.advance(1)
        await box.post("say", account=shop.unb, buyer=BUYER, text="二")
        box.world.clock.advance(1)

        async def missed(pts: int, *, ack: bool = False) -> list[str]:
            async with shop.online(token) as im:
                await im.position(pts)
                if await im.silence():
                    return []
                push = await im.push()
                if ack:
                    await im.ack(push)
                    await im.ask("/!")
                data = push["body"]["syncPushPackage"]["data"]
                return [unpack(entry["data"])[1][10]["reminderContent"] for entry in data]

        assert await missed(box.world.clock.now_ms() * 1000) == []
        assert await missed(stored) == ["二"]
        assert await missed(state["pts"], ack=True) == ["一", "二"]
        assert await missed(state["pts"]) == []
        assert await missed(0) == ["一", "二"]


async def test_chats_are_made_listed_read_and_recalled() -> None:
    async with sandbox() as box, box.shop().online() as im:
        unb = im.shop.unb
        pair = {"pairFirst": "2200000000001@goofish", "pairSecond": f"{unb}@goofish", "bizType": "1"}
        made = await im.ask("/r/SingleChatConversation/create", [pair | {"extension": {"itemId": "800000000003"}}])
        cid = made["body"]["singleChatConversation"]["cid"].removesuffix("@goofish")
        for text in ("一", "二", "三"):
            box.world.clock.advance(1)
            await box.post("say", account=unb, buyer="2200000000001", text=text)
        path, newest = "/r/MessageManager/listUserMessages", 9_007_199_254_740_991
        page = (await im.ask(path, [f"{cid}@goofish", False, newest, 2, False]))["body"]
        texts = [model["message"]["extension"]["reminderContent"] for model in page["userMessageModels"]]
        assert (texts, page["hasMore"]) == (["三", "二"], 1)
        page = (await im.ask(path, [f"{cid}@goofish", False, page["nextCursor"], 2, False]))["body"]
        assert (len(page["userMessageModels"]), page["hasMore"]) == (1, 0)
        convs = (await im.ask("/r/Conversation/listNewestPagination", [newest, 20]))["body"]["userConvs"]
        conv = convs[0]["singleChatUserConversation"]
        assert conv["singleChatConversation"]["cid"] == f"{cid}@goofish"
        assert conv["redPoint"] == 3
        first = page["userMessageModels"][0]["message"]["messageId"]
        assert (await im.ask("/r/MessageStatus/read", [[first]]))["code"] == 200
        sent = await im.write(cid, "2200000000001", "错了")
        recalled = await im.ask("/r/MessageManager/recallMessage", [sent["body"]["messageId"]])
        assert recalled["code"] == 200
        chat = await box.get(f"chats/{unb}/2200000000001")
        assert chat["seen"] == []
        assert [line["read"] for line in chat["lines"]] == [True, False, False, False]


async def test_marks_and_notices_are_pushed_on_demand() -> None:
    async with sandbox() as box, box.shop().online() as im:
        who: dict[str, Any] = {"account": im.shop.unb, "buyer": BUYER}
        await box.post("order_mark", red_reminder="交易关闭", **who)
        assert (await im.payload())[3]["redReminder"] == "交易关闭"
        await box.post("push", shape="typing", **who)
        typing = await im.push()
        assert typing["lwp"] == "/s/para"
        (entry,) = typing["body"]["syncPushPackage"]["data"]
        assert "@goofish" in unpack(entry["data"])[1][0][1]
        await box.post("push", shape="new_message", message_ids=["1.PNM"], **who)
        assert (await im.payload())[3] == "1.PNM"
        await box.post("push", shape="json_text", **who)
        assert (await im.payload())["operation"]["content"]["contentType"] == 1
        await box.post("push", shape="resync", **who)
        assert (await im.frame())["body"]["syncExtraType"] == {"type": 1}
        await box.post("push", shape="session_remove", **who)
        assert (await im.frame())["lwp"] == "/s/session/remove"
        await box.post("push", shape="read_receipt", message_ids=["1.PNM"], **who)
        assert (await im.payload())[1] == ["1.PNM"]
        await box.post("push", shape="session_arouse", **who)
        assert (await im.payload())["operation"]["content"]["contentType"] == 8
        await box.post("push", shape="raw", data="e30=", **who)
        assert await im.payload() == {}
        await box.post("say", text="系统", system=True, **who)
        assert (await im.payload())[3] == {"needPush": "false"}
        await box.post("say", text="闲鱼小贴士", tip=True, **who)
        tip = (await im.payload())[1]
        assert (tip[6][3][4], json.loads(tip[10]["extJson"])["msgArg1"]) == (14, "MsgTips")
        await box.post("say", text="图", image_url="https://img.example/x.jpg", **who)
        assert json.loads((await im.payload())[1][6][3][5])["image"]["pics"][0]["url"].endswith("x.jpg")


async def test_every_frame_is_logged_and_an_ack_is_counted() -> None:
    async with sandbox() as box, box.shop().online() as im:
        await box.post("say", account=im.shop.unb, buyer=BUYER, text="在吗")
        push = await im.push()
        assert (await box.get("sockets"))[im.shop.unb]["unacked"] == 1
        await im.ack(push)
        await im.ask("/!")
        assert (await box.get("sockets"))[im.shop.unb]["unacked"] == 0
        lines = (await box.get(f"frames?account={im.shop.unb}"))["items"]
        kinds = [(line["direction"], line["frame"].get("lwp") or line["frame"]["code"]) for line in lines]
        assert kinds == [
            ("in", "/reg"),
            ("out", 200),
            ("out", "/s/vulcan"),
            ("out", "/s/sync"),
            ("in", 200),
            ("in", "/!"),
            ("out", 200),
        ]


async def test_a_buyer_sends_what_is_neither_text_nor_picture() -> None:
    async with sandbox() as box, box.shop().online() as im:
        content = '{"contentType":3,"audio":{"url":"https://sandbox.invalid/a.amr","duration":2000}}'
        said: dict[str, Any] = {"account": im.shop.unb, "buyer": "豆豆妈", "text": "[语音]", "content_type": 3}
        await box.post("say", expect=422, **said)
        await box.post("say", **said, content=content)
        custom = (await im.payload())[1][6][3]
        assert (custom[4], custom[5], custom[2]) == (3, content, "[语音]")
