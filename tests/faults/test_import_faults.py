"""An import of units that ends early, by a full disk or ``kill -9``: each unit it took in is counted, none is lost."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine

from benchmarks.processes import ServerProcess, soon
from faults.delivery_count import unit_text
from faults.delivery_invariants import breaches
from faults.durable import copy_of_files
from faults.full_disk import no_growth
from shoal.storage.data_directory import DATABASE_FILE

pytestmark = [
    pytest.mark.outside,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="limits of a running process are Linux's"),
]
LINES, FEW_LINES = 20_000, 4_000


@pytest.fixture
async def importer(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server that has no shops, and soon says that its disk is full."""
    nowhere = "http://127.0.0.1:9"
    process = await ServerProcess(tmp_path / "data", nowhere, SHOAL_DATABASE_DEADLINE_SECONDS="1").start()
    yield process
    await process.close()


class Importing:
    """One import that is under way, under an idempotency key."""

    def __init__(self, server: ServerProcess, goods_id: int, first: int, lines: int) -> None:
        self._server, self._goods_id, self._first = server, goods_id, first
        self.lines = [unit_text("M", first + number) for number in range(lines)]

    async def send(self) -> httpx.Response:
        """Send it, for the first time or again."""
        place, key = f"/goods/{self._goods_id}/units", f"import-{self._first}"
        return await self._server.http.post(place, json={"lines": self.lines}, headers={"Idempotency-Key": key})

    async def batch(self) -> dict[str, Any]:
        """The newest batch."""
        batch: dict[str, Any] = (await self._server.ok("GET", f"/goods/{self._goods_id}/batches?limit=1"))["items"][0]
        return batch

    async def under_way(self, sending: asyncio.Task[httpx.Response], known: int) -> None:
        """Wait until its own batch has taken in some of its lines."""
        async with asyncio.timeout(60):
            while not sending.done():
                rows = (await self._server.ok("GET", f"/goods/{self._goods_id}/batches?limit={known + 1}"))["items"]
                if len(rows) > known and rows[0]["taken"] > 0:
                    return
                await asyncio.sleep(0.005)

    async def counts(self) -> dict[str, int]:
        """The units of the goods by state."""
        counts: dict[str, int] = (await self._server.ok("GET", f"/goods/{self._goods_id}"))["units"]
        return counts


def broken(data_dir: Path, aside: Path) -> list[str]:
    """What the file breaks of the invariants; it may be in use."""
    copy_of_files(data_dir, aside)
    engine = create_engine(f"sqlite:///{aside / DATABASE_FILE}")
    with engine.connect() as connection:
        found = breaches(connection)
    engine.dispose()
    return found


async def test_an_import_that_a_full_disk_or_a_kill_cuts_off_keeps_what_it_took_and_the_same_again_adds_the_rest(
    importer: ServerProcess, tmp_path: Path
) -> None:
    server = importer
    goods_id = int((await server.ok("POST", "/goods", {"name": "M", "kind": "stock"}))["id"])
    whole = batches = 0
    while True:  # an import may be over before it is cut off: then the next one is
        full = Importing(server, goods_id, whole, FEW_LINES)
        sending = asyncio.create_task(full.send())
        await full.under_way(sending, batches)
        with no_growth(server.child.pid):
            refused = await sending
        if refused.status_code != 200:
            break
        whole, batches = whole + FEW_LINES, batches + 1
    kept = (await full.counts())["free"] - whole
    assert (refused.status_code, refused.json()["code"]) == (503, "import_cut_off"), refused.text
    assert refused.json()["params"] == {"taken": kept}
    assert 0 < kept < FEW_LINES
    assert (await full.batch())["taken"] == kept

    async def mended() -> bool:
        return (await full.send()).status_code == 200

    await soon(mended)
    whole, batches = whole + FEW_LINES, batches + 1
    assert (await full.counts())["free"] == whole

    while True:
        killed = Importing(server, goods_id, whole, LINES)
        sending = asyncio.create_task(killed.send())
        await killed.under_way(sending, batches)
        await server.end(SIGKILL)
        with suppress(httpx.HTTPError):
            await sending
        assert broken(server.data_dir, tmp_path / f"killed {batches}") == []
        await server.start()
        if (kept := (await killed.counts())["free"] - whole) != LINES:
            break
        whole, batches = whole + LINES, batches + 1
    assert 0 < kept < LINES
    again = await killed.send()
    assert (again.status_code, again.json()["doubles_count"]) == (200, 0), again.text
    assert (await killed.counts())["free"] == whole + LINES
    batch = await killed.batch()
    assert (batch["state"], batch["taken"]) == ("done", LINES)
    assert broken(server.data_dir, tmp_path / "after") == []
