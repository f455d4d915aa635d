"""Where the killed server keeps its data: a file, or a PostgreSQL that is struck too."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from faults.durable import KEY_FILE, Durable, durable_at, durable_in
from support.databases.postgres_server import PostgresServer

KILLS = {"storm": 65, "start": 17, "stop": 8, "first breath": 10}
"""When the server is killed, and how often: in the storm, while it starts or stops, before its connections are up."""
STRIKES = ("backend", "database")
"""What of PostgreSQL is struck: ``kill -9`` of the process that serves our writer, which makes all of it recover; or
the whole server ends at once, as by ``pg_ctl stop -m immediate``, and starts again."""
LONGEST_END_SECONDS = 120.0


class Place(Protocol):
    """Data of one life of a server."""

    kills: dict[str, int]
    environment: dict[str, str]

    async def durable(self) -> Durable:
        """What it holds after a kill, without touching it. Raises ``AssertionError`` where it is not whole."""
        ...

    async def strike(self, how: str) -> None:
        """Let the database crash, and come back."""
        ...

    def close(self) -> None:
        """Free it."""
        ...


class FilePlace:
    """An SQLite file in the data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self.kills = KILLS
        self.environment: dict[str, str] = {}

    async def durable(self) -> Durable:
        """Of a copy of the files."""
        return await durable_in(self._data_dir, self._data_dir.with_name("aside"))

    async def strike(self, how: str) -> None:
        """There is no server to strike."""
        raise NotImplementedError(how)

    def close(self) -> None:
        """The files are their owner's."""


class PostgresPlace:
    """A database of its own on the tests' server."""

    def __init__(self, data_dir: Path, server: PostgresServer, chance: random.Random) -> None:
        self._data_dir = data_dir
        self._server = server
        self._chance = chance
        self._stack = ExitStack()
        self._url = self._stack.enter_context(server.database())
        self._name = str(make_url(self._url).database)
        self.kills = {**KILLS, "backend": 50, "database": 50}
        self.environment = {"SHOAL_DATABASE_URL": self._url}

    async def durable(self) -> Durable:
        """Of a copy that PostgreSQL makes when the killed server's transactions have ended, one way or the other."""
        aside, copy = self._data_dir.with_name("aside"), f"{self._name}_copy"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(mode=0o700)
        shutil.copy2(self._data_dir / KEY_FILE, aside / KEY_FILE)
        await asyncio.to_thread(self._copy, copy)
        try:
            return await durable_at(aside, self._server.url(copy))
        finally:
            await asyncio.to_thread(self._drop, copy)

    def _copy(self, name: str) -> None:
        deadline = time.monotonic() + LONGEST_END_SECONDS
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(self._name))
        while True:
            try:
                with self._server.administrator() as connection:
                    connection.execute(make)
                    return
            except psycopg.errors.ObjectInUse:  # a transaction of the killed server goes on without it
                if time.monotonic() > deadline:
                    raise AssertionError("a transaction outlives its client") from None
                time.sleep(0.02)

    def _drop(self, name: str) -> None:
        with self._server.administrator() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    async def strike(self, how: str) -> None:
        """See ``STRIKES``."""
        await asyncio.to_thread(self._kill_backend if how == "backend" else self._stop_all)

    def _kill_backend(self) -> None:
        with self._server.administrator() as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name = 'shoal' "
                "ORDER BY state = 'idle', random()",
                (self._name,),
            ).fetchall()
        if rows:
            with suppress(ProcessLookupError):  # its connection may have ended by itself
                os.kill(rows[0][0], signal.SIGKILL)
        time.sleep(self._chance.uniform(0, 0.2))
        self._server.wait_until_it_answers()

    def _stop_all(self) -> None:
        self._server.stop_at_once()
        time.sleep(self._chance.choice([0.0, 0.3, 3.0]))
        self._server.start_again()

    def close(self) -> None:
        """Drop the database."""
        self._stack.close()
