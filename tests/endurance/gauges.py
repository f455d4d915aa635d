"""What a long run measures of the server once a minute, and how fast it grows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from benchmarks.processes import ServerProcess

Sample = tuple[float, int, float, Mapping[str, Any]]
"""seconds of the run, which life of the server, seconds of that life, what was measured"""

WARM_UP_SECONDS: Final = 600.0
"""What a life of the server begins with is no growth."""
GAUGES: Final = {
    "memory": ("RSS", 1024 * 1024, "MiB"),
    "python": ("blocks of Python", 1000, "thousand"),
    "glibc": ("glibc, in use", 1024 * 1024, "MiB"),
    "glibc_free": ("glibc, free", 1024 * 1024, "MiB"),
    "mapped": ("mapped apart", 1024 * 1024, "MiB"),
    "sqlite": ("SQLite", 1024 * 1024, "MiB"),
    "handles": ("handles", 1, ""),
    "tasks": ("asyncio tasks", 1, ""),
    "threads": ("threads", 1, ""),
    "database": ("database", 1024 * 1024, "MiB"),
    "processor": ("processor", 1, "% of a core"),
}
OF_ALL_LIVES: Final = frozenset({"database"})
"""What a new life of the server does not begin anew."""


async def measured(server: ServerProcess, memory_file: Path) -> dict[str, float]:
    """Measure now; what the server does not tell is not in the answer. ``memory_file``: of a measured server."""
    found: dict[str, float] = {}
    with suppress(OSError, ValueError):
        found |= json.loads(memory_file.read_text(encoding="ascii"))  # noqa: ASYNC240  (a hundred bytes)
    try:
        process = psutil.Process(server.child.pid)
        with process.oneshot():
            found |= {"memory": process.memory_info().rss, "threads": process.num_threads()}
            with suppress(psutil.AccessDenied):  # the server allows no core, so that only root is told
                found["handles"] = process.num_fds()
    except (psutil.Error, AssertionError):
        return found
    try:
        status = await server.ok("GET", "/system/status")
    except (httpx.HTTPError, AssertionError):
        return found
    told = {"tasks": status["process"]["tasks"], "processor": status["process"]["cpu_percent"]}
    return found | told | {"database": status["store"]["size"]}


def slope_per_hour(samples: Iterable[Sample], name: str) -> float | None:
    """The growth by least squares, without each life's warm-up; the lives have a slope in common, and each its level.

    None when there is too little to tell.
    """
    lives: defaultdict[int, list[tuple[float, float]]] = defaultdict(list)
    for lived, life, age, figures in samples:
        if age >= WARM_UP_SECONDS and figures.get(name) is not None:
            lives[0 if name in OF_ALL_LIVES else life].append((lived / 3600, float(figures[name])))
    together = squares = 0.0
    for points in lives.values():
        mean_x, mean_y = (sum(column) / len(points) for column in zip(*points, strict=True))
        together += sum((x - mean_x) * (y - mean_y) for x, y in points)
        squares += sum((x - mean_x) ** 2 for x, _ in points)
    enough = sum(len(points) - 1 for points in lives.values()) >= 3
    return together / squares if enough and squares else None


def table(samples: list[Sample]) -> list[dict[str, Any]]:
    """Of each gauge the first after the warm-up, the last, the most and the slope, in units that people read."""
    rows = []
    for name, (title, unit, words) in GAUGES.items():
        values = [figures[name] / unit for _, _, _, figures in samples if figures.get(name) is not None]
        if not values:
            continue
        warm = [
            figures[name] / unit
            for _, _, age, figures in samples
            if age >= WARM_UP_SECONDS and figures.get(name) is not None
        ]
        slope = slope_per_hour(samples, name)
        rows.append(
            {
                "gauge": title,
                "unit": words,
                "first": round((warm or values)[0], 1),
                "last": round(values[-1], 1),
                "most": round(max(values), 1),
                "per_hour": None if slope is None else round(slope / unit, 2),
            }
        )
    return rows
