"""``SupplierUnits``: fetches the units of an order from the supplier of its goods, each at most once.

The intent is stored before each call, the result after it. What may have been bought is asked for again only where the
supplier says what became of an order, or where a person says so, and then with the same key.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from itertools import chain, repeat
from typing import Final, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection

from shoal.clock import now_ms
from shoal.errors import Conflict, StoreError
from shoal.goods.bindings import MOST_UNITS, release_units
from shoal.goods.fetching import Place, Reserved, fetching_unit, interrupted_units, reserve_unit, settle_unit
from shoal.goods.goods import Goods
from shoal.goods.goods_store import read_goods
from shoal.goods.stock_history import By
from shoal.goods.supplier_calls import SupplierCalls
from shoal.goods.supplier_settings import SupplierSettings, require_supplier
from shoal.goods.suppliers import Answer, Meaning, Supplier, Wanted
from shoal.goods.unit_texts import UnitTexts
from shoal.storage.database import Database

log = structlog.get_logger("shoal.suppliers")

CALL_WAITS: Final = (2.0, 8.0)
"""Seconds before a call that did not reach the supplier is made again."""
QUERY_WAITS: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds between two queries about one order; the last one repeats."""
STORE_WAITS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 10.0, 10.0, 10.0, 10.0)
"""Seconds before an answer that could not be stored is written again: it may hold a unit that was paid for."""
ROUNDS: Final = 2
"""How often a unit is ordered while the supplier says that it knows of no such order."""
CLOSE_SECONDS: Final = 5.0
INTERRUPTED: Final = Answer(meaning=Meaning.UNSURE, why="interrupted")
T = TypeVar("T")


class Fetched(StrEnum):
    """What became of fetching the units of an order."""

    READY = "ready"
    """The order has all its units, sealed and bound to it."""
    REFUSED = "supplier_refused"
    UNREACHABLE = "supplier_unreachable"
    DOUBTED = "supplier_uncertain"
    """A unit may have been bought. It is not asked for again before a person says so."""
    STOPPED = "stopped"
    """The order is not due any more."""


class UnitsOfOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The units that an order needs. ``spec`` and ``item_id`` are for the supplier."""

    goods: Goods
    unb: str
    order_id: str
    count: int
    spec: str = ""
    item_id: str = ""


class Waits(msgspec.Struct, frozen=True):
    """How long is waited between two tries."""

    calls: Sequence[float] = CALL_WAITS
    queries: Sequence[float] = QUERY_WAITS
    store: Sequence[float] = STORE_WAITS


async def _always() -> bool:
    return True


class SupplierUnits:
    """Fetches units. A caller that is cancelled leaves the call running: its answer is stored all the same."""

    def __init__(
        self,
        database: Database,
        texts: UnitTexts,
        settings: SupplierSettings,
        calls: SupplierCalls,
        *,
        waits: Waits | None = None,
        close_seconds: float = CLOSE_SECONDS,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._database = database
        self._texts = texts
        self._settings = settings
        self._calls = calls
        self._waits = waits or Waits()
        self._close_seconds = close_seconds
        self._now_ms = now_ms
        self._running: dict[tuple[str, str], asyncio.Task[Fetched]] = {}

    async def close(self) -> None:
        """Give the calls that are running a moment to end, and end them. What they asked for stays ``fetching``."""
        if running := list(self._running.values()):
            await asyncio.wait(running, timeout=self._close_seconds)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        await self._calls.close()

    async def settle_interrupted(self) -> int:
        """Doubt the units that were being fetched when the program ended, unless their order will look them up.

        Return how many there were. Raises ``StoreError``.
        """
        by = By(actor="server", at_ms=self._now_ms())
        if not await self._database.read(interrupted_units):
            return 0

        def job(connection: Connection) -> int:
            doubted = 0
            for unit_id, goods_id, is_bound in interrupted_units(connection):
                supplier, goods = self._settings.read(connection, goods_id), read_goods(connection, goods_id)
                if goods is not None and not (is_bound and supplier is not None and supplier.can_be_asked):
                    settle_unit(connection, goods, unit_id, INTERRUPTED, self._texts, by)
                    doubted += 1
            return doubted

        return await self._database.write(job)

    async def fetch(
        self,
        order: UnitsOfOrder,
        by: By,
        *,
        is_still_due: Callable[[], Awaitable[bool]] = _always,
    ) -> Fetched:
        """Fetch what the order does not have yet, one unit after another. ``READY``: they are bound to it, and held.

        ``is_still_due`` is asked before each unit.
        Raises ``StoreError``, and ``Conflict`` (``order_has_other_units``, ``too_many_units_of_order``).
        """
        if not 1 <= order.count <= MOST_UNITS:
            raise Conflict("an order has 1 to 200 units", code="too_many_units_of_order", limit=MOST_UNITS)
        key = (order.unb, order.order_id)
        task = self._running.get(key)
        if task is None:
            work = self._fetch(order, by, is_still_due)
            task = asyncio.create_task(work, name=f"supplier call:{order.order_id}")
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        return await asyncio.shield(task)

    async def give_back(self, unb: str, order_id: str, by: By, *, reason: str) -> None:
        """Free the units of an order that certainly never left. Raises ``StoreError``."""
        now = replace(by, at_ms=self._now_ms())
        await self._database.write(lambda connection: release_units(connection, unb, order_id, now, reason=reason))

    async def try_call(self, goods: Goods, wanted: Wanted, by: By) -> Answer:
        """Order one unit because a person wants to see whether it works. The unit becomes free stock of the goods.

        Raises ``InvalidInput`` (``supplier_missing``), and ``StoreError``.
        """
        supplier = await self._supplier(goods)
        by = replace(by, at_ms=self._now_ms())
        unit_id = await self._database.write(lambda connection: fetching_unit(connection, goods, by))
        answer = await self._calls.order(supplier, wanted)
        await self._stored(lambda: self._settled(goods, unit_id, answer, by))
        return answer

    def test_order(self, *, spec: str = "", item_id: str = "") -> Wanted:
        """Return what is asked for by a test: an order that no buyer has."""
        order_id = f"test-{secrets.token_hex(6)}"
        key = self._texts.call_key("", order_id, 1)
        return Wanted(order_id=order_id, unit_no=1, key=key, spec=spec, item_id=item_id)

    async def supplier(self, goods: Goods) -> Supplier:
        """Return the settings. Raises ``InvalidInput`` (``supplier_missing``), and ``StoreError``."""
        return await self._supplier(goods)

    def _ended(self, key: tuple[str, str], task: asyncio.Task[Fetched]) -> None:
        self._running.pop(key, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("units not fetched", order=key[1], why=type(error).__name__)

    async def _fetch(self, order: UnitsOfOrder, by: By, is_still_due: Callable[[], Awaitable[bool]]) -> Fetched:
        for unit_no in range(1, order.count + 1):
            if not await is_still_due():
                return Fetched.STOPPED
            found = await self._unit(order, unit_no, replace(by, at_ms=self._now_ms()))
            if found is not Fetched.READY:
                log.warning("units not fetched", order=order.order_id, goods=order.goods.id, why=found.value)
                return found
        return Fetched.READY

    async def _unit(self, order: UnitsOfOrder, unit_no: int, by: By) -> Fetched:
        place = {"unb": order.unb, "order_id": order.order_id}
        there = await self._database.write(
            lambda connection: reserve_unit(connection, order.goods, unit_no=unit_no, by=by, **place)
        )
        if there.place is Place.HELD:
            return Fetched.READY
        if there.place is Place.DOUBTED:
            return Fetched.DOUBTED
        wanted = Wanted(
            order_id=order.order_id,
            unit_no=unit_no,
            key=self._texts.call_key(order.unb, order.order_id, unit_no),
            spec=order.spec,
            item_id=order.item_id,
        )
        answer = await self._answer(await self._supplier(order.goods), wanted, there)
        meaning = await self._stored(lambda: self._settled(order.goods, there.unit_id, answer, by))
        return {
            Meaning.UNIT: Fetched.READY,
            Meaning.REFUSED: Fetched.REFUSED,
            Meaning.UNREACHABLE: Fetched.UNREACHABLE,
            Meaning.UNSURE: Fetched.DOUBTED,
        }[meaning]

    # ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _answer(self, supplier: Supplier, wanted: Wanted, there: Reserved) -> Answer:
        if there.asked_before and supplier.can_be_asked:
            found = await self._looked_up(supplier, wanted)
            if found.meaning is not Meaning.REFUSED:
                return found
        elif there.place is Place.INTERRUPTED:
            return INTERRUPTED
        answer = Answer(meaning=Meaning.UNSURE)
        for _ in range(ROUNDS):
            answer = await self._ordered(supplier, wanted)
            if answer.meaning is not Meaning.UNSURE or not supplier.can_be_asked:
                return answer
            found = await self._looked_up(supplier, wanted)
            if found.meaning is Meaning.UNIT:
                return found
            if found.meaning is not Meaning.REFUSED:
                return answer
        return answer

    async def _ordered(self, supplier: Supplier, wanted: Wanted) -> Answer:
        """Order a unit; make the call again only while it certainly did not reach the supplier."""
        answer = await self._calls.order(supplier, wanted)
        for wait in self._waits.calls:
            if answer.meaning is not Meaning.UNREACHABLE:
                break
            await asyncio.sleep(wait)
            answer = await self._calls.order(supplier, wanted)
        return answer

    async def _looked_up(self, supplier: Supplier, wanted: Wanted) -> Answer:
        """Ask what became of an order until it is known. ``REFUSED``: twice in a row, the supplier knows of none.

        Once is not enough: the supplier may still be taking the order.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + supplier.wait_seconds
        unknown = 0
        for wait in chain(self._waits.queries, repeat(self._waits.queries[-1])):
            answer = await self._calls.query(supplier, wanted)
            unknown = unknown + 1 if answer.meaning is Meaning.REFUSED else 0
            if answer.meaning is Meaning.UNIT or unknown == 2:
                return answer
            if loop.time() + wait > end:
                break
            await asyncio.sleep(wait)
        return Answer(meaning=Meaning.UNSURE, why="not_told")

    # ── storing ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _supplier(self, goods: Goods) -> Supplier:
        return require_supplier(await self._database.read(lambda connection: self._settings.read(connection, goods.id)))

    async def _settled(self, goods: Goods, unit_id: int, answer: Answer, by: By) -> Meaning:
        now = replace(by, at_ms=self._now_ms())
        return await self._database.write(
            lambda connection: settle_unit(connection, goods, unit_id, answer, self._texts, now)
        )

    async def _stored(self, write: Callable[[], Awaitable[T]]) -> T:
        for wait in self._waits.store:
            try:
                return await write()
            except StoreError as error:
                log.warning("a supplier's answer could not be stored; trying again", why=error.code, seconds=wait)
                await asyncio.sleep(wait)
        return await write()
