"""Unhandled messages are found by their own index: a console asks for them every few seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from shoal.messages.decisions import Decision
from shoal.messages.message_log import MessageLog
from shoal.messages.reply_stats import reply_stats
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database

INDEX = "ix_messages_unhandled"


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Collect what is asked of the messages, with its parameters."""
    asked: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        if "FROM messages" in statement and "handled" in statement.partition("WHERE")[2]:
            asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_what_is_unhandled_is_found_by_its_index(tmp_path: Path) -> None:
    async with Database(tmp_path) as database:
        message_log = MessageLog(database)
        with statements() as asked:
            await message_log.unhandled("shop", 0)
            await message_log.grow_old("shop", 1)
            await message_log.list_messages(["shop"], decision=Decision.PAID_UNKNOWN, handled=False, limit=100)
            await reply_stats(database, "shop", now_ms=0, looked_back_ms=0, too_old_before_ms=0)
    asked = [one for one in asked if "NOT messages.handled" in one[0]]
    assert len(asked) == 4
    with closing(sqlite3.connect(tmp_path / DATABASE_FILE)) as connection:
        for statement, parameters in asked:
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
            assert INDEX in plan, f"{plan}: {statement}"
