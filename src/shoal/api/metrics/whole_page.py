"""One page of figures for all workers of a server: each sample says whose it is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from shoal.errors import ShoalError

if TYPE_CHECKING:
    from shoal.api.metrics.metrics import Metrics
    from shoal.api.server import Server

log = structlog.get_logger("shoal.metrics")

FIGURES: Final = "figures"
SECONDS: Final = 5.0
"""How long another worker may take; without its answer the page lacks its figures, as if it were down."""


async def whole_page(server: Server, metrics: Metrics) -> bytes:
    """Return the figures of this server; of a worker, those of all workers of its parent, each with its number."""
    nodes, mine = server.nodes, await metrics.scraped()
    if nodes.calls is None or nodes.worker is None:
        return mine
    others = await nodes.other_workers()
    pages = {nodes.worker: mine.decode()}
    for name, page in zip(others, await asyncio.gather(*(_asked(server, name) for name in others)), strict=True):
        if page:
            pages[name.rpartition("/")[2]] = page
    return merged(pages).encode()


async def _asked(server: Server, name: str) -> str:
    calls = server.nodes.calls
    try:
        return str((await calls.ask_node(name, FIGURES, {}, seconds=SECONDS))["page"]) if calls is not None else ""
    except ShoalError as error:
        log.warning("a worker does not tell its figures", node=name, why=error.code)
        return ""


async def answer_figures(server: Server, _: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of this worker alone."""
    figures = server.nodes.figures
    return {"page": "" if figures is None else (await figures()).decode()}


def merged(pages: Mapping[str, str]) -> str:
    """Return one page of several, by worker: the samples of a family stand together, below its description."""
    descriptions: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for worker, page in sorted(pages.items()):
        family = ""
        for line in page.splitlines():
            if line.startswith("# HELP "):
                family = line.split(" ", 3)[2]
                samples.setdefault(family, [])
                descriptions.setdefault(family, [line])
            elif line.startswith("# TYPE "):
                if len(descriptions[family]) == 1:
                    descriptions[family].append(line)
            elif line and not line.startswith("#"):
                samples[family].append(_of_worker(line, worker))
    return "".join(f"{line}\n" for family, lines in samples.items() for line in [*descriptions[family], *lines])


def _of_worker(sample: str, worker: str) -> str:
    """Return a sample with the label of its worker."""
    name, brace, rest = sample.partition("{")
    if brace and " " not in name:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
