"""What the tests of the console share: a door, and a browser's way of asking."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from support.servers.doors import Door, layered, started_door

PASSWORD = "correct horse battery"


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    """A server with one account, ``shop``, and a known password."""
    async with started_door(tmp_path / "data", admin_password=PASSWORD) as opened:
        await opened.add()
        yield opened


@pytest.fixture
async def browser(door: Door) -> AsyncIterator[httpx.AsyncClient]:
    """A page of the console on this machine: it keeps cookies and says where it came from."""
    async with page_of(door) as client:
        yield client


def page_of(door: Door, base: str = "http://localhost:8080", *, address: str = "127.0.0.1") -> httpx.AsyncClient:
    """A page that was served from ``base`` to a browser at ``address``."""
    transport = httpx.ASGITransport(app=layered(door.app), raise_app_exceptions=False, client=(address, 40_000))
    return httpx.AsyncClient(transport=transport, base_url=base, headers={"Origin": base})


async def sign_in(client: httpx.AsyncClient, password: str = PASSWORD) -> httpx.Response:
    """Sign in by the form of the console."""
    return await client.post("/console/session", json={"name": "admin", "password": password})
