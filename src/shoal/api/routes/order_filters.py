"""Which orders a caller asks for: the filters that the list, the sums and the file of orders share."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from shoal.api.http.account_filter import NO_NUL
from shoal.api.http.timestamps import Moment, ms_of
from shoal.api.schemas.orders import OrderStatusShape
from shoal.orders.order_lists import SoughtOrders


def sought_orders(
    *,
    status: Annotated[OrderStatusShape | None, Query(description="Only orders with this status.")] = None,
    problem: Annotated[bool, Query(description="Only orders that need action by the owner.")] = False,
    waiting: Annotated[
        bool, Query(description="Only orders that wait: for their page, their turn, goods, the site or their owner.")
    ] = False,
    chat: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="Only for this chat.")] = None,
    item: Annotated[
        str | None,
        Query(max_length=64, pattern=NO_NUL, description="Only of this item.", examples=["700000000001"]),
    ] = None,
    since: Annotated[
        Moment | None,
        Query(description="Only orders received at or after this time.", examples=["2026-01-01T00:00:00Z"]),
    ] = None,
    until: Annotated[
        Moment | None, Query(description="Only orders received before this time.", examples=["2026-01-02T00:00:00Z"])
    ] = None,
    q: Annotated[
        str,
        Query(
            max_length=64,
            pattern=NO_NUL,
            description="The beginning of an order id, from four digits on any part of it, an item or buyer id, or a "
            "part of the buyer's name or of the item's title.",
        ),
    ] = "",
) -> SoughtOrders:
    """Return which orders are asked for."""
    return SoughtOrders(
        status=None if status is None else status.stored.value,
        with_problem=problem,
        waiting=waiting,
        chat_id=chat,
        item_id=item,
        since_ms=ms_of(since),
        until_ms=ms_of(until),
        query=q,
    )


Sought = Annotated[SoughtOrders, Depends(sought_orders)]
