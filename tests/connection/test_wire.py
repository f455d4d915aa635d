"""Every shape of the real site, pushed over the sandbox's socket at a shop whose default reply is on."""

from __future__ import annotations

import asyncio
import json

from shoal.connection.push_counts import PushKind
from shoal.messages.decisions import Decision
from support.orders.order_steps import CONSIGN, FREE, PATIENCE, calls, order_soon, pay, paying_shop, words
from support.site.packed_pushes import encode_entry
from support.site.sandboxed import Shoal
from support.site.standins import ANN
from wire.frames import BUYER, CHAT, ITEM, ME, ORDER, Frame, pushed_frames

QUESTION = "最后一句"


async def push(shoal: Shoal, unb: str, frame: Frame, number: int) -> None:
    """Push a frame as one of this shop and of 小鱼, with numbers of its own."""
    world = shoal.sandbox.world
    buyer = world.buyer("小鱼")
    chat = world.chat(world.seller(unb), buyer)
    text = json.dumps(frame.payload, ensure_ascii=False)
    now_ms = world.clock.now_ms()
    for old, new in (
        (ME, unb), (BUYER, buyer.id), (CHAT, chat.cid), (ITEM, shoal.item_of(unb)), ("1790000000000", str(now_ms)),
        (ORDER, f"{ORDER[:-3]}{number:03}"), ("3609900000001.PNM", f"3609900{number:06}.PNM"),
    ):  # fmt: skip
        text = text.replace(old, new)
    await shoal.sandbox.do("push", account=unb, buyer="小鱼", shape="raw", data=encode_entry(json.loads(text)))


async def test_no_shape_but_a_persons_question_gets_an_answer_and_no_parcel_is_confirmed(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    reply: dict[str, object] = {
        "default_reply_enabled": True,
        "default_reply": "在的 {send_message}",
        "debounce_seconds": 0.0,
    }
    reply |= {"pause_duration": 0}  # the owner speaks too, and would hide an answer
    await shoal.manager.update_settings("shop", reply, caller=ANN)
    left_aside = [frame for frame in pushed_frames() if not frame.becomes["asks"]]
    assert len(left_aside) > 65
    for number, frame in enumerate(left_aside):
        await push(shoal, unb, frame, number)
    await shoal.sandbox.do("say", account=unb, buyer="小鱼", text=QUESTION)
    async with asyncio.timeout(PATIENCE):
        while f"在的 {QUESTION}" not in (seen := await shoal.sandbox.seen(unb, "小鱼")):
            await asyncio.sleep(0.05)
    assert [line for line in seen if line.startswith("在的")] == [f"在的 {QUESTION}"]
    sales = [frame for frame in left_aside if frame.becomes.get("paid")]
    for number, frame in enumerate(left_aside):
        if frame in sales:
            await order_soon(shoal, f"{ORDER[:-3]}{number:03}", status="pending_ship")
    assert await calls(shoal, CONSIGN, unb) == 0, "the sandbox has no such order, and a parcel is never confirmed"
    assert PushKind.UNREADABLE not in shoal.push_counts.of("shop").counts
    decisions = {entry.message.decision for entry in await shoal.log.list_messages(["shop"], limit=200)}
    assert decisions >= {Decision.SITE_CARD, Decision.SITE_TIP, Decision.OFFICIAL, Decision.GROUP_CHAT}
    assert Decision.HUMAN in decisions, "the owner wrote in a browser"


async def test_a_bargain_is_served_once_after_its_ready_card(shoal: Shoal) -> None:
    unb = await paying_shop(shoal, free_shipping=True)
    await shoal.sandbox.do("policy", also=["ready_card"], ready_seconds=-1)
    order_id = await pay(shoal, unb, card="group")
    async with asyncio.timeout(PATIENCE):
        while not await calls(shoal, FREE, unb):
            await asyncio.sleep(0.05)
    pages = await calls(shoal, "order.detail", unb)
    async with asyncio.timeout(PATIENCE):
        while await calls(shoal, "order.detail", unb) == pages:
            await asyncio.sleep(0.05)
    assert (await words(shoal, unb), await calls(shoal, CONSIGN, unb)) == ([], 0)
    for _ in range(2):
        await pay(shoal, unb, card="group_ready", order_id=order_id)
    await order_soon(shoal, order_id, status="shipped", problem="")
    assert (await words(shoal, unb), await calls(shoal, CONSIGN, unb)) == ([f"网盘链接 {order_id}"], 1)


async def test_no_parcel_is_confirmed(shoal: Shoal) -> None:
    unb = await paying_shop(shoal)
    order_id = await pay(shoal, unb, card="paid_parcel")
    await order_soon(shoal, order_id, problem="needs_parcel")
    assert (len(await words(shoal, unb)), await calls(shoal, CONSIGN, unb)) == (1, 0)
