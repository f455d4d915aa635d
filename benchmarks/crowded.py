"""Speed of the console and a login under abuse: ``python -m benchmarks.crowded``.

Measured on the real process: the console's page, a login, and a list of shops, one after another, each on its own
connection. First without other load; then during eight uploads of small files with huge contents; while one user tries
200 regular expressions on long messages all the time; while one user searches all the time; and with 3,000 silent
connections.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import socket
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from openpyxl import Workbook

from benchmarks.figures import keep
from benchmarks.processes import PASSWORD, ServerProcess

NOWHERE = "http://127.0.0.1:9"
UPLOADS = 8
STYLES = 8_000_000
PATTERNS = 200
AT_ONCE = 8
SILENT = 3_000
ENOUGH = 30
Call = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]
Load = Callable[[ServerProcess], contextlib.AbstractAsyncContextManager[None]]


def bomb() -> bytes:
    """Return a small file that unpacks to 40 MB of styles; they are not counted before it is read."""
    plain, packed = io.BytesIO(), io.BytesIO()
    book = Workbook()
    assert book.active is not None
    book.active.append(["词", "回复"])
    book.save(plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "xl/styles.xml":
                part = part.replace(b"</cellXfs>", b"<xf/>" * STYLES + b"</cellXfs>")
            new.writestr(name, part)
    return packed.getvalue()


async def repeated(call: Callable[[], Awaitable[httpx.Response]], statuses: dict[int, int]) -> None:
    """Repeat a request without pause; after a refusal wait 0.1 s."""
    while True:
        with contextlib.suppress(httpx.HTTPError):
            status = (await call()).status_code
            statuses[status] = statuses.get(status, 0) + 1
            if status != 200:
                await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def flood(
    server: ServerProcess, call: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]], width: int
) -> AsyncIterator[None]:
    """Run that many callers of one user."""
    statuses: dict[int, int] = {}
    async with httpx.AsyncClient(base_url=server.url, headers=dict(server.http.headers), timeout=120) as client:
        tasks = [asyncio.create_task(repeated(lambda: call(client), statuses)) for _ in range(width)]
        await asyncio.sleep(1)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            print(f"  (answers to the others by status: {dict(sorted(statuses.items()))})")


@contextlib.asynccontextmanager
async def nothing(_: ServerProcess) -> AsyncIterator[None]:
    """Add no other load."""
    yield


@contextlib.asynccontextmanager
async def bombs(server: ServerProcess) -> AsyncIterator[None]:
    """Upload bombs, eight at a time, without pause."""
    data = bomb()
    print(f"  (a file of {len(data) // 1000} kB)")
    async with flood(server, lambda http: http.post("/rules-file", files={"file": ("r.xlsx", data)}), UPLOADS):
        yield


@contextlib.asynccontextmanager
async def trials(server: ServerProcess) -> AsyncIterator[None]:
    """Try long messages on many regular expressions."""
    body = {"message": "猫咪 " * 1_000}
    async with flood(server, lambda http: http.post("/cookies/shop/try", json=body), AT_ONCE):
        yield


@contextlib.asynccontextmanager
async def searches(server: ServerProcess) -> AsyncIterator[None]:
    """Search through all messages."""
    async with flood(server, lambda http: http.get("/messages?q=nowhere-to-be-found"), AT_ONCE):
        yield


@contextlib.asynccontextmanager
async def silence(server: ServerProcess) -> AsyncIterator[None]:
    """Open connections that send nothing."""
    opened = []
    for _ in range(SILENT):
        one = socket.socket()
        one.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            one.connect(("127.0.0.1", server.port))
        opened.append(one)
    began = time.monotonic()
    try:
        yield
        while any(map(is_open, opened)):
            await asyncio.sleep(0.2)
        print(f"  (the last of {SILENT} was closed after {time.monotonic() - began:.0f} s)")
    finally:
        for one in opened:
            one.close()


def is_open(one: socket.socket) -> bool:
    """Return whether the server has not closed the connection."""
    try:
        return bool(one.recv(1024))
    except BlockingIOError:
        return True
    except OSError:
        return False


async def prepare(server: ServerProcess, messages: int) -> None:
    """Create an account with many regular expressions, and many messages."""
    await server.add("shop", "unb=2200000000001; _m_h5_tk=0123456789abcdef0123456789abcdef_1; cookie2=x", wait=0)
    rules = [
{"words": [f"x{n}[a-z0-9]+ .{n}"], "match_mode": "regex",
         "parts": [{"text": "hi"}]}
        for n in range(1, PATTERNS + 1)
    ]  # fmt: skip
    answer = await server.http.put("/cookies/shop/rules", json={"rules": rules})
    print("rules:", answer.status_code, answer.text[:80] if answer.status_code != 200 else "")
    await server.close()
    fill_messages(server.data_dir, messages)


def fill_messages(data_dir: Path, messages: int) -> None:
    """Insert that many invented messages while the server is stopped."""
    import sqlite3  # noqa: PLC0415  only this step needs it

    with contextlib.closing(sqlite3.connect(data_dir / "shoal.db")) as connection:
        columns = {row[1]: row for row in connection.execute("PRAGMA table_info(messages)") if row[1] != "id"}
        now = int(time.time() * 1000)
        known = {"account_id": "shop", "direction": "in", "verdict": "no_rule", "text": "在吗 " * 60}

        def value(name: str, number: int) -> object:
            if name in known:
                return known[name]
            if name.endswith("_ms"):
                return now - number
            if name in {"message_id", "chat_id", "sender_id"}:
                return f"{name}{number}"
            kind = str(columns[name][2]).upper()
            return None if not columns[name][3] else (0 if "INT" in kind or "BOOL" in kind else "")

        names = list(columns)
        connection.executemany(
            f"INSERT INTO messages ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
            ([value(name, number) for name in names] for number in range(messages)),
        )
        connection.commit()


async def measured(server: ServerProcess, title: str, load: Load) -> list[dict[str, Any]]:
    """Measure the owner's calls under that load. Return a row for each call."""
    rows = []
    async with load(server):
        calls: tuple[tuple[str, Call], ...] = (
            ("console page", lambda http: http.get("/console/")),
            ("sign-in", lambda http: http.post("/login", json={"username": "admin", "password": PASSWORD})),
            ("list of shops", lambda http: http.get("/cookies", headers=dict(server.http.headers))),
        )
        for what, call in calls:
            times = []
            for _ in range(ENOUGH):
                async with httpx.AsyncClient(base_url=server.url, timeout=120) as http:
                    began = time.perf_counter()
                    answer = await call(http)
                    times.append((time.perf_counter() - began) * 1000)
                    assert answer.status_code in {200, 503}, answer.text
            times.sort()
            rows.append(
                {
                    "load": title,
                    "call": what,
                    "p50 ms": statistics.median(times),
                    "longest ms": times[-1],
                }
            )
    return rows


async def measure(messages: int) -> None:
    """Measure beside all loads, one after another."""
    with tempfile.TemporaryDirectory() as directory:
        server = await ServerProcess(Path(directory) / "data", NOWHERE).start()
        await prepare(server, messages)
        server = await ServerProcess(Path(directory) / "data", NOWHERE).start()
        rows = []
        try:
            for title, load in (
                ("alone", nothing),
                (f"beside {UPLOADS} uploads of bombs", bombs),
                ("beside rules tried without end", trials),
                (f"beside searches in {messages:,} messages", searches),
                (f"beside {SILENT:,} silent connections", silence),
            ):
                rows += await measured(server, title, load)
        finally:
            await server.close()
        keep("crowded", rows, about=f"Calls of an owner beside other load, {ENOUGH} of each one by one")


def main() -> int:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    asyncio.run(measure(parser.parse_args().messages))
    return 0


if __name__ == "__main__":
    sys.exit(main())
