"""Orders for the contract tests: a paid one, and what the site tells about it later."""

from __future__ import annotations

from shoal.orders.order_store import Order, OrderStore, OrderUpdate

SECOND = 1000


async def paid(book: OrderStore, account_id: str = "shop", order_id: str = "o1") -> Order:
    news = OrderUpdate(order_id=order_id, status="pending_ship", source="card", buyer_id="b", chat_id="c", paid=True)
    return (await book.receive(account_id, news))[0]


async def told(book: OrderStore, status: str, order_id: str = "o1", **news: int | str) -> Order:
    heard = OrderUpdate(order_id=order_id, status=status, source="card", **news)  # type: ignore[arg-type]  # short words
    return (await book.receive("shop", heard))[0]
