"""Two servers on one PostgreSQL, with the same shops, against one sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import SandboxProcess, ServerProcess, soon
from support.databases.postgres_server import Postgres

LEASE_SECONDS = "4"
SHOPS = 3
FIRST_SHOP = 18
"""The shards of shops 18 to 20 are 125, 519 and 186 of 1024: of two servers one runs two of them and the other one,
which is among the first that a server gives to one that joins.
"""
SELDOM = 0.5
"""These waits are as long as a lease: to ask twenty times a second was most of what a test cost."""


@dataclass
class Pair:
    """Two servers with the same shops, and the site."""

    site: SandboxProcess
    sellers: dict[str, dict[str, Any]]
    one: ServerProcess
    two: ServerProcess

    async def run_at(self, server: ServerProcess) -> set[str]:
        """The shops that run at one of them."""
        rows = await server.ok("GET", "/cookies/details")
        here = ("running", server.data_dir.name)
        return {row["id"] for row in rows if (row["state"], row["node"]) == here}

    async def all_at(self, server: ServerProcess) -> None:
        """Wait until one of them runs all shops."""

        async def is_so() -> bool:
            return await self.run_at(server) == set(self.sellers)

        await soon(is_so, every_seconds=SELDOM)

    async def shared_out(self) -> None:
        """Wait until each runs some, and together they run all."""

        async def is_so() -> bool:
            here, all_shops = await self.run_at(self.one), set(self.sellers)
            return set() < here < all_shops and await self.run_at(self.two) == all_shops - here

        await soon(is_so, every_seconds=SELDOM)

    async def answers(self) -> list[list[str]]:
        """What the buyer of each shop has seen."""
        return [await self.site.seen(seller["unb"], "小鱼") for seller in self.sellers.values()]

    async def ask(self, words: str, seen: list[str]) -> None:
        """Ask each shop something, and wait until its buyer has seen this."""
        for seller in self.sellers.values():
            await self.site.do("say", account=seller["unb"], buyer="小鱼", text=words)

        async def is_so() -> bool:
            for seller in self.sellers.values():
                if await self.site.seen(seller["unb"], "小鱼") != seen:
                    return False
            return True

        await soon(is_so, every_seconds=SELDOM)


@asynccontextmanager
async def a_pair(
    tmp_path: Path, postgres: Postgres, lease_seconds: str = LEASE_SECONDS, *, shops: int = SHOPS
) -> AsyncIterator[Pair]:
    """Both servers, not started yet."""
    site = await SandboxProcess(tmp_path / "sandbox.log").start(shops=shops)
    items = (await site.get("sellers"))["items"]
    sellers = {f"shop{number}": seller for number, seller in enumerate(items, FIRST_SHOP)}
    with postgres.database(migrated=True) as url:
        shared = {"SHOAL_DATABASE_URL": url, "SHOAL_SECRET_KEY": "5a" * 32, "SHOAL_NODE_LEASE_SECONDS": lease_seconds}
        one, two = (ServerProcess(tmp_path / name, site.url, SHOAL_NODE=name, **shared) for name in ("one", "two"))
        for server in (one, two):
            server.environment["SHOAL_NODE_ADDRESS"] = server.url
        try:
            yield Pair(site, sellers, one, two)
        finally:
            await asyncio.gather(one.close(), two.close())  # in turn, the second would take the shops of the first
            await site.end()
