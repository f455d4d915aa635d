"""The port for Prometheus on this machine: figures without a token, for this machine under its own names only."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from shoal.config import Settings
from shoal.errors import ConfigError
from shoal.server import reply_server
from shoal.server.metrics_port import bind_for_metrics, serving_metrics
from support.site.standins import quick_settings


async def figures() -> bytes:
    return b"shoal_tasks 3.0\n"


@asynccontextmanager
async def scraping() -> AsyncIterator[tuple[aiohttp.ClientSession, int]]:
    async with (
        serving_metrics(figures, bind_for_metrics(0)) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        yield client, port


async def test_a_scraper_on_this_machine_gets_the_figures_and_nothing_else_is_there() -> None:
    async with (
        serving_metrics(figures, bind_for_metrics(0)) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        async with client.get("/metrics") as answer:
            assert (answer.status, await answer.text()) == (200, "shoal_tasks 3.0\n")
            assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        for method, path, status in (("GET", "/", 404), ("GET", "/cookies", 404), ("POST", "/metrics", 405)):
            async with client.request(method, path) as answer:
                assert answer.status == status, path


async def test_a_page_under_another_name_that_leads_here_gets_nothing() -> None:
    async with (
        serving_metrics(figures, bind_for_metrics(0)) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        for host, status in (("evil.example", 403), (f"evil.example:{port}", 403), (f"localhost:{port}", 200)):
            async with client.get("/metrics", headers={"Host": host}) as answer:
                assert answer.status == status, host


async def test_a_port_in_use_is_said_and_the_port_is_free_again_afterwards() -> None:
    async with serving_metrics(figures, bind_for_metrics(0)) as port:
        with pytest.raises(ConfigError, match="SHOAL_METRICS_PORT"):
            bind_for_metrics(port)
    async with serving_metrics(figures, bind_for_metrics(port)) as again:
        assert again == port


async def test_a_first_start_that_cannot_have_its_port_or_its_package_stores_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bind_for_metrics(0) as taken:
        taken.listen()
        settings = quick_settings(data_dir=tmp_path / "data", metrics_port=taken.getsockname()[1])
        await _refused(settings, "SHOAL_METRICS_PORT")
    monkeypatch.setitem(sys.modules, "shoal.server.otlp", None)  # as if its package were missing
    await _refused(quick_settings(data_dir=tmp_path / "data", otlp_endpoint="http://127.0.0.1:9"), "otel")
    assert not (tmp_path / "data").exists()


async def _refused(settings: Settings, why: str) -> None:
    app = reply_server.build_app(settings)
    with pytest.raises(ConfigError, match=why):
        async with app.router.lifespan_context(app):
            pass
