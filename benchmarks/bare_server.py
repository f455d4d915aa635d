"""The limits beside which requests are measured: the same FastAPI and uvicorn with nothing behind the route.

    python -m benchmarks.bare_server PORT DIRECTORY

``PUT /bare/{id}`` reads and writes JSON. ``PUT /durable/{id}`` also stores one row in SQLite, as durable as Shoal's:
rows that wait at the same time are committed as one group. ``PUT /alone/{id}`` commits each row for itself. ``GET
/bare/{id}`` answers a small object. ``PUT /send/{id}`` hands a small event to all streams of ``GET /stream``.
"""

from __future__ import annotations

import asyncio
import itertools
import queue
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


class Switch(BaseModel):
    """The body of a toggle."""

    enabled: bool


class Switched(BaseModel):
    """The answer to a toggle."""

    msg: str
    enabled: bool


class Sent(BaseModel):
    """The answer to what was sent to all streams."""

    msg: str
    rev: int


class Rows:
    """Stores rows on a thread of its own."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._waiting: queue.SimpleQueue[tuple[str, bool, asyncio.Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.groups = True

    async def store(self, key: str, value: bool) -> None:
        """Store one row and wait until it is durable."""
        self._loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.put((key, value, done))
        await done

    def _run(self) -> None:
        database = sqlite3.connect(self._file, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("CREATE TABLE IF NOT EXISTS switches (id TEXT PRIMARY KEY, enabled INTEGER NOT NULL)")
        while True:
            group = [self._waiting.get()]
            while self.groups and not self._waiting.empty():
                group.append(self._waiting.get())
            database.execute("BEGIN IMMEDIATE")
            database.executemany("INSERT OR REPLACE INTO switches VALUES (?, ?)", [(key, on) for key, on, _ in group])
            database.execute("COMMIT")
            assert self._loop is not None
            self._loop.call_soon_threadsafe(_settle, [done for _, _, done in group])


def _settle(waiting: list[asyncio.Future[None]]) -> None:
    for done in waiting:
        if not done.done():
            done.set_result(None)


def build(directory: Path) -> FastAPI:
    """Return the application."""
    app = FastAPI()
    together, alone = Rows(directory / "together.db"), Rows(directory / "alone.db")
    alone.groups = False

    @app.get("/bare/{key}")
    async def read(key: str) -> Switched:
        return Switched(msg=key, enabled=True)

    @app.put("/bare/{key}")
    async def bare(key: str, body: Switch) -> Switched:
        return Switched(msg=key, enabled=body.enabled)

    @app.put("/durable/{key}")
    async def durable(key: str, body: Switch) -> Switched:
        await together.store(key, body.enabled)
        return Switched(msg=key, enabled=body.enabled)

    @app.put("/alone/{key}")
    async def by_itself(key: str, body: Switch) -> Switched:
        await alone.store(key, body.enabled)
        return Switched(msg=key, enabled=body.enabled)

    _add_streams(app)
    return app


def _add_streams(app: FastAPI) -> None:
    revs, listening = itertools.count(1), set[asyncio.Queue[bytes]]()

    @app.put("/send/{key}")
    async def send(key: str, body: Switch) -> Sent:
        rev = next(revs)
        event = b"id: %d\ndata: %s\n\n" % (rev, body.model_dump_json().encode())
        for waiting in listening:
            waiting.put_nowait(event)
        return Sent(msg=key, rev=rev)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        waiting: asyncio.Queue[bytes] = asyncio.Queue()
        listening.add(waiting)

        async def events() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield await waiting.get()
            finally:
                listening.discard(waiting)

        return StreamingResponse(events(), media_type="text/event-stream")


if __name__ == "__main__":
    uvicorn.run(
        build(Path(sys.argv[2])), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False,
        loop="uvloop", http="httptools",
    )  # fmt: skip
