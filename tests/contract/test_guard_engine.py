"""The engine of a lease, which one thread may dispose of while another has a connection of it."""

from __future__ import annotations

import psycopg
from sqlalchemy import text
from sqlalchemy.engine import make_url

from postgres_server import Postgres
from shoal.storage.engines import open_guard


def _is_open(raw: object) -> bool:
    assert isinstance(raw, psycopg.Connection)
    return not raw.closed


def test_a_connection_that_is_returned_after_its_engine_was_disposed_is_closed(postgres: Postgres) -> None:
    with postgres.database() as url:
        engine = open_guard(make_url(url), busy_seconds=2, idle_seconds=4)
        with engine.connect() as late:
            raw = late.connection.driver_connection
            engine.dispose()
            assert late.scalar(text("SELECT 1")) == 1
            assert _is_open(raw)
        assert not _is_open(raw)
        with engine.connect() as kept:
            raw = kept.connection.driver_connection
        assert _is_open(raw)
        engine.dispose()
        assert not _is_open(raw)
