"""What the figures for Prometheus cost: a scrape with many shops, and each count where it happens.

``python -m benchmarks.metrics [--accounts 5000]``: processor time in this process, the best of several. Beside a scrape
stands a registry that holds as many samples and computes none: what the library itself needs to write them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Gauge, generate_latest

from benchmarks.figures import keep
from shoal.accounts.account import Account, AccountState
from shoal.accounts.account_task import Link
from shoal.accounts.callers import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.config import load_settings
from shoal.measures import Histogram, Tally
from shoal.server.reply_server import build_app
from shoal.traces import begin

SCRAPE_LIMIT_MS: Final = 20.0
ROUNDS: Final = 7
CALLS: Final = 200_000
AT_ONCE: Final = 250
COOKIE: Final = "unb={unb}; cookie2=invented; _m_h5_tk=0123456789abcdef0123456789abcdef_1900000000000; _m_h5_tk_enc=0"


def best_ms(work: Callable[[], object], *, times: int = 1, rounds: int = ROUNDS) -> float:
    """Return the least processor time of one call, in milliseconds."""
    took = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            work()
        took.append(time.process_time() - began)
    return min(took) / times * 1000


async def stay(account: Account, link: Link) -> None:
    """Be a connection that runs."""
    assert account.enabled
    link.running()
    await asyncio.Event().wait()


async def add_all(manager: CookieManager, count: int) -> None:
    """Add so many shops of the administrator; they all run."""
    caller = Caller(actor="bench", wait_seconds=0.0)
    for begin_at in range(0, count, AT_ONCE):
        numbers = range(begin_at, min(count, begin_at + AT_ONCE))
        cookies = {f"shop{number:05}": COOKIE.format(unb=2200000000000 + number) for number in numbers}
        added = (manager.add_cookie(name, one, owner_id=1, caller=caller) for name, one in cookies.items())
        await asyncio.gather(*added)
    while sum(task.observation.state is AccountState.RUNNING for task in manager.tasks.values()) < count:
        await asyncio.sleep(0.2)


async def scrapes(count: int) -> list[dict[str, Any]]:
    """Return what a scrape costs, and what it would cost without computing anything."""
    with tempfile.TemporaryDirectory() as place:
        token = "a token for the benchmark"
        settings = load_settings(data_dir=Path(place), metrics_token=token, starts_per_second=1000.0)
        app = build_app(settings, connect=stay)
        async with app.router.lifespan_context(app):
            await add_all(app.state.server.manager, count)
            metrics = app.state.metrics
            text = await metrics.scraped()
            samples = sum(not line.startswith(b"#") for line in text.splitlines())
            whole = best_ms(lambda: generate_latest(metrics._registry))  # noqa: SLF001  a part of a scrape alone
            stored = metrics._stored  # noqa: SLF001  as above
            reading = []
            for _ in range(ROUNDS):
                began = time.process_time()
                await stored._read()  # noqa: SLF001  as above
                reading.append((time.process_time() - began) * 1000)
    registry = CollectorRegistry()
    empty = Gauge("bench", "As many samples.", ["kind"], registry=registry)
    for number in range(samples):
        empty.labels(f"kind{number}").set(number)
    rows = [
        (f"a scrape, {count:,} shops", whole, SCRAPE_LIMIT_MS),
        ("the library, as many samples of nothing", best_ms(lambda: generate_latest(registry)), None),
        ("what only the database knows, at most every 15 s", min(reading), SCRAPE_LIMIT_MS),
    ]
    return [{"what": what, "samples": samples, "CPU ms": took, "limit ms": limit} for what, took, limit in rows]


def trace_nothing() -> None:
    """Pass the places of a change where traces are made."""
    with begin("change", kind="update_cookie_status", account="shop") as trace:
        trace.step("lock")
        trace.step("draft")
        trace.step("write")
        trace.step("apply")


def counts() -> list[dict[str, Any]]:
    """Return what a count costs where it happens."""
    tally, histogram, nothing = Tally(), Histogram(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10), lambda: None
    base = best_ms(nothing, times=CALLS)
    rows = [
        ("one count of a kind", lambda: tally.add("update_cookie_status", "changed")),
        ("one value of a histogram", lambda: histogram.add(0.02)),
        ("a trace with four steps, traces off", trace_nothing),
    ]
    return [{"what": what, "CPU ns": (best_ms(work, times=CALLS) - base) * 1e6} for what, work in rows]


async def main(count: int) -> None:
    """Measure all."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    rows = [*await scrapes(count), *counts()]
    keep("metrics", rows, about="Figures for Prometheus: processor time in this process, the best of several")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="figures for Prometheus")
    parser.add_argument("--accounts", type=int, default=5_000)
    sys.exit(asyncio.run(main(parser.parse_args().accounts)))
