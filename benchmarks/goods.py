"""Goods: picking 9 units of a million for an order, importing 100,000, and taking a batch of them back.

``python -m benchmarks.goods [UNITS]``: its figures are in results.md. Times are of the clock and of this process.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from benchmarks.figures import keep
from shoal.concurrency.fair_threads import beside
from shoal.goods.bindings import bind_units
from shoal.goods.goods import Goods, GoodsKind
from shoal.goods.goods_store import GoodsStore
from shoal.goods.imports import Imports
from shoal.goods.stock_history import By
from shoal.goods.unit_lines import lines_of_text
from shoal.goods.unit_texts import UnitTexts
from shoal.server.malloc_tuning import set_apart
from shoal.storage.database import Database
from shoal.storage.db_manager import open_vault
from shoal.storage.goods_tables import units
from shoal.storage.user_tables import users

UNITS = 1_000_000
IMPORTED = 100_000
PICKED = 9
ORDERS = 200
PICK_LIMIT_MS, IMPORT_LIMIT_SECONDS, LOOP_LIMIT_MS = 2, 10, 50
STEP = 50_000
BY = By(actor="user:bench", op_id="bench")
Row = dict[str, Any]


@dataclass(slots=True)
class LoopGaps:
    """How long the event loop did not come to its turn."""

    gaps: list[float] = field(default_factory=list)

    async def watch(self) -> None:
        """Measure until cancelled."""
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            self.gaps.append(now - before - 0.001)
            before = now


async def measured(work_name: str, work: Callable[[], Awaitable[object]], *, limit_seconds: int | None = None) -> Row:
    """Return the time of some work, and the longest gap of the loop beside it."""
    gaps = LoopGaps()
    watching = asyncio.create_task(gaps.watch())
    wall, cpu = time.perf_counter(), time.process_time()
    await work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return {
        "work": work_name,
        "ms": wall * 1000,
        "limit ms": None if limit_seconds is None else limit_seconds * 1000,
        "CPU ms": cpu * 1000,
        "the loop held ms": max(gaps.gaps, default=0.0) * 1000,
        "its limit ms": LOOP_LIMIT_MS,
    }


def _inserted(connection: Connection, rows: list[dict[str, Any]]) -> None:
    connection.execute(insert(units), rows)


async def stocked(database: Database, count: int) -> Goods:
    """Goods with so many units, whose texts are never opened here."""
    added = insert(users).values(id=1, username="bench", name_key="bench", password_hash="-")
    await database.write(lambda connection: connection.execute(added).rowcount)
    made = await GoodsStore(database).create(1, {"name": "bench", "kind": GoodsKind.STOCK}, BY)
    for start in range(0, count, STEP):
        numbers = range(start, min(start + STEP, count))
        rows = [
            {"goods_id": made.id, "owner_id": 1, "digest": f"d{number:020}", "sealed": b"\x01" * 60}
            for number in numbers
        ]
        await database.write(partial(_inserted, rows=rows))
    return made


async def picking(database: Database, made: Goods) -> list[Row]:
    """Time orders of nine units each, inside their transaction, and one whole write."""

    def job(connection: Connection, number: int) -> float:
        began = time.perf_counter()
        bind_units(connection, made, unb="1", order_id=f"o{number}", count=PICKED, by=BY)
        return (time.perf_counter() - began) * 1000

    times = [await database.write(partial(job, number=number)) for number in range(ORDERS)]
    median, slow = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    return [
        {"work": f"bind {PICKED} units, median of {ORDERS}", "ms": median, "limit ms": PICK_LIMIT_MS},
        {"work": f"bind {PICKED} units, 19 of 20 within", "ms": slow, "limit ms": PICK_LIMIT_MS},
    ]


async def main(count: int) -> None:
    """Measure all."""
    set_apart()  # as a server does: else each pass of the collector also looks through all modules
    with tempfile.TemporaryDirectory() as place:
        async with Database(Path(place)) as database:
            made = await stocked(database, count)
            rows = [await measured(f"count {count:,} units", lambda: GoodsStore(database).counts([made.id]))]
            rows += await picking(database, made)
        async with Database(Path(place) / "other") as database:
            vault = await open_vault(database, Path(place) / "other.key")
            imports = Imports(database, await UnitTexts.load(database, vault))
            made = await stocked(database, 0)
            data = "".join(f"CODE-{number:08}-WXYZ\n" for number in range(IMPORTED)).encode()

            async def one(run: bool) -> None:
                sent = await beside(lines_of_text, data)
                await (imports.run(made, sent, BY) if run else imports.preview(made, sent))

            rows.append(await measured(f"preview an import of {IMPORTED:,}", lambda: one(run=False)))
            rows.append(await measured("the import", lambda: one(run=True), limit_seconds=IMPORT_LIMIT_SECONDS))
            rows.append(await measured("preview it again, all doubles", lambda: one(run=False)))
            (batch,) = await imports.batches(made.id)
            rows.append(await measured("undo the import", lambda: imports.undo(made.id, batch.id, BY)))
        keep("goods", rows, about=f"Goods with {count:,} units; imports of {IMPORTED:,}; one process, SQLite")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else UNITS))
