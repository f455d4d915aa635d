"""The address of the operator's choice is called while the server is ready, by the guard, and its secret stays one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from shoal.network.outbound import Outbound
from shoal.sandbox import World, build_sandbox
from shoal.server.heartbeat_calls import HeartbeatCalls
from support.servers.served import served
from support.site.standins import until


@dataclass
class Heard:
    """What was called, and what is answered."""

    paths: list[str] = field(default_factory=list)
    status: int = 200
    ready: bool = True
    asked: int = 0

    async def is_ready(self) -> bool:
        self.asked += 1
        return self.ready


@asynccontextmanager
async def calling(**options: Any) -> AsyncIterator[tuple[Heard, list[Any]]]:
    """Calls every few milliseconds to a listener that notes them, with the log."""
    heard = Heard()

    async def answer(request: Request) -> Response:
        heard.paths.append(request.url.path)
        elsewhere = str(request.url.replace(path="/elsewhere"))
        return RedirectResponse(elsewhere) if heard.status == 307 else Response(status_code=heard.status)

    site: Starlette = build_sandbox(World(shops=1))
    site.router.routes.insert(0, Route("/{path:path}", answer))
    outbound = options.pop("outbound", Outbound.of("127.0.0.1"))
    with structlog.testing.capture_logs() as lines:
        async with served(site) as url:
            calls = HeartbeatCalls(f"{url}/canary", outbound, heard.is_ready, every_seconds=0.005)
            calls.start()
            try:
                yield heard, lines
            finally:
                await calls.close()


async def test_it_is_called_while_the_server_is_ready_and_only_then() -> None:
    async with calling() as (heard, lines):
        await until(lambda: len(heard.paths) >= 3)
        heard.ready = False
        asked = heard.asked
        await until(lambda: heard.asked >= asked + 2)  # from then on no call is under way
        called = len(heard.paths)
        await until(lambda: heard.asked >= asked + 6)
        assert len(heard.paths) == called
        heard.ready = True
        await until(lambda: len(heard.paths) > called)
        assert [line["event"] for line in lines] == ["the heartbeat is heard"]


@pytest.mark.parametrize("status", [500, 307])
async def test_an_address_that_does_not_answer_well_is_named_once_without_its_secret(status: int) -> None:
    async with calling() as (heard, lines):
        heard.status = status
        await until(lambda: any(line["log_level"] == "warning" for line in lines))
        asked = heard.asked
        await until(lambda: heard.asked >= asked + 4)
        heard.status = 200
        await until(lambda: lines[-1]["event"] == "the heartbeat is heard")
        assert len([line for line in lines if line["log_level"] == "warning"]) == 1
        assert not [line for line in lines if "canary" in str(line)]
        assert "/elsewhere" not in heard.paths


async def test_the_guard_is_asked() -> None:
    async with calling(outbound=Outbound()) as (heard, lines):
        await until(lambda: bool(lines))
        assert (lines[0]["log_level"], heard.paths) == ("warning", [])


async def test_it_ends_with_the_server_also_during_a_call() -> None:
    async with calling() as (heard, _):
        await until(lambda: bool(heard.paths))
    before = len(heard.paths)
    await asyncio.sleep(0)
    assert len(heard.paths) == before
