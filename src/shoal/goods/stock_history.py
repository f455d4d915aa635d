"""The history of a stock: every change of goods and units, written in the transaction of the change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select

from shoal.storage.goods_tables import stock_history
from shoal.storage.touched import touch


class StockEvent(StrEnum):
    """What happened."""

    CREATED = "created"
    CHANGED = "changed"
    IMPORTED = "imported"
    UNDONE = "undone"
    BOUND = "bound"
    RELEASED = "released"
    OUT = "out"
    VOID = "void"
    RETURNED = "returned"
    DOUBTED = "doubted"
    REVEALED = "revealed"
    FETCHING = "fetching"
    """A supplier is about to be asked for a unit."""
    FETCHED = "fetched"
    NOT_FETCHED = "not_fetched"
    """The supplier sold none, which is certain."""


@dataclass(frozen=True, kw_only=True, slots=True)
class By:
    """Who changes a stock, under which op id, and when. ``repeats``: the op may have been tried before."""

    actor: str
    op_id: str = ""
    at_ms: int = 0
    repeats: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryEntry:
    """One entry. ``facts``: the changed fields, each with its value before and after."""

    id: int
    goods_id: int
    what: StockEvent
    count: int
    unit_id: int | None
    batch_id: int | None
    order_id: str
    reason: str
    actor: str
    op_id: str
    at_ms: int
    facts: dict[str, Any] = field(default_factory=dict)


def write_history(
    connection: Connection,
    by: By,
    what: StockEvent,
    *,
    goods_id: int,
    facts: Mapping[str, Any] | None = None,
    **row: Any,
) -> int:
    """Write an entry. ``row``: more of its columns. Return its id."""
    entry = {
        "goods_id": goods_id,
        "what": what.value,
        "actor": by.actor,
        "op_id": by.op_id,
        "at_ms": by.at_ms,
        "facts": json.dumps(facts, ensure_ascii=False, separators=(",", ":")) if facts else "",
        **row,
    }
    touch(connection, [goods_id])
    made = connection.execute(insert(stock_history).values(entry))
    return int(made.inserted_primary_key[0])  # type: ignore[index]  # an INSERT of one row has a key


def write_entries(connection: Connection, by: By, what: StockEvent, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write an entry for each of several units."""
    touch(connection, {row["goods_id"] for row in rows})
    shared = {"what": what.value, "actor": by.actor, "op_id": by.op_id, "at_ms": by.at_ms}
    connection.execute(insert(stock_history), [{**shared, **row} for row in rows])


def was_written(connection: Connection, goods_id: int, by: By) -> bool:
    """Return whether this op was written before."""
    query = select(stock_history.c.id).where(stock_history.c.goods_id == goods_id, stock_history.c.op_id == by.op_id)
    return connection.execute(query.limit(1)).first() is not None


def read_history(
    connection: Connection, goods_id: int, *, unit_id: int | None = None, before: int | None = None, limit: int = 50
) -> list[HistoryEntry]:
    """Return entries of goods, or of one unit of them, the newest first."""
    query = select(stock_history).where(stock_history.c.goods_id == goods_id)
    if unit_id is not None:
        query = query.where(stock_history.c.unit_id == unit_id)
    if before is not None:
        query = query.where(stock_history.c.id < before)
    rows = connection.execute(query.order_by(stock_history.c.id.desc()).limit(limit))
    return [_entry(dict(row)) for row in rows.mappings()]


def _entry(row: dict[str, Any]) -> HistoryEntry:
    del row["unb"]
    facts = json.loads(row.pop("facts") or "{}")
    return HistoryEntry(**{**row, "what": StockEvent(row["what"])}, facts=facts)
