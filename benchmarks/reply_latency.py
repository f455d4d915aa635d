"""Reply latency for a buyer, with the real processes: ``python -m benchmarks.reply_latency``.

The debounce is 0 and a shop may answer without limit, so the figures cover only this server: push, store, acknowledge,
match, outbox row, send, receipt. Both times come from the sandbox's clock: when the buyer wrote, and when the reply
reached the buyer.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figures import keep
from benchmarks.processes import SandboxProcess, ServerProcess

LIMIT_P99_MS = 1000.0
LIMIT_OWN_SHARE_MS = 30.0
"""Of a model's answer: all but the time until its output has been read and checked."""
ASKED = 40
"""How many questions to a model are measured; a shop's tokens of a day suffice for them."""

Row = dict[str, Any]


async def _waits_ms(sandbox: SandboxProcess, account: str, buyers: list[str]) -> list[float]:
    waits = []
    for buyer in buyers:
        async with asyncio.timeout(30):
            while True:
                lines = (await sandbox.get(f"chats/{account}/{buyer}"))["lines"]
                if any(line["from"] == "seller" for line in lines):
                    break
                await asyncio.sleep(0.01)
        asked = next(line["wall_ms"] for line in lines if line["from"] == "buyer")
        answered = next(line["wall_ms"] for line in lines if line["from"] == "seller")
        waits.append(answered - asked)
    return waits


def _row(load: str, waits: list[float]) -> dict[str, Any]:
    ordered = sorted(waits)
    p99 = ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    return {
        "buyers": load,
        "messages": len(waits),
        "p50 ms": statistics.median(waits),
        "p99 ms": p99,
        "longest ms": ordered[-1],
        "limit of p99 ms": LIMIT_P99_MS,
    }


async def _beside_a_model(sandbox: SandboxProcess, server: ServerProcess, unb: str, messages: int) -> list[Row]:
    """Measure what Shoal itself adds to a language model's answer, and rules while twenty answers stand still."""
    values = {"name": "m", "base_url": f"{sandbox.url}/v1", "key": "k", "model": "tiny", "calls_per_minute": 10_000}
    host = sandbox.url  # without encryption the host is agreed to with its scheme
    await server.ok("POST", "/ai-providers", {**values, "consented_host": host})
    await server.ok("PUT", "/ai-reply-settings/shop0", {"ai_enabled": True, "model_name": "tiny"})
    own = []
    for number in range(min(messages, ASKED)):
        buyer = f"model{number}"
        await sandbox.do("say", account=unb, buyer=buyer, text="包邮吧")
        (wait,) = await _waits_ms(sandbox, unb, [buyer])
        own.append(wait - (await server.ok("GET", "/ai-runs?limit=1"))["items"][0]["duration_ms"])
    await sandbox.do("model", fault="slow", times=100, seconds=60)
    for number in range(20):
        await sandbox.do("say", account=unb, buyer=f"slow{number}", text="包邮吧")
    waits = []
    for number in range(messages):
        buyer = f"beside{number}"
        await sandbox.do("say", account=unb, buyer=buyer, text="在吗")
        waits += await _waits_ms(sandbox, unb, [buyer])
    model = _row("one after another, own share of a model's answer", own) | {"limit of p99 ms": LIMIT_OWN_SHARE_MS}
    return [model, _row("one after another, while 20 answers of a model stand still", waits)]


async def measure(messages: int, shops: int) -> None:
    """Measure buyers who write one after another, then buyers who write at the same time."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        sandbox = SandboxProcess(root / "sandbox.log")
        await sandbox.start(shops=shops)
        server = ServerProcess(root / "data", sandbox.url, SHOAL_LOG_LEVEL="WARNING", SHOAL_SHOP_REPLIES_PER_MINUTE="0")
        try:
            await server.start()
            sellers = (await sandbox.get("sellers"))["items"]
            for number, seller in enumerate(sellers):
                await server.add(f"shop{number}", seller["cookie"])
                await server.ok("POST", f"/keywords/shop{number}", {"keywords": {"在吗": "在的"}})
            unb = sellers[0]["unb"]
            waits = []
            for number in range(messages):
                buyer = f"one{number}"
                await sandbox.do("say", account=unb, buyer=buyer, text="在吗")
                waits += await _waits_ms(sandbox, unb, [buyer])
            rows = [_row("one after another", waits)]
            together = [(seller["unb"], f"all{number}") for number in range(messages // shops) for seller in sellers]
            await asyncio.gather(
                *(sandbox.do("say", account=account, buyer=buyer, text="在吗") for account, buyer in together)
            )
            waits = []
            for account, buyer in together:
                waits += await _waits_ms(sandbox, account, [buyer])
            rows.append(_row(f"all at once, {shops} shops", waits))
            rows += await _beside_a_model(sandbox, server, unb, messages)
            keep("reply_latency", rows, about="From a buyer's message until the reply reaches him, debounce 0")
        finally:
            await server.close()
            await sandbox.end()


def main() -> None:
    """Read the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--shops", type=int, default=20)
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.messages, arguments.shops))


if __name__ == "__main__":
    main()
