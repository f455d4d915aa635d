"""Which bindings a file of units names: up to which id, and which ids below it may still become visible.

A binding's id is taken before its transaction is committed, so of several writers' a smaller id may become visible
after a larger one. Each writer has a transaction id before it takes a row's id (``storage/commit_outcome.py`` writes
first): an id that is missed is decided once no transaction is open that is older than one that began after the look.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, or_, select, text

from shoal.storage.among import among
from shoal.storage.goods_tables import bindings, units

PAGE: Final = 1_000
LOOK_BACK: Final = 10_000
"""How many ids before the last are compared with the file at a start."""
_OLDEST_OPEN: Final = text("SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)")
_NEXT: Final = text("SELECT CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text)")


@dataclass(frozen=True, kw_only=True, slots=True)
class NotedBindings:
    """``last``: the largest id that is named. A single writer leaves no gaps: its ids become visible in their order."""

    last: int
    is_shared: bool = False
    gaps: Mapping[int, int | None] = field(default_factory=dict)
    """The ids below it that are not named, each with the transaction id that was the next one when it was missed."""

    @classmethod
    def of_file(cls, numbers: Collection[int], before: int, *, is_shared: bool) -> NotedBindings:
        """Return what a file with these bindings names. It says nothing of those up to ``before``."""
        last = max(numbers, default=before)
        if not is_shared:
            return cls(last=last)
        missed = set(range(max(before, last - LOOK_BACK) + 1, last)).difference(numbers)
        return cls(last=last, is_shared=True, gaps=dict.fromkeys(missed))

    def look(self, connection: Connection) -> tuple[list[RowMapping], NotedBindings]:
        """Return the next bindings that are not named, at most ``PAGE``, and what is named with them."""
        oldest = int(connection.scalar(_OLDEST_OPEN) or 0) if self.gaps else 0
        wanted: ColumnElement[Any] = bindings.c.id > self.last
        if self.gaps:
            wanted = or_(wanted, among(bindings.c.id, list(self.gaps)))
        query = (
            select(bindings, units.c.digest)
            .outerjoin(units, units.c.id == bindings.c.unit_id)
            .where(wanted)
            .order_by(bindings.c.id)
            .limit(PAGE)
        )
        rows = list(connection.execute(query).mappings())
        if not self.is_shared:
            return rows, replace(self, last=rows[-1]["id"]) if rows else self
        found = {row["id"] for row in rows}
        last = max(found | {self.last})
        gaps = {number: xid for number, xid in self.gaps.items() if not (number in found or _is_over(xid, oldest))}
        fresh = [number for number in range(self.last + 1, last) if number not in found]
        if fresh or None in gaps.values():
            following = int(connection.scalar(_NEXT) or 0)  # read after the rows, so their transactions have older ids
            gaps = {number: following if xid is None else xid for number, xid in _with(gaps, fresh)}
        return rows, replace(self, last=last, gaps=gaps)


def _is_over(xid: int | None, oldest_open: int) -> bool:
    return xid is not None and xid <= oldest_open


def _with(gaps: Mapping[int, int | None], fresh: Iterable[int]) -> Iterable[tuple[int, int | None]]:
    return {**gaps, **dict.fromkeys(fresh)}.items()
