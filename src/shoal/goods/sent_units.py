"""``SentUnits``: a file beside the database that names each unit before it leaves.

A restored older backup brings units back as free that left since. The file says which ones: they are doubted, and their
orders keep them. Where the file is not there (a backup in a new directory), nothing says what left: then all goods with
units are off until their owners switch them on.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog
from sqlalchemy import Connection, RowMapping, func, insert, select, text, update

from shoal.clock import now_ms
from shoal.goods.goods import GoodsKind
from shoal.goods.noted_bindings import PAGE, NotedBindings
from shoal.goods.stock_history import By, StockEvent, write_entries, write_history
from shoal.goods.unit_states import UnitState
from shoal.goods.unit_texts import UnitTexts
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.goods_tables import BOUND, bindings, goods, units
from shoal.storage.schema import store_meta

log = structlog.get_logger("shoal.goods")

FACT: Final = "sent_units"
"""The ``store_meta`` key of the file that belongs to a database; of several nodes each has a key and a file."""
RESTORED: Final = "restored"
"""The reason in the stock's history of what a restore changed."""
MOST_LINES: Final = 200_000
"""A longer file keeps its newer half."""
_NEXT_UNIT: Final = text("SELECT setval(pg_get_serial_sequence('units', 'id'), (SELECT max(id) FROM units))")


class SentUnit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A unit that was bound to an order. ``number`` is the id of its binding, ``digest`` recognises its text."""

    number: int
    goods: int
    owner: int
    unit: int
    place: int
    unb: str
    order: str
    digest: str = ""
    once: bool = True
    replaces: int | None = None
    reason: str = ""


class _Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The first line: whose file it is, and up to which binding it says nothing."""

    database: str
    before: int = 0


class SentUnits:
    """The file of one database. Without a ``path`` nothing is kept, and a restore cannot be noticed.

    Each of several nodes names in its own file what it lets out. A new ``node`` has none yet, and stops no sale.
    """

    def __init__(
        self,
        database: Database,
        texts: UnitTexts,
        path: Path | None,
        *,
        node: str | None = None,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._fact = FACT if node is None else f"{FACT}:{node}"
        self._mark = texts.digest_of_file(FACT.encode())
        self._path = path
        self._now_ms = now_ms
        self._turn = asyncio.Lock()
        self._is_shared = node is not None
        self._noted: NotedBindings | None = None
        """Which bindings the file names; ``None`` before it was compared with the database."""

    async def open(self) -> None:
        """Compare the file with the database, and doubt what left since a backup. Raises ``StoreError``."""
        if self._path is None or self._noted is not None:
            return
        async with self._turn:
            if self._noted is None:
                self._noted = await self._compared(self._path)

    async def note(self) -> None:
        """Name every bound unit in the file that it does not name yet. Call it before a unit leaves.

        A file that cannot be written holds nothing up: what is missing is added the next time. Raises ``StoreError``.
        """
        await self.open()
        if self._path is None or self._noted is None:
            return
        async with self._turn:
            is_last = False
            while not is_last:
                rows, noted = await self._database.read(self._noted.look)
                try:
                    if rows:
                        await asyncio.to_thread(_append, self._path, [_line_of(row) for row in rows])
                except OSError as error:
                    log.warning("units not noted", path=str(self._path), why=error.strerror)
                    return
                self._noted, is_last = noted, len(rows) < PAGE

    async def _compared(self, path: Path) -> NotedBindings:
        head, lines = await asyncio.to_thread(_read, path)
        known = await self._database.fact(self._fact)
        newest = await self._database.read(_newest)
        if head is None or head.database != self._mark:  # none, or that of another database
            if known is not None:
                await self._stop_sales()
            head, lines = _Head(database=self._mark, before=newest), []
            await asyncio.to_thread(_write, path, head, lines)
        if known != self._mark:
            await self._database.replace_fact(self._fact, self._mark)
        if newest < head.before:  # the file began after the backup
            await self._stop_sales()
        backup, missing = newest, [line for line in lines if line.number > newest]
        if missing:
            newest = await self._doubt(missing)
            lines = [line if line.number <= backup else _renumbered(line, newest) for line in lines]
        kept = lines[-MOST_LINES // 2 :] if len(lines) > MOST_LINES else lines
        if missing or len(kept) < len(lines) or newest < head.before:
            left_out = lines[: -len(kept)] if len(kept) < len(lines) else []
            before = max((line.number for line in left_out), default=min(head.before, newest))
            head, lines = _Head(database=self._mark, before=before), kept
            await asyncio.to_thread(_write, path, head, lines)
        return NotedBindings.of_file({line.number for line in lines}, head.before, is_shared=self._is_shared)

    async def _doubt(self, missing: Sequence[SentUnit]) -> int:
        """Give the orders the units that left to them, doubt those, and return the newest binding."""
        last = list({line.unit if line.once else (line.unit, line.number): line for line in missing}.values())
        count = await self._database.write(lambda connection: _doubt(connection, last, self._now_ms()))
        log.warning("an older backup was restored", units_that_left=len(last), doubted=count)
        return await self._database.read(_newest)

    async def _stop_sales(self) -> None:
        stopped = await self._database.write(lambda connection: _switch_off(connection, self._now_ms()))
        if stopped:
            log.warning("a backup without the file of units was restored", goods_switched_off=stopped)


def _newest(connection: Connection) -> int:
    return int(connection.scalar(select(func.max(bindings.c.id))) or 0)


def _line_of(row: RowMapping) -> SentUnit:
    return SentUnit(
        number=row["id"], goods=row["goods_id"], owner=row["owner_id"], unit=row["unit_id"], place=row["unit_no"],
        unb=row["unb"], order=row["order_id"], digest=row["digest"] or "", once=bool(row["one_time"]),
        replaces=row["replaces"], reason=row["reason"],
    )  # fmt: skip


def _doubt(connection: Connection, lines: Iterable[SentUnit], now: int) -> int:
    """Bind each unit to the order that it left to, and doubt it. Return how many were free or held for another."""
    by, doubted = By(actor="server", at_ms=now), 0
    for line in lines:
        unit_id = line.unit
        kind = connection.scalar(select(goods.c.kind).where(goods.c.id == line.goods))
        if kind == GoodsKind.SUPPLIER.value:
            continue  # the supplier gives the order the same unit again: its key is that of the order
        if kind is None:
            unit_id = -line.number  # its goods came after the backup: other units may get its id
        elif (state := connection.scalar(select(units.c.state).where(units.c.id == line.unit))) is None:
            connection.execute(insert(units).values(_unit_of(line, now)))
        elif state in {UnitState.FREE.value, UnitState.HELD.value} and (line.once or _is_limited(connection, line)):
            _take_from_others(connection, line, now)
            doubted_now = {"state": UnitState.DOUBTED.value, "at_ms": now}
            connection.execute(update(units).where(units.c.id == line.unit).values(doubted_now))
            row = {"goods_id": line.goods, "unit_id": line.unit, "order_id": line.order, "unb": line.unb}
            write_entries(connection, by, StockEvent.DOUBTED, [{**row, "reason": RESTORED}])
            doubted += 1
        _bind(connection, line, unit_id, now)
    if connection.dialect.name == "postgresql":  # the ids of units that were put back are its own
        connection.execute(_NEXT_UNIT)
    return doubted


def _unit_of(line: SentUnit, now: int) -> dict[str, object]:
    """Return the row of a unit that came after the backup: without its text, but known when it is imported again."""
    return {
        "id": line.unit, "goods_id": line.goods, "owner_id": line.owner, "sealed": None, "digest": line.digest or None,
        "state": UnitState.DOUBTED.value, "at_ms": now,
    }  # fmt: skip


def _is_limited(connection: Connection, line: SentUnit) -> bool:
    return connection.scalar(select(goods.c.uses_each).where(goods.c.id == line.goods)) is not None


def _take_from_others(connection: Connection, line: SentUnit, now: int) -> None:
    """Release a unit that the backup holds for an order: that order gave it back before it left to this one."""
    held = (bindings.c.unit_id == line.unit, bindings.c.state == "held")
    released = {"state": "released", "settled_at_ms": now, "reason": RESTORED}
    connection.execute(update(bindings).where(*held).values(released))


def _bind(connection: Connection, line: SentUnit, unit_id: int, now: int) -> None:
    mine = (bindings.c.unb == line.unb, bindings.c.order_id == line.order, bindings.c.unit_no == line.place)
    if connection.scalar(select(bindings.c.id).where(*mine, text(BOUND))) is not None:
        return
    row = {
        "unit_id": unit_id, "goods_id": line.goods, "owner_id": line.owner, "unb": line.unb, "order_id": line.order,
        "unit_no": line.place, "replaces": line.replaces, "state": "out", "one_time": line.once,
        "reason": line.reason, "created_at_ms": now, "settled_at_ms": now,
    }  # fmt: skip
    connection.execute(insert(bindings).values(row))


def has_file(connection: Connection) -> bool:
    """Return whether a file belongs to a database of a single server."""
    return connection.scalar(select(store_meta.c.key).where(store_meta.c.key == FACT)) is not None


def stoppable_goods(connection: Connection) -> list[int]:
    """Return the goods that have a unit to give."""
    has_free = select(units.c.id).where(units.c.goods_id == goods.c.id, units.c.state == UnitState.FREE.value).exists()
    kinds = [GoodsKind.STOCK.value, GoodsKind.REUSABLE.value]
    return list(connection.scalars(select(goods.c.id).where(goods.c.active, goods.c.kind.in_(kinds), has_free)))


def _switch_off(connection: Connection, now: int) -> int:
    """Switch off all goods that have a unit to give, and return how many."""
    found = stoppable_goods(connection)
    values = {"active": False, "version": goods.c.version + 1, "changed_at_ms": now}
    connection.execute(update(goods).where(among(goods.c.id, found)).values(values))
    for goods_id in found:
        write_history(
            connection, By(actor="server", at_ms=now), StockEvent.CHANGED, goods_id=goods_id,
            facts={"active": (True, False)}, reason=RESTORED,
        )  # fmt: skip
    return len(found)


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _read(path: Path) -> tuple[_Head | None, list[SentUnit]]:
    """Return the head and the lines. A last line that a crash cut off is left out."""
    try:
        raw = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None, []
    lines: list[SentUnit] = []
    try:
        head = msgspec.json.decode(raw[0], type=_Head)
    except msgspec.MsgspecError:
        return None, []
    decoder = msgspec.json.Decoder(SentUnit)
    for line in raw[1:]:
        with suppress(msgspec.MsgspecError):
            lines.append(decoder.decode(line))
    return head, lines


def _append(path: Path, lines: Iterable[SentUnit]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "ab") as file:
        file.write(b"\n" + b"\n".join(map(msgspec.json.encode, lines)))  # after a line that a crash cut off
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, head: _Head, lines: Iterable[SentUnit]) -> None:
    """Write the file again, durably. One of another database stays beside it."""
    old, _ = _read(path)
    if old is not None and old.database != head.database:
        path.replace(path.with_name(f"{path.name}.old"))
    fresh = path.with_name(f"{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_TRUNC | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(b"\n".join(map(msgspec.json.encode, (head, *lines))))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _renumbered(line: SentUnit, number: int) -> SentUnit:
    return msgspec.structs.replace(line, number=number)
