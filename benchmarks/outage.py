"""Orders paid while the server is down: when each payer has his goods, and in which order.

``python -m benchmarks.outage [--orders 60 600] [--reconnects 0 3]``: the real server and sandbox at the pace of the
site that is the default. A picture beside the figures shows the time of payment against that of delivery.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figures import RESULTS, keep
from benchmarks.processes import SandboxProcess, ServerProcess, soon

PACE = 2.0
"""Orders a second that the default pace allows, after the first ten."""
BURST = 10
SECONDS_BETWEEN_RECONNECTS = 6.0
GAP_SECONDS = 0.005
"""Time between two payments, so that they have an order."""
QUICK = {"SHOAL_ORDER_CALLS_PER_SECOND": str(PACE)}

Times = list[tuple[int, int]]
"""When each order was paid and when its goods came, in ms; the first payment first."""


async def measured(orders: int, reconnects: int) -> tuple[dict[str, Any], Times]:
    """Let buyers pay while the server is down, start it, and wait until each has his goods."""
    with tempfile.TemporaryDirectory() as place:
        sandbox = await SandboxProcess(Path(place) / "sandbox.log").start(shops=1)
        server = ServerProcess(Path(place) / "data", sandbox.url, **QUICK)
        try:
            await server.start()
            seller = (await sandbox.get("sellers"))["items"][0]
            unb, item = seller["unb"], seller["items"][0]["id"]
            await server.add("shop", seller["cookie"])
            await server.ok("PATCH", "/cookies/shop/settings", {"auto_confirm": True})
            rule = {"item_id": item, "parts": [{"text": "code"}], "confirm": "yes"}
            await server.ok("PUT", "/cookies/shop/deliveries", {"rules": [rule]})
            await server.end()
            paid = []
            for number in range(orders):
                paid.append(str((await sandbox.do("pay", account=unb, buyer=f"b{number}", item=item))["order_id"]))
                await asyncio.sleep(GAP_SECONDS)
            began, began_ms = time.perf_counter(), time.time() * 1000
            await server.start()
            process = psutil.Process(server.child.pid)
            breaking = asyncio.create_task(_broken(sandbox, unb, reconnects))

            async def is_done() -> bool:
                found = (await sandbox.get("orders"))["items"]
                return all(order["status"] == "shipped" for order in found if order["id"] in set(paid))

            await soon(is_done, seconds=60 + orders * 2, every_seconds=0.5 + orders / 2000)
            wall, cpu = time.perf_counter() - began, sum(process.cpu_times()[:2])
            breaking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await breaking
            times = await _times(sandbox, paid)
        finally:
            await server.close()
            await sandbox.end()
    waits = [(received - began_ms) / 1000 for _, received in times]
    return {
        "orders": orders,
        "reconnects": reconnects,
        "first payer s": waits[0],
        "median s": statistics.median(waits),
        "last payer s": waits[-1],
        "all confirmed s": wall,
        "limit by the pace s": max(0.0, (orders - BURST) / PACE),
        "inversions": sum(one > other for one, other in itertools.pairwise(waits)),
        "server CPU ms each, with its start": cpu / orders * 1000,
    }, times


async def _broken(sandbox: SandboxProcess, unb: str, reconnects: int) -> None:
    for _ in range(reconnects):
        await asyncio.sleep(SECONDS_BETWEEN_RECONNECTS)
        await sandbox.do("fault", account=unb, kind="close", times=1)


async def _times(sandbox: SandboxProcess, paid: list[str]) -> Times:
    at: dict[str, int] = {}
    for order in (await sandbox.get("orders"))["items"]:
        at[order["id"]] = next(when for status, when in order["history"] if status == "pending_ship")
    first: dict[str, int] = {}
    for row in (await sandbox.get("receipts"))["items"]:
        for one in row["received"]:
            first.setdefault(one["order_id"], one["wall_ms"])
    return [(at[order_id], first[order_id]) for order_id in paid]


def picture(times: Times, title: str) -> str:
    """Return the times as an SVG: payment from left to right, delivery from below to above; a line is fair."""
    begin, end = times[0][0], max(times[-1][0], times[0][0] + 1)
    served = [at for _, at in times]
    low, high = min(served), max(*served, min(served) + 1)
    dots = "".join(
        f'<circle cx="{60 + 520 * (paid - begin) / (end - begin):.1f}"'
        f' cy="{340 - 300 * (at - low) / (high - low):.1f}" r="2"/>'
        for paid, at in times
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 600 380" font-family="sans-serif" font-size="12">'
        f'<rect width="600" height="380" fill="#fff"/><text x="60" y="20">{title}</text>'
        '<path d="M60 30V340H590" fill="none" stroke="#555"/>'
        f'<text x="500" y="360">paid, {(end - begin) / 1000:.1f} s</text>'
        f'<text x="4" y="44">{(high - low) / 1000:.0f} s</text><text x="4" y="344">delivered</text>'
        f'<g fill="#06c">{dots}</g></svg>\n'
    )


async def main(sizes: list[int], reconnects: list[int]) -> None:
    """Measure each size with each number of reconnects."""
    rows = []
    for size in sizes:
        for broken in reconnects:
            row, times = await measured(size, broken)
            rows.append(row)
            title = f"{size} orders of an outage, {broken} reconnects"
            (RESULTS / f"outage-{size}-{broken}.svg").write_text(picture(times, title), encoding="utf-8")
    keep("outage", rows, about="Orders paid while the server is down, one shop at the default pace of the site")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="orders paid while the server is down")
    parser.add_argument("--orders", type=int, nargs="*", default=[60, 600])
    parser.add_argument("--reconnects", type=int, nargs="*", default=[0, 3])
    chosen = parser.parse_args()
    asyncio.run(main(chosen.orders, chosen.reconnects))
