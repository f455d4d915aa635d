"""``StockUnits``: the units of goods as their owner sees them: listed masked, revealed, voided, returned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Connection, func, select, text, update

from shoal.clock import now_ms
from shoal.errors import InvalidInput, NotFound
from shoal.goods.bindings import MOST_UNITS, RELEASED
from shoal.goods.goods import Goods
from shoal.goods.stock_history import By, StockEvent, was_written, write_history
from shoal.goods.stock_level import note_fewer
from shoal.goods.unit_states import UnitState, check_move
from shoal.goods.unit_texts import UnitTexts
from shoal.storage.database import Database
from shoal.storage.goods_tables import UNIT_FREE, UNIT_NOT_FREE, bindings, units

MAX_REASON: Final = 200
_EVENTS: Final = {
    UnitState.VOID: StockEvent.VOID,
    UnitState.RETURNED: StockEvent.RETURNED,
    UnitState.DOUBTED: StockEvent.DOUBTED,
}


class UnknownUnit(NotFound):
    """The goods have no such unit."""

    code = "unknown_unit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A unit. ``text``: only when it was revealed. ``order_id``: the last order that it is bound to."""

    id: int
    state: UnitState
    masked: str
    text: str | None = field(default=None, repr=False)
    batch_id: int | None
    order_id: str | None
    at_ms: int


class StockUnits:
    """Reads units and moves single ones. Each move is written with its history, and needs a reason."""

    def __init__(self, database: Database, texts: UnitTexts, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._texts = texts
        self._now_ms = now_ms

    async def list(
        self,
        goods: Goods,
        *,
        state: UnitState | None = None,
        batch_id: int | None = None,
        after: int = 0,
        limit: int = 50,
    ) -> tuple[Unit, ...]:
        """Return units of goods after that id, the oldest first, with masked texts."""
        return await self._database.read(
            lambda connection: tuple(
                self._unit(row, goods) for row in _rows(connection, goods.id, state, batch_id, after, limit)
            )
        )

    async def longest_next(self, goods_ids: Iterable[int]) -> dict[int, int]:
        """Return how many characters the longest has of the units of each of these goods that go out next."""
        wanted = sorted(set(goods_ids))

        def job(connection: Connection) -> dict[int, int]:
            found = {}
            for goods_id in wanted:
                some = select(units.c.sealed, units.c.owner_id).where(units.c.goods_id == goods_id, text(UNIT_FREE))
                rows = connection.execute(some.order_by(units.c.id).limit(MOST_UNITS))
                found[goods_id] = max((self._texts.length(*row) for row in rows), default=0)
            return found

        return await self._database.read(job) if wanted else {}

    async def reveal(self, goods: Goods, unit_id: int, by: By, *, reason: str) -> Unit:
        """Return a unit with its text, and note who saw it why. Raises ``UnknownUnit`` and ``InvalidInput``."""
        reason, now = checked_reason(reason), self._now_ms()

        def job(connection: Connection) -> Unit:
            row = _row(connection, goods.id, unit_id)
            if not (by.repeats and was_written(connection, goods.id, by)):
                write_history(
                    connection,
                    replace(by, at_ms=now),
                    StockEvent.REVEALED,
                    goods_id=goods.id,
                    unit_id=unit_id,
                    reason=reason,
                )
            return self._unit(row, goods, revealed=True)

        return await self._database.write(job)

    async def move(self, goods: Goods, unit_id: int, after: UnitState, by: By, *, reason: str) -> Unit:
        """Void, return or doubt a unit. A unit that is there already stays as it is.

        Raises ``UnknownUnit``, ``InvalidInput``, and ``Conflict`` as ``check_move``.
        """
        reason, now = checked_reason(reason), self._now_ms()

        def job(connection: Connection) -> Unit:
            row = _row(connection, goods.id, unit_id, lock=True)
            before = UnitState(row["state"])
            if before is not after:
                check_move(before, after)
                values = {"state": after.value, "at_ms": now}
                connection.execute(update(units).where(units.c.id == unit_id).values(values))
                write_history(
                    connection,
                    replace(by, at_ms=now),
                    _EVENTS[after],
                    goods_id=goods.id,
                    unit_id=unit_id,
                    reason=reason,
                )
                if before is UnitState.FREE:
                    note_fewer(connection, goods.id, now)
            return self._unit(_row(connection, goods.id, unit_id), goods)

        return await self._database.write(job)

    def _unit(self, row: Any, goods: Goods, *, revealed: bool = False) -> Unit:
        sealed = row["sealed"]
        is_shown = revealed and sealed is not None
        return Unit(
            id=row["id"],
            state=UnitState(row["state"]),
            masked=self._texts.masked(sealed, goods.owner_id),
            text=self._texts.open(sealed, goods.owner_id) if is_shown else None,
            batch_id=row["batch_id"],
            order_id=row["order_id"],
            at_ms=row["at_ms"],
        )


def checked_reason(reason: str) -> str:
    """Return a reason without blanks around it. Raises ``InvalidInput`` (``reason_missing``, ``reason_too_long``)."""
    reason = reason.strip()
    if not reason:
        raise InvalidInput("a reason is needed", code="reason_missing")
    if len(reason) > MAX_REASON:
        raise InvalidInput("the reason is too long", code="reason_too_long", limit=MAX_REASON)
    return reason


def _row(connection: Connection, goods_id: int, unit_id: int, *, lock: bool = False) -> Any:
    if lock:
        mine = select(units.c.id).where(units.c.id == unit_id, units.c.goods_id == goods_id)
        connection.execute(mine.with_for_update())
    row = connection.execute(_query().where(units.c.goods_id == goods_id, units.c.id == unit_id)).mappings().first()
    if row is None:
        raise UnknownUnit
    return row


def _rows(
    connection: Connection, goods_id: int, state: UnitState | None, batch_id: int | None, after: int, limit: int
) -> list[Any]:
    query = _query().where(units.c.goods_id == goods_id, units.c.id > after).order_by(units.c.id).limit(limit)
    if state is UnitState.FREE:
        query = query.where(text(UNIT_FREE))
    elif state is not None:
        query = query.where(text(UNIT_NOT_FREE), units.c.state == state.value)
    if batch_id is not None:
        query = query.where(units.c.batch_id == batch_id)
    return list(connection.execute(query).mappings())


def _query() -> Any:
    each = bindings.alias()
    last = (
        select(func.max(each.c.id))
        .where(each.c.unit_id == units.c.id, each.c.state != RELEASED)
        .correlate(units)
        .scalar_subquery()
    )
    columns = [units.c[name] for name in ("id", "state", "sealed", "batch_id", "at_ms")]
    return select(*columns, bindings.c.order_id).select_from(units.outerjoin(bindings, bindings.c.id == last))
