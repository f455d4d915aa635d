"""Short words for tests of orders over the real wire: shops that are paid, and waiting for what becomes of it."""

from __future__ import annotations

import asyncio
import shutil
from itertools import count
from pathlib import Path
from typing import Any

from shoal.accounts.account import AccountState
from shoal.orders.order_store import Action, ActionState, Order, OrderStore
from shoal.sandbox import cards, codec
from support.site.sandboxed import Shoal
from support.site.standins import ANN, until

CONSIGN, FREE = "consign.dummy", "seller.freeshipping"
PATIENCE = 60.0
"""How long what must come may take on a busy machine, in seconds."""
_NUMBERS = count()


async def paying_shop(
    shoal: Shoal, *, auto_confirm: bool = True, free_shipping: bool = False, message: str = "网盘链接 {order_id}"
) -> str:
    """A running shop with a word for paid orders; returns its unb."""
    unb = await shoal.add()
    settings = {"paid_message": message, "free_shipping": free_shipping}
    await shoal.manager.update_settings("shop", settings, caller=ANN)
    await shoal.manager.update_auto_confirm_setting("shop", auto_confirm, caller=ANN)
    return unb


async def pay(shoal: Shoal, unb: str, **body: Any) -> str:
    """A buyer (小鱼) pays for the shop's first item; returns the order's id."""
    body = {"account": unb, "buyer": "小鱼", "item": shoal.item_of(unb), **body}
    paid: str = (await shoal.sandbox.do("pay", **body))["order_id"]
    return paid


async def action_state(book: OrderStore, account_id: str, order_id: str, action: Action) -> ActionState | None:
    """How far an action has come; ``None`` when it was never due."""
    found = await book.order_actions(account_id, order_id)
    return next((entry.state for entry in found if entry.action == action), None)


async def order_action(shoal: Shoal, order_id: str, act: Action, state: ActionState) -> None:
    """Wait until an act has come so far."""
    async with asyncio.timeout(PATIENCE):
        while await action_state(shoal.book, "shop", order_id, act) is not state:
            await asyncio.sleep(0.02)


async def order_soon(shoal: Shoal, order_id: str, **wanted: Any) -> Order:
    """Wait until an order has those values; returns it."""
    order: Order | None = None
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                order = await shoal.book.order("shop", order_id)
                if order is not None and all(getattr(order, name) == value for name, value in wanted.items()):
                    return order
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(
            f"{order} never was {wanted}; {await shoal.book.order_actions('shop', order_id)}"
        ) from None


async def words(shoal: Shoal, unb: str, buyer: str = "小鱼") -> list[str]:
    """What the shop said to a buyer who paid."""
    return [line for line in await shoal.sandbox.seen(unb, buyer) if line.startswith("网盘链接")]


async def calls(shoal: Shoal, api: str, unb: str) -> int:
    """How often the site was told."""
    return len(await shoal.sandbox.calls(api, unb))


async def running(shoal: Shoal) -> None:
    """Wait until the shop runs (again)."""
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING, seconds=PATIENCE)


async def held(shoal: Shoal, which: str) -> None:
    """Wait until the site holds an answer back."""
    async with asyncio.timeout(PATIENCE):
        while not [
            fault
            for fault in (await shoal.sandbox.get("state"))["faults"]
            if fault["held"] and fault.get("which") == which
        ]:
            await asyncio.sleep(0.02)


async def pushed(
    shoal: Shoal, unb: str, content: str, *, content_type: int, summary: str, item_id: str = "", **extra: str
) -> None:
    """Push a message of 小鱼 with that content. ``extra`` replaces what the site says around it (map 10)."""
    world = shoal.sandbox.world
    buyer = world.buyer("小鱼")
    chat = world.chat(world.seller(unb), buyer)
    line = codec.ChatLine(
        message_id=f"{chat.cid}{next(_NUMBERS)}.PNM", cid=chat.cid, sender_id=buyer.id, sender_nick="小鱼",
        peer_id=buyer.id, peer_mask="t***1", item_id=item_id, created_ms=world.clock.now_ms(), hex_id="0" * 32,
        summary=summary, content=content, content_type=content_type, extra=extra,
    )  # fmt: skip
    await shoal.sandbox.do("push", account=unb, buyer="小鱼", shape="raw", data=codec.encode(codec.chat_message(line)))


async def paid_card(shoal: Shoal, unb: str, order_id: str, *, item_id: str = "", by_site: bool = True) -> None:
    """Push a paid card that no purchase of the sandbox caused, tagged as the site's own or as a person's message."""
    cid = shoal.sandbox.world.chat(shoal.sandbox.world.seller(unb), shoal.sandbox.world.buyer("小鱼")).cid
    extra = cards.card_extra("paid", order_id, cid=cid, hex_id="0" * 32, receiver_id=unb)
    content = cards.card_content("paid", order_id)
    await pushed(
        shoal, unb, content, content_type=codec.TRADE_CARD, summary="[我已付款，等待你发货]", item_id=item_id,
        **(extra if by_site else {}),
    )  # fmt: skip


async def died(shoal: Shoal, tmp_path: Path) -> Shoal:
    """The server as it is when it dies now: a second one on an image of its data, not open yet.

    The first one is closed on its own data while the site still holds whatever it holds.
    """
    image = tmp_path / "image"
    shutil.copytree(shoal.data_dir, image, ignore=shutil.ignore_patterns("*.lock"))
    await shoal.close()
    return Shoal(shoal.sandbox, image)
