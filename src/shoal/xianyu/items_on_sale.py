"""Which items a seller has on sale, by the site's own list (docs/protocol.md §2.5). Read page by page, in pace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from shoal.xianyu.mtop import MtopClient

_API, _PAGE = "mtop.idle.web.xyh.item.list", "a21ybx.personal.0.0"
PAGE_SIZE = 20
MOST_PAGES = 50
PAGE_SECONDS = 0.5
"""The wait between two pages, so that a large shop makes no burst of calls."""


async def items_on_sale(mtop: MtopClient, seller: str) -> dict[str, str]:
    """Return the titles by item id, in the site's order. Raise like ``MtopClient.call``.

    Cards of an unknown form are left out; the list ends with a page that brings nothing new.
    """
    found: dict[str, str] = {}
    for number in range(1, MOST_PAGES + 1):
        data = await mtop.call(_API, _wanted(seller, number), extra_query={"spm_cnt": _PAGE})
        before = len(found)
        cards = data.get("cardList")
        for card in cards if isinstance(cards, list) else []:
            item_id, title = _item_of(card)
            if item_id:
                found.setdefault(item_id, title)
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


def _item_of(card: object) -> tuple[str, str]:
    data = card.get("cardData") if isinstance(card, Mapping) else None
    if not isinstance(data, Mapping):
        return "", ""
    item_id, title = str(data.get("id") or ""), data.get("title")
    is_id = item_id.isascii() and item_id.isdigit() and len(item_id) <= 32
    return (item_id, title.strip() if isinstance(title, str) else "") if is_id else ("", "")
