"""What lists, searches, sums and files of orders cost with more and more orders; a part of ``benchmarks.growth``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, insert

from shoal.language.choice import Language
from shoal.orders.order_export import OrderFile, file_of
from shoal.orders.order_lists import OrderPage, SoughtOrders
from shoal.orders.order_sums import DAY_MS, By, order_sums
from shoal.storage.database import Database
from shoal.storage.order_tables import known_items, orders

ITEMS: Final = 40
"""Items of each shop."""
NOW_MS: Final = 1_790_000_000_000
_ZONE: Final = ZoneInfo("Asia/Shanghai")
_STATUSES: Final = ("pending_ship", "shipped", "completed", "completed", "completed", "cancelled")


def fill_orders(connection: Connection, ids: Sequence[str], numbers: tuple[int, int]) -> None:
    """Add orders that are spread over the shops and the year before ``NOW_MS``."""
    first, last = numbers
    rng = Random(first)  # noqa: S311  no secret
    connection.execute(
        insert(orders),
        [
            {
                "account_id": ids[number % len(ids)], "order_id": f"45{number:017}",
                "item_id": f"8{rng.randrange(ITEMS):03}", "buyer_id": f"22{number % 9_973:011}",
                "chat_id": f"5{number % 9_973}", "status": _STATUSES[number % len(_STATUSES)], "amount": "19.90",
                "quantity": "1", "created_at_ms": NOW_MS - rng.randrange(365 * DAY_MS),
                "updated_at_ms": NOW_MS,
            }
            for number in range(first, last)
        ],
    )  # fmt: skip


def fill_items(connection: Connection, ids: Sequence[str]) -> None:
    """Add the items that the orders name."""
    rows = [
        {"account_id": name, "item_id": f"8{number:03}", "title": f"会员 {number} 号", "seen_at_ms": NOW_MS}
        for name in ids
        for number in range(ITEMS)
    ]
    connection.execute(insert(known_items), rows)


def works_of(database: Database, ids: Sequence[str]) -> dict[str, Callable[[], Awaitable[object]]]:
    """Return what is measured."""

    async def listed(shops: Sequence[str], sought: SoughtOrders) -> object:
        return await database.read(OrderPage(shops, sought).listed)

    async def summed(by: By, days: int) -> object:
        sought = SoughtOrders(since_ms=NOW_MS - days * DAY_MS, until_ms=NOW_MS)
        return await database.read(partial(order_sums, account_ids=ids, sought=sought, by=by, zone=_ZONE))

    async def exported() -> int:
        file = OrderFile({ids[0]: "shop"}, SoughtOrders(), Language.ZH, _ZONE, file_of("csv"))
        size = 0
        async for chunk in file.chunks(database.read):
            size += len(chunk)
        return size

    every = SoughtOrders()
    found: dict[str, Any] = {
        "orders of a shop": partial(listed, ids[:1], every),
        "orders of all": partial(listed, ids, every),
        "orders with a status": partial(listed, ids, SoughtOrders(status="pending_ship")),
        "search of orders: part of a number": partial(listed, ids, SoughtOrders(query="0000000007")),
        "search of orders: words of a title": partial(listed, ids, SoughtOrders(query="7 号")),
        "search of orders: nothing has it": partial(listed, ids, SoughtOrders(query="龘")),
        "sums of 30 days by day": partial(summed, By.DAY, 30),
        "sums of a year by item": partial(summed, By.ITEM, 365),
        "file of a shop": exported,
    }
    return found
