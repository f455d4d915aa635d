"""``OrderUnits``: what an order got of the stock, with masked texts, as its owner and the owner's staff see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select, text

from shoal.goods.bindings import OUT
from shoal.goods.unit_states import UnitState
from shoal.goods.unit_texts import UnitTexts
from shoal.storage.database import Database
from shoal.storage.goods_tables import BOUND, bindings, deliveries, goods, units

_SHOWN_OF_UNIT: Final = frozenset({UnitState.RETURNED.value, UnitState.DOUBTED.value})
"""States that a unit gets after it went out. Any other one may be about another order of a reusable unit."""


class OrderUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of an order. ``replaces``: the number of the unit in whose place a person sent it, and ``reason`` why."""

    unit_id: int
    goods_id: int
    unit_no: int
    state: UnitState
    masked: str
    replaces: int | None
    reason: str


class OrderDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What an order gets since its delivery began: how many units of which goods, and how far that is."""

    goods_id: int | None
    goods_name: str
    wanted: int
    state: str
    units: tuple[OrderUnit, ...] = ()


class OrderUnits:
    """Reads what orders got. Those of another owner's shop with the same seller's number are not shown."""

    def __init__(self, database: Database, texts: UnitTexts) -> None:
        self._database = database
        self._texts = texts

    async def of_order(self, unb: str, order_id: str, owner_id: int) -> OrderDelivery | None:
        """Return what an order gets; ``None`` when its delivery has not begun and it has no unit."""

        def job(connection: Connection) -> OrderDelivery | None:
            begun = connection.execute(_begun(unb, order_id, owner_id)).mappings().first()
            rows = connection.execute(_bound(unb, order_id, owner_id)).mappings().all()
            if begun is None and not rows:
                return None
            found = tuple(self._unit(row, owner_id) for row in rows)
            if begun is None:  # a person bound them: no rule did
                return OrderDelivery(goods_id=found[0].goods_id, goods_name="", wanted=0, state="", units=found)
            return OrderDelivery(
                goods_id=begun["goods_id"],
                goods_name=begun["name"] or "",
                wanted=begun["wanted"],
                state=begun["state"],
                units=found,
            )

        return await self._database.read(job)

    def _unit(self, row: Mapping[Any, Any], owner_id: int) -> OrderUnit:
        after = row["unit_state"] if row["state"] == OUT and row["unit_state"] in _SHOWN_OF_UNIT else row["state"]
        names = ("unit_id", "goods_id", "unit_no", "replaces", "reason")
        return OrderUnit(
            **{name: row[name] for name in names},
            state=UnitState(after),
            masked=self._texts.masked(row["sealed"], owner_id),
        )


def _begun(unb: str, order_id: str, owner_id: int) -> Any:
    return (
        select(deliveries.c.goods_id, deliveries.c.wanted, deliveries.c.state, goods.c.name)
        .outerjoin(goods, goods.c.id == deliveries.c.goods_id)
        .where(deliveries.c.unb == unb, deliveries.c.order_id == order_id, deliveries.c.owner_id == owner_id)
    )


def _bound(unb: str, order_id: str, owner_id: int) -> Any:
    return (
        select(bindings, units.c.sealed, units.c.state.label("unit_state"))
        .outerjoin(units, units.c.id == bindings.c.unit_id)
        .where(bindings.c.unb == unb, bindings.c.order_id == order_id, bindings.c.owner_id == owner_id, text(BOUND))
        .order_by(bindings.c.unit_no)
    )
