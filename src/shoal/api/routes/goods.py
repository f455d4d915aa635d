"""Goods: what a user sells by machine, with what is in stock, and the history of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Header, Response
from fastapi.encoders import jsonable_encoder

from shoal.accounts.delivery_rule import CODES
from shoal.api.http.caller import TheServer, generations_of
from shoal.api.http.goods_caller import GoodsToChange, GoodsToRead, TheBy, WhoAddsGoods, WhoListsGoods
from shoal.api.http.openapi_errors import CHANGING, POSTING, READING, READING_ONE, problems
from shoal.api.http.routing import Routes
from shoal.api.http.rule_goods import require_length
from shoal.api.routes.history import Cursor, Limit
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.goods import (
    GoodsBody,
    GoodsList,
    GoodsPatch,
    GoodsShape,
    StockFigures,
    StockHistory,
    goods_shape,
    history_shape,
)
from shoal.api.schemas.responses import etag
from shoal.api.schemas.suppliers import SupplierTried, SupplierTryBody, tried_shape
from shoal.api.server import Server
from shoal.errors import StaleGeneration
from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.goods_store import SupplierEdit
from shoal.goods.suppliers import Supplier, shown_request
from shoal.goods.unit_states import UnitState
from shoal.pictures.pictures import is_kept

routes = Routes(tags=["goods"])

IfMatch = Annotated[
    str | None,
    Header(description="The ETag from the last read. If it no longer matches, the change is refused (412)."),
]


@routes.get("/goods", summary="List goods", responses={**READING, **problems(403)})
async def list_goods(server: TheServer, who: WhoListsGoods) -> GoodsList:
    """List the caller's goods with what is in stock of each. They belong to a user: all the user's shops share them."""
    return GoodsList(items=await _shapes(server, await server.goods.store.list(who.id)))


@routes.post("/goods", summary="Add goods", responses=POSTING)
async def add_goods(body: GoodsBody, server: TheServer, who: WhoAddsGoods, by: TheBy, response: Response) -> GoodsShape:
    """Add goods: `stock` (units that go out once), `reusable` (units that go out several times), `fixed` (one text or
    picture for everybody), `supplier` (units that your own supplier is asked for, with its settings as `supplier`).
    """
    values = {**body.model_dump(exclude={"supplier"}), "kind": GoodsKind(body.kind)}
    await _require_picture(server, values)
    sent = None if body.supplier is None else body.supplier.values()
    sealed, _ = server.goods.suppliers.sealed(None, sent, who.id)
    return await _answered(server, response, await server.goods.store.create(who.id, values, by, supplier=sealed))


@routes.get("/goods/{goods_id}", summary="Get goods", responses={**READING_ONE, **problems(403)})
async def get_goods(goods: GoodsToRead, server: TheServer, response: Response) -> GoodsShape:
    """Return goods with what is in stock, and the ETag for a change."""
    return await _answered(server, response, goods)


@routes.patch("/goods/{goods_id}", summary="Change goods", responses=CHANGING)
async def change_goods(
    body: GoodsPatch,
    goods: GoodsToChange,
    server: TheServer,
    by: TheBy,
    response: Response,
    *,
    if_match: IfMatch = None,
) -> GoodsShape:
    """Change the fields that are sent; of a `supplier` too, those that are left out stay. The kind never changes."""
    values = body.model_dump(exclude_unset=True, exclude={"supplier"})
    values = {name: value for name, value in values.items() if value is not None or name == "uses_each"}
    await _require_picture(server, values)
    if body.per_message is not None and body.per_message > goods.per_message:
        longest = (await server.goods.units.longest_next([goods.id]))[goods.id]
        require_length(CODES, body.per_message, longest)
    try:
        after = await server.goods.store.change(
            goods.id, values, by, versions=generations_of(if_match), supplier=_supplier_edit(server, body, goods)
        )
    except StaleGeneration as error:
        now = await server.goods.store.get(goods.id)
        if now is not None:
            (shape,) = await _shapes(server, [now])
            more: dict[str, Any] = {"generation": now.version, "etag": etag(now.version)}
            error.params.update(more, current=jsonable_encoder(shape))
        raise
    return await _answered(server, response, after)


@routes.get("/goods/{goods_id}/history", summary="Get the stock's history", responses={**READING_ONE, **problems(403)})
async def get_stock_history(
    goods: GoodsToRead,
    server: TheServer,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> StockHistory:
    """List the changes of goods and of their units, the newest first: who did what, when, and why."""
    before = None if cursor is None else place_of(cursor, 1)[0]
    entries = await server.goods.store.history(goods.id, before=before, limit=limit + 1)
    following = cursor_of(entries[limit - 1].id) if len(entries) > limit else None
    return StockHistory(items=[history_shape(entry) for entry in entries[:limit]], next=following)


async def _require_picture(server: Server, values: Mapping[str, Any]) -> None:
    """Raise ``InvalidInput`` (``picture_missing``) for a picture that is to be stored here, and is not."""
    if is_kept(url := values.get("image_url", "")):
        await server.pictures.read(url)


def _supplier_edit(server: Server, body: GoodsPatch, goods: Goods) -> SupplierEdit | None:
    if body.supplier is None:
        return None
    values = body.supplier.values()
    return lambda before: server.goods.suppliers.sealed(before, values, goods.owner_id)


async def _answered(server: Server, response: Response, goods: Goods) -> GoodsShape:
    response.headers["ETag"] = etag(goods.version)
    (shape,) = await _shapes(server, [goods])
    return shape


async def _shapes(server: Server, found: Sequence[Goods]) -> list[GoodsShape]:
    ids = [goods.id for goods in found]
    if not ids:
        return []
    counts, paces = await server.goods.store.counts(ids), await server.goods.store.pace(ids)
    left = await server.goods.store.uses_left(found)
    suppliers = {one.id: await _supplier(server, one) for one in found if one.kind is GoodsKind.SUPPLIER}
    figures = {
        one: StockFigures(
            counts[one], left.get(one, counts[one][UnitState.FREE]), paces.get(one, 0), suppliers.get(one)
        )
        for one in ids
    }
    return [goods_shape(goods, figures[goods.id]) for goods in found]


async def _supplier(server: Server, goods: Goods) -> Supplier | None:
    return await server.database.read(lambda connection: server.goods.suppliers.read(connection, goods.id))


@routes.post("/goods/{goods_id}/supplier/try", summary="Try a supplier", responses=POSTING)
async def try_supplier(body: SupplierTryBody, goods: GoodsToChange, server: TheServer, by: TheBy) -> SupplierTried:
    """Show the call that would order one unit, without its secrets. Nothing is sent.

    With `call` it is sent: the supplier sells one unit, and it becomes free stock of these goods, which the next order
    gets. An answer of which nothing is known leaves a doubted unit.
    """
    units = server.goods.supplier_units
    supplier = await units.supplier(goods)
    wanted = units.test_order(spec=body.spec, item_id=body.item_id)
    answer = await units.try_call(goods, wanted, by) if body.call else None
    return tried_shape(shown_request(supplier, wanted), answer)
