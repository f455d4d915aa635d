"""Which items a seller has on sale, by the site's own list (docs/protocol.md §2.5). Read page by page, in pace."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from decimal import Decimal

import msgspec

from shoal.xianyu.mtop import MtopClient

_API, _PAGE = "mtop.idle.web.xyh.item.list", "a21ybx.personal.0.0"
PAGE_SIZE = 20
MOST_PAGES = 50
PAGE_SECONDS = 0.5
"""The wait between two pages, so that a large shop makes no burst of calls."""
_YUAN = re.compile(r"[0-9]{1,8}(\.[0-9]{1,2})?", re.ASCII)
_SIGNS = ("", "¥", "￥")
"""What may stand before a price. Any other word may make it another price: of the cheapest spec, with a coupon."""


class ListedItem(msgspec.Struct, frozen=True):
    """What the site's list says of an item; the price is ``None`` when it does not say one in plain yuan.

    ``picture`` is the address of its picture on the site.
    """

    title: str = ""
    price_fen: int | None = None
    picture: str = ""


async def items_on_sale(mtop: MtopClient, seller: str) -> dict[str, ListedItem]:
    """Return the items by id, in the site's order. Raise like ``MtopClient.call``.

    Cards of an unknown form are left out; the list ends with a page that brings nothing new.
    """
    found: dict[str, ListedItem] = {}
    for number in range(1, MOST_PAGES + 1):
        data = await mtop.call(_API, _wanted(seller, number), extra_query={"spm_cnt": _PAGE})
        before = len(found)
        cards = data.get("cardList")
        for card in cards if isinstance(cards, list) else []:
            item_id, item = _item_of(card)
            if item_id:
                found.setdefault(item_id, item)
        if len(found) == before or data.get("nextPage") is False:
            break
        await asyncio.sleep(PAGE_SECONDS)
    return found


def _wanted(seller: str, number: int) -> str:
    wanted = {
        "needGroupInfo": False, "pageNumber": number, "pageSize": PAGE_SIZE, "groupName": "在售", "groupId": "58877261",
        "defaultGroup": True, "userId": seller,
    }  # fmt: skip
    return json.dumps(wanted, separators=(",", ":"))


def _item_of(card: object) -> tuple[str, ListedItem]:
    data = card.get("cardData") if isinstance(card, Mapping) else None
    if not isinstance(data, Mapping):
        return "", ListedItem()
    item_id, title = str(data.get("id") or ""), data.get("title")
    is_id = item_id.isascii() and item_id.isdigit() and len(item_id) <= 32
    if not is_id:
        return "", ListedItem()
    shown = data.get("picInfo")
    picture = shown.get("picUrl") if isinstance(shown, Mapping) else None
    return item_id, ListedItem(
        title.strip() if isinstance(title, str) else "",
        price_fen_of(data.get("priceInfo")),
        picture.strip() if isinstance(picture, str) else "",
    )


def price_fen_of(value: object) -> int | None:
    """Return the fen of ``{preText, price}``; ``None`` for a price of another form, and for zero: never a guess."""
    if not isinstance(value, Mapping):
        return None
    sign, price = value.get("preText", ""), value.get("price")
    if sign not in _SIGNS or not isinstance(price, str) or not _YUAN.fullmatch(price):
        return None
    return int(Decimal(price) * 100) or None
