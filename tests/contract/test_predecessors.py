"""A server that was killed, whose last transaction PostgreSQL is still carrying out when the next one starts."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import create_engine, text

from shoal.storage.database import Database
from support.databases.store_steps import Place

_ROW = "INSERT INTO store_meta (key, value, counter) VALUES (:key, 'x', 0)"


async def test_f1_a_server_starts_only_behind_what_the_one_before_has_still_under_way(
    place: Place,
) -> None:
    if not place.url:
        pytest.skip("of a file, its lock says that the process and its writes have ended")
    await (await place.open_again()).close()
    engine = create_engine(place.url.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as dead:
        dead.execute(text(_ROW), {"key": "writer:dead"})
    with engine.connect() as dead, dead.begin() as transaction:
        dead.execute(text("UPDATE store_meta SET value = 'y' WHERE key = 'writer:dead'"))
        dead.execute(text(_ROW), {"key": "what it wrote"})
        opening = asyncio.ensure_future(place.open_again())
        await asyncio.sleep(0.3)
        assert not opening.done()
        transaction.commit()
        database: Database = await opening
    assert await database.fact("what it wrote") == "x"
    engine.dispose()
