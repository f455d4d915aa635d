"""Moving in: an old database with 10,000 rules in ten shops and 100,000 codes, into a server that has none of it.

``python -m benchmarks.moving [RULES] [CODES]``: its figures are in results.md. Times are of the clock and of this
process.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import structlog

from benchmarks.figures import keep
from shoal.config import Settings
from shoal.maintenance.moving.moving import Moving
from shoal.maintenance.moving.old_files import read_old_file
from shoal.maintenance.moving.run_store import RunState
from shoal.server.reply_server import build_app

RULES, CODES = 10_000, 100_000
SHOPS, CARDS = 10, 5
LIMIT_SECONDS = 60
_TABLES = {
    "users": "id, username, email, password_hash",
    "cookies": "id, value, user_id, auto_confirm",
    "keywords": "cookie_id, keyword, reply, item_id, type",
    "cards": "id, name, type, data_content, description, enabled, user_id, created_at",
    "delivery_rules": "id, keyword, card_id, delivery_count, enabled, user_id",
}


def old_database(path: Path, rules: int, codes: int) -> Path:
    """Write a database of the old system."""
    shops = [f"shop{number}" for number in range(SHOPS)]
    with closing(sqlite3.connect(path)) as made:
        for name, columns in _TABLES.items():
            made.execute(f"CREATE TABLE {name} ({columns})")
        made.execute("INSERT INTO users VALUES (1, 'admin', 'a@b.c', '')")
        made.executemany(
            "INSERT INTO cookies VALUES (?, ?, 1, 0)",
            [(name, f"unb={2_200_000_000_000 + at}; cookie2=s{at}") for at, name in enumerate(shops)],
        )
        made.executemany(
            "INSERT INTO keywords VALUES (?, ?, ?, ?, 'text')",
            [
                (shops[at % SHOPS], f"关键词{at}", f"回复 {at}，请稍等", "10001" if at % 9 == 0 else "")
                for at in range(rules)
            ],
        )
        for card in range(CARDS):
            lines = "\n".join(f"CARD-{card}-{at:06}-{at * 7919 % 1_000_003:07}" for at in range(codes // CARDS))
            values = (card + 1, f"月卡 {card}", lines, "卡密：{DELIVERY_CONTENT}", "2026-01-01 00:00:00")
            made.execute("INSERT INTO cards VALUES (?, ?, 'data', ?, ?, 1, 1, ?)", values)
            made.execute("INSERT INTO delivery_rules VALUES (?, ?, ?, 1, 1, 1)", (card + 1, f"商品{card}", card + 1))
        made.commit()
    return path


async def _run(moving: Moving, me: Any, path: Path) -> list[dict[str, Any]]:
    rows, begun = [], (time.perf_counter(), time.process_time())

    def lap(step: str) -> None:
        nonlocal begun
        now = (time.perf_counter(), time.process_time())
        rows.append({"step": step, "seconds": now[0] - begun[0], "CPU seconds": now[1] - begun[1]})
        begun = now

    old = await asyncio.to_thread(read_old_file, path)
    lap("read the file")
    plan = await moving.plan(old, me)
    lap("plan")
    run = await moving.begin(plan, me)
    while (seen := await moving.run(me, run.id)).state is RunState.RUNNING:
        await asyncio.sleep(0.2)
    if seen.state is not RunState.DONE:
        raise SystemExit(f"the import ended early: {seen.why}")
    lap("carry out")
    return rows


async def _measure(rules: int, codes: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        path = old_database(Path(directory) / "old.db", rules, codes)
        values: dict[str, Any] = {"data_dir": Path(directory) / "data", "log_level": "ERROR"}
        app = build_app(Settings(**values))
        async with app.router.lifespan_context(app):
            server = app.state.server
            me = await server.users.by_name("admin")
            rows = await _run(server.moving, me, path)
            again = await _run(server.moving, me, path)
            if sum(len(account.keywords) for account in server.manager.accounts.values()) != rules:
                raise SystemExit("not every rule came")
    return [{"": "first time", **row} for row in rows] + [{"": "the same file again", **row} for row in again]


def main() -> None:
    """Measure, print and keep."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rules, codes = (*(int(word) for word in sys.argv[1:]), RULES, CODES)[:2] if len(sys.argv) > 2 else (RULES, CODES)
    rows = asyncio.run(_measure(rules, codes))
    about = f"{rules:,} rules in {SHOPS} shops and {codes:,} codes; at most {LIMIT_SECONDS} s"
    keep("moving", rows, about=about)


if __name__ == "__main__":
    main()
