"""How long 5,000 rules block the event loop while they are replaced, previewed, read, exported and imported.

The server runs in this process, behind a socket; the client is a separate process. A task that sleeps for a millisecond
measures how much later it wakes. Run it with ``python -m benchmarks.rule_lists``.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog

sys.path.insert(0, "tests")

from doors import open_door, served
from shoal.server.malloc_tuning import set_apart_what_is_loaded

RULES = 5_000
RUNS = 5
_ASK = """
import sys, urllib.request
method, url, token, kind, path = sys.argv[1:]
data = open(path, "rb").read() if path else None
request = urllib.request.Request(url, data, {"Authorization": "Bearer " + token, "Content-Type": kind}, method=method)
sys.stdout.buffer.write(urllib.request.urlopen(request, timeout=120).read())
"""


def rules(number: int, *, salt: str = "") -> list[dict[str, Any]]:
    """Return complete rules, like those of a shop."""
    return [
        {
            "words": [f"word {place}", f"词{place}{salt}"],
            "word_mode": "any",
            "match_mode": ("contains", "exact", "whole_word")[place % 3],
            "item_ids": [str(700_000_000_000 + place)] if place % 3 == 0 else [],
            "priority": 0,
            "schedule": [{"weekdays": [1, 2, 3, 4, 5], "start": "09:00", "end": "18:00"}] if place % 10 == 0 else [],
            "parts": [{"text": f"您好，{{send_user_name}}，这是第 {place} 条回复，感谢咨询", "image_url": ""}],
            "delay_seconds": [0.0, 2.0],
            "cooldown_seconds": 60,
            "active": True,
        }
        for place in range(number)
    ]


class Watch:
    """Wakes every millisecond and keeps the longest delay."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(0.001)
            self.worst = max(self.worst, time.perf_counter() - begun - 0.001)


@contextmanager
def _file(data: bytes) -> Iterator[str]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.name


async def _ask(method: str, url: str, token: str, body: bytes = b"", kind: str = "application/json") -> bytes:
    with _file(body) as path:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", _ASK, method, url, token, kind, path if body else "",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        answer, _ = await child.communicate()
    assert child.returncode == 0, (method, url)
    return answer


def _json(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def _form(data: bytes) -> tuple[bytes, str]:
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.xlsx"\r\n\r\n'
    return head + data + b"\r\n--x--\r\n", "multipart/form-data; boundary=x"


async def measure() -> dict[str, tuple[float, float]]:
    """Return, for each operation, the median and the maximum of the longest stall of each run, in ms."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        async with open_door(Path(directory)) as door, served(door) as base:
            await door.add()
            token = await door.server.sessions.open(1, 3600)
            watch = Watch()
            watching = asyncio.create_task(watch.run())

            async def timed(name: str, *request: Any) -> bytes:
                await asyncio.sleep(0.2)
                watch.worst = 0.0
                answer = await _ask(*request)
                found.setdefault(name, []).append(watch.worst * 1000)
                return answer

            url = f"{base}/cookies/shop/rules"
            for run in range(RUNS):
                body = _json({"rules": rules(RULES, salt=str(run))})
                await timed("at rest", "GET", f"{base}/health/live", token)
                await timed("previewed", "PUT", f"{url}?dry_run=1", token, body)
                await timed("replaced", "PUT", url, token, body)
                await timed("read, 1,000 at once", "GET", f"{url}?limit=1000", token)
                plain = {f"词{place}{run}": f"这是第 {place} 条回复" for place in range(RULES)}
                await _ask("PUT", url, token, b'{"rules": []}')
                await timed("5,000 old keywords", "POST", f"{base}/keywords/shop", token, _json({"keywords": plain}))
                sheet = await timed("old Excel file made", "GET", f"{base}/keywords-export/shop", token)
                form, kind = _form(sheet)
                await timed("old Excel file taken", "POST", f"{base}/keywords-import/shop", token, form, kind)
            watching.cancel()
    return {name: (statistics.median(values), max(values)) for name, values in found.items()}


def main() -> None:
    """Measure and print the figures."""
    set_apart_what_is_loaded()  # as ``shoal serve`` does
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    for name, (median, worst) in asyncio.run(measure()).items():
        print(f"{name:28} {median:7.1f} ms median of {RUNS}, {worst:7.1f} ms longest")


if __name__ == "__main__":
    main()
