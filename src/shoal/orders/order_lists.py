"""The query of a list of orders."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Select, and_, exists, or_, select

from shoal.storage.among import among
from shoal.storage.order_tables import orders
from shoal.storage.schema import chats


def wanted_orders(
    account_ids: Collection[str],
    *,
    cursor: tuple[int, str, str] | None,
    limit: int,
    status: str | None,
    with_problem: bool,
    chat_id: str | None,
    query: str,
) -> Select[tuple[object, ...]]:
    """Return the query of orders, newest first, as ``OrderStore.orders`` lists them."""
    wanted = select(orders).where(among(orders.c.account_id, account_ids))
    if status is not None:
        wanted = wanted.where(orders.c.status == status)
    if with_problem:
        wanted = wanted.where(orders.c.problem != "")
    if chat_id is not None:
        wanted = wanted.where(orders.c.chat_id == chat_id)
    if query:
        with_buyer = and_(chats.c.account_id == orders.c.account_id, chats.c.chat_id == orders.c.chat_id)
        of_buyer = exists().where(with_buyer, chats.c.buyer_name.icontains(query, autoescape=True))
        named = (orders.c.item_id == query, orders.c.buyer_id == query, of_buyer)
        wanted = wanted.where(or_(orders.c.order_id.startswith(query, autoescape=True), *named))
    if cursor is not None:
        created, account_id, order_id = cursor
        later = or_(
            orders.c.account_id > account_id,
            and_(orders.c.account_id == account_id, orders.c.order_id > order_id),
        )
        wanted = wanted.where(or_(orders.c.created_at_ms < created, and_(orders.c.created_at_ms == created, later)))
    return wanted.order_by(orders.c.created_at_ms.desc(), orders.c.account_id, orders.c.order_id).limit(limit)
