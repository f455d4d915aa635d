"""The supplier of goods: what a call would look like, and a call that a person asks for."""

from __future__ import annotations

from shoal.api.http.caller import TheServer
from shoal.api.http.goods_caller import GoodsToChange, TheBy
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.suppliers import SupplierTried, SupplierTryBody, tried_shape
from shoal.goods.suppliers import shown_request

routes = Routes(tags=["goods"])


@routes.post(
    "/goods/{goods_id}/supplier/try",
    summary="Try a supplier",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
)
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
