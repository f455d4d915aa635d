"""Paid orders through the sandbox: how many a second, and how soon a buyer has what he paid for.

``python -m benchmarks.orders [--orders 300] [--shops 1 50]``: the real server and sandbox. Each order takes its
page, a text or codes of a stock that all shops share, and its confirmation. The calls to the site are not slowed
down here; by default a shop makes two a second.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figures import keep
from benchmarks.processes import SandboxProcess, ServerProcess, soon

PIECES = 3
PAYING_AT_ONCE = 16
LIMIT_MS = 1_000
"""A buyer has his codes within a second, while the shop has nothing else to do."""
QUICK = {"SHOAL_ORDER_CALLS_PER_SECOND": "100"}


async def opened(server: ServerProcess, sandbox: SandboxProcess, orders: int) -> list[dict[str, str]]:
    """Open every seller's shop with two items, one that sells a text and one that sells codes."""
    goods = int((await server.ok("POST", "/goods", {"name": "bench", "kind": "stock", "per_message": 9}))["id"])
    lines = [f"BENCH-{number:07}" for number in range(orders * PIECES * 2 + 100)]
    await server.ok("POST", f"/goods/{goods}/units", {"lines": lines})
    shops = []
    for number, seller in enumerate((await sandbox.get("sellers"))["items"]):
        shop, (text, codes) = f"shop{number}", [item["id"] for item in seller["items"][:2]]
        await server.add(shop, seller["cookie"])
        await server.ok("PATCH", f"/cookies/{shop}/settings", {"auto_confirm": True})
        rules = [
            {"item_id": text, "parts": [{"text": "感谢购买！"}], "confirm": "yes"},
            {"item_id": codes, "goods_id": goods, "parts": [{"text": "卡密：{codes}"}], "confirm": "yes"},
        ]
        await server.ok("PUT", f"/cookies/{shop}/deliveries", {"rules": rules})
        shops.append({"unb": seller["unb"], "text": text, "codes": codes})
    return shops


async def served(
    server: ServerProcess, sandbox: SandboxProcess, shops: list[dict[str, str]], kind: str, orders: int
) -> dict[str, Any]:
    """Let buyers pay for so many orders, and wait until all are confirmed. Return the figures."""
    turns = asyncio.Semaphore(PAYING_AT_ONCE)

    async def pay(number: int) -> str:
        shop = shops[number % len(shops)]
        async with turns:
            buyer = f"{kind}{orders}-{number}"
            paid = await sandbox.do("pay", account=shop["unb"], buyer=buyer, item=shop[kind], quantity=PIECES)
        return str(paid["order_id"])

    process = psutil.Process(server.child.pid)
    began, cpu = time.perf_counter(), sum(process.cpu_times()[:2])
    mine = set(await asyncio.gather(*map(pay, range(orders))))

    async def is_done() -> bool:
        found = (await sandbox.get("orders"))["items"]
        return all(order["status"] == "shipped" for order in found if order["id"] in mine)

    await soon(is_done, seconds=300, every_seconds=0.1)
    wall, cpu = time.perf_counter() - began, sum(process.cpu_times()[:2]) - cpu
    waits = await latencies(sandbox, mine)
    return {
        "shops": len(shops),
        "goods": kind,
        "orders": orders,
        "a second": orders / wall,
        "server CPU ms each": cpu / orders * 1000,
        "paid until received: p50 ms": statistics.median(waits),
        "p95 ms": waits[int(len(waits) * 0.95)],
        "limit of one order ms": LIMIT_MS if orders == 1 else None,
    }


async def latencies(sandbox: SandboxProcess, mine: set[str]) -> list[float]:
    """Return how long each order's buyer waited for the first message, in ms, sorted."""
    paid: dict[str, int] = {}
    for order in (await sandbox.get("orders"))["items"]:
        if order["id"] in mine:
            paid[order["id"]] = next(at for status, at in order["history"] if status == "pending_ship")
    first: dict[str, int] = {}
    rows: list[dict[str, Any]] = (await sandbox.get("receipts"))["items"]
    for received in (one for row in rows for one in row["received"]):
        first.setdefault(received["order_id"], received["at"])
    return sorted(float(first[order_id] - at) for order_id, at in paid.items())


async def main(orders: int, sizes: list[int]) -> None:
    """Measure with each number of shops."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as place:
            sandbox = await SandboxProcess(Path(place) / "sandbox.log").start(shops=size)
            server = ServerProcess(Path(place) / "data", sandbox.url, **QUICK)
            try:
                await server.start()
                shops = await opened(server, sandbox, orders)
                for kind in ("text", "codes"):
                    alone = await served(server, sandbox, shops[:1], kind, 1)
                    rows += [alone | {"shops": size}, await served(server, sandbox, shops, kind, orders)]
            finally:
                await server.close()
                await sandbox.end()
    keep("orders", rows, about="Paid orders of 3 pieces through the sandbox, paid for by 16 buyers at once")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="paid orders through the sandbox")
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--shops", type=int, nargs="*", default=[1, 50])
    chosen = parser.parse_args()
    asyncio.run(main(chosen.orders, chosen.shops))
