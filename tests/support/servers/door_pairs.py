"""Two servers on one PostgreSQL, each at a socket: the shop runs at one, and the other is asked about it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import free_port
from support.servers.doors import Door, open_door, served
from support.site.standins import until

KEY = "5a" * 32


@dataclass
class DoorPair:
    """``owner`` runs all shops; ``other`` joined second and runs none. ``port``: where the owner is asked."""

    owner: Door
    other: Door
    port: int

    @asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Let the owner hear the calls of the other."""
        with socket.create_server(("127.0.0.1", self.port)) as listener:
            async with served(self.owner, listener):
                yield

    async def followed(self, account_id: str = "shop") -> None:
        """Wait until both have published the same."""
        one, two = self.owner.server.manager.accounts, self.other.server.manager.accounts
        await until(lambda: one.get(account_id) == two.get(account_id))


@asynccontextmanager
async def open_door_pair(tmp_path: Path, url: str, **settings: Any) -> AsyncIterator[DoorPair]:
    """Both servers; the shop ``shop`` runs at the first, which is never asked to give anything up."""
    port = free_port()
    shared: dict[str, Any] = {"database_url": url, "secret_key": KEY, "node_lease_seconds": 300.0, **settings}
    async with AsyncExitStack() as stack:
        address = f"http://127.0.0.1:{port}"
        owner = await stack.enter_async_context(open_door(tmp_path / "b", node="b", node_address=address, **shared))
        await owner.add()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("shoal.cluster.handover.GIVEN_UP_AT_ONCE", 0)
            other = await stack.enter_async_context(open_door(tmp_path / "a", node="a", **shared))
            pair = DoorPair(owner, other, port)
            await pair.followed()
            yield pair
