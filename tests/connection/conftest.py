"""Fixtures of a shop over the real wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connection.counters import Counter, opened
from support.runs.quick_start import blank_database
from support.site.sandboxed import Sandbox, Shoal, standing_sandbox


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, what the site knows of an item comes in time for an answer about it."""
    monkeypatch.setattr("shoal.server.open_connections.ITEM_SECONDS", 60.0)


@pytest.fixture
async def sandbox(request: pytest.FixtureRequest) -> AsyncIterator[Sandbox]:
    """A strict sandbox in this process, on a socket of its own, without what the test's mark ``lenient`` names.

    What another rule saw fails the test at its end: we never send what no browser sends.
    """
    mark = request.node.get_closest_marker("lenient")
    async with standing_sandbox(*(mark.args if mark else ()), **(mark.kwargs if mark else {})) as standing:
        yield standing


@pytest.fixture
async def shoal(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Shoal]:
    """An open Shoal over that sandbox, with what the test's mark ``settings`` names."""
    await blank_database(tmp_path / "data")
    instance = Shoal(sandbox, tmp_path / "data")
    mark = request.node.get_closest_marker("settings")
    await instance.open(**(mark.kwargs if mark else {}))
    yield instance
    await instance.close()


@pytest.fixture
async def counter(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> AsyncIterator[Counter]:
    """The shop, and a chat whose buyer's message is not answered."""
    mark = request.node.get_closest_marker("settings")
    async with opened(sandbox, tmp_path / "data", **(mark.kwargs if mark else {})) as door:
        seller = next(iter(sandbox.world.sellers.values()))
        cookie = sandbox.world.cookie_header(seller)
        added = await door.call("POST", "/cookies", json={"id": "shop", "value": cookie})
        assert added["state"] == "running"
        said = await sandbox.do("say", account=seller.unb, buyer="小鱼", text="在吗")
        async with asyncio.timeout(60):
            while not (await door.call("GET", "/messages", params={"decision": "no_rule"}))["items"]:
                await asyncio.sleep(0.02)
        yield Counter(door, sandbox, seller.unb, said["cid"], said["buyer_id"])
