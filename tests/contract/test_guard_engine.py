"""The engine of a lease, which one thread may dispose of while another has a connection of it."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from shoal.storage import silence_limit
from shoal.storage.engines import open_guard
from support.databases.postgres_server import Postgres


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


def test_one_that_was_still_connecting_is_closed_when_it_is_returned(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw: list[object] = []
    connecting, disposed = threading.Event(), threading.Event()
    connect = silence_limit._LimitedConnection.connect

    def slow(*args: Any, **values: Any) -> Any:
        connecting.set()
        assert disposed.wait(60)
        return connect(*args, **values)

    monkeypatch.setattr(silence_limit._LimitedConnection, "connect", slow)
    with postgres.database() as url:
        engine = open_guard(make_url(url), busy_seconds=2, idle_seconds=4)

        def ask() -> None:
            with engine.connect() as connection:
                raw.append(connection.connection.driver_connection)

        asking = threading.Thread(target=ask)
        asking.start()
        assert connecting.wait(60)
        engine.dispose()
        disposed.set()
        asking.join()
        assert not _is_open(raw[0])
