"""The rows of units that a supplier is asked for. Every function works on an open transaction.

A unit is ``fetching``, and bound to its order, from before the call until its result is stored. Nothing else ever moves
such a unit, so after a death it says: this one may have been bought.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, exists, insert, select, text, update

from shoal.errors import Conflict
from shoal.goods.bindings import HELD, OUT, RELEASED, bind_free_unit
from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.stock_history import By, StockEvent, write_history
from shoal.goods.suppliers import Answer, Meaning
from shoal.goods.unit_states import UnitState, check_move
from shoal.goods.unit_texts import UnitTexts
from shoal.storage.goods_tables import BOUND, UNIT_NOT_FREE, bindings, units
from shoal.storage.goods_tables import goods as goods_table


class Place(StrEnum):
    """What there is at the place of one unit of an order."""

    HELD = "held"
    """The order has its unit."""
    NEW = "new"
    """The unit was just marked as being fetched: the supplier must be asked."""
    INTERRUPTED = "interrupted"
    """It was being fetched when the program ended: it may have been bought."""
    DOUBTED = "doubted"
    """It is not known whether it was bought. A person decides."""


class Reserved(msgspec.Struct, frozen=True):
    """The unit at a place. ``asked_before``: one that is asked for now was asked for before, with the same key."""

    place: Place
    unit_id: int = 0
    asked_before: bool = False


def reserve_unit(connection: Connection, goods: Goods, *, unb: str, order_id: str, unit_no: int, by: By) -> Reserved:
    """Return what there is at a place of an order; when nothing is there, a free unit or one to be fetched.

    Raises ``Conflict`` (``order_has_other_units``).
    """
    mine = (bindings.c.unb == unb, bindings.c.order_id == order_id, bindings.c.unit_no == unit_no)
    query = (
        select(bindings.c.unit_id, bindings.c.goods_id, bindings.c.state.label("binding"), units.c.state)
        .outerjoin(units, units.c.id == bindings.c.unit_id)
        .where(*mine, text(BOUND))
    )
    there = connection.execute(query).mappings().first()
    if there is not None:
        if there["goods_id"] != goods.id:
            raise Conflict("the order has other units", code="order_has_other_units")
        if there["state"] == UnitState.FETCHING:
            return Reserved(Place.INTERRUPTED, there["unit_id"], asked_before=True)
        if there["state"] != UnitState.DOUBTED or there["binding"] == OUT:
            return Reserved(Place.HELD, there["unit_id"])
        return Reserved(Place.DOUBTED, there["unit_id"])
    asked_before = connection.scalar(select(exists().where(*mine, bindings.c.state == RELEASED))) or False
    if bind_free_unit(connection, goods, unb=unb, order_id=order_id, unit_no=unit_no, by=by) is not None:
        return Reserved(Place.HELD)
    return Reserved(Place.NEW, fetching_unit(connection, goods, by, (unb, order_id, unit_no)), asked_before)


def let_go_of_doubted(connection: Connection, *, unb: str, order_id: str, by: By) -> int:
    """Part an order from its doubted units, because a person wants it served: nothing of them was ever sent.

    They stay doubted, and the supplier is asked again with the same key. Return how many there were.
    """
    doubted = select(units.c.id).where(units.c.state == UnitState.DOUBTED.value, units.c.sealed.is_(None))
    mine = (bindings.c.unb == unb, bindings.c.order_id == order_id, bindings.c.state == HELD)
    values = {"state": RELEASED, "settled_at_ms": by.at_ms, "reason": "asked_again"}
    return int(
        connection.execute(update(bindings).where(*mine, bindings.c.unit_id.in_(doubted)).values(values)).rowcount
    )


def fetching_unit(connection: Connection, goods: Goods, by: By, place: tuple[str, str, int] | None = None) -> int:
    """Add a unit that is being fetched and return its id; ``place``: the order that it is bound to, and its number."""
    values = {"goods_id": goods.id, "owner_id": goods.owner_id, "state": UnitState.FETCHING.value, "at_ms": by.at_ms}
    made = connection.execute(insert(units).values(uses=int(place is not None), **values)).inserted_primary_key
    unit_id = int(made[0])  # type: ignore[index]  # an INSERT of one row has a key
    order: dict[str, Any] = {}
    if place is not None:
        unb, order_id, unit_no = place
        order = {"unb": unb, "order_id": order_id}
        row = {**order, "unit_id": unit_id, "goods_id": goods.id, "owner_id": goods.owner_id, "unit_no": unit_no}
        connection.execute(insert(bindings).values(state=HELD, one_time=True, created_at_ms=by.at_ms, **row))
    write_history(connection, by, StockEvent.FETCHING, goods_id=goods.id, unit_id=unit_id, **order)
    return unit_id


def interrupted_units(connection: Connection) -> list[tuple[int, int, bool]]:
    """Return the units that are being fetched: their ids, those of their goods, and whether an order has them.

    At a start, nothing fetches them any more.
    """
    supplied = select(goods_table.c.id).where(goods_table.c.kind == GoodsKind.SUPPLIER.value)
    is_bound = exists().where(bindings.c.unit_id == units.c.id, text(BOUND)).label("is_bound")
    query = select(units.c.id, units.c.goods_id, is_bound).where(
        units.c.goods_id.in_(supplied), text(UNIT_NOT_FREE), units.c.state == UnitState.FETCHING.value
    )
    return [(unit_id, goods_id, bool(bound)) for unit_id, goods_id, bound in connection.execute(query)]


def settle_unit(
    connection: Connection, goods: Goods, unit_id: int, answer: Answer, texts: UnitTexts, by: By
) -> Meaning:
    """Store what a supplier answered about a unit; return what it means. A unit that is settled stays as it is.

    A unit whose order gave it up before becomes free: it was bought, and no order has it.
    """
    mine = units.c.id == unit_id
    state = connection.scalar(select(units.c.state).where(mine).with_for_update())
    if state != UnitState.FETCHING:
        return Meaning.UNIT if state in {UnitState.HELD, UnitState.FREE, UnitState.OUT} else Meaning.UNSURE
    bound = connection.execute(_binding_of(unit_id)).mappings().first()
    order = {} if bound is None else {"unb": bound["unb"], "order_id": bound["order_id"]}
    about: dict[str, Any] = {"goods_id": goods.id, "unit_id": unit_id, **order}
    if answer.meaning is Meaning.UNIT:
        digest = texts.digest(answer.code, goods.id)
        if not connection.scalar(select(exists().where(units.c.goods_id == goods.id, units.c.digest == digest))):
            check_move(UnitState.FETCHING, UnitState.HELD)
            values: dict[str, Any] = {"sealed": texts.seal(answer.code, goods.owner_id), "digest": digest}
            after = UnitState.FREE if bound is None else UnitState.HELD
            if bound is not None and bound["state"] == OUT:  # its owner has settled the order
                after = UnitState.OUT
            values |= {"state": after.value, "uses": int(bound is not None)}
            connection.execute(update(units).where(mine).values(at_ms=by.at_ms, **values))
            write_history(connection, by, StockEvent.FETCHED, **about)
            return Meaning.UNIT
        answer = Answer(meaning=Meaning.UNSURE, status=answer.status, why="sold_before")
    if answer.meaning is Meaning.UNSURE:
        check_move(UnitState.FETCHING, UnitState.DOUBTED)
        connection.execute(update(units).where(mine).values(state=UnitState.DOUBTED.value, at_ms=by.at_ms))
        write_history(connection, by, StockEvent.DOUBTED, reason=_reason(answer), **about)
        return Meaning.UNSURE
    connection.execute(delete(bindings).where(bindings.c.unit_id == unit_id))  # the unit never existed
    connection.execute(delete(units).where(mine))
    write_history(connection, by, StockEvent.NOT_FETCHED, reason=_reason(answer), **about)
    return answer.meaning


def _binding_of(unit_id: int) -> Any:
    return select(bindings.c.unb, bindings.c.order_id, bindings.c.state).where(
        bindings.c.unit_id == unit_id, text(BOUND)
    )


def _reason(answer: Answer) -> str:
    return f"{answer.why} {answer.status}" if answer.status else answer.why
