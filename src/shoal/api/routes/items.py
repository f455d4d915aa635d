"""Settings of single items of an account."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response
from pydantic import BaseModel

from shoal.accounts.item_setting import ItemSetting
from shoal.api.http.caller import OperateAccount, ReadAccount, TheCaller, TheServer
from shoal.api.http.changes import changed, facts_of, made
from shoal.api.http.openapi_errors import CHANGING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.schemas.account_requests import ItemBody
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, ItemShape, etag_of, example, item_shape
from shoal.errors import InvalidInput

routes = Routes(tags=["items"])

ItemId = Annotated[str, Path(description="The item's id on the site.", examples=["700000000001"])]


class ItemList(BaseModel):
    """The items that have settings."""

    items: list[ItemShape]
    next: str | None = None


class ItemChanged(ChangeFacts):
    """The item's settings after the change."""

    item: ItemShape


class ItemRemoved(ChangeFacts):
    """The item's settings were deleted."""

    model_config = example(msg="removed", **CHANGE_EXAMPLE)
    msg: str = "removed"


@routes.get("/cookies/{cid}/items", summary="List item settings", responses=READING_ONE)
async def list_items(account: ReadAccount, response: Response) -> ItemList:
    """List all items that have settings, by id."""
    response.headers["ETag"] = etag_of(account)
    return ItemList(items=[item_shape(item) for item in account.items])


@routes.get("/cookies/{cid}/items/{item_id}", summary="Get an item's settings", responses=READING_ONE)
async def get_item(item_id: ItemId, account: ReadAccount, response: Response) -> ItemShape:
    """Return the settings of one item."""
    item = account.item(item_id)
    if item is None:
        raise InvalidInput("nothing is set for that item", code="unknown_item")
    response.headers["ETag"] = etag_of(account)
    return item_shape(item)


@routes.put("/cookies/{cid}/items/{item_id}", summary="Change an item's settings", responses=CHANGING)
async def put_item(
    item_id: ItemId, body: ItemBody, account: OperateAccount, server: TheServer, caller: TheCaller, response: Response
) -> ItemChanged:
    """Change the settings that are sent; the others stay."""
    values = body.model_dump(include=body.model_fields_set)
    change = server.manager.update_item(account.id, item_id, values, caller=caller)
    outcome = await made(server, response, account.id, change)
    now = outcome.account.item(item_id) or ItemSetting(item_id=item_id)
    return ItemChanged(item=item_shape(now), **facts_of(outcome))


@routes.delete("/cookies/{cid}/items/{item_id}", summary="Delete an item's settings", responses=CHANGING)
async def delete_item(
    item_id: ItemId, account: OperateAccount, server: TheServer, caller: TheCaller, response: Response
) -> ItemRemoved:
    """Delete the settings of an item. Repeating the request changes nothing."""
    change = server.manager.update_item(account.id, item_id, None, caller=caller)
    return ItemRemoved(**await changed(server, response, account.id, change))
