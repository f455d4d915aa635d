"""What is known of the item that a chat is about, in short."""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel

from shoal.api.http.caller import ReadAccount, TheServer
from shoal.api.http.openapi_errors import READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.routes.item_pages import ItemId
from shoal.api.schemas.responses import example
from shoal.storage.known_item_rows import UNKNOWN, item_facts
from shoal.xianyu.site_pages import PAGE_OF_ITEM

routes = Routes(tags=["items"])


class ItemCard(BaseModel):
    """An item in short. ``title`` and ``picture`` (an address of this server) are empty and ``price_fen`` is null when
    they are not known. ``url``: its page.
    """

    model_config = example(
        item_id="700000000001",
        title="视频会员",
        price_fen=2500,
        picture="/static/uploads/images/9b1c0d5e7f2a4b6c8d0e1f2a3b4c5d6e.webp",
        url="https://www.goofish.com/item?id=700000000001",
    )
    item_id: str
    title: str
    price_fen: int | None
    picture: str
    url: str


@routes.get("/cookies/{cid}/items/{item_id}/card", summary="Get an item in short", responses=READING_ONE)
async def get_item_card(item_id: ItemId, account: ReadAccount, server: TheServer) -> ItemCard:
    """Return title, price, picture and page of an item, as the site last told them. The site is not asked."""
    key = (account.id, item_id)
    item = (await server.database.read(partial(item_facts, items=[key]))).get(key, UNKNOWN)
    return ItemCard(
        item_id=item_id,
        title=item.title,
        price_fen=item.price_fen,
        picture=item.picture,
        url=PAGE_OF_ITEM.format(item_id),
    )
