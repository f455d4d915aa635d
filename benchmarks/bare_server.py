"""The limits beside which requests are measured: the same uvicorn with nothing but what is named behind the route.

    python -m benchmarks.bare_server PORT DIRECTORY

Below ``/bare/`` FastAPI with pydantic answers, below ``/lean/`` Starlette's plain functions with msgspec. ``GET
/…/read/{id}`` answers a small object, ``PUT /…/put/{id}`` reads and writes JSON. ``PUT /…/durable/{id}`` also stores
one row in SQLite, as durable as Shoal's: rows that wait at the same time are committed as one group. ``PUT
/…/alone/{id}`` commits each row for itself. ``PUT /bare/send/{id}`` puts a small event into all streams of ``GET
/bare/stream``.
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

import msgspec
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


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


def build(directory: Path) -> ASGIApp:
    """Return both applications: each path goes to one of them."""
    together, alone = Rows(directory / "together.db"), Rows(directory / "alone.db")
    alone.groups = False
    bare, lean = _bare(together, alone), _lean(together, alone)

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        await (lean if scope.get("path", "").startswith("/lean/") else bare)(scope, receive, send)

    return either


def _bare(together: Rows, alone: Rows) -> FastAPI:
    app = FastAPI()

    @app.get("/bare/read/{key}")
    async def read(key: str) -> Switched:
        return Switched(msg=key, enabled=True)

    @app.put("/bare/put/{key}")
    async def put(key: str, body: Switch) -> Switched:
        return Switched(msg=key, enabled=body.enabled)

    @app.put("/bare/durable/{key}")
    async def durable(key: str, body: Switch) -> Switched:
        await together.store(key, body.enabled)
        return Switched(msg=key, enabled=body.enabled)

    @app.put("/bare/alone/{key}")
    async def by_itself(key: str, body: Switch) -> Switched:
        await alone.store(key, body.enabled)
        return Switched(msg=key, enabled=body.enabled)

    _add_streams(app)
    return app


class LeanSwitch(msgspec.Struct):
    """The body of a toggle."""

    enabled: bool


class LeanSwitched(msgspec.Struct):
    """The answer to a toggle."""

    msg: str
    enabled: bool


_decode = msgspec.json.Decoder(LeanSwitch).decode
_encode = msgspec.json.Encoder().encode


def _lean(together: Rows, alone: Rows) -> Starlette:
    async def answer(key: str, enabled: bool) -> Response:
        return Response(_encode(LeanSwitched(key, enabled)), media_type="application/json")

    async def read(request: Request) -> Response:
        return await answer(request.path_params["key"], enabled=True)

    async def put(request: Request) -> Response:
        return await answer(request.path_params["key"], _decode(await request.body()).enabled)

    async def durable(request: Request) -> Response:
        key, enabled = request.path_params["key"], _decode(await request.body()).enabled
        await together.store(key, enabled)
        return await answer(key, enabled)

    async def by_itself(request: Request) -> Response:
        key, enabled = request.path_params["key"], _decode(await request.body()).enabled
        await alone.store(key, enabled)
        return await answer(key, enabled)

    return Starlette(
        routes=[
            Route("/lean/read/{key}", read, methods=["GET"]),
            Route("/lean/put/{key}", put, methods=["PUT"]),
            Route("/lean/durable/{key}", durable, methods=["PUT"]),
            Route("/lean/alone/{key}", by_itself, methods=["PUT"]),
        ]
    )


def _add_streams(app: FastAPI) -> None:
    revs, listening = itertools.count(1), set[asyncio.Queue[bytes]]()

    @app.put("/bare/send/{key}")
    async def send(key: str, body: Switch) -> Sent:
        rev = next(revs)
        event = b"id: %d\ndata: %s\n\n" % (rev, body.model_dump_json().encode())
        for waiting in listening:
            waiting.put_nowait(event)
        return Sent(msg=key, rev=rev)

    @app.get("/bare/stream")
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
