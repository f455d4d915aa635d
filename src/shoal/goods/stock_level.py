"""Whether the stock of goods is low or empty, as incidents."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, exists, func, select, text

from shoal.goods.goods import GoodsKind
from shoal.storage.goods_tables import UNIT_FREE, goods, units
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, close_incidents, goods_subject, open_incidents

_OF_STOCK = (IncidentKind.OUT_OF_STOCK, IncidentKind.LOW_STOCK)
_COUNTED = frozenset({GoodsKind.STOCK.value, GoodsKind.REUSABLE.value})
"""Fixed goods have no units, and a supplier is asked for them."""


class _Level(msgspec.Struct, frozen=True):
    """``is_counted``: units are kept, there were some already, and the goods are for sale."""

    owner_id: int
    name: str
    low_at: int
    free: int
    is_counted: bool

    @property
    def trouble(self) -> IncidentKind | None:
        if not self.is_counted:
            return None
        if self.free == 0:
            return IncidentKind.OUT_OF_STOCK
        return IncidentKind.LOW_STOCK if self.free <= self.low_at else None


def note_fewer(connection: Connection, goods_id: int, at_ms: int) -> None:
    """Open an incident if fewer units are free now than the owner wants, or none."""
    level = _level(connection, goods_id)
    if level is None or (kind := level.trouble) is None:
        return
    subject = goods_subject(goods_id)
    if kind is IncidentKind.OUT_OF_STOCK:
        close_incidents(connection, [subject], [IncidentKind.LOW_STOCK], at_ms)
    facts = {"goods": level.name, "free": level.free}
    opening = Opening(subject=subject, kind=kind, at_ms=at_ms, user_id=level.owner_id, facts=facts)
    open_incidents(connection, [opening])


def note_more(connection: Connection, goods_id: int, at_ms: int) -> None:
    """Close the incidents that end because more units are free now, fewer are wanted, or the goods are not for sale."""
    level = _level(connection, goods_id)
    trouble = None if level is None else level.trouble
    ended = [kind for kind in _OF_STOCK if kind is not trouble]
    close_incidents(connection, [goods_subject(goods_id)], ended, at_ms)


def _level(connection: Connection, goods_id: int) -> _Level | None:
    """Return how many units are free, counted no further than the answer needs; ``None``: the goods were removed."""
    query = select(*(goods.c[name] for name in ("owner_id", "name", "low_at", "kind", "active")))
    row = connection.execute(query.where(goods.c.id == goods_id)).one_or_none()
    if row is None:  # the bindings of orders outlive goods
        return None
    some = select(units.c.id).where(units.c.goods_id == goods_id, text(UNIT_FREE)).limit(row.low_at + 1)
    free = connection.scalar(select(func.count()).select_from(some.subquery()))
    had = free or connection.scalar(select(exists().where(units.c.goods_id == goods_id)))
    is_counted = bool(had) and row.active and row.kind in _COUNTED
    return _Level(row.owner_id, row.name, row.low_at, int(free or 0), is_counted=is_counted)
