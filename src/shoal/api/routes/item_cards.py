"""What is known of the item that a chat is about, in short."""

from __future__ import annotations

from pydantic import BaseModel

from shoal.api.http.caller import ReadAccount, TheServer
from shoal.api.http.openapi_errors import READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.routes.item_pages import ItemId
from shoal.api.routes.items_anywhere import kept_items
from shoal.api.schemas.responses import example
from shoal.xianyu.site_pages import PAGE_OF_ITEM

routes = Routes(tags=["items"])


class ItemCard(BaseModel):
    """An item in short. ``title`` is empty and ``price_fen`` null when they are not known. ``url``: its page."""

    model_config = example(
        item_id="700000000001",
        title="视频会员",
        price_fen=2500,
        url="https://www.goofish.com/item?id=700000000001",
    )
    item_id: str
    title: str
    price_fen: int | None
    url: str


@routes.get("/cookies/{cid}/items/{item_id}/card", summary="Get an item in short", responses=READING_ONE)
async def get_item_card(item_id: ItemId, account: ReadAccount, server: TheServer) -> ItemCard:
    """Return title, price and page of an item, by the site's last list of the shop, else by the item's page when that
    was last read. The site is not asked.
    """
    listed = (await kept_items(server, [account]))[account.id]
    title, price = listed.titles.get(item_id, ""), listed.prices.get(item_id)
    if not title or price is None:
        stored = await server.item_pages.stored(account, item_id)
        if stored is not None:
            title, price = title or stored.page.title, price if price is not None else stored.page.price_fen
    return ItemCard(item_id=item_id, title=title, price_fen=price, url=PAGE_OF_ITEM.format(item_id))
