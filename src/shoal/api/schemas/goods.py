"""Goods, units and batches as JSON. Only the answer to a reveal has the text of a unit."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from pydantic import BaseModel

from shoal.api.schemas.op_ids import shown_op_id
from shoal.api.schemas.request_texts import Text, body_example
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.api.schemas.suppliers import SupplierBody, SupplierShape, supplier_shape
from shoal.goods.batches import Batch
from shoal.goods.goods import Goods
from shoal.goods.goods_store import PACE_DAYS, Counts
from shoal.goods.stock_history import HistoryEntry
from shoal.goods.stock_units import Unit
from shoal.goods.suppliers import Supplier
from shoal.goods.unit_states import UnitState

KindShape = Literal["fixed", "stock", "reusable", "supplier"]
StateShape = Literal["free", "held", "out", "void", "returned", "doubted", "fetching"]
BatchStateShape = Literal["importing", "done", "stopped", "undone"]

_COUNTS = {"free": 95, "held": 1, "out": 4, "void": 0, "returned": 0, "doubted": 0, "fetching": 0}
_GOODS: dict[str, Any] = {
    "id": 7, "name": "月卡", "kind": "stock", "per_message": 1, "low_at": 20, "active": True, "text": "",
    "image_url": "", "uses_each": None, "serve_on_restock": False, "supplier": None, "units": _COUNTS, "low": False,
    "bound_last_week": 35, "days_left": 19.0, "created_at": "2026-01-02T03:04:05.000Z",
    "changed_at": "2026-01-02T03:04:05.000Z",
}  # fmt: skip
_UNIT: dict[str, Any] = {
    "id": 41, "state": "out", "masked": "AB…42", "batch_id": 3, "order_id": "4501234567890123456",
    "at_ms": 1767323045000,
}  # fmt: skip
_BATCH: dict[str, Any] = {
    "id": 3, "state": "done", "file_name": "codes.csv", "lines": 102, "done": 102, "taken": 100, "doubles": 1,
    "refused": 1, "undone": 0, "actor": "user:mei", "op_id": "5b2d", "created_at": "2026-01-02T03:04:05.000Z",
    "ended_at": "2026-01-02T03:04:06.000Z", "undone_at": None,
}  # fmt: skip


class GoodsBody(BaseModel):
    """New goods. ``text`` and ``image_url`` are for `fixed` goods, ``uses_each`` for `reusable` ones, ``supplier`` for
    `supplier`.
    """

    model_config = body_example(name="月卡", kind="stock", per_message=1, low_at=20)
    name: Text
    kind: KindShape
    per_message: int = 1
    low_at: int = 0
    active: bool = True
    text: Text = ""
    image_url: Text = ""
    uses_each: int | None = None
    serve_on_restock: bool = False
    supplier: SupplierBody | None = None


class GoodsPatch(BaseModel):
    """Fields of goods to change; a field that is left out stays."""

    model_config = body_example(low_at=10)
    name: Text | None = None
    per_message: int | None = None
    low_at: int | None = None
    active: bool | None = None
    text: Text | None = None
    image_url: Text | None = None
    uses_each: int | None = None
    serve_on_restock: bool | None = None
    supplier: SupplierBody | None = None


class ReasonBody(BaseModel):
    """Why a unit is revealed, voided or returned."""

    model_config = body_example(reason="买家说打不开")
    reason: Text


class GiveBackBody(ReasonBody):
    """Why the order that has a unit gives its units back. ``order_id``: which order, of a reusable unit that several
    have; left out: the last one. ``never_arrived``: you have looked, and what may have arrived did not.
    """

    model_config = body_example(reason="已用其他方式发货", never_arrived=False)
    order_id: Text = ""
    never_arrived: bool = False


class GivenBackUnits(BaseModel):
    """The order that gave its units back, and their ids. They are free again."""

    model_config = example(order_id="4501234567890123456", units=[41, 42])
    order_id: str
    units: list[int]


class UnitCounts(BaseModel):
    """How many units are in which state."""

    free: int
    held: int
    out: int
    void: int
    returned: int
    doubted: int
    fetching: int


class GoodsShape(BaseModel):
    """Goods and what is in stock. ``days_left``: at the pace of the last week; `null` when nothing was sold.

    Of `reusable` goods ``low`` and ``days_left`` count how often units may still go out; without limit they never end.
    """

    model_config = example(**_GOODS)
    id: int
    name: str
    kind: KindShape
    per_message: int
    low_at: int
    active: bool
    text: str
    image_url: str
    uses_each: int | None
    serve_on_restock: bool
    supplier: SupplierShape | None
    units: UnitCounts
    low: bool
    bound_last_week: int
    days_left: float | None
    created_at: str
    changed_at: str


class GoodsList(BaseModel):
    """All goods of the caller, in the order in which they were made."""

    model_config = example(items=[_GOODS])
    items: list[GoodsShape]


class HistoryShape(BaseModel):
    """One change of a stock. ``changes``: the changed fields, each with its value before and after."""

    id: int
    what: str
    count: int
    unit_id: int | None
    batch_id: int | None
    order_id: str
    reason: str
    changes: dict[str, Any]
    actor: str
    op_id: str
    at: str


class StockHistory(BaseModel):
    """Changes of goods and units, the newest first."""

    model_config = example(
        items=[
            {
                "id": 12, "what": "imported", "count": 100, "unit_id": None, "batch_id": 3, "order_id": "",
                "reason": "", "changes": {}, "actor": "user:mei", "op_id": "5b2d", "at": "2026-01-02T03:04:05.000Z",
            }
        ],
        next=None,
    )  # fmt: skip
    items: list[HistoryShape]
    next: str | None


class UnitShape(BaseModel):
    """A unit without its text."""

    model_config = example(**_UNIT)
    id: int
    state: StateShape
    masked: str
    batch_id: int | None
    order_id: str | None
    at_ms: int


class RevealedUnit(UnitShape):
    """A unit with its text."""

    model_config = example(**_UNIT, text="AB12-CD34-EF42")
    text: str


class UnitList(BaseModel):
    """Units, the oldest first. ``next``: what `after` must be for the next page."""

    model_config = example(items=[_UNIT], next=None)
    items: list[UnitShape]
    next: int | None


class BatchShape(BaseModel):
    """One import. Of its ``lines`` so many are ``done``: taken as units, doubles, or refused."""

    model_config = example(**_BATCH)
    id: int
    state: BatchStateShape
    file_name: str
    lines: int
    done: int
    taken: int
    doubles: int
    refused: int
    undone: int
    actor: str
    op_id: str
    created_at: str
    ended_at: str | None
    undone_at: str | None


class BatchList(BaseModel):
    """The imports of goods, the newest first."""

    model_config = example(items=[_BATCH], next=None)
    items: list[BatchShape]
    next: str | None


class ImportLine(BaseModel):
    """A line that was not taken. ``why`` is for programs, ``detail`` for people."""

    line: int
    why: str
    detail: str


class ImportAnswer(BaseModel):
    """The result of an import: of doubles and refused lines the first 1,000 each are named, all are counted.

    ``waiting``: how many orders waited for these goods; ``requested``: how many of them are served now.
    """

    model_config = example(
        batch_id=3, dry_run=False, lines=102, taken=100,
        doubles=[{"line": 5, "why": "same_file", "detail": "与第 2 行相同"}],
        refused=[{"line": 9, "why": "unit_too_long", "detail": "每个卡密最多 2000 个字符"}],
        doubles_count=1, refused_count=1, waiting=7, requested=0, op_id="5b2d",
    )  # fmt: skip
    batch_id: int | None
    dry_run: bool
    lines: int
    taken: int
    doubles: list[ImportLine]
    refused: list[ImportLine]
    doubles_count: int
    refused_count: int
    waiting: int
    requested: int
    op_id: str


class StockFigures(msgspec.Struct, frozen=True):
    """What is known of goods beside themselves: units by state, how many orders can get (``None``: without limit), how
    many were sold in the last week, and the supplier."""

    counts: Counts
    left: int | None
    pace: int
    supplier: Supplier | None = None


def goods_shape(goods: Goods, figures: StockFigures) -> GoodsShape:
    """Return goods as JSON."""
    names = (
        "id", "name", "kind", "per_message", "low_at", "active", "text", "image_url", "uses_each", "serve_on_restock",
    )  # fmt: skip
    counted = {name: figures.counts[UnitState(name)] for name in UnitCounts.model_fields}
    return GoodsShape(
        **{name: getattr(goods, name) for name in names},
        supplier=None if figures.supplier is None else supplier_shape(figures.supplier),
        units=UnitCounts(**counted),
        low=goods.has_units and figures.left is not None and 0 < goods.low_at >= figures.left,
        bound_last_week=figures.pace,
        days_left=round(figures.left * PACE_DAYS / figures.pace, 1)
        if figures.pace and figures.left is not None
        else None,
        created_at=rfc3339(goods.created_at_ms),
        changed_at=rfc3339(goods.changed_at_ms),
    )


def unit_fields(unit: Unit) -> dict[str, Any]:
    """Return the fields of a unit that everybody who may list it may see."""
    names = ("id", "state", "masked", "batch_id", "order_id", "at_ms")
    return {name: getattr(unit, name) for name in names}


def batch_shape(batch: Batch) -> BatchShape:
    """Return an import as JSON."""
    names = ("id", "state", "file_name", "lines", "done", "taken", "doubles", "refused", "undone", "actor")
    return BatchShape(
        **{name: getattr(batch, name) for name in names},
        op_id=shown_op_id(batch.op_id),
        created_at=rfc3339(batch.created_at_ms),
        ended_at=maybe_rfc3339(batch.ended_at_ms),
        undone_at=maybe_rfc3339(batch.undone_at_ms),
    )


def history_shape(entry: HistoryEntry) -> HistoryShape:
    """Return a change of a stock as JSON."""
    names = ("id", "count", "unit_id", "batch_id", "order_id", "reason", "actor")
    return HistoryShape(
        **{name: getattr(entry, name) for name in names},
        what=entry.what.value,
        changes=entry.facts,
        op_id=shown_op_id(entry.op_id),
        at=rfc3339(entry.at_ms),
    )
