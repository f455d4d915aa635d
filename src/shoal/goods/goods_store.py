"""``GoodsStore``: the goods of every owner, and how many units of each are in which state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import structlog
from sqlalchemy import Connection, case, delete, exists, false, func, insert, literal_column, select, text, update

from shoal.clock import now_ms
from shoal.errors import Conflict, InvalidInput, StaleGeneration
from shoal.goods.bindings import HELD, MOST_UNITS
from shoal.goods.goods import Goods, GoodsKind, Stock, UnknownGoods, check, differences, edited
from shoal.goods.stock_history import By, HistoryEntry, StockEvent, read_history, was_written, write_history
from shoal.goods.stock_level import note_fewer, note_more
from shoal.goods.unit_states import UnitState
from shoal.storage.database import Database
from shoal.storage.goods_tables import UNIT_FREE, UNIT_NOT_FREE, bindings, goods, stock_history, units

log = structlog.get_logger("shoal.goods")

MAX_GOODS: Final = 1_000
"""How many goods one owner may have."""
PACE_DAYS: Final = 7
_DAY_MS: Final = 86_400_000
_OF_LEVEL: Final = frozenset({"low_at", "active", "uses_each"})
"""The fields on which it depends whether the stock counts as low or empty."""
_COLUMNS = [column for column in goods.c if column.name != "supplier_sealed"]

SupplierEdit = Callable[[bytes | None], tuple[bytes | None, list[str]]]
"""Returns the sealed settings of a supplier after a change, and the names of the fields that it changed."""
_SUPPLIER = "supplier"
Counts = dict[UnitState, int]
"""How many units are in each state."""


class GoodsStore:
    """Reads and changes goods. Each change is written with its history."""

    def __init__(self, database: Database, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._now_ms = now_ms

    async def get(self, goods_id: int) -> Goods | None:
        """Return the goods of that id."""
        return await self._database.read(lambda connection: read_goods(connection, goods_id))

    async def list(self, owner_id: int) -> list[Goods]:
        """Return the goods of an owner, in the order in which they were made."""
        query = select(*_COLUMNS).where(goods.c.owner_id == owner_id).order_by(goods.c.id)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [_goods(row) for row in rows]

    async def counts_by_owner(self) -> dict[int, tuple[int, int]]:
        """Return how many goods each owner has, and how many of them are active."""
        active = func.sum(case((goods.c.active, 1), else_=0))
        query = select(goods.c.owner_id, func.count(), active).group_by(goods.c.owner_id)
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {int(owner_id): (int(total), int(count)) for owner_id, total, count in rows}

    async def stock(self, goods_ids: Iterable[int]) -> dict[int, Stock]:
        """Return what is known of these goods for a decision; those that do not exist are left out."""
        wanted = sorted(set(goods_ids))
        if not wanted:
            return {}
        query = select(*_COLUMNS).where(goods.c.id.in_(wanted))

        def job(connection: Connection) -> dict[int, Stock]:
            found = [_goods(row) for row in connection.execute(query).mappings()]
            return {
                one.id: stock_of(one, _deliverable(connection, one, max(MOST_UNITS, one.low_at + 1))) for one in found
            }

        return await self._database.read(job)

    async def pictures(self) -> tuple[str, ...]:
        """Return the addresses of the pictures of all goods."""
        query = select(goods.c.image_url).where(goods.c.image_url != "")
        return await self._database.read(lambda connection: tuple(connection.scalars(query)))

    async def uses_left(self, found: Iterable[Goods]) -> dict[int, int | None]:
        """Return how often units of reusable goods may still go out; ``None``: without limit. Others are left out."""
        reusable = [one for one in found if one.kind is GoodsKind.REUSABLE]
        if not reusable:
            return {}
        return await self._database.read(
            lambda connection: {
                one.id: None if one.uses_each is None else _deliverable(connection, one, None) for one in reusable
            }
        )

    async def counts(self, goods_ids: Iterable[int]) -> dict[int, Counts]:
        """Return how many units of each of these goods are in which state."""
        wanted = sorted(set(goods_ids))
        return await self._database.read(lambda connection: read_counts(connection, wanted))

    async def pace(self, goods_ids: Iterable[int]) -> dict[int, int]:
        """Return how many units of each of these goods were bound to an order in the last ``PACE_DAYS`` days."""
        since = self._now_ms() - PACE_DAYS * _DAY_MS
        query = (
            select(stock_history.c.goods_id, func.sum(stock_history.c.count))
            .where(
                stock_history.c.goods_id.in_(sorted(set(goods_ids))),
                stock_history.c.what.in_([StockEvent.BOUND.value, StockEvent.FETCHED.value]),
                stock_history.c.at_ms > since,
            )
            .group_by(stock_history.c.goods_id)
        )
        rows = await self._database.read(lambda connection: connection.execute(query).all())
        return {int(goods_id): int(count) for goods_id, count in rows}

    async def history(
        self, goods_id: int, *, unit_id: int | None = None, before: int | None = None, limit: int = 50
    ) -> tuple[HistoryEntry, ...]:
        """Return the history of goods, or of one unit of them, the newest first."""
        return await self._database.read(
            lambda connection: tuple(read_history(connection, goods_id, unit_id=unit_id, before=before, limit=limit))
        )

    async def create(self, owner_id: int, values: Mapping[str, Any], by: By, *, supplier: bytes | None = None) -> Goods:
        """Add goods of an owner. A repeated op returns what it made before.

        ``supplier``: its sealed settings. Raises ``InvalidInput``, and ``Conflict`` (``too_many_goods``).
        """
        now = self._now_ms()
        new = Goods(id=0, owner_id=owner_id, created_at_ms=now, changed_at_ms=now, **values)
        new = replace(new, name=new.name.strip())
        check(new)
        _check_supplier(new, supplier)
        row = {name: value for name, value in _row(new).items() if name != "id"} | {"supplier_sealed": supplier}

        def job(connection: Connection) -> Goods:
            before = _made_by(connection, owner_id, by) if by.repeats else None
            if before is not None:
                return before
            mine = select(func.count()).where(goods.c.owner_id == owner_id)
            if (connection.scalar(mine) or 0) >= MAX_GOODS:
                raise Conflict("the owner has many goods", code="too_many_goods", limit=MAX_GOODS)
            made = connection.execute(insert(goods).values(row)).inserted_primary_key
            fresh = replace(new, id=int(made[0]))  # type: ignore[index]  # an INSERT of one row has a key
            write_history(connection, replace(by, at_ms=now), StockEvent.CREATED, goods_id=fresh.id)
            return fresh

        return await self._database.write(job)

    async def change(
        self,
        goods_id: int,
        values: Mapping[str, Any],
        by: By,
        *,
        versions: frozenset[int] | None = None,
        supplier: SupplierEdit | None = None,
        kind: GoodsKind | None = None,
    ) -> Goods:
        """Change fields of goods and return them; with nothing to change they stay as they are.

        ``versions``: the goods must have one of these. ``supplier`` edits the settings of the supplier; the history
        names what it changed, and no value. ``kind``: of goods that never had a unit; what only the former kind has
        goes. Raises ``UnknownGoods``, ``InvalidInput``, ``Conflict`` (``card_has_units``) and ``StaleGeneration``.
        """
        now = self._now_ms()

        def job(connection: Connection) -> Goods:
            before = read_goods(connection, goods_id, lock=True)
            if before is None:
                raise UnknownGoods
            if by.repeats and was_written(connection, goods_id, by):
                return before
            if versions is not None and before.version not in versions:
                raise StaleGeneration(f"goods {goods_id} are at version {before.version}", id=str(goods_id))
            was = before if kind is None else _of_kind(connection, before, kind)
            after = edited(was, values)
            differing = differences(before, after)
            row: dict[str, Any] = {} if was is before else {"supplier_sealed": None}
            if supplier is not None:
                sealed, names = supplier(connection.scalar(_sealed_of(goods_id)))
                _check_supplier(after, sealed)
                if names or was is not before:
                    row["supplier_sealed"] = sealed
                    differing[_SUPPLIER] = ("", ", ".join(names))
            if not differing:
                return before
            after = replace(after, version=before.version + 1, changed_at_ms=now)
            connection.execute(update(goods).where(goods.c.id == goods_id).values({**_row(after), **row}))
            if "uses_each" in differing:
                _fit_to_uses(connection, after, now)
            write_history(connection, replace(by, at_ms=now), StockEvent.CHANGED, goods_id=goods_id, facts=differing)
            if was is not before or differing.keys() & _OF_LEVEL:
                note_more(connection, goods_id, now)
                note_fewer(connection, goods_id, now)
            return after

        return await self._database.write(job)

    async def delete(self, goods_id: int, by: By) -> None:
        """Delete goods that never had a unit. Of a repeated op there is nothing left to delete.

        Raises ``UnknownGoods``, and ``Conflict`` (``goods_in_use``).
        """

        def job(connection: Connection) -> None:
            if read_goods(connection, goods_id, lock=True) is None:
                raise UnknownGoods
            used = select(exists().where(units.c.goods_id == goods_id))
            if connection.scalar(used):
                raise Conflict("the goods have units", code="goods_in_use")
            connection.execute(delete(goods).where(goods.c.id == goods_id))
            note_more(connection, goods_id, self._now_ms())

        await self._database.write(job)
        log.info("goods deleted", goods=goods_id, actor=by.actor, op=by.op_id)


def stock_of(one: Goods, free: int) -> Stock:
    """Return what is known of goods for a decision."""
    names = ("kind", "active", "owner_id", "name", "text", "image_url", "per_message", "low_at")
    return Stock(free=free, **{name: getattr(one, name) for name in names})


def read_goods(connection: Connection, goods_id: int, *, lock: bool = False) -> Goods | None:
    """Return the goods of that id. ``lock``: keep others from changing them before the transaction ends."""
    query = select(*_COLUMNS).where(goods.c.id == goods_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    return None if row is None else _goods(row)


def read_counts(connection: Connection, goods_ids: list[int]) -> dict[int, Counts]:
    """Return how many units of each of these goods are in which state. Asks an index only."""
    found: dict[int, Counts] = {goods_id: dict.fromkeys(UnitState, 0) for goods_id in goods_ids}
    for goods_id, count in _free_of(connection, goods_ids).items():
        found[goods_id][UnitState.FREE] = count
    query = (
        select(units.c.goods_id, units.c.state, func.count())
        .where(units.c.goods_id.in_(goods_ids), text(UNIT_NOT_FREE))
        .group_by(units.c.goods_id, units.c.state)
    )
    for goods_id, state, count in connection.execute(query):
        found[goods_id][UnitState(state)] = count
    return found


def _deliverable(connection: Connection, one: Goods, enough: int | None) -> int:
    """Return how many units orders can get, each as often as it may still go out.

    ``enough``: count no further; a stock of a million units is counted only as far as a decision needs.
    """
    if not one.has_units:
        return 0
    some = select(units.c.id, units.c.uses).where(units.c.goods_id == one.id, text(UNIT_FREE))
    if one.kind is GoodsKind.STOCK:
        some = some.with_only_columns(units.c.id)
    elif one.uses_each is None:
        found = connection.execute(some.limit(1)).first()
        return 0 if found is None else enough or 0
    else:
        some = some.where(units.c.uses < one.uses_each)
    there = some.limit(enough).subquery()
    if one.kind is GoodsKind.STOCK:
        return int(connection.scalar(select(func.count()).select_from(there)) or 0)
    return int(connection.scalar(select(func.sum(one.uses_each - there.c.uses))) or 0)


def _fit_to_uses(connection: Connection, one: Goods, at_ms: int) -> None:
    """Take the units out of the stock that went out as often as a new limit allows, or more often; put those back that
    may go out again.
    """
    used_up = false() if one.uses_each is None else units.c.uses >= one.uses_each
    is_held = exists().where(bindings.c.unit_id == units.c.id, bindings.c.state == HELD)
    state = case((is_held, UnitState.HELD.value), else_=UnitState.OUT.value)
    mine = units.c.goods_id == one.id
    connection.execute(update(units).where(mine, text(UNIT_FREE), used_up).values(state=state, at_ms=at_ms))
    taken = units.c.state.in_([UnitState.HELD.value, UnitState.OUT.value])
    free = {"state": UnitState.FREE.value, "at_ms": at_ms}
    connection.execute(update(units).where(mine, text(UNIT_NOT_FREE), taken, ~used_up).values(free))


def _free_of(connection: Connection, goods_ids: list[int]) -> dict[int, int]:
    query = (
        select(units.c.goods_id, func.count(literal_column("1")))
        .where(units.c.goods_id.in_(goods_ids), text(UNIT_FREE))
        .group_by(units.c.goods_id)
    )
    return {int(goods_id): int(count) for goods_id, count in connection.execute(query)}


def _made_by(connection: Connection, owner_id: int, by: By) -> Goods | None:
    query = (
        select(*_COLUMNS)
        .join(stock_history, stock_history.c.goods_id == goods.c.id)
        .where(
            goods.c.owner_id == owner_id,
            stock_history.c.op_id == by.op_id,
            stock_history.c.what == StockEvent.CREATED.value,
        )
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else _goods(row)


def _of_kind(connection: Connection, one: Goods, kind: GoodsKind) -> Goods:
    """Return the goods as they are of another kind. Raises ``Conflict`` (``card_has_units``)."""
    if kind is one.kind:
        return one
    if connection.scalar(select(exists().where(units.c.goods_id == one.id))):
        raise Conflict("the goods have units", code="card_has_units")
    return replace(one, kind=kind, text="", image_url="", uses_each=None)


def _check_supplier(one: Goods, sealed: bytes | None) -> None:
    if (sealed is not None) != (one.kind is GoodsKind.SUPPLIER):
        code = "supplier_missing" if sealed is None else "supplier_only"
        raise InvalidInput("goods of a supplier have one, and no others", code=code)


def _sealed_of(goods_id: int) -> Any:
    return select(goods.c.supplier_sealed).where(goods.c.id == goods_id)


def _goods(row: Mapping[Any, Any]) -> Goods:
    return Goods(**{**row, "kind": GoodsKind(row["kind"])})


def _row(one: Goods) -> dict[str, Any]:
    return {column.name: getattr(one, column.name) for column in _COLUMNS}
