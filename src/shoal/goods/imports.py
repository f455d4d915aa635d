"""``Imports``: lines become units, slice by slice.

Each slice is one transaction of units, batch and history, so a batch always counts the units it has. An import that
ends early (a crash, a full disk) keeps what it took in; the same file again adds the rest, because what is there is
recognised. Two imports of one file at once share its units: a line is taken by one of them, and a double for the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, insert, select

from shoal.clock import now_ms
from shoal.concurrency.fair_threads import beside
from shoal.concurrency.fair_turns import FairTurns
from shoal.errors import InvalidInput, StoreError
from shoal.goods.batches import (
    Batch,
    BatchState,
    begin_batch,
    end_batch,
    go_on,
    read_batch,
    read_batches,
    stop_all,
    take_into,
    undo_batch,
)
from shoal.goods.goods import Goods, UnknownGoods
from shoal.goods.goods_store import read_goods
from shoal.goods.stock_history import By
from shoal.goods.stock_level import note_more
from shoal.goods.unit_lines import Line, Refusal, SentLines
from shoal.goods.unit_states import UnitState
from shoal.goods.unit_texts import UnitTexts
from shoal.storage.database import Database
from shoal.storage.goods_tables import units

SLICE: Final = 1_000
"""How many units one transaction takes in: a few milliseconds, between which others write."""
AT_ONCE: Final = 2
WAITING_EACH: Final = 2
WAITING_ALL: Final = 16
SAME_FILE: Final = "same_file"
"""Why a line is a double: an earlier line says the same. Otherwise the reason is the state of the unit there is."""


class Double(msgspec.Struct, frozen=True, gc=False):
    """A line that brings a unit there is. ``first``: the earlier line, when it is of the same file."""

    line: int
    why: str
    first: int | None = None


@dataclass(slots=True)
class Imported:
    """What an import brought, or (without a ``batch``) would bring."""

    batch: Batch | None = None
    taken: int = 0
    doubles: list[Double] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


class _Slice(msgspec.Struct, frozen=True):
    """Lines that are no doubles of each other, by digest; and the doubles among them. ``end``: how many lines there
    are up to here."""

    fresh: dict[str, Line]
    doubles: list[Double]
    end: int


class _Found(msgspec.Struct, frozen=True):
    """A unit that has the digest of a line."""

    state: str
    batch_id: int | None


class Imports:
    """Takes units in and takes batches back."""

    def __init__(self, database: Database, texts: UnitTexts, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._database = database
        self._texts = texts
        self._now_ms = now_ms
        self._opened = False
        self._turns = FairTurns(AT_ONCE, waiting_each=WAITING_EACH, waiting_all=WAITING_ALL)

    async def open(self) -> None:
        """Mark the imports that a crash cut off; the first import does it when the store takes no writes now."""
        if not self._opened:
            await self._database.write(lambda connection: stop_all(connection, self._now_ms()))
            self._opened = True

    async def preview(self, goods: Goods, sent: SentLines) -> Imported:
        """Return what the import would bring; nothing is stored."""
        check_takes_units(goods)
        result = Imported(refused=list(sent.refused))
        async for part, found in self._looked_up(goods, sent.lines):
            _count(result, part, found, batch_id=None)
        return result

    async def places(self, some: Iterable[Goods], texts: Sequence[str]) -> dict[str, list[Goods]]:
        """Return in which of these goods each of these texts is a unit that was not voided; others are missing."""
        found: dict[str, list[Goods]] = {}
        for goods in (one for one in some if one.has_units):
            for start in range(0, len(texts), SLICE):
                part = texts[start : start + SLICE]
                digests = await beside(self._digests, goods.id, part)
                look_up = partial(_found_units, goods_id=goods.id, digests=list(digests))
                for digest, one in (await self._database.read(look_up)).items():
                    if one.state != UnitState.VOID:
                        found.setdefault(digests[digest], []).append(goods)
        return found

    async def run(self, goods: Goods, sent: SentLines, by: By, *, file_name: str = "", data: bytes = b"") -> Imported:
        """Take the lines in as units of a new batch. A repeated op goes on with the batch that it began.

        ``data``: the file, for its digest. Raises ``InvalidInput``, ``UnknownGoods``, ``Conflict``
        (``too_many_units``), ``StoreError`` when it ended early (``import_cut_off`` when it took lines in before), and
        like ``FairTurns.take``.
        """
        check_takes_units(goods)
        await self.open()
        async with self._turns.turn():
            digest = await beside(self._texts.digest_of_file, data) if data else ""
            values = {"lines": sent.size, "refused": len(sent.refused), "file_name": file_name, "file_hash": digest}
            batch = await self._database.write(lambda connection: self._begun(connection, by, goods.id, values))
            if batch.state is BatchState.UNDONE:
                return Imported(batch=batch, refused=list(sent.refused))
            try:
                return await self._fill(goods, batch, sent)
            except BaseException:
                with suppress(StoreError):
                    await self._database.write(
                        partial(end_batch, batch=batch, state=BatchState.STOPPED, at_ms=self._now_ms())
                    )
                raise

    async def batch(self, goods_id: int, batch_id: int) -> Batch:
        """Return a batch of goods. Raises ``UnknownBatch``."""
        return await self._database.read(lambda connection: read_batch(connection, goods_id, batch_id))

    async def batches(self, goods_id: int, *, before: int | None = None, limit: int = 50) -> tuple[Batch, ...]:
        """Return the batches of goods, the newest first."""
        return await self._database.read(
            lambda connection: read_batches(connection, goods_id, before=before, limit=limit)
        )

    async def undo(self, goods_id: int, batch_id: int, by: By) -> Batch:
        """Take a batch back as ``undo_batch``."""
        await self.open()
        return await self._database.write(
            lambda connection: undo_batch(connection, replace(by, at_ms=self._now_ms()), goods_id, batch_id)
        )

    def _begun(self, connection: Connection, by: By, goods_id: int, values: dict[str, Any]) -> Batch:
        batch = begin_batch(connection, replace(by, at_ms=self._now_ms()), goods_id, values)
        go_on(connection, batch)
        return batch

    async def _fill(self, goods: Goods, batch: Batch, sent: SentLines) -> Imported:
        result = Imported(refused=list(sent.refused))
        cut = self._slices(goods.id, sent.lines)
        while (part := await beside(next, cut, None)) is not None:
            rows = await beside(self._rows, goods, batch, part)
            counts = {"done": len(sent.refused) + part.end, "doubles": len(result.doubles) + len(part.doubles)}
            try:
                found = await self._database.write(partial(_take, batch=batch, rows=rows, counts=counts))
            except StoreError as error:
                if not result.taken:
                    raise
                raise StoreError("the import ended early", code="import_cut_off", taken=result.taken) from error
            _count(result, part, found, batch.id)
        result.batch = await self._database.write(
            partial(end_batch, batch=batch, state=BatchState.DONE, at_ms=self._now_ms())
        )
        return result

    async def _looked_up(self, goods: Goods, lines: Sequence[Line]) -> Any:
        cut = self._slices(goods.id, lines)
        while (part := await beside(next, cut, None)) is not None:
            look_up = partial(_found_units, goods_id=goods.id, digests=list(part.fresh))
            yield part, await self._database.read(look_up)

    def _slices(self, goods_id: int, lines: Sequence[Line]) -> Iterator[_Slice]:
        first: dict[str, int] = {}
        for start in range(0, len(lines), SLICE):
            part = _Slice({}, [], min(start + SLICE, len(lines)))
            for line in lines[start : start + SLICE]:
                digest = self._texts.digest(line.text, goods_id)
                before = first.setdefault(digest, line.number)
                if before == line.number:
                    part.fresh[digest] = line
                else:
                    part.doubles.append(Double(line.number, SAME_FILE, before))
            yield part

    def _digests(self, goods_id: int, texts: Sequence[str]) -> dict[str, str]:
        return {self._texts.digest(text, goods_id): text for text in texts}

    def _rows(self, goods: Goods, batch: Batch, part: _Slice) -> dict[str, dict[str, Any]]:
        shared = {"goods_id": goods.id, "owner_id": goods.owner_id, "batch_id": batch.id, "at_ms": self._now_ms()}
        return {
            digest: {**shared, "digest": digest, "sealed": self._texts.seal(line.text, goods.owner_id)}
            for digest, line in part.fresh.items()
        }


def check_takes_units(goods: Goods) -> None:
    """Raise ``InvalidInput`` (``goods_without_units``) for goods that have no units."""
    if not goods.has_units:
        raise InvalidInput("these goods have no units", code="goods_without_units")


def _take(
    connection: Connection, *, batch: Batch, rows: dict[str, dict[str, Any]], counts: dict[str, int]
) -> dict[str, _Found]:
    """Insert the units of a slice that are new, and return those that were there."""
    if read_goods(connection, batch.goods_id, lock=True) is None:  # also keeps another import of these goods waiting
        raise UnknownGoods
    found = _found_units(connection, batch.goods_id, list(rows))
    fresh = [row for digest, row in rows.items() if digest not in found]
    if fresh:
        connection.execute(insert(units), fresh)
        note_more(connection, batch.goods_id, fresh[0]["at_ms"])
    doubles = sum(one.batch_id != batch.id for one in found.values())
    take_into(connection, batch, len(fresh), done=counts["done"], doubles=counts["doubles"] + doubles)
    return found


def _found_units(connection: Connection, goods_id: int, digests: list[str]) -> dict[str, _Found]:
    query = select(units.c.digest, units.c.state, units.c.batch_id).where(
        units.c.goods_id == goods_id, units.c.digest.in_(digests)
    )
    return {digest: _Found(state, batch_id) for digest, state, batch_id in connection.execute(query)}


def _count(result: Imported, part: _Slice, found: dict[str, _Found], batch_id: int | None) -> None:
    """Add a slice to the result. What this same batch took in before was no double then."""
    there = [
        Double(part.fresh[digest].number, one.state)
        for digest, one in found.items()
        if batch_id is None or one.batch_id != batch_id
    ]
    result.taken += len(part.fresh) - len(there)
    result.doubles += sorted([*part.doubles, *there], key=lambda double: double.line)
