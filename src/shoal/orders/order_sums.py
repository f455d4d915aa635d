"""Sums of orders by day, shop or item: how many, what was paid, and what was refunded."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import (
    REAL,
    BigInteger,
    ColumnElement,
    Connection,
    Integer,
    Numeric,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
)

from shoal.clock import now_ms
from shoal.orders.order_lists import SoughtOrders, narrowed
from shoal.orders.order_status import OrderStatus
from shoal.storage.known_item_rows import UNKNOWN, item_facts
from shoal.storage.order_tables import order_events, orders

MOST_DAYS: Final = 400
"""Of how many days sums by day are returned."""
MOST_ROWS: Final = 500
"""So many shops or items are listed apart, those with the largest sums; the others count in the total."""
DAY_MS: Final = 86_400_000
_LONG_MS: Final = 90 * DAY_MS
_MINUTE_MS: Final = 60_000
_LONGEST_AMOUNT: Final = 12
_LONGEST_QUANTITY: Final = 6

_PAID: Final = (OrderStatus.PENDING_SHIP.value, OrderStatus.SHIPPED.value, OrderStatus.COMPLETED.value)
_SHOWS_PAYMENT: Final = (*_PAID, OrderStatus.REFUNDING.value)


class By(StrEnum):
    """What orders are summed by."""

    DAY = "day"
    SHOP = "shop"
    ITEM = "item"


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderSum:
    """The sums of some orders. Amounts are in fen.

    ``paid``: orders that stand paid; ``refunded``: paid once, and their refund is asked for or made. ``quantity``:
    pieces of those that stand paid, at least one of each. ``unknown``: orders of both whose amount is not known; their
    amounts are in no sum. ``orders`` counts all, also unpaid ones.
    """

    day: str = ""
    account_id: str = ""
    item_id: str = ""
    item_title: str = ""
    item_picture: str = ""
    orders: int = 0
    paid: int = 0
    paid_fen: int = 0
    quantity: int = 0
    refunded: int = 0
    refunded_fen: int = 0
    unknown: int = 0


class OrderSums(msgspec.Struct, frozen=True):
    """The sums by day, oldest first, or by shop or item, the largest first; ``left_out``: how many are not listed."""

    rows: list[OrderSum]
    total: OrderSum
    left_out: int


_FIGURES: Final = ("orders", "paid", "paid_fen", "quantity", "refunded", "refunded_fen", "unknown")


def order_sums(
    connection: Connection, account_ids: Collection[str], sought: SoughtOrders, by: By, zone: ZoneInfo
) -> OrderSums:
    """Return the sums of the orders that are sought. ``zone``: whose days are meant."""
    keys: dict[str, ColumnElement[Any]]
    if by is By.DAY:
        keys = {"day_number": _day_in(zone, sought.since_ms or 0, sought.until_ms or 0)}
    elif by is By.SHOP:
        keys = {"account_id": orders.c.account_id}
    else:
        keys = {"account_id": orders.c.account_id, "item_id": func.coalesce(orders.c.item_id, "")}
    figures = _figures(on_sqlite=connection.dialect.name == "sqlite")
    wanted = narrowed(
        select(*(column.label(name) for name, column in keys.items()), *(one.label(name) for name, one in figures)),
        account_ids,
        sought,
        whole=sought.since_ms is None or (sought.until_ms or now_ms()) - sought.since_ms > _LONG_MS,
    ).group_by(*keys.values())
    found = [_sum(dict(row)) for row in connection.execute(wanted).mappings()]
    total = OrderSum(**{name: sum(getattr(row, name) for row in found) for name in _FIGURES})
    if by is By.DAY:
        return OrderSums(sorted(found, key=lambda row: row.day), total, 0)
    found.sort(key=lambda row: (-row.paid_fen, -row.orders, row.account_id, row.item_id))
    items = item_facts(connection, {(row.account_id, row.item_id) for row in found[:MOST_ROWS] if row.item_id})
    listed = []
    for row in found[:MOST_ROWS]:
        item = items.get((row.account_id, row.item_id), UNKNOWN)
        listed.append(replace(row, item_title=item.title, item_picture=item.picture))
    return OrderSums(listed, total, max(0, len(found) - MOST_ROWS))


def _sum(row: dict[str, Any]) -> OrderSum:
    number = row.pop("day_number", None)
    day = "" if number is None else (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=int(number))).date().isoformat()
    values: dict[str, Any] = {name: int(value) if name in _FIGURES else value for name, value in row.items()}
    return OrderSum(day=day, **values)


def _figures(*, on_sqlite: bool) -> list[tuple[str, ColumnElement[Any]]]:
    paid = orders.c.status.in_(_PAID)
    was_paid = exists().where(
        order_events.c.account_id == orders.c.account_id,
        order_events.c.order_id == orders.c.order_id,
        order_events.c.status.in_(_SHOWS_PAYMENT),
    )
    refunded = or_(
        orders.c.status == OrderStatus.REFUNDING.value, and_(orders.c.status == OrderStatus.CANCELLED.value, was_paid)
    )
    known = _is_number(orders.c.amount, _LONGEST_AMOUNT, on_sqlite=on_sqlite)
    fen = cast(func.round(cast(orders.c.amount, REAL if on_sqlite else Numeric) * 100), BigInteger)
    pieces = case(
        (_is_whole(orders.c.quantity, on_sqlite=on_sqlite), cast(orders.c.quantity, Integer)), else_=literal(1)
    )

    def added(condition: ColumnElement[bool], value: ColumnElement[Any]) -> ColumnElement[Any]:
        return func.coalesce(func.sum(case((condition, value), else_=literal(0))), 0)

    one = literal(1)
    return [
        ("orders", func.count()),
        ("paid", added(paid, one)),
        ("paid_fen", added(and_(paid, known), fen)),
        ("quantity", added(paid, pieces)),
        ("refunded", added(refunded, one)),
        ("refunded_fen", added(and_(known, refunded), fen)),
        ("unknown", added(and_(not_(known), or_(paid, refunded)), one)),
    ]


def _is_number(text: ColumnElement[str], longest: int, *, on_sqlite: bool) -> ColumnElement[bool]:
    """Return whether a text of the site is a plain number, so that it can be summed."""
    short = func.length(text) <= longest
    if not on_sqlite:
        return and_(short, text.bool_op("~")(r"^[0-9]+\.?[0-9]*$"))
    odd = or_(text.bool_op("GLOB")("*[^0-9.]*"), text.bool_op("GLOB")("*.*.*"))
    return and_(short, text.bool_op("GLOB")("[0-9]*"), not_(odd))


def _is_whole(text: ColumnElement[str], *, on_sqlite: bool) -> ColumnElement[bool]:
    short = func.length(text) <= _LONGEST_QUANTITY
    if not on_sqlite:
        return and_(short, text.bool_op("~")("^[1-9][0-9]*$"))
    return and_(short, text.bool_op("GLOB")("[1-9]*"), not_(text.bool_op("GLOB")("*[^0-9]*")))


def _day_in(zone: ZoneInfo, since_ms: int, until_ms: int) -> ColumnElement[Any]:
    """Return the number of the day of an order in a zone, counted from 1970."""
    spans = list(_offsets(zone, since_ms, until_ms))
    *before, (_, last) = spans
    if before:
        shifts = [(orders.c.created_at_ms < ends_ms, literal(offset)) for ends_ms, offset in before]
        offset_ms: ColumnElement[Any] = case(*shifts, else_=literal(last))
    else:
        offset_ms = literal(last)
    return (orders.c.created_at_ms + offset_ms) // DAY_MS


def _offsets(zone: ZoneInfo, since_ms: int, until_ms: int) -> Iterator[tuple[int, int]]:
    """Yield until when each offset from UTC holds in a zone, both in milliseconds; the last one holds to the end."""
    at, offset = since_ms, _offset_ms(zone, since_ms)
    while at < until_ms:
        then = min(at + DAY_MS, until_ms)
        later = _offset_ms(zone, then)
        if later != offset:
            low, high = at // _MINUTE_MS, -(-then // _MINUTE_MS)  # clocks are changed at whole minutes
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset_ms(zone, middle * _MINUTE_MS) == offset else (low, middle)
            yield high * _MINUTE_MS, offset
            offset = later
        at = then
    yield until_ms, offset


def _offset_ms(zone: ZoneInfo, at_ms: int) -> int:
    there = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset() or timedelta()
    return int(there.total_seconds() * 1000)
