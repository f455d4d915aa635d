"""Event streams beside their limit, and how long the first look at many shops holds the server.

    python -m benchmarks.events [--streams 100] [--rate 200] [--seconds 5] [--accounts 1000 10000]

The first table: so many streams of ``/events`` while so many changes a second are made, from the sending of a change
until its event arrives on each stream; beside it, in turns, bare FastAPI that hands a small event to as many streams.
The second table: the snapshot that a stream or the console begins with, for so many shops, the first time and again,
and the longest wait of another caller during that time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvloop

from benchmarks.figures import keep
from benchmarks.http import COOKIE, Target, bare, shoal
from benchmarks.load import cpu_seconds, request_bytes

_AT_ONCE = 32
_POLL_SECONDS = 0.002


class Stream:
    """One open stream, and when each event came."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.came: dict[str, float] = {}
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for line in self._lines:
            if line.startswith("id: "):
                # An id begins with the rev. What comes later with the same rev is another fact of that moment.
                self.came.setdefault(line[4:].split(".")[0], time.perf_counter())


@asynccontextmanager
async def streams(http: httpx.AsyncClient, path: str, count: int) -> AsyncIterator[list[Stream]]:
    """Open so many streams, and close them."""
    async with AsyncExitStack() as closing:
        found = []
        for _ in range(count):
            response = await closing.enter_async_context(http.stream("GET", path))
            response.raise_for_status()
            found.append(Stream(response.aiter_lines()))
        yield found
        for stream in found:
            stream.reading.cancel()
        await asyncio.gather(*(stream.reading for stream in found), return_exceptions=True)


def client(target: Target) -> httpx.AsyncClient:
    """Return a client with room for all streams."""
    headers = {"Authorization": f"Bearer {target.token}"} if target.token else {}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    return httpx.AsyncClient(base_url=target.base, headers=headers, timeout=300, limits=limits)


async def times(target: Target, arguments: argparse.Namespace, *, path: str, events: str, field: str) -> dict[str, Any]:
    """Make changes at a steady rate, and return how long each took to every stream."""
    sent: dict[str, float] = {}
    async with client(target) as http, streams(http, events, arguments.streams) as open_ones:
        await asyncio.sleep(1)
        assert target.pid is not None
        before, began = cpu_seconds(target.pid), time.perf_counter()

        async def change(number: int) -> None:
            at = time.perf_counter()
            body = {field: number // arguments.shops % 2 == 0}
            answer = (await http.put(path.format(f"bench-{number % arguments.shops}"), json=body)).json()
            sent[str(answer["rev"])] = at

        running: set[asyncio.Task[None]] = set()
        for number in range(int(arguments.rate * arguments.seconds)):
            task = asyncio.create_task(change(number))
            running.add(task)
            task.add_done_callback(running.discard)
            await asyncio.sleep(max(began + (number + 1) / arguments.rate - time.perf_counter(), 0))
        await asyncio.gather(*running)
        await asyncio.sleep(1)
        used = cpu_seconds(target.pid) - before
        waits = sorted(stream.came[rev] - at for stream in open_ones for rev, at in sent.items() if rev in stream.came)
    return {
        "changes": len(sent),
        "events": len(waits),
        "missing": len(sent) * arguments.streams - len(waits),
        "p50 ms": waits[len(waits) // 2] * 1000,
        "p99 ms": waits[int(len(waits) * 0.99)] * 1000,
        "CPU µs per event": used / max(len(waits), 1) * 1e6,
    }


async def measure_streams(arguments: argparse.Namespace) -> None:
    """Measure streams of changes beside bare ones."""
    found: dict[str, list[dict[str, Any]]] = {"Shoal": [], "bare FastAPI": []}
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        many = {"SHOAL_STREAMS_PER_USER": "1000", "SHOAL_CONNECTIONS_PER_ADDRESS": "10000"}
        async with bare(root) as limit, shoal(root, **many) as target:
            await add(target, arguments.shops)
            for _ in range(arguments.rounds):
                found["Shoal"].append(
                    await times(
                        target, arguments, path="/cookies/{}/auto-confirm", events="/events", field="auto_confirm"
                    )
                )
                found["bare FastAPI"].append(
                    await times(limit, arguments, path="/bare/send/{}", events="/bare/stream", field="enabled")
                )
    rows = [
        {"server": name, "streams": arguments.streams}
        | {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        for name, runs in found.items()
    ]
    keep("events", rows, about=f"Event streams, {arguments.rate} changes/s for {arguments.seconds:g} s")


async def add(target: Target, count: int) -> None:
    """Add so many shops over the API."""
    async with client(target) as http:
        numbers = iter(range(count))

        async def some() -> None:
            for number in numbers:
                body = {"id": f"bench-{number}", "value": COOKIE.format(unb=2200000000001 + number)}
                (await http.post("/cookies?wait=0", json=body)).raise_for_status()

        await asyncio.gather(*(some() for _ in range(_AT_ONCE)))


async def _read_snapshot(target: Target) -> int:
    """Read a stream up to the end of its snapshot, with as little work as possible: another caller waits here too."""
    where = httpx.URL(target.base)
    reader, writer = await asyncio.open_connection(where.host, where.port, limit=1 << 24)
    try:
        writer.write(request_bytes("GET", target.base, "/events", token=target.token))
        await reader.readuntil(b'"type":"snapshot"')
        return len(await reader.readuntil(b"\n\n"))
    finally:
        writer.close()


async def snapshot(target: Target) -> dict[str, Any]:
    """Read one snapshot, and return its size and the longest wait of another caller during that time."""
    waits: list[float] = []
    over = asyncio.Event()

    async def other() -> None:
        async with client(target) as mine:
            while not over.is_set():
                at = time.perf_counter()
                (await mine.get("/verify")).raise_for_status()
                waits.append(time.perf_counter() - at)
                await asyncio.sleep(_POLL_SECONDS)

    asking = asyncio.create_task(other())
    await asyncio.sleep(0.5)
    usual = statistics.median(waits)
    waits.clear()
    assert target.pid is not None
    before, began = cpu_seconds(target.pid), time.perf_counter()
    size = await _read_snapshot(target)
    took, used = time.perf_counter() - began, cpu_seconds(target.pid) - before
    await asyncio.sleep(0.1)
    over.set()
    await asking
    return {
        "MB": size / 1e6, "ms": took * 1000, "CPU ms": used * 1000,
        "another's longest wait ms": max(waits) * 1000, "usual ms": usual * 1000,
    }  # fmt: skip


async def measure_snapshots(arguments: argparse.Namespace) -> None:
    """Measure the first look at many shops, and the next ones."""
    rows = []
    for count in arguments.accounts:
        with tempfile.TemporaryDirectory() as directory:
            many = {"SHOAL_STREAMS_PER_USER": "1000", "SHOAL_CONNECTIONS_PER_ADDRESS": "10000"}
            async with shoal(Path(directory), SHOAL_STARTS_PER_SECOND="1000", **many) as target:
                await add(target, count)
                await asyncio.sleep(2)
                rows += [
                    {"shops": count, "": time_of, **await snapshot(target)} for time_of in ("the first time", "again")
                ]
    keep("snapshots", rows, about="The snapshot of all shops, while another caller looks at its sign-in every 2 ms")


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--shops", type=int, default=50)
    parser.add_argument("--accounts", type=int, nargs="*", default=[1_000, 10_000])
    arguments = parser.parse_args()

    async def measure() -> None:
        if arguments.streams:
            await measure_streams(arguments)
        if arguments.accounts:
            await measure_snapshots(arguments)

    uvloop.run(measure())


if __name__ == "__main__":
    main()
