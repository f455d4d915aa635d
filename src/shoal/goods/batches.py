"""Batches: the rows of imports, and how one is taken back."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, case, delete, func, insert, select, text, update

from shoal.errors import Conflict, NotFound
from shoal.goods.goods import UnknownGoods
from shoal.goods.goods_store import read_goods
from shoal.goods.stock_history import By, StockEvent, write_history
from shoal.goods.stock_level import note_fewer
from shoal.goods.unit_states import UnitState
from shoal.storage.goods_tables import UNIT_FREE, batches, stock_history, units
from shoal.storage.touched import touch

MAX_UNITS: Final = 1_000_000
"""How many units one server keeps."""


class BatchState(StrEnum):
    """What became of an import."""

    IMPORTING = "importing"
    DONE = "done"
    STOPPED = "stopped"
    """It ended early. What was taken in is in; the same file again adds the rest."""
    UNDONE = "undone"


class UnknownBatch(NotFound):
    """The goods have no such batch."""

    code = "unknown_batch"


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """One import. Of its ``lines``, ``done`` were handled: ``taken`` as units, or ``doubles``, or ``refused``."""

    id: int
    goods_id: int
    state: BatchState
    file_name: str
    file_hash: str
    lines: int
    done: int
    taken: int
    doubles: int
    refused: int
    undone: int
    actor: str
    op_id: str
    created_at_ms: int
    ended_at_ms: int | None
    undone_at_ms: int | None


def read_batch(connection: Connection, goods_id: int, batch_id: int, *, lock: bool = False) -> Batch:
    """Return a batch of goods. Raises ``UnknownBatch``."""
    query = select(batches).where(batches.c.id == batch_id, batches.c.goods_id == goods_id)
    row = connection.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise UnknownBatch
    return _batch(row)


def read_batches(
    connection: Connection, goods_id: int, *, before: int | None = None, limit: int = 50
) -> tuple[Batch, ...]:
    """Return batches of goods, the newest first."""
    query = select(batches).where(batches.c.goods_id == goods_id)
    if before is not None:
        query = query.where(batches.c.id < before)
    rows = connection.execute(query.order_by(batches.c.id.desc()).limit(limit)).mappings()
    return tuple(_batch(row) for row in rows)


def units_kept(connection: Connection) -> int:
    """Return how many units there are on this server, with those that imports under way still bring."""
    coming = case((batches.c.state == BatchState.IMPORTING.value, batches.c.lines - batches.c.done), else_=0)
    return int(connection.scalar(select(func.sum(batches.c.taken - batches.c.undone + coming))) or 0)


def begin_batch(connection: Connection, by: By, goods_id: int, values: dict[str, Any]) -> Batch:
    """Add a batch, or return the one that this op began before, which then goes on.

    Raises ``UnknownGoods``, and ``Conflict`` (``too_many_units``).
    """
    if read_goods(connection, goods_id, lock=True) is None:
        raise UnknownGoods
    if by.repeats and (found := _begun_by(connection, goods_id, by)) is not None:
        return found
    if units_kept(connection) + values["lines"] > MAX_UNITS:
        raise Conflict("the server keeps many units", code="too_many_units", limit=MAX_UNITS)
    row = {"goods_id": goods_id, "actor": by.actor, "op_id": by.op_id, "created_at_ms": by.at_ms, **values}
    made = connection.execute(insert(batches).values(row)).inserted_primary_key
    batch_id = int(made[0])  # type: ignore[index]  # an INSERT of one row has a key
    write_history(connection, by, StockEvent.IMPORTED, goods_id=goods_id, batch_id=batch_id, count=0)
    return read_batch(connection, goods_id, batch_id)


def take_into(connection: Connection, batch: Batch, taken: int, **counts: int) -> None:
    """Count units that were just inserted in their batch and in the history. ``counts``: the other columns."""
    mine = batches.c.id == batch.id
    touch(connection, [batch.goods_id])
    connection.execute(update(batches).where(mine).values(taken=batches.c.taken + taken, **counts))
    if taken:
        entry = (
            stock_history.c.goods_id == batch.goods_id,
            stock_history.c.what == StockEvent.IMPORTED.value,
            stock_history.c.batch_id == batch.id,
        )
        connection.execute(update(stock_history).where(*entry).values(count=stock_history.c.count + taken))


def end_batch(connection: Connection, batch: Batch, state: BatchState, at_ms: int) -> Batch:
    """Mark an import that is under way as ended."""
    under_way = (batches.c.id == batch.id, batches.c.state == BatchState.IMPORTING.value)
    connection.execute(update(batches).where(*under_way).values(state=state.value, ended_at_ms=at_ms))
    return read_batch(connection, batch.goods_id, batch.id)


def go_on(connection: Connection, batch: Batch) -> None:
    """Mark an import that ended early as under way again."""
    stopped = (batches.c.id == batch.id, batches.c.state == BatchState.STOPPED.value)
    connection.execute(update(batches).where(*stopped).values(state=BatchState.IMPORTING.value, ended_at_ms=None))


def stop_all(connection: Connection, at_ms: int) -> int:
    """Mark every import that is under way as ended early; return how many there were."""
    under_way = batches.c.state == BatchState.IMPORTING.value
    values = {"state": BatchState.STOPPED.value, "ended_at_ms": at_ms}
    return int(connection.execute(update(batches).where(under_way).values(values)).rowcount)


def undo_batch(connection: Connection, by: By, goods_id: int, batch_id: int) -> Batch:
    """Delete the units of a batch while no order has any of them; those that their owner voided stay.

    Raises ``UnknownBatch``, and ``Conflict`` (``batch_importing``, ``batch_in_use``).
    """
    batch = read_batch(connection, goods_id, batch_id, lock=True)
    if batch.state is BatchState.UNDONE:
        return batch
    if batch.state is BatchState.IMPORTING:
        raise Conflict("the import is under way", code="batch_importing")
    mine = units.c.batch_id == batch_id
    query = select(units.c.state, func.count()).where(mine).group_by(units.c.state)
    states = {UnitState(state): int(count) for state, count in connection.execute(query)}
    used = sum(count for state, count in states.items() if state not in {UnitState.FREE, UnitState.VOID})
    free = states.get(UnitState.FREE, 0)
    unused = (mine, text(UNIT_FREE), units.c.uses == 0)  # a reusable unit stays free while orders have it
    gone = 0 if used else connection.execute(delete(units).where(*unused)).rowcount
    if used or gone != free:  # on PostgreSQL an order may have taken one since they were counted
        raise Conflict("units of the batch are with orders", code="batch_in_use", units=used or free - gone)
    values = {"state": BatchState.UNDONE.value, "undone": gone, "undone_at_ms": by.at_ms}
    connection.execute(update(batches).where(batches.c.id == batch_id).values(values))
    write_history(connection, by, StockEvent.UNDONE, goods_id=goods_id, batch_id=batch_id, count=gone)
    note_fewer(connection, goods_id, by.at_ms)
    return read_batch(connection, goods_id, batch_id)


def _begun_by(connection: Connection, goods_id: int, by: By) -> Batch | None:
    query = select(batches).where(batches.c.goods_id == goods_id, batches.c.op_id == by.op_id)
    row = connection.execute(query).mappings().first()
    return None if row is None else _batch(row)


def _batch(row: Any) -> Batch:
    return Batch(**{**row, "state": BatchState(row["state"])})
