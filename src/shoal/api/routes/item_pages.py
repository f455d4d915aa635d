"""The site's pages of single items: what was read of them, in full and in short, and reading one again."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Final

from fastapi import Path
from pydantic import BaseModel

from shoal.accounts.account import Account
from shoal.api.http.caller import OperateAccount, ReadAccount, TheServer
from shoal.api.http.openapi_errors import ACTING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.schemas.item_pages import ItemPageShape, item_page_shape
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.clock import now_ms
from shoal.cluster.nodes import Nodes
from shoal.messages.manual_sending import NotConnected
from shoal.orders.spec_pages import SpecPages
from shoal.storage.known_item_rows import UNKNOWN, item_facts
from shoal.xianyu.site_pages import PAGE_OF_ITEM

routes = Routes(tags=["items"])

ItemId = Annotated[
    str, Path(description="The item's id on the site.", examples=["700000000001"], pattern="^[0-9]{1,32}$")
]
READ_PAGE: Final = "read-item-page"
"""The operation between servers."""
PAGE_SECONDS: Final = 30.0
"""How long another server waits for a page that a question needs."""


@routes.get("/cookies/{cid}/items/{item_id}/page", summary="Get what is known of an item's page", responses=READING_ONE)
async def get_item_page(item_id: ItemId, account: ReadAccount, server: TheServer) -> ItemPageShape:
    """Return what the site's page of an item said when it was last read. The site is not asked."""
    return item_page_shape(item_id, await server.item_pages.stored(account, item_id), now_ms())


@routes.post("/cookies/{cid}/items/{item_id}/page", summary="Read an item's page again", responses=ACTING)
async def read_item_page_again(item_id: ItemId, account: OperateAccount, server: TheServer) -> ItemPageShape:
    """Read the site's page of an item over the shop's connection, at most once a minute, and return what is known then.

    A page that could not be read leaves what was known, and says `why`.
    """
    return item_page_shape(item_id, await server.item_pages.read_again(account, item_id), now_ms())


def asked_of_owners(spec_pages: SpecPages, nodes: Nodes) -> SpecPages:
    """Let pages of accounts that another server runs be read there; a single server has no other to ask."""
    calls = nodes.calls
    if calls is None:
        return spec_pages

    async def ask(account: Account, item_id: str, by_owner: bool) -> None:
        if calls.is_mine(account.id):
            raise NotConnected("the account is not connected", code="not_connected/items")
        await calls.ask(account.id, READ_PAGE, {"rev": account.rev, "item_id": item_id, "by_owner": by_owner})

    spec_pages.pages.ask_owner = ask
    return spec_pages


async def answer_read_page(server: Server, account: Account, asked: dict[str, Any]) -> dict[str, Any]:
    """Read a page for another server, which then finds it in the database."""
    item_id = str(asked["item_id"])
    if asked["by_owner"]:
        await server.item_pages.read_again(account, item_id)
    else:
        await server.item_pages.of(account, item_id, seconds=PAGE_SECONDS)
    return {}


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
