"""Files of strangers at a real server: what one costs does not reach the server, and it ends with who waits for it."""

from __future__ import annotations

import asyncio
import random
import signal
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.foreign_files import (
    MOST_GROWTH_BYTES,
    computed_columns,
    computed_view,
    endless_table,
    many_names,
    unpacks_into,
    virtual_table,
)
from benchmarks.processes import ServerProcess, soon
from support.databases.small_disks import small_disk
from support.moving.old_database import an_old_shop, write_sqlite

pytestmark = pytest.mark.outside

WORKER = "shoal.concurrency.bounded_worker"


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    """A server process without shops, so without a site."""
    process = await ServerProcess(tmp_path / "data", "http://127.0.0.1:9").start()
    yield process
    await process.close()


async def sent(server: ServerProcess, data: bytes, *, language: str = "en") -> httpx.Response:
    headers = {"Accept-Language": language}
    return await server.http.post("/imports/plans", params={"name": "old"}, content=data, headers=headers)


def workers(server: ServerProcess) -> list[psutil.Process]:
    """The processes that read files for the server now."""
    found = []
    with suppress(psutil.Error):
        for one in psutil.Process(server.child.pid).children():
            with suppress(psutil.Error):
                if WORKER in one.cmdline():
                    found.append(one)
    return found


async def is_reading(server: ServerProcess) -> bool:
    """Whether a process has worked on a file for a while."""
    with suppress(psutil.Error):
        return any(sum(one.cpu_times()[:2]) > 1.5 for one in workers(server))
    return False


@asynccontextmanager
async def watched_memory(server: ServerProcess) -> AsyncIterator[Callable[[], int]]:
    """Yield what says by how many bytes the server has grown at most since."""
    process = psutil.Process(server.child.pid)
    before = most = process.memory_info().rss

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.01)

    watching = asyncio.create_task(watch())
    try:
        yield lambda: most - before
    finally:
        watching.cancel()
        await asyncio.wait({watching})


@pytest.mark.slow
async def test_g6_what_a_file_costs_does_not_reach_the_server_and_a_sentence_says_what_is_wrong(
    alone: ServerProcess, tmp_path: Path
) -> None:
    assert (await sent(alone, write_sqlite(tmp_path / "usual.db", an_old_shop()).read_bytes())).status_code == 200
    bombs = {
        "moving_computed/generated": computed_columns(tmp_path / "columns.db"),
        "moving_computed/view": computed_view(tmp_path / "view.db"),
        "moving_computed/virtual": virtual_table(tmp_path / "virtual.db"),
        "moving_unpacks_large": unpacks_into(1 << 29, head=b"INSERT INTO keywords VALUES (1);"),
        "moving_many_names": many_names(),
    }
    async with watched_memory(alone) as growth:
        for bomb, data in bombs.items():
            refused = await sent(alone, data)
            code, detail = refused.json()["code"], refused.json()["detail"]
            assert (refused.status_code, code) == (422, bomb.partition("/")[0]), (bomb, detail)
            assert "{" not in detail
            in_chinese = (await sent(alone, data, language="zh")).json()["detail"] if len(data) < 1 << 20 else "压缩包"
            assert in_chinese != detail
            assert growth() < MOST_GROWTH_BYTES, bomb
    assert (await sent(alone, write_sqlite(tmp_path / "again.db", an_old_shop()).read_bytes())).status_code == 200
    assert not list((alone.data_dir / "imports").rglob("*"))


@pytest.mark.slow
async def test_g6_the_reading_of_a_file_ends_with_its_sender_and_its_place_is_free(
    alone: ServerProcess, tmp_path: Path
) -> None:
    endless = endless_table(tmp_path / "endless.db")
    leaving = asyncio.create_task(sent(alone, endless))
    await soon(lambda: is_reading(alone))
    (worker,) = workers(alone)
    leaving.cancel()
    await asyncio.wait({leaving})
    await soon(lambda: _is_over(worker))
    usual = await sent(alone, write_sqlite(tmp_path / "usual.db", an_old_shop()).read_bytes())
    assert usual.status_code == 200
    assert not list((alone.data_dir / "imports").rglob("*"))


async def _is_over(worker: psutil.Process) -> bool:
    return not worker.is_running()


@pytest.mark.slow
async def test_g6_a_server_that_is_ended_does_not_wait_for_a_file_that_is_being_read(
    alone: ServerProcess, tmp_path: Path
) -> None:
    sending = asyncio.create_task(sent(alone, endless_table(tmp_path / "endless.db")))
    await soon(lambda: is_reading(alone))
    (worker,) = workers(alone)
    assert await alone.end(signal.SIGTERM) == 0
    assert not worker.is_running()
    sending.cancel()
    await asyncio.wait({sending})


@pytest.mark.slow
async def test_g6_an_archive_is_unpacked_only_into_room_that_was_looked_at(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "160m") as disk:
        server = ServerProcess(disk / "data", "http://127.0.0.1:9")
        server.log_file = tmp_path / "log"  # what keeps it open may end later than the server
        try:
            await server.start()
            archive = tmp_path / "large.zip"
            with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
                made.writestr("shop.sql", b"INSERT INTO keywords VALUES (1);")
                for number in range(45):
                    made.writestr(f"uploads/{number}.jpg", random.randbytes(100_000) + bytes(4 << 20))
            refused = await sent(server, archive.read_bytes())
            assert (refused.status_code, refused.json()["code"]) == (503, "moving_no_room"), refused.text
            assert psutil.disk_usage(str(disk)).free > 64 << 20
            stored = await server.http.post("/cookies?wait=0", json={"id": "shop", "value": "unb=1; cookie2=a"})
            assert stored.status_code == 200, stored.text
        finally:
            await server.close()
