"""What others wait while strangers ask for the API's document: ``python -m benchmarks.document``.

The server has just started, so the first of them has the document made. Beside it stands the limit: what the same
others wait while nobody asks for it.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from statistics import quantiles

from benchmarks.http import NOWHERE
from benchmarks.processes import ServerProcess

OTHERS = 4
QUIET_SECONDS = 3.0


async def ask(port: int) -> int:
    """Return how many bytes a stranger gets."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    size = len(await reader.read())
    writer.close()
    return size


async def waits_during(server: ServerProcess, work: Awaitable[object]) -> list[float]:
    """Return how many ms the others waited for each answer until the work was done."""
    waits: list[float] = []
    doing = asyncio.ensure_future(work)

    async def other() -> None:
        while not doing.done():
            began = time.perf_counter()
            await server.http.get("/verify")
            waits.append((time.perf_counter() - began) * 1000)

    await asyncio.gather(doing, *(other() for _ in range(OTHERS)))
    return waits


async def measure(strangers: int) -> None:
    """Print one row for the quiet server, and one for the asked one."""
    with tempfile.TemporaryDirectory() as place:
        server = ServerProcess(Path(place) / "data", NOWHERE, SHOAL_CONNECTIONS_PER_ADDRESS="1000")
        try:
            await server.start()
            everybody = asyncio.gather(*(ask(server.port) for _ in range(strangers)))
            asked = await waits_during(server, everybody)
            quiet = await waits_during(server, asyncio.sleep(QUIET_SECONDS))
        finally:
            await server.close()
    for name, waits in ((f"{strangers} strangers", asked), ("nobody asks (the limit)", quiet)):
        cuts = quantiles(waits, n=100)
        print(f"{name}: p50 {cuts[49]:.1f}, p95 {cuts[94]:.1f}, p99 {cuts[98]:.1f}, most {max(waits):.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--strangers", type=int, default=100)
    asyncio.run(measure(parser.parse_args().strangers))
