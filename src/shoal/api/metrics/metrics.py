"""What a scrape gets: the server's own figures, and those of its process and of Python's garbage collector."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.exposition import generate_latest

from shoal.api.metrics.collector import ServerCollector
from shoal.api.metrics.loop_lag import LoopLag
from shoal.api.metrics.stored_figures import WAIT_SECONDS, KeptFigures
from shoal.api.server import Server
from shoal.concurrency.single_flight import SingleFlight
from shoal.storage.database_stats import free_bytes


class Metrics:
    """The figures of one server, from ``start`` to ``close``. Nothing is kept for them but how late the loop is."""

    def __init__(self, server: Server) -> None:
        self._lag = LoopLag()
        self._stored = KeptFigures(server.database, server.database_stats, server.nodes.shows_database)
        look = partial(asyncio.to_thread, free_bytes, server.settings.data_dir)
        self._disk = SingleFlight(look, name="free disk")
        self._collector = ServerCollector(server, self._lag)
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self._collector)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def start(self) -> None:
        """Begin to look how late the loop is."""
        self._lag.start()

    async def close(self) -> None:
        """Stop."""
        await self._lag.close()
        await self._stored.close()
        await self._disk.close()

    async def scraped(self) -> bytes:
        """Return all figures in Prometheus' text format."""
        self._collector.stored = await self._stored.newest()
        self._collector.disk_free = None
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                self._collector.disk_free = await self._disk.result()
        return generate_latest(self._registry)
