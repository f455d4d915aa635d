"""Searches, which may look through everything: in fair turns, and ended with their caller."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import Connection, text

from shoal.concurrency.fair_turns import asking_user
from shoal.errors import TemporaryFailure, TooManyCalls
from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.storage import searches
from shoal.storage.database import Database

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n WHERE x < 0"


def endless(connection: Connection) -> Any:
    return connection.scalar(text(ENDLESS))


async def test_f9_a_flood_of_searches_by_one_holds_up_nobody_and_ends_with_them(database: Database) -> None:
    asking_user.set(1)
    flood = [asyncio.create_task(database.search(endless)) for _ in range(9)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyCalls):
        await database.search(endless)
    asking_user.set(2)
    async with asyncio.timeout(60):
        assert await database.search(lambda connection: connection.scalar(text("SELECT 7"))) == 7
        assert await database.read(lambda connection: connection.scalar(text("SELECT 8"))) == 8
        await database.write(lambda connection: None)
    assert not any(task.done() for task in flood)
    for task in flood:
        task.cancel()
    await asyncio.wait(flood)
    asking_user.set(1)
    async with asyncio.timeout(60):  # what ran was ended, not left behind
        assert await database.search(lambda connection: connection.scalar(text("SELECT 9"))) == 9


async def test_a_search_ends_at_its_deadline_and_says_what_to_do(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "SEARCH_SECONDS", 0.1)
    with pytest.raises(TemporaryFailure) as caught:
        await database.search(endless)
    assert caught.value.code == "search_takes_long"
    assert "Choose a shorter time range or a single shop" in translate("problems.search_takes_long", Language.EN)
    monkeypatch.setattr(searches, "SEARCH_SECONDS", 60.0)
    assert await database.search(lambda connection: connection.scalar(text("SELECT 9"))) == 9
