"""Whether the stock of goods is low or empty, as incidents."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from shoal.storage.goods_tables import UNIT_FREE, goods, units
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, close_incidents, goods_subject, open_incidents

_OF_STOCK = (IncidentKind.OUT_OF_STOCK, IncidentKind.LOW_STOCK)


@dataclass(frozen=True, slots=True)
class _Level:
    owner_id: int
    name: str
    low_at: int
    free: int

    @property
    def trouble(self) -> IncidentKind | None:
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
    """Close the incidents that end because more units are free now, or fewer are wanted."""
    level = _level(connection, goods_id)
    if level is not None:
        ended = [kind for kind in _OF_STOCK if kind is not level.trouble]
        close_incidents(connection, [goods_subject(goods_id)], ended, at_ms)


def _level(connection: Connection, goods_id: int) -> _Level | None:
    """Return how many units are free, counted no further than the answer needs; ``None``: the goods were removed."""
    query = select(goods.c.owner_id, goods.c.name, goods.c.low_at).where(goods.c.id == goods_id)
    row = connection.execute(query).one_or_none()
    if row is None:  # the bindings of orders outlive goods
        return None
    some = select(units.c.id).where(units.c.goods_id == goods_id, text(UNIT_FREE)).limit(row.low_at + 1)
    free = connection.scalar(select(func.count()).select_from(some.subquery()))
    return _Level(row.owner_id, row.name, row.low_at, int(free or 0))
