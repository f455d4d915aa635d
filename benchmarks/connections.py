"""Memory of idle accounts, and connection speed, over TLS: ``python -m benchmarks.connections``.

``shoal serve`` and the sandbox run as separate processes. For each size the accounts are added through the API, which
is their first start. Then the server is restarted twice with stored tokens: with the default limits, and with raised
ones. Memory is read from the kernel, less that of a server without accounts after the same kind of start; the kernel's
socket buffers are not included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks import measured_server
from benchmarks.figures import keep
from benchmarks.processes import Process, SandboxProcess, ServerProcess

LIMIT_KIB = 80.0
"""The limit for one idle account over TLS."""
OPEN_LIMITS = {"SHOAL_STARTS_PER_SECOND": "1000", "SHOAL_TOKEN_CALLS_PER_SECOND": "1000"}
"""Raised limits, also for each account's first token: at the default one per second, 5,000 take 83 minutes."""
AT_ONCE = 50
SETTLE_SECONDS = 40.0
"""The wait until memory used only at startup is returned, and every account had two heartbeats."""


KINDS = {"rss": "Rss", "pss": "Pss", "anonymous": "Anonymous"}


def memory_of(process: Process) -> dict[str, int]:
    """Return what the kernel counts for a process and what a measured server says, in KiB; Linux only."""
    lines = Path(f"/proc/{process.child.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    found = {kind: kib[name] for kind, name in KINDS.items()}
    if isinstance(process, ServerProcess):
        told = json.loads(Path(process.environment[measured_server.MEMORY_FILE]).read_text(encoding="ascii"))
        found |= {
            f"{name}, glibc": told[key] // 1024 for name, key in {"in use": "glibc", "free": "glibc_free"}.items()
        }
    return found


def cpu_seconds(process: Process) -> float:
    """Return the CPU time that a process has used, user and kernel."""
    times = psutil.Process(process.child.pid).cpu_times()
    return times.user + times.system


async def all_running(server: ServerProcess, accounts: int, *, limit_seconds: float) -> float:
    """Wait until all accounts run. Return the seconds from now."""
    began = time.perf_counter()
    async with asyncio.timeout(limit_seconds):
        while True:
            states = Counter(row["state"] for row in await server.ok("GET", "/cookies/details"))
            if states["running"] == accounts:
                return time.perf_counter() - began
            await asyncio.sleep(0.25 if accounts <= 1000 else 1.0)


async def add_all(server: ServerProcess, cookies: list[str]) -> float:
    """Add an account for each cookie, up to ``AT_ONCE`` at a time. Return the seconds."""
    turns = asyncio.Semaphore(AT_ONCE)
    began = time.perf_counter()

    async def one(number: int, cookie: str) -> None:
        async with turns:
            await server.add(f"shop{number}", cookie, wait=0)

    await asyncio.gather(*(one(number, cookie) for number, cookie in enumerate(cookies)))
    return time.perf_counter() - began


async def empty_server(root: Path, sandbox: SandboxProcess) -> list[dict[str, int]]:
    """Return the memory of a server without accounts, of a first start and of a later one.

    A first start keeps what it has loaded to make the database.
    """
    server, found = _server(root / "empty", sandbox), []
    try:
        for _ in range(2):
            await server.start()
            await asyncio.sleep(SETTLE_SECONDS / 4)
            found.append(memory_of(server))
            await server.end(seconds=60)
        return found
    finally:
        await server.close()


def _server(data: Path, sandbox: SandboxProcess, **environment: str) -> ServerProcess:
    memory_file = {measured_server.MEMORY_FILE: str(data.with_suffix(".memory"))}
    trust = {"SSL_CERT_FILE": sandbox.authority} if sandbox.authority else {}
    server = ServerProcess(data, sandbox.url, SHOAL_LOG_LEVEL="WARNING", **environment, **trust, **memory_file)
    server.command = (measured_server.__file__,)
    server.http.timeout = httpx.Timeout(120)
    return server


async def measure(accounts: int, idle_seconds: float, *, tls: bool) -> list[dict[str, Any]]:
    """Measure one size. Return a row for each start."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        sandbox = await SandboxProcess(root / "sandbox.log").start(shops=accounts, tls=root / "tls" if tls else None)
        new, again = await empty_server(root, sandbox)
        bare_sandbox = memory_of(sandbox)
        server = _server(root / "data", sandbox, **OPEN_LIMITS)
        try:
            cookies = [seller["cookie"] for seller in (await sandbox.get("sellers"))["items"]]
            await server.start()
            added = await add_all(server, cookies)
            first = added + await all_running(server, accounts, limit_seconds=1200)
            start = {
                "start": "the first, 1,000 starts/s allowed",
                "s until answered": None,
                "s until all run": first,
                "CPU ms of a connection": cpu_seconds(server) / accounts * 1e3,
            }
            rows = [start | await _idle(server, sandbox, accounts, idle_seconds, new, bare_sandbox)]
            await server.end(seconds=60)
            for name in OPEN_LIMITS:
                server.environment.pop(name)
            began = await _started(server, accounts, "the default limits (20 starts/s)")
            rows.append(began | await _idle(server, sandbox, accounts, idle_seconds, again, bare_sandbox))
            await server.end(seconds=60)
            server.environment |= OPEN_LIMITS
            began = await _started(server, accounts, "1,000 starts/s allowed")
            rows.append(began | await _idle(server, sandbox, accounts, idle_seconds, again, bare_sandbox))
            return [{"accounts": accounts, **row} for row in rows]
        finally:
            await server.close()
            await sandbox.end()


async def _started(server: ServerProcess, accounts: int, how: str) -> dict[str, Any]:
    began = time.perf_counter()
    await server.start()
    opened = time.perf_counter() - began
    running = await all_running(server, accounts, limit_seconds=1200)
    return {
        "start": how,
        "s until answered": opened,
        "s until all run": opened + running,
        "CPU ms of a connection": cpu_seconds(server) / accounts * 1e3,
    }


async def _idle(
    server: ServerProcess,
    sandbox: SandboxProcess,
    accounts: int,
    seconds: float,
    empty: dict[str, int],
    bare_sandbox: dict[str, int],
) -> dict[str, Any]:
    await asyncio.sleep(SETTLE_SECONDS)
    before, before_there = cpu_seconds(server), cpu_seconds(sandbox)
    waits = await _answers(server, seconds)
    used, used_there = cpu_seconds(server) - before, cpu_seconds(sandbox) - before_there
    now, there = memory_of(server), memory_of(sandbox)
    each = {name: (now[name] - empty[name]) / accounts for name in now}
    return {
        **{f"idle account: {name} KiB": kib for name, kib in each.items()},
        "limit KiB": LIMIT_KIB,
        "CPU µs a second": used / seconds / accounts * 1e6,
        "server MiB": now["rss"] / 1024,
        "of it without accounts": empty["rss"] / 1024,
        "% of a core": used / seconds * 100,
        "/health p50 ms": statistics.median(waits) * 1e3,
        "longest ms": max(waits) * 1e3,
        "sandbox KiB": (there["rss"] - bare_sandbox["rss"]) / accounts,
        "sandbox % of a core": used_there / seconds * 100,
    }


async def _answers(server: ServerProcess, seconds: float) -> list[float]:
    """Request ``/health`` once a second. Return the time of each answer."""
    waits = []
    for _ in range(round(seconds)):
        began = time.perf_counter()
        await server.ok("GET", "/health")
        waits.append(time.perf_counter() - began)
        await asyncio.sleep(max(0.0, 1.0 - waits[-1]))
    return waits


def main() -> None:
    """Read the arguments and measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument("--idle-seconds", type=float, default=60)
    parser.add_argument("--plain", action="store_true", help="without TLS, for comparison")
    arguments = parser.parse_args()
    if not Path("/proc/self/smaps_rollup").exists():
        sys.exit("Memory is read from Linux's /proc; there is none here.")
    if os.geteuid() != 0:
        sys.exit("A server lets no other process look into its memory; run this as root.")
    tls = not arguments.plain
    rows = [row for size in arguments.accounts for row in asyncio.run(measure(size, arguments.idle_seconds, tls=tls))]
    keep("connections", rows, about=f"Idle accounts {'over TLS' if tls else 'without TLS'} after each kind of start")


if __name__ == "__main__":
    main()
