"""The port for Prometheus on this machine: figures without a token, for this machine under its own names only."""

from __future__ import annotations

from typing import cast

import aiohttp
import pytest

from shoal.api.metrics.metrics import Metrics
from shoal.errors import ConfigError
from shoal.server.metrics_port import serving_metrics


class _Figures:
    async def scraped(self) -> bytes:
        return b"shoal_tasks 3.0\n"


FIGURES = cast("Metrics", _Figures())


async def test_a_scraper_on_this_machine_gets_the_figures_and_nothing_else_is_there() -> None:
    async with serving_metrics(FIGURES, 0) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        async with client.get("/metrics") as answer:
            assert (answer.status, await answer.text()) == (200, "shoal_tasks 3.0\n")
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        for method, path, status in (("GET", "/", 404), ("GET", "/cookies", 404), ("POST", "/metrics", 405)):
            async with client.request(method, path) as answer:
                assert answer.status == status, path


async def test_a_page_under_another_name_that_leads_here_gets_nothing() -> None:
    async with serving_metrics(FIGURES, 0) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        for host, status in (("evil.example", 403), (f"evil.example:{port}", 403), (f"localhost:{port}", 200)):
            async with client.get("/metrics", headers={"Host": host}) as answer:
                assert answer.status == status, host


async def test_a_port_in_use_is_said_and_the_port_is_free_again_afterwards() -> None:
    async with serving_metrics(FIGURES, 0) as port:
        with pytest.raises(ConfigError, match=str(port)):
            async with serving_metrics(FIGURES, port):
                pass
    async with serving_metrics(FIGURES, port) as again:
        assert again == port
