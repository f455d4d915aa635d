"""The tables of language models on both databases: they are there, a purge and the age of messages empty the runs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, func, insert, inspect, select

from shoal.assistant.old_runs import OldRuns
from shoal.storage.assistant_tables import ai_provider_states, ai_providers, ai_runs, ai_usage
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from support.databases.store_steps import an_account, committed, created, deletion

TABLES = (ai_providers, ai_provider_states, ai_usage, ai_runs)


async def test_the_tables_and_their_indexes_are_there(database: Database) -> None:
    def job(connection: Connection) -> dict[str, set[str | None]]:
        seen = inspect(connection)
        return {table.name: {index["name"] for index in seen.get_indexes(table.name)} for table in TABLES}

    found = await database.read(job)
    assert found == {table.name: {str(index.name) for index in table.indexes} for table in TABLES}


async def test_what_was_spent_outlives_the_shop_and_what_was_said_does_not(
    database: Database, manager: DBManager
) -> None:
    (shop,) = await created(manager, an_account("shop"))

    def spend(connection: Connection) -> None:
        connection.execute(insert(ai_usage).values(account_id="shop", provider_id=3, day="2026-11-28", tokens_in=2**40))
        connection.execute(insert(ai_runs).values(account_id="shop", text="在的", cost_microfen=2**40))

    await database.write(spend)
    await committed(manager, deletion(shop))
    await manager.purge("shop")

    def left(connection: Connection) -> tuple[Any, ...]:
        runs = connection.scalar(select(func.count()).select_from(ai_runs))
        return runs, connection.scalar(select(ai_usage.c.tokens_in))

    assert await database.read(left) == (0, 2**40)


async def test_runs_older_than_messages_are_forgotten_but_for_those_under_way(
    database: Database, manager: DBManager
) -> None:
    await created(manager, an_account("shop"))
    states = [("old", 1, "drafted"), ("under way", 2, "asked"), ("old too", 3, "answered"), ("young", 9, "answered")]

    def job(connection: Connection) -> None:
        rows = [{"account_id": "shop", "text": text, "created_at_ms": at, "state": state} for text, at, state in states]
        connection.execute(insert(ai_runs), rows)

    await database.write(job)
    assert await OldRuns(database).forget_older_than(9, rows=1) == 2
    query = select(ai_runs.c.text).order_by(ai_runs.c.id)
    assert await database.read(lambda connection: list(connection.scalars(query))) == ["under way", "young"]
