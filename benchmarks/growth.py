"""How the costs of the store grow with what it holds: ``python -m benchmarks.growth``.

Each cost is measured at three sizes, in one process on SQLite, as CPU time: the least of 5 turns. From them comes the
exponent: 0 is flat, 1 is linear, above 1 is a defect. Data is filled in by bulk inserts.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import count, cycle
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Connection, delete, func, insert, select

from benchmarks.figures import RESULTS, keep, table
from benchmarks.many_messages import Talk, insert_messages
from benchmarks.order_growth import fill_items, fill_orders, works_of
from benchmarks.test_modules import of_tests
from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.store import Change, Op
from shoal.config import load_settings
from shoal.logs.logs import configure_logging
from shoal.messages.chats import Chats
from shoal.messages.message_log import MessageLog
from shoal.messages.word_indexer import WordIndexer
from shoal.storage.chat_tables import chats
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.schema import messages
from shoal.storage.vault import Vault

SIZES = {"accounts": (100, 1_000, 10_000), "journal": (10_000, 100_000, 1_000_000)}
SIZES |= {"messages": (100_000, 316_000, 1_000_000), "orders": (10_000, 100_000, 1_000_000)}
SIZES["orders on PostgreSQL"] = (10_000, 100_000, 300_000)
SHORT = {"accounts": (100, 400, 1_600), "journal": (10_000, 31_600, 100_000), "messages": (10_000, 31_600, 100_000)}
SHORT |= {"orders": (10_000, 31_600, 100_000), "orders on PostgreSQL": (10_000, 31_600, 100_000)}
SHOPS = 50
"""Accounts that share the messages, and those that share the journal."""
TURNS = 5
ABOVE_LINEAR = 1.1
"""Measured exponents vary by about 0.1."""
FLAT_MS = 0.3
"""Below that a time is that of the call, and no exponent is told."""
BESIDE_SECONDS = 3.0
CLOCK = "(clock)"
"""Marks what is measured in time that passes: other programs count, so no exponent is told."""
RARE, PAIR, COMMON = "鲸", "鲸鱼", "在"
Work = Callable[[], Awaitable[object]]
Costs = dict[str, float]
"""CPU milliseconds by work."""


async def cost_of(work: Work, times: int = 1, spent: Callable[[], float] = time.process_time) -> float:
    """Return the CPU milliseconds of one call: the least of the turns, in each of which it is called so many times."""
    least = math.inf
    for _ in range(TURNS):
        gc.collect()
        began = spent()
        for _ in range(times):
            await work()
        least = min(least, spent() - began)
    return least / times * 1_000


async def cost_with(server: psutil.Process, work: Work) -> float:
    """Return the same with what a PostgreSQL server spends on it, whose clock has steps of 10 ms."""

    def spent() -> float:
        backends = [one.cpu_times() for one in server.children()]
        return time.process_time() + sum(one.user + one.system for one in backends)

    await work()
    began = spent()
    await work()
    times = max(1, min(100, round(0.5 / max(spent() - began, 0.005))))
    return await cost_of(work, times, spent)


async def nothing(account: Account, link: Link) -> None:  # noqa: ARG001  as every connection
    """A connection that stays; no shop is enabled."""
    await asyncio.Event().wait()


async def fill_accounts(store: DBManager, many: int) -> None:
    """Store that many accounts, 500 in a transaction."""
    for first in range(0, many, 500):
        drafts = [
            Account(id=f"shop{number}", owner_id=1, unb=f"{number}", cookie="cookie2=x", generation=1, enabled=False)
            for number in range(first, min(many, first + 500))
        ]
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        changes = [Change(old=None, new=new, op=Op(op_id=f"{new.id}-1", actor="b", at_ms=0)) for new in drafts]
        store.submit(changes, done.set_result)
        await done


async def change_cost(store: DBManager, accounts: int, directory: Path) -> Costs:
    """Switch one account after another through the manager."""
    manager = CookieManager(store, nothing, load_settings(data_dir=directory))
    await manager.open()
    caller = Caller(actor="user:benchmark")
    numbers = count()

    async def change() -> None:
        number = next(numbers)
        name = f"shop{number % accounts}"
        await manager.update_auto_confirm_setting(name, not manager.account(name).auto_confirm, caller=caller)

    try:
        return {"a change": await cost_of(change, 40)}
    finally:
        await manager.close()


async def both_lists(database: Database, ids: Sequence[str]) -> None:
    """Ask for the first page of chats and of messages of all accounts."""
    await Chats(database).list_chats(ids, now_ms=0)
    await MessageLog(database).list_messages(ids)


async def by_accounts(directory: Path, sizes: Sequence[int]) -> dict[int, Costs]:
    """Measure with more and more accounts."""
    found = {}
    for size in sizes:
        place = directory / f"accounts{size}"
        async with Database(place) as database:
            store = DBManager(database, Vault([b"k" * 32]))
            await fill_accounts(store, size)
            ids = [f"shop{number}" for number in range(size)]
            found[size] = await change_cost(store, size, place)
            found[size]["list of chats, of messages"] = await cost_of(partial(both_lists, database, ids), 5)
    return found


def fill_journal(file: Path, first: int, last: int) -> None:
    """Add entries of shops in turns, beside those of the accounts that are switched."""
    entries = "INSERT INTO journal (account_id, owner_id, generation, changes, actor, op_id, at_ms) VALUES "
    ops = "INSERT INTO ops (op_id, actor, account_id, generation, rev, changed, at_ms) VALUES "
    change = '{"remark":["a","b"]}'
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            f"{entries} (?, 1, ?, ?, 'b', ?, ?)",
            ((f"old{n % SHOPS}", n // SHOPS + 1, change, f"op{n}", n * 1_000) for n in range(first, last)),
        )
        connection.executemany(
            f"{ops} (?, 'b', ?, ?, ?, 1, ?)",
            ((f"op{n}", f"old{n % SHOPS}", n // SHOPS + 1, n, n * 1_000) for n in range(first, last)),
        )


async def by_journal(directory: Path, sizes: Sequence[int]) -> dict[int, Costs]:
    """Measure with a longer and longer journal."""
    found, held = {}, 0
    place = directory / "journal"
    async with Database(place) as database:
        store = DBManager(database, Vault([b"k" * 32]))
        await fill_accounts(store, SHOPS)
        for size in sizes:
            await asyncio.to_thread(fill_journal, place / DATABASE_FILE, held, size)
            held = size
            page = partial(store.journal, limit=50, newest_first=True)
            works: dict[str, Work] = {
                "history of a shop": partial(page, account_id="old7"),
                "history of all": partial(page, owner_id=1),
                "history far back": partial(page, before_ms=size // 2 * 1_000),
            }
            found[size] = await change_cost(store, SHOPS, place)
            found[size] |= {name: await cost_of(work, 20) for name, work in works.items()}
    return found


async def by_messages(directory: Path, sizes: Sequence[int]) -> dict[int, Costs]:
    """Measure with more and more messages, all of them indexed as far as segments are full."""
    found, held = {}, 0
    talk, ids = Talk(1), [f"shop{number}" for number in range(SHOPS)]
    async with Database(directory / "messages") as database:
        await fill_accounts(DBManager(database, Vault([b"k" * 32])), SHOPS)
        for size in sizes:
            await fill_messages(database, talk, ids, (held, size))
            held, indexer, began, segments = size, WordIndexer(database), time.process_time(), 0
            while await indexer.index_next():
                segments += 1
            indexed = (time.process_time() - began) * 1_000
            found[size] = {"indexing a segment": indexed / max(segments, 1)} | await reading_costs(database, ids)
    return found


async def fill_messages(database: Database, talk: Talk, ids: Sequence[str], numbers: tuple[int, int]) -> None:
    """Add messages, 20,000 in a transaction, with two that have the rare words, and renew the list of chats."""
    first, last = numbers
    for begin in range(first, last, 20_000):
        rows = talk.rows(begin + 1, min(last - begin, 20_000), ids, last // (10 * SHOPS))
        if begin == first:
            rows[0]["text"], rows[-1]["text"] = f"{PAIR}座", f"一条{PAIR}"
        await database.write(partial(insert_messages, rows=rows))
    await database.write(_renew_chats)


def _renew_chats(connection: Connection) -> None:
    connection.execute(delete(chats))
    columns = ("account_id", "chat_id", "buyer_id", "buyer_name", "last_at_ms", "last_text")
    newest = func.max
    of_chats = select(
        messages.c.account_id,
        messages.c.chat_id,
        newest(messages.c.sender_id),
        newest(messages.c.sender_name),
        newest(messages.c.created_at_ms),
        newest(messages.c.text),
    ).group_by(messages.c.account_id, messages.c.chat_id)
    connection.execute(insert(chats).from_select(columns, of_chats))


async def reading_costs(database: Database, ids: Sequence[str]) -> Costs:
    """Measure lists and searches of all shops and of one."""
    log, lists = MessageLog(database), Chats(database)
    all_chats = partial(lists.list_chats, now_ms=0)
    works: dict[str, Work] = {
        "messages of a shop": partial(log.list_messages, ids[:1]),
        "messages of all": partial(log.list_messages, ids),
        "chats of a shop": partial(all_chats, ids[:1]),
        "chats of all": partial(all_chats, ids),
        "search: nothing has it": partial(log.list_messages, ids, query="龘"),
        "search of one shop: two rare characters": partial(log.list_messages, ids[:1], query=PAIR),
    }
    for name, query in {"one rare character": RARE, "two rare characters": PAIR, "a common character": COMMON}.items():
        works[f"search: {name}"] = partial(log.list_messages, ids, query=query)
        works[f"search of chats: {name}"] = partial(all_chats, ids, query=query)
    assert len(await log.list_messages(ids, query=PAIR)) >= 2
    return {name: await cost_of(work) for name, work in works.items()} | await beside_searches(database, ids)


async def beside_searches(database: Database, ids: Sequence[str]) -> Costs:
    """Search the chats of all shops, five at once, again and again; meanwhile look at the loop and read a chat."""
    lists = Chats(database)

    async def search() -> None:
        while True:
            await lists.list_chats(ids, now_ms=0, query=next(queries))

    async def longest() -> tuple[float, float]:
        waits, reads, end = [0.0], [0.0], time.monotonic() + BESIDE_SECONDS
        while (began := time.monotonic()) < end:
            await asyncio.sleep(0.002)
            woken = time.monotonic()
            await lists.list_chats(ids[:1], now_ms=0, limit=1)
            waits.append(woken - began - 0.002)
            reads.append(time.monotonic() - woken)
        return max(waits) * 1_000, max(reads) * 1_000

    queries = cycle((RARE, PAIR, COMMON, "龘", "9"))
    alone = await longest()
    searches = [asyncio.create_task(search()) for _ in range(5)]
    beside = await longest()
    for task in searches:
        task.cancel()
    await asyncio.gather(*searches, return_exceptions=True)
    kinds = ("longest wait of the loop", "longest read")
    found = {f"{kind} {CLOCK}": wall for kind, wall in zip(kinds, alone, strict=True)}
    return found | {f"{kind} beside five searches {CLOCK}": wall for kind, wall in zip(kinds, beside, strict=True)}


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """Return the slope of the costs over the sizes, both as logarithms: least squares."""
    xs, ys = [math.log(size) for size in sizes], [math.log(max(cost, 1e-6)) for cost in costs]
    middle_x, middle_y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((x - middle_x) * (y - middle_y) for x, y in zip(xs, ys, strict=True)) / sum(
        (x - middle_x) ** 2 for x in xs
    )


def rows_of(over: str, found: dict[int, Costs]) -> list[dict[str, Any]]:
    """Return a row for each work."""
    sizes = list(found)
    rows = []
    for work in found[sizes[0]]:
        costs = [found[size][work] for size in sizes]
        small = max(costs) < FLAT_MS or CLOCK in work
        row: dict[str, Any] = {"work": work, "over": over, "sizes": " / ".join(f"{size:,}" for size in sizes)}
        row |= {f"ms at size {place}": cost for place, cost in enumerate(costs, start=1)}
        rows.append(row | {"exponent": 0.0 if small else round(exponent(sizes, costs), 2)})
    return rows


def verdict(rows: Sequence[dict[str, Any]]) -> str:
    """Return what grows faster than what it reads."""
    above = [f"{row['work']} over {row['over']}: {row['exponent']}" for row in rows if row["exponent"] > ABOVE_LINEAR]
    return "above linear: " + "; ".join(above) if above else "nothing above linear"


async def by_orders(directory: Path, sizes: Sequence[int]) -> dict[int, Costs]:
    """Measure with more and more orders."""
    return await _by_orders(Database(directory / "orders"), sizes, cost_of)


async def by_orders_on_postgresql(directory: Path, sizes: Sequence[int]) -> dict[int, Costs]:
    """Measure the same on PostgreSQL: the CPU of this process and of the server together."""
    with of_tests("support.databases.postgres_server").running_server() as server, server.administrator() as connection:
        connection.execute("CREATE DATABASE orders")
        process = psutil.Process(server.process.pid)
        with server.administrator("orders") as inside:
            analysed = partial(inside.execute, "VACUUM ANALYZE")
            database = Database(directory / "beside", url=server.url("orders"))
            return await _by_orders(database, sizes, partial(cost_with, process), analysed)


async def _by_orders(
    database: Database,
    sizes: Sequence[int],
    cost: Callable[[Work], Awaitable[float]],
    settled: Callable[[], object] = lambda: None,
) -> dict[int, Costs]:
    found, held, ids = {}, 0, [f"shop{number}" for number in range(SHOPS)]
    async with database:
        await fill_accounts(DBManager(database, Vault([b"k" * 32])), SHOPS)
        await database.write(partial(fill_items, ids=ids))
        for size in sizes:
            for first in range(held, size, 20_000):
                numbers = (first, min(first + 20_000, size))
                await database.write(partial(fill_orders, ids=ids, numbers=numbers))
            held = size
            settled()  # as the server does by itself, some minutes later
            found[size] = {name: await cost(work) for name, work in works_of(database, ids).items()}
    return found


MEASURES: dict[str, Callable[[Path, Sequence[int]], Awaitable[dict[int, Costs]]]] = {
    "accounts": by_accounts, "journal": by_journal, "messages": by_messages, "orders": by_orders,
    "orders on PostgreSQL": by_orders_on_postgresql,
}  # fmt: skip


async def measured(directory: Path, sizes: Mapping[str, Sequence[int]], over: Sequence[str]) -> list[dict[str, Any]]:
    """Measure all, or what grows with those."""
    rows: list[dict[str, Any]] = []
    for name in over:
        rows += rows_of(name, await MEASURES[name](directory, sizes[name]))
    return rows


def main() -> None:
    """Print and keep one row for each work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="smaller sizes, within a minute")
    parser.add_argument("--over", choices=MEASURES, help="only what grows with those; the other rows stay as kept")
    asked = parser.parse_args()
    sizes = SHORT if asked.short else SIZES
    configure_logging(level="WARNING")
    with tempfile.TemporaryDirectory() as directory:
        rows = asyncio.run(measured(Path(directory), sizes, [asked.over] if asked.over else list(MEASURES)))
    if asked.over and not asked.short:
        kept = json.loads((RESULTS / "growth.json").read_text(encoding="utf-8"))["rows"]
        rows = [row for row in kept if row["over"] != asked.over] + rows
    about = f"CPU ms of one call at three sizes, the least of {TURNS} turns, SQLite unless said; {verdict(rows)}"
    if asked.over and asked.short:
        print(about)
        print(table(rows))
    else:
        keep("growth", rows, about=about)


if __name__ == "__main__":
    main()
