"""Backups of many messages: how long one takes beside a plain copy, and how long changes wait while it runs.

``python -m benchmarks.backup [MESSAGES]``: its figures are in results.md. The backup is made by the process that
makes the scheduled ones, beside a server's writer that is asked for a change every 10 ms. MB are those of the file.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import structlog

from benchmarks.figures import keep
from benchmarks.growth import SHOPS, fill_accounts, fill_messages, nothing
from benchmarks.many_messages import Talk
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.config import load_settings
from shoal.maintenance.backup.locks import PRIVATE, new_key_pair, read_key
from shoal.maintenance.backup.making import Secret
from shoal.maintenance.backup.place import Place
from shoal.maintenance.backup.restoring import restore_backup
from shoal.maintenance.backup.worker import Done, Order
from shoal.messages.word_indexer import WordIndexer
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault

MESSAGES = 1_000_000
PACE_SECONDS = 0.01
LEAST_SECONDS = 2.0
"""For how long changes are made beside nothing."""
Row = dict[str, Any]


async def fill(data_dir: Path, messages: int) -> None:
    """Make the database of a server: shops, messages and the index of their words."""
    async with Database(data_dir) as database:
        await fill_accounts(DBManager(database, await open_vault(database, data_dir / "secret.key")), SHOPS)
        await fill_messages(database, Talk(1), [f"shop{number}" for number in range(SHOPS)], (0, messages))
        indexer = WordIndexer(database)
        while await indexer.index_next():
            pass


def copied(source: Path, target: Path) -> None:
    """Copy the file, durably."""
    subprocess.run(["cp", source, target], check=True)  # noqa: S607  the limit that everybody knows
    subprocess.run(["sync", target], check=True)  # noqa: S607  as above


def vacuumed(source: Path, target: Path) -> None:
    """Copy what the database holds into a file without gaps."""
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("VACUUM INTO ?", (str(target),))


def backed_up(source: Path, target: Path) -> None:
    """Copy the database by SQLite's own backup, page by page."""
    with closing(sqlite3.connect(source)) as connection, closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)


async def made(data_dir: Path, target: Path, public: str) -> Done:
    """Let the process of scheduled backups make one."""
    order = Order(data_dir=str(data_dir), url="", secret_key="", target=str(target), public_key=public)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shoal.maintenance.backup.worker",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    answer, _ = await child.communicate(msgspec.json.encode(order) + b"\n")
    done = msgspec.json.decode(answer, type=Done)
    if not done.path:
        raise SystemExit(f"no backup was made: {done.why}")
    return done


async def waits_beside(manager: CookieManager, work: Callable[[], Awaitable[object]]) -> tuple[Row, Any]:
    """Ask for a change every 10 ms until the work is done. Return how long they waited, and what the work returned."""
    caller, waits, numbers = Caller(actor="user:benchmark"), list[float](), count()
    task = asyncio.ensure_future(work())
    began, spent = time.perf_counter(), _spent_by_others()
    while not task.done():
        asked = time.perf_counter()
        name = f"shop{next(numbers) % SHOPS}"
        await manager.update_auto_confirm_setting(name, not manager.account(name).auto_confirm, caller=caller)
        waits.append((time.perf_counter() - asked) * 1000)
        await asyncio.sleep(max(0.0, PACE_SECONDS - waits[-1] / 1000))
    answer = task.result()
    spent = answer if isinstance(answer, float) else _spent_by_others() - spent
    return {"seconds": time.perf_counter() - began, "CPU seconds": spent, **_waits(waits)}, answer


def _spent_by_others() -> float:
    """Return the processor time of the processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def in_thread(work: Callable[[Path, Path], None], source: Path, target: Path) -> float:
    """Copy a database. Return the processor time of this thread."""
    began = time.thread_time()
    work(source, target)
    return time.thread_time() - began


def _waits(waits: Sequence[float]) -> Row:
    ranked = sorted(waits)
    return {
        "changes": len(ranked),
        "a change: p50 ms": ranked[len(ranked) // 2],
        "p99 ms": ranked[len(ranked) * 99 // 100],
        "longest ms": ranked[-1],
    }


async def measured(directory: Path, messages: int) -> tuple[list[Row], str]:
    """Fill a database, copy it in all ways beside changes, and restore the backup."""
    data_dir, aside = directory / "data", directory / "aside"
    aside.mkdir()
    await fill(data_dir, messages)
    private, public = new_key_pair()
    file = data_dir / DATABASE_FILE
    rows, done = list[Row](), Done()
    async with Database(data_dir) as database:
        await database.checked()  # a large file is checked after it was opened, and takes no changes until then
        store = DBManager(database, await open_vault(database, data_dir / "secret.key"))
        manager = CookieManager(store, nothing, load_settings(data_dir=data_dir))
        await manager.open()
        ways: dict[str, Callable[[], Awaitable[object]]] = {
            "nothing": partial(asyncio.sleep, LEAST_SECONDS),
            "cp": partial(asyncio.to_thread, copied, file, aside / "cp"),
            "SQLite's backup": partial(asyncio.to_thread, in_thread, backed_up, file, aside / "backup"),
            "VACUUM INTO": partial(asyncio.to_thread, in_thread, vacuumed, file, aside / "vacuum"),
            "shoal backup, checked": partial(made, data_dir, aside, public),
        }
        mb = file.stat().st_size / 1e6
        for name, work in ways.items():
            waits, answer = await waits_beside(manager, work)
            done = answer if isinstance(answer, Done) else done
            times = {"seconds": waits.pop("seconds"), "CPU seconds": waits.pop("CPU seconds")}
            speed = None if name == "nothing" else mb / times["seconds"]
            rows.append({"beside": name, **times, "MB a second": speed, **waits})
        await manager.close()
    began, spent = time.perf_counter(), time.process_time()
    secret = Secret(private_key=read_key(private, PRIVATE))
    await asyncio.to_thread(restore_backup, Path(done.path), Place(data_dir=directory / "new"), secret)
    seconds, spent = time.perf_counter() - began, time.process_time() - spent
    figures = {"seconds": seconds, "CPU seconds": spent, "MB a second": mb / seconds}
    rows.append({"beside": "shoal restore (no server runs)", **figures})
    return rows, f"{mb:,.0f} MB with the index of words; the backup has {done.bytes / 1e6:,.0f} MB"


def main() -> None:
    """Measure, print and keep."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES
    directory = Path(tempfile.mkdtemp(prefix="shoal-backup-"))
    try:
        rows, sizes = asyncio.run(measured(directory, messages))
    finally:
        shutil.rmtree(directory)
    keep("backup", rows, about=f"A database with {messages:,} messages, {sizes}")


if __name__ == "__main__":
    main()
