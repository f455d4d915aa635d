"""The captured shapes of pushes, answers and cards, and any payload that is handed in."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.strict_client import REG, Page, Socket, strict, text
from support.orders.peer_recognisers import BUTTONS, recognised
from support.site.sandbox_driver import START_MS, Box, unpack


async def pushed(box: Box, socket: Socket, lwp: str = "/s/sync") -> tuple[Any, Any]:
    """The next push of a kind: its frame, and the payload of its only entry."""
    async with asyncio.timeout(60):
        while (frame := await socket.push())["lwp"] != lwp:
            pass
    (entry,) = frame["body"]["syncPushPackage"]["data"]
    return frame, unpack(entry["data"])


async def test_the_first_push_is_not_empty() -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            frame = await socket.push()
            package = frame["body"]["syncPushPackage"]
            assert (frame["lwp"], package["startSeq"], package["endSeq"]) == ("/s/vulcan", 1, 14)
            assert {(entry["bizType"], entry["objectType"]) for entry in package["data"]} == {(370, 370_000)}
            assert len(package["data"]) == 14
            assert package["minCreateTime"] > 0
            payload = unpack(package["data"][0]["data"])
            assert payload["operation"]["content"]["contentType"] == 8
            assert payload["operation"]["sessionInfo"]["extensions"]["itemSellerId"] == page.unb
            assert frame["body"]["syncExtraType"] == {"type": 3}
            model = frame["body"]["syncExtensionModel"]
            assert (model["reconnectType"], model["failover"], model["fingerprint"] < 0) == (1, 0, True)


async def test_pushes_give_our_app_key_and_agent_back() -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            await box.post("say", account=page.unb, buyer="小鱼", text="在吗")
            frame, payload = await pushed(box, socket)
            headers = frame["headers"]
            assert set(headers) == {"app-key", "mid", "ua", "sid"}
            assert (headers["app-key"], headers["ua"]) == (REG["app-key"], REG["ua"])
            assert len(headers["mid"].removesuffix(" 0")) == 8
            assert {"_appVersion", "clientIp", "umid"} <= payload[1][10].keys()
            await socket.websocket.send_json({"code": 200, "headers": headers})
            assert (await socket.ask("/!"))["code"] == 200
            assert (await box.get("sockets"))[page.unb]["unacked"] == 0


async def test_registering_and_sending_are_answered_as_captured() -> None:
    async with strict() as box:
        page = Page(box)
        said = await box.post("say", account=page.unb, buyer="小鱼", text="在吗")
        token = (await page.token())["data"]["accessToken"]
        async with page.socket() as socket:
            registered = (await socket.register(token))["body"]
            assert registered == {"unitName": "PNM", "cookie": "", "timestamp": START_MS, "isFromChina": True}
            sent = await socket.send(said["cid"], text("在的"))
            assert (sent["receiverCount"], sent["msgReadStatusSetting"], sent["msgReadStatusDowngrade"]) == (2, 1, 0)
            assert sent["content"]["contentType"] == 101
            _, echo = await pushed(box, socket)
            assert (echo[3]["needPush"], echo[1][10]["_platform"]) == ("false", "web")
            assert echo[1][10]["senderUserId"] == page.unb
            state = await socket.ask("/r/SyncStatus/getState", [{"topic": "sync"}])
            assert state["headers"]["server-timestamp"] == str(START_MS)
            history = [f"{said['cid']}@goofish", False, 2**53 - 1, 20, False]
            line = (await socket.ask("/r/MessageManager/listUserMessages", history))["body"]["userMessageModels"][0]
            assert (line["readStatus"], line["msgStatus"], line["userExtension"]) == (2, 1, {"needPush": "false"})
            assert line["message"]["sender"] == {"uid": f"{page.unb}@goofish", "tag": 0}


async def test_typing_and_receipts_are_as_captured() -> None:
    async with strict() as box:
        page = Page(box)
        said = await box.post("say", account=page.unb, buyer="小鱼", text="在吗")
        async with page.online() as socket:
            for shape, begins in (("typing", 1), ("typing_ends", 0)):
                await box.post("push", account=page.unb, buyer="小鱼", shape=shape)
                frame, payload = await pushed(box, socket, "/s/para")
                chat, buyer = f"{said['cid']}@goofish", f"{said['buyer_id']}@goofish"
                assert payload == {1: [{1: chat, 2: 1, 3: begins, 4: buyer}]}
                package = frame["body"]["syncPushPackage"]
                assert [package[name] for name in ("startSeq", "endSeq", "maxPts", "timestamp")] == [0] * 4
                assert (package["data"][0]["objectType"], package["data"][0]["syncId"]) == (40_006, "")
                assert frame["body"]["syncExtensionModel"] == {}
            await box.post("push", account=page.unb, buyer="小鱼", shape="read_receipt")
            frame, payload = await pushed(box, socket)
            assert frame["body"]["syncPushPackage"]["data"][0]["objectType"] == 40_103
            assert payload == {1: said["message_id"], 2: 2, 3: 0, 4: chat, 5: 1, 6: START_MS}


CARDS = [
    ("not_paid", "seller", "adjust_price", "1_not_pay_seller"),
    ("paid", "Seller", "noPostageRequired", "64:TRADE_PAID_DONE_SELLER:26"),
    ("paid_parcel", "Seller", "idleDeliver", "63:TRADE_PAID_DONE_SELLER:26"),
    ("group", "seller", "", "1:G:26"),
    ("group_ready", "seller", "noPostageRequired", "1:G:26"),
    ("completed", "Seller", "", "4:DONE:26"),
]


@pytest.mark.parametrize(("kind", "role", "button", "key"), CARDS)
async def test_a_card_is_as_captured(kind: str, role: str, button: str, key: str) -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            paid = await box.post("pay", account=page.unb, buyer="小鱼", card=kind)
            _, payload = await pushed(box, socket)
            main = json.loads(payload[1][6][3][5])["dxCard"]["item"]["main"]
            assert main["targetUrl"] == f"fleamarket://order_detail?id={paid['order_id']}&role={role}"
            assert button in main["exContent"]["button"]["targetUrl"]
            ext = json.loads(payload[1][10]["extJson"])
            assert (ext["msgArg1"], ext["updateKey"]) == ("MsgCard", f"{paid['cid']}:{paid['order_id']}:{key}")
            assert json.loads(payload[1][10]["bizTag"])["sourceId"] == "C2C:t1"
            assert ("csReception" in payload[1][10]) == (kind in ("not_paid", "paid_parcel"))


async def test_a_bare_card_names_its_order_in_its_update_key_only() -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            paid = await box.post("pay", account=page.unb, buyer="小鱼", card="paid", bare=True)
            _, payload = await pushed(box, socket)
            assert json.loads(payload[1][6][3][5]) == {"contentType": 26}
            assert paid["order_id"] in payload[1][10]["extJson"]


REFUND_CARDS = [
    ("refund_agreed", {"refunding"}),
    ("refund_withdrawn", {"refund_cancelled"}),
    ("refund_refused", {"as before"}),
]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize(("kind", "meaning"), REFUND_CARDS)
async def test_g2_other_systems_recognise_the_cards_of_a_refund(kind: str, meaning: set[str], dynamic: bool) -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            about: dict[str, Any] = {"account": page.unb, "buyer": "小鱼", "mark": False}
            order_id = (await box.post("pay", **about, card="refund_asked"))["order_id"]
            await pushed(box, socket)
            await box.post("pay", **about, order_id=order_id, card=kind, dynamic=dynamic)
            _, payload = await pushed(box, socket)
            custom = payload[1][6][3]
            assert custom[4] == (32 if dynamic else 26)
            assert recognised(custom[5], payload[1][10]) == meaning


async def test_g2_the_update_of_a_refunds_card_changes_its_button() -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            await box.post("pay", account=page.unb, buyer="小鱼", card="refund_withdrawn", as_update=True)
            _, payload = await pushed(box, socket)
            (button,) = [json.loads(text) for key, text in payload[4].items() if key.endswith("exContent.button")]
            assert BUTTONS[button["text"]] == "refund_cancelled"


async def test_an_update_of_a_card_has_its_third_key() -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            await box.post("pay", account=page.unb, buyer="小鱼", card="paid", as_update=True)
            _, payload = await pushed(box, socket)
            assert (payload[3], payload[4]["reminderContent"]) == (1, "[我已付款，等待你发货]")


async def test_official_senders_groups_and_other_contents_speak() -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            await box.post("say", account=page.unb, buyer="1400", text="请评价", session_type="3")
            _, payload = await pushed(box, socket)
            assert payload[1][1][1] == "1400@goofish"
            assert (payload[1][10]["senderUserId"], payload[1][10]["sessionType"]) == ("1400", "3")
            content = json.dumps({"contentType": 28, "dxCard": {}})
            card = {"extJson": '{"msgArg1":"MsgCard"}'}
            said: dict[str, Any] = {"content_type": 28, "content": content, "session_type": "53", "extra": card}
            await box.post("say", account=page.unb, buyer="小鱼", text="[卡片消息]", **said)
            _, payload = await pushed(box, socket)
            assert payload[1][6][3][4] == 28
            assert (payload[1][10]["sessionType"], payload[1][10]["extJson"]) == ("53", card["extJson"])
            await box.post("say", account=page.unb, buyer="小鱼", text="大家好", session_type="2")
            assert (await pushed(box, socket))[1][1][10]["sessionType"] == "2"


async def test_the_context_of_an_order_names_everything() -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            paid = await box.post("pay", account=page.unb, buyer="小鱼", card="none")
            shape = {"shape": "order_context", "name": paid["order_id"]}
            await box.post("push", account=page.unb, buyer="小鱼", **shape)
            _, payload = await pushed(box, socket)
            about = payload[3]
            assert (about["orderId"], about["itemSellerId"]) == (paid["order_id"], page.unb)
            assert about["extUserId"] == paid["buyer_id"]


PACKED = {"1": {"1": {"1": "2200000000001@goofish"}, "2": "51000000001@goofish", "5": 9}, "3": {"needPush": "true"}}
MARKED = {
    "1": {"2": "51000000001@goofish", "6": {"3": {"5": {"$json": {"contentType": 1}}, "1": {"$base64": {"a": 1}}}}}
}
PLAIN = {"bizType": "IDLE_SPACE_PRICING", "x": 1}


@pytest.mark.parametrize("payload", [PACKED, PLAIN])
async def test_any_payload_is_pushed_from_a_body_and_from_a_file(payload: dict[str, Any], tmp_path: Path) -> None:
    whole, alone = tmp_path / "all.json", tmp_path / "one.json"
    whole.write_text(json.dumps([{"name": "other", "payload": {}}, {"name": "this", "payload": payload}]))
    alone.write_text(json.dumps(payload))
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            ways: list[dict[str, Any]] = [
                {"payload": payload},
                {"file": str(alone)},
                {"file": str(whole), "name": "this"},
            ]
            for way in ways:
                await box.post("push", account=page.unb, shape="payload", replace={"51000000001": "52"}, **way)
                frame, _ = await pushed(box, socket)
                raw = base64.b64decode(frame["body"]["syncPushPackage"]["data"][0]["data"])
                if payload is PLAIN:
                    assert json.loads(raw) == PLAIN
                else:
                    found = unpack(frame["body"]["syncPushPackage"]["data"][0]["data"])
                    assert found[1][2] == "52@goofish"
                    assert found[1][1] == {1: "2200000000001@goofish"}
            for wrong in ({"file": str(whole), "name": "none"}, {"file": str(tmp_path / "nothing")}):
                await box.post("push", expect=404, account=page.unb, shape="payload", **wrong)
            await box.post("push", expect=422, account=page.unb, shape="payload")


async def test_texts_of_json_in_a_payload_may_be_written_plainly() -> None:
    async with strict() as box:
        page = Page(box)
        async with page.online() as socket:
            await box.post("push", account=page.unb, shape="payload", payload=MARKED)
            _, payload = await pushed(box, socket)
            assert payload[1][6][3] == {5: '{"contentType":1}', 1: base64.b64encode(b'{"a":1}').decode()}


async def test_a_lenient_site_keeps_the_plain_shapes() -> None:
    async with strict() as box:
        await box.post("policy", strict=False)
        page = Page(box)
        async with page.online() as socket:
            frame = await socket.push()
            assert frame["body"]["syncPushPackage"]["data"] == []
            assert set(frame["headers"]) == {"mid", "sid"}
