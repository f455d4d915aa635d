"""What to begin with: frames, entries and answers as the sandbox sends them, one of every shape and kind."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from typing import Any, cast

import httpx
from starlette.websockets import WebSocket

from shoal.sandbox import Clock, World, build_sandbox, cards, codec, trade
from shoal.sandbox.im_socket import Socket
from shoal.sandbox.mtop_apis import IM_APP_KEY
from shoal.sandbox.mtop_site import sign
from shoal.sandbox.site import Site
from shoal.sandbox.things import Seller

START_MS = 1_750_000_000_000
BUYER = "买家小鱼"


@cache
def corpus() -> dict[str, list[bytes]]:
    """By door (``fuzz.doors``): inputs that the site itself would give it."""
    world = World(seed=7, shops=1, clock=Clock(START_MS))
    app = build_sandbox(world)
    site: Site = app.state.site
    (seller,) = world.sellers.values()
    frames = asyncio.run(_frames(site, seller))
    entries = [
        entry["data"].encode()
        for frame in frames
        for entry in frame.get("body", {}).get("syncPushPackage", {}).get("data", ())
    ]
    asked = [frame for frame in frames if {"userConvs", "userMessageModels"} & set(frame.get("body") or ())]
    return {
        "history": [codec.compact(frame).encode() for frame in asked],
        "entry": sorted(set(entries), key=entries.index),
        "frame": [codec.compact(frame).encode() for frame in frames],
        "answer": asyncio.run(_answers(app, world, seller)),
    }


async def _frames(site: Site, seller: Seller) -> list[dict[str, Any]]:
    """Everything a socket is sent in a life that has all of it."""
    world, unb = site.world, seller.unb
    socket = Socket(site, cast("WebSocket", None), 1, unb, unb, None)
    device = f"0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D-{unb}"
    token = world.issue_token(unb, device)

    def ask(lwp: str, body: object = None, **headers: str) -> None:
        frame = {"lwp": lwp, "headers": {"mid": "7131750000000123 0", **headers}}
        socket._receive(json.dumps(frame if body is None else frame | {"body": body}))

    ask("/reg", token="oauth_k1:wrong", did=device, **{"app-key": IM_APP_KEY})
    ask("/reg", token=token.token, did=device, **{"app-key": IM_APP_KEY})
    chat = world.chat(seller, world.buyer(BUYER))
    message = site.buyer_message(chat, "在吗")
    site.buyer_message(chat, "看图", content=codec.image_content("https://img.invalid/x.jpg"), content_type=codec.IMAGE)
    site.buyer_message(chat, "AI正在帮你回复消息，不错过每笔订单", need_push=False)
    site.buyer_message(chat, "提示", content_type=codec.TIPS, tip=True)
    site.answer(chat, "我来了", codec.text_content("我来了"), codec.TEXT)
    order = world.open_order(seller, chat.buyer, chat.item_id)
    for kind in cards.CARDS:
        trade.push_card(site, order, kind)
        trade.push_card(site, order, kind, form="update")
        trade.push_card(site, order, kind, form="dynamic")
    about = (chat.cid, chat.buyer.id, chat.item_id, "还在吗")
    site.whisper(unb, codec.typing(chat.cid, chat.buyer.id))
    site.push_payload(unb, codec.read_receipt(chat.cid, [message.id], START_MS))
    site.push_payload(unb, codec.new_message_mark(chat.cid, message.id, START_MS))
    site.push(unb, codec.encode_json(codec.session_arouse(*about)))
    site.push(unb, codec.encode_json(codec.json_text(*about)))
    site.push(unb, codec.compact(codec.json_text(*about)))
    site.push(unb, "/////w==")
    socket.push([], "/s/vulcan", syncExtraType={"type": 1})
    socket.notify("/s/session/remove", {"reason": "session remove"})
    socket.notify("/push/kickout", {"reason": "kickout"})
    ask("/!")
    ask("/r/SyncStatus/getState", [{"topic": "sync"}])
    ask("/r/SyncStatus/ackDiff", [{"pts": 0}])
    ask("/r/MessageManager/listUserMessages", [codec.address(chat.cid), False, 2**53 - 1, 20, False])
    ask("/r/Conversation/listNewestPagination", [2**53 - 1, 20])
    ask("/r/nowhere", [])
    await asyncio.sleep(0)
    frames = []
    while not socket.outbox.empty():
        frame = socket.outbox.get_nowait()
        if isinstance(frame, dict):
            frames.append(frame)
    return frames


async def _answers(app: Any, world: World, seller: Seller) -> list[bytes]:
    """What the gateway says: done, refused, expired, wrongly signed, and under risk control."""
    asked = [
        ("mtop.taobao.idlemessage.pc.login.token", {"appKey": IM_APP_KEY, "deviceId": "d"}, True),
        ("mtop.taobao.idlemessage.pc.loginuser.get", {}, True),
        ("mtop.taobao.idle.pc.detail", {"itemId": next(iter(seller.items))}, True),
        ("mtop.taobao.idle.pc.detail", {"itemId": "1"}, True),
        ("mtop.idle.web.xyh.item.list", {"pageNumber": 1}, True),
        ("mtop.taobao.idle.logistic.consign.dummy", {"orderId": "1"}, True),
        ("mtop.idle.trade.pc.message.headinfo", {}, False),
    ]
    said = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site.invalid") as http:

        async def ask(api: str, data: object, *, signed: bool = True, cookie: str) -> None:
            text, t = json.dumps(data), str(START_MS)
            tk = seller.jar["_m_h5_tk"].partition("_")[0]
            query = {"appKey": "34839810", "t": t, "sign": sign(tk, t, text) if signed else "0" * 32}
            reply = await http.post(f"/h5/{api}/1.0/", params=query, data={"data": text}, headers={"cookie": cookie})
            said.append(reply.content)

        cookie = world.cookie_header(seller)
        for api, data, signed in asked:
            await ask(api, data, signed=signed, cookie=cookie)
        await ask(asked[0][0], {}, cookie="")
        app.state.site.faults.lay("risk_control", seller.unb, times=1)
        await ask(asked[0][0], {}, cookie=cookie)
        await ask(asked[0][0], {}, cookie=cookie.replace("cookie2=", "cookie2=x"))
    return said
