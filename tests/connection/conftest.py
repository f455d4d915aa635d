"""Fixtures of a shop over the real wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from quick_start import blank_database
from sandboxed import Sandbox, Shoal
from shoal.sandbox import World, build_sandbox, serve_sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox in this process, on a socket of its own."""
    world = World(seed=5, shops=3)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_sandbox(app=build_sandbox(world), ready=ready))
    async with aiohttp.ClientSession() as http:
        yield Sandbox(await ready, world, http)
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def shoal(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Shoal]:
    """An open Shoal over that sandbox, with what the test's mark ``settings`` names."""
    await blank_database(tmp_path / "data")
    instance = Shoal(sandbox, tmp_path / "data")
    mark = request.node.get_closest_marker("settings")
    await instance.open(**(mark.kwargs if mark else {}))
    yield instance
    await instance.close()
