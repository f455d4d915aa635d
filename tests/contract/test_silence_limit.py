"""A database whose link takes what is sent and answers nothing keeps no thread waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import QueuePool

from shoal.storage.engines import open_engine
from support.databases.database_link import DatabaseLink
from support.databases.postgres_server import Postgres

SILENCE_SECONDS = 1.0


@pytest.fixture
async def link(postgres: Postgres) -> AsyncIterator[DatabaseLink]:
    with postgres.database() as url:
        async with DatabaseLink(url).open() as opened:
            yield opened


def one(engine: Engine, statement: str = "SELECT 1") -> object:
    with engine.connect() as connection, connection.begin():
        return connection.scalar(text(statement))


async def test_a_silent_connection_ends_and_the_next_is_a_new_one(link: DatabaseLink) -> None:
    engine = open_engine(
        make_url(link.url), busy_seconds=2, begin="BEGIN", silence_seconds=SILENCE_SECONDS,
        poolclass=QueuePool, pool_size=1, max_overflow=0,
    )  # fmt: skip
    assert await asyncio.to_thread(one, engine) == 1
    link.lose()
    with pytest.raises(OperationalError):
        await asyncio.wait_for(asyncio.to_thread(one, engine), 60)
    link.live()
    assert await asyncio.to_thread(one, engine) == 1
    engine.dispose()


async def test_a_statement_that_takes_longer_than_the_limit_of_a_connection_without_one_is_answered(
    link: DatabaseLink,
) -> None:
    engine = open_engine(make_url(link.url), busy_seconds=2, begin="BEGIN")
    assert await asyncio.to_thread(one, engine, "SELECT 1 FROM pg_sleep(1.2)") == 1
    engine.dispose()
