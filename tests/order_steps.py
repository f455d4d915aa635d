"""Short words for tests of orders over the real wire: shops that are paid, and waiting for what becomes of it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

from sandboxed import Shoal
from shoal.account import AccountState
from shoal.order_book import Act, IntentState, Order
from standins import ANN, until

CONSIGN, FREE = "consign.dummy", "seller.freeshipping"


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


async def intent(shoal: Shoal, order_id: str, act: Act, state: IntentState) -> None:
    """Wait until an act has come so far."""
    async with asyncio.timeout(5):
        while await shoal.book.intent_state("shop", order_id, act) is not state:
            await asyncio.sleep(0.02)


async def order_soon(shoal: Shoal, order_id: str, **wanted: Any) -> Order:
    """Wait until an order has those values; returns it."""
    order: Order | None = None
    try:
        async with asyncio.timeout(5):
            while True:
                order = await shoal.book.order("shop", order_id)
                if order is not None and all(getattr(order, name) == value for name, value in wanted.items()):
                    return order
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{order} never was {wanted}; {await shoal.book.intents('shop', order_id)}") from None


async def words(shoal: Shoal, unb: str, buyer: str = "小鱼") -> list[str]:
    """What the shop said to a buyer who paid."""
    return [line for line in await shoal.sandbox.seen(unb, buyer) if line.startswith("网盘链接")]


async def calls(shoal: Shoal, api: str, unb: str) -> int:
    """How often the site was told."""
    return len(await shoal.sandbox.calls(api, unb))


async def running(shoal: Shoal) -> None:
    """Wait until the shop runs (again)."""
    await until(lambda: shoal.manager.observation("shop").state is AccountState.RUNNING)


async def died(shoal: Shoal, tmp_path: Path) -> Shoal:
    """The server as it is when it dies now: a second one on an image of its data, not open yet.

    The first one is closed on its own data while the site still holds whatever it holds.
    """
    image = tmp_path / "image"
    shutil.copytree(shoal.data_dir, image, ignore=shutil.ignore_patterns("*.lock"))
    await shoal.close()
    return Shoal(shoal.sandbox, image)
