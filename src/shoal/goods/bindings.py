"""Binds units to orders. Every function works on an open transaction, in which its caller also writes what follows.

A unit is bound to its order for ever in the transaction that begins the sending: a repeat can only send the same unit
to the same buyer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, case, exists, func, insert, select, text, true, update

from shoal.errors import Conflict
from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.stock_history import By, StockEvent, write_entries
from shoal.goods.stock_level import note_fewer, note_more
from shoal.goods.unit_states import UnitState
from shoal.storage.goods_tables import BOUND, UNIT_FREE, bindings, stock_history, units
from shoal.storage.goods_tables import goods as goods_table

MOST_UNITS: Final = 200
"""How many units one order may have."""
HELD: Final = "held"
OUT: Final = "out"
RELEASED: Final = "released"
ARRIVED_AFTER_ALL: Final = "arrived_after_all"
"""The reason in the stock's history of a unit that its order gave back, and that its buyer has."""
_UNLIMITED: Final = 2**31 - 1


class BoundUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of an order. ``replaces``: the number of the unit in whose place a person sent this one."""

    unit_id: int
    goods_id: int
    owner_id: int
    unit_no: int
    state: str
    sealed: bytes | None
    replaces: int | None = None
    reason: str = ""


class OutOfStock(Conflict):
    """Fewer units are free than the order needs. Nothing was bound: ``wanted``, ``free``."""

    code = "out_of_stock"


def units_of_order(connection: Connection, unb: str, order_id: str) -> tuple[BoundUnit, ...]:
    """Return the units that are bound to an order, by their numbers."""
    query = (
        select(bindings, units.c.sealed)
        .outerjoin(units, units.c.id == bindings.c.unit_id)
        .where(bindings.c.unb == unb, bindings.c.order_id == order_id, text(BOUND))
        .order_by(bindings.c.unit_no)
    )
    names = ("unit_id", "goods_id", "owner_id", "unit_no", "state", "sealed", "replaces", "reason")
    rows = connection.execute(query).mappings()
    return tuple(BoundUnit(**{name: row[name] for name in names}) for row in rows)


def bind_units(
    connection: Connection, goods: Goods, *, unb: str, order_id: str, count: int, by: By
) -> tuple[BoundUnit, ...]:
    """Bind the oldest free units to an order and return them. An order that has its units gets the same again.

    One whose units all went out gets others for the numbers that it has none for: a person gave those back.
    Raises ``OutOfStock``, and ``Conflict``: ``too_many_units_of_order``, ``order_has_other_units`` (other goods, or
    another number of them), ``unit_not_fetched`` (a supplier was asked for one, and it is not there). Nothing was
    written then.
    """
    if not 1 <= count <= MOST_UNITS:
        raise Conflict("an order has 1 to 200 units", code="too_many_units_of_order", limit=MOST_UNITS)
    there = units_of_order(connection, unb, order_id)
    ordered = [one for one in there if one.replaces is None]
    missing = sorted(set(range(1, count + 1)) - {one.unit_no for one in ordered})
    if ordered:
        is_held = bool(missing) and any(one.state == HELD for one in ordered)
        if is_held or len(ordered) + len(missing) != count or any(one.goods_id != goods.id for one in ordered):
            raise Conflict("the order has other units", code="order_has_other_units")
        if any(one.sealed is None for one in ordered):
            raise Conflict("a unit of the order is not there yet", code="unit_not_fetched")
    if not missing:
        return there
    picked = _pick(connection, goods, len(missing))
    fresh = _bind(connection, goods, picked, unb=unb, order_id=order_id, numbers=missing, by=by)
    return tuple(sorted((*there, *fresh), key=lambda one: one.unit_no))


def bind_free_unit(
    connection: Connection, goods: Goods, *, unb: str, order_id: str, unit_no: int, by: By
) -> BoundUnit | None:
    """Bind the oldest free unit to an order as its unit of that number. Without a free one return ``None``."""
    try:
        picked = _pick(connection, goods, 1)
    except OutOfStock:
        return None
    (bound,) = _bind(connection, goods, picked, unb=unb, order_id=order_id, numbers=[unit_no], by=by)
    return bound


def bind_another(
    connection: Connection, goods: Goods, *, unb: str, order_id: str, replaces: int, reason: str, by: By
) -> BoundUnit:
    """Bind one more unit to an order in place of one that went out, because a person says so.

    Raises ``OutOfStock``, and ``Conflict`` (``no_unit_to_replace``, ``unit_replaced``). Nothing was written then.
    """
    there = units_of_order(connection, unb, order_id)
    old = next((one for one in there if one.unit_no == replaces), None)
    if old is None or old.state != OUT or old.goods_id != goods.id:
        raise Conflict("no unit of that number went out", code="no_unit_to_replace", unit_no=replaces)
    if any(one.replaces == replaces for one in there):
        raise Conflict("the unit was replaced before", code="unit_replaced", unit_no=replaces)
    picked = _pick(connection, goods, 1)
    number = there[-1].unit_no + 1
    (bound,) = _bind(
        connection,
        goods,
        picked,
        unb=unb,
        order_id=order_id,
        numbers=[number],
        by=by,
        replaces=replaces,
        reason=reason,
    )
    return bound


def units_went_out(
    connection: Connection, unb: str, order_id: str, by: By, *, only: Iterable[int] | None = None
) -> int:
    """Mark the held units of an order (``only`` those of these numbers) as out. They may have left."""
    wanted = None if only is None else frozenset(only)
    moved = [
        one
        for one in units_of_order(connection, unb, order_id)
        if one.state == HELD and (wanted is None or one.unit_no in wanted)
    ]
    _settle(connection, moved, OUT, unb=unb, order_id=order_id, by=by, reason="")
    if moved:
        is_held = exists().where(bindings.c.unit_id == units.c.id, bindings.c.state == HELD)
        mine = (units.c.id.in_(sorted({one.unit_id for one in moved})), units.c.state == UnitState.HELD.value)
        values = {"state": UnitState.OUT.value, "at_ms": by.at_ms}
        connection.execute(update(units).where(*mine, ~is_held).values(values))
    return len(moved)


def release_units(connection: Connection, unb: str, order_id: str, by: By, *, reason: str) -> int:
    """Give the held units of an order back to the stock, and return how many. Call it only when they certainly never
    left.

    One that a person revealed while the order had it counts as out: he may have sent it by hand.
    """
    held = [one for one in units_of_order(connection, unb, order_id) if one.state == HELD]
    revealed = revealed_units(connection, held, unb, order_id)
    if revealed:
        units_went_out(connection, unb, order_id, by, only=[one.unit_no for one in held if one.unit_id in revealed])
    moved = [one for one in held if one.unit_id not in revealed]
    free_units(connection, moved, unb, order_id, by, reason=reason)
    return len(moved)


def free_units(
    connection: Connection, moved: Sequence[BoundUnit], unb: str, order_id: str, by: By, *, reason: str
) -> None:
    """Part an order from some of its units. They are free again, also those that went out: call it for these only when
    a person says that they never arrived.
    """
    _settle(connection, moved, RELEASED, unb=unb, order_id=order_id, by=by, reason=reason)
    limit = select(goods_table.c.uses_each).where(goods_table.c.id == units.c.goods_id).scalar_subquery()
    is_taken = units.c.state.in_([UnitState.HELD.value, UnitState.OUT.value])
    is_held = exists().where(bindings.c.unit_id == units.c.id, bindings.c.state == HELD)
    is_left = (units.c.state == UnitState.HELD.value) & ~is_held
    for uses, mine in _by_uses(moved):
        may_go_out = is_taken & func.coalesce(units.c.uses - uses < limit, true())
        state = case((may_go_out, UnitState.FREE.value), (is_left, UnitState.OUT.value), else_=units.c.state)
        at_ms = case((may_go_out | is_left, by.at_ms), else_=units.c.at_ms)
        values = {"uses": units.c.uses - uses, "state": state, "at_ms": at_ms}
        connection.execute(update(units).where(units.c.id.in_(mine)).values(values))
    for goods_id in sorted({one.goods_id for one in moved}):
        note_more(connection, goods_id, by.at_ms)


def doubt_free_units(connection: Connection, unit_ids: Iterable[int], unb: str, order_id: str, by: By) -> int:
    """Doubt those of these units that are free: their order gave them back, and they arrived all the same."""
    query = select(units.c.id, units.c.goods_id).where(units.c.id.in_(sorted(unit_ids)), text(UNIT_FREE))
    found = connection.execute(query.with_for_update()).all()
    if found:
        values = {"state": UnitState.DOUBTED.value, "at_ms": by.at_ms}
        connection.execute(update(units).where(units.c.id.in_([row.id for row in found])).values(values))
        shared = {"unb": unb, "order_id": order_id, "reason": ARRIVED_AFTER_ALL}
        rows = [{**shared, "goods_id": row.goods_id, "unit_id": row.id} for row in found]
        write_entries(connection, by, StockEvent.DOUBTED, rows)
        for goods_id in sorted({row.goods_id for row in found}):
            note_fewer(connection, goods_id, by.at_ms)
    return len(found)


def revealed_units(connection: Connection, some: Sequence[BoundUnit], unb: str, order_id: str) -> frozenset[int]:
    """Return which of these units of an order a person revealed after they were bound to it."""
    if not some:
        return frozenset()
    mine = (
        stock_history.c.goods_id.in_(sorted({one.goods_id for one in some})),
        stock_history.c.unit_id.in_([one.unit_id for one in some]),
    )
    seen = select(stock_history.c.unit_id, func.max(stock_history.c.id)).where(*mine).group_by(stock_history.c.unit_id)
    revealed = seen.where(stock_history.c.what == StockEvent.REVEALED.value)
    last = {unit_id: entry for unit_id, entry in connection.execute(revealed)}  # noqa: C416  a row is no pair
    if not last:  # nearly always: then no longer part of the history is searched
        return frozenset()
    begun = stock_history.c.what.in_([StockEvent.BOUND.value, StockEvent.FETCHING.value])
    place = (stock_history.c.unb == unb, stock_history.c.order_id == order_id)
    since = {unit_id: entry for unit_id, entry in connection.execute(seen.where(begun, *place))}  # noqa: C416
    return frozenset(unit_id for unit_id, entry in last.items() if entry > since.get(unit_id, 0))


def _pick(connection: Connection, goods: Goods, count: int) -> list[tuple[int, bytes]]:
    """Return the oldest free units, each as often as it may still go out. Raises ``OutOfStock``.

    On PostgreSQL they stay locked for other transactions, which pass over them; on SQLite one transaction writes.
    """
    query = select(units.c.id, units.c.sealed, units.c.uses).where(units.c.goods_id == goods.id, text(UNIT_FREE))
    each = (goods.uses_each or _UNLIMITED) if goods.kind is GoodsKind.REUSABLE else 1
    if goods.kind is GoodsKind.REUSABLE and goods.uses_each is not None:
        query = query.where(units.c.uses < each)  # the owner may have lowered the limit since it was used
    picked: list[tuple[int, bytes]] = []
    locked = query.order_by(units.c.id).limit(count).with_for_update(skip_locked=True)
    for unit_id, sealed, uses in connection.execute(locked):
        room = min(each - uses, count - len(picked))
        picked += [(unit_id, sealed)] * room
    if len(picked) < count:
        raise OutOfStock("too few units are free", wanted=count, free=len(picked))
    return picked


def _bind(
    connection: Connection,
    goods: Goods,
    picked: Sequence[tuple[int, bytes]],
    *,
    unb: str,
    order_id: str,
    numbers: Sequence[int],
    by: By,
    replaces: int | None = None,
    reason: str = "",
) -> tuple[BoundUnit, ...]:
    one_time = goods.kind is not GoodsKind.REUSABLE
    bound = tuple(
        BoundUnit(
            unit_id=unit_id,
            goods_id=goods.id,
            owner_id=goods.owner_id,
            unit_no=number,
            state=HELD,
            sealed=sealed,
            replaces=replaces,
            reason=reason,
        )
        for number, (unit_id, sealed) in zip(numbers, picked, strict=True)
    )
    key = {"unb": unb, "order_id": order_id, "one_time": one_time, "created_at_ms": by.at_ms}
    columns = ("unit_id", "goods_id", "owner_id", "unit_no", "state", "replaces", "reason")
    connection.execute(insert(bindings), [{**key, **{name: getattr(one, name) for name in columns}} for one in bound])
    _use(connection, goods, bound, by)
    _write_about(connection, by, StockEvent.BOUND, bound, unb=unb, order_id=order_id, reason=reason)
    note_fewer(connection, goods.id, by.at_ms)
    return bound


def _use(connection: Connection, goods: Goods, bound: Sequence[BoundUnit], by: By) -> None:
    """Count uses of free units. A unit is held once it may not go out again."""
    limit = goods.uses_each if goods.kind is GoodsKind.REUSABLE else 1
    for uses, mine in _by_uses(bound):
        values: dict[str, Any] = {"uses": units.c.uses + uses}
        if limit is not None:
            values |= _moved_if(units.c.uses + uses >= limit, UnitState.HELD, by)
        used = update(units).where(units.c.id.in_(mine), text(UNIT_FREE)).values(values)
        if connection.execute(used).rowcount != len(mine):
            raise Conflict("a unit is not free", code="unit_not_free", state="")


def _by_uses(bound: Iterable[BoundUnit]) -> list[tuple[int, list[int]]]:
    """Return the ids of units by how often each is among them: once, but for reusable ones."""
    found: dict[int, list[int]] = {}
    for unit_id, uses in Counter(one.unit_id for one in bound).items():
        found.setdefault(uses, []).append(unit_id)
    return sorted(found.items())


def _moved_if(condition: ColumnElement[bool], after: UnitState, by: By) -> dict[str, Any]:
    """Return the values that move those units to a state of which the condition is true."""
    state = case((condition, after.value), else_=units.c.state)
    return {"state": state, "at_ms": case((condition, by.at_ms), else_=units.c.at_ms)}


def _settle(
    connection: Connection, moved: Sequence[BoundUnit], state: str, *, unb: str, order_id: str, by: By, reason: str
) -> None:
    if not moved:
        return
    mine = (
        bindings.c.unb == unb,
        bindings.c.order_id == order_id,
        bindings.c.state.in_({one.state for one in moved}),
        bindings.c.unit_no.in_([one.unit_no for one in moved]),
    )
    values: dict[str, Any] = {"state": state, "settled_at_ms": by.at_ms}
    connection.execute(update(bindings).where(*mine).values(values | ({"reason": reason} if reason else {})))
    event = StockEvent.OUT if state == OUT else StockEvent.RELEASED
    _write_about(connection, by, event, moved, unb=unb, order_id=order_id, reason=reason)


def _write_about(
    connection: Connection,
    by: By,
    event: StockEvent,
    bound: Sequence[BoundUnit],
    *,
    unb: str,
    order_id: str,
    reason: str,
) -> None:
    shared = {"unb": unb, "order_id": order_id, "reason": reason}
    rows = [{**shared, "goods_id": one.goods_id, "unit_id": one.unit_id} for one in bound]
    write_entries(connection, by, event, rows)
