"""Reply latency for a buyer, with the real processes: ``python -m benchmarks.reply_latency``.

The debounce is 0, so the figures cover only this server: push, store, acknowledge, match, outbox row, send, receipt.
Both times come from the sandbox's clock: when the buyer wrote, and when the reply reached the buyer.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from benchmarks.processes import SandboxProcess, ServerProcess

LIMIT_P99_MS = 1000.0


async def _waits_ms(sandbox: SandboxProcess, account: str, buyers: list[str]) -> list[float]:
    waits = []
    for buyer in buyers:
        async with asyncio.timeout(30):
            while True:
                lines = (await sandbox.get(f"chats/{account}/{buyer}"))["lines"]
                if any(line["from"] == "seller" for line in lines):
                    break
                await asyncio.sleep(0.01)
        said = next(line["wall_ms"] for line in lines if line["from"] == "buyer")
        answered = next(line["wall_ms"] for line in lines if line["from"] == "seller")
        waits.append(answered - said)
    return waits


def _line(name: str, waits: list[float]) -> str:
    ordered = sorted(waits)
    p99 = ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    verdict = "within" if p99 <= LIMIT_P99_MS else "ABOVE"
    return (
        f"{name:<28} n={len(waits):<5} p50={statistics.median(waits):7.1f} ms  p99={p99:7.1f} ms  "
        f"max={ordered[-1]:7.1f} ms  ({verdict} the limit of {LIMIT_P99_MS:.0f} ms)"
    )


async def measure(messages: int, shops: int) -> None:
    """Print one line for buyers who write one after another, and one for buyers who write at the same time."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        sandbox = SandboxProcess(root / "sandbox.log")
        await sandbox.start(shops=shops)
        server = ServerProcess(root / "data", sandbox.url, SHOAL_LOG_LEVEL="WARNING")
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
            print(_line("one after another", waits))
            together = [(seller["unb"], f"all{number}") for number in range(messages // shops) for seller in sellers]
            await asyncio.gather(
                *(sandbox.do("say", account=account, buyer=buyer, text="在吗") for account, buyer in together)
            )
            waits = []
            for account, buyer in together:
                waits += await _waits_ms(sandbox, account, [buyer])
            print(_line(f"all at once, {shops} shops", waits))
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
