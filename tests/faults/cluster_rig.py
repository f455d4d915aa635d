"""Several real servers on one PostgreSQL with many shops, whose buyers ask and pay without a pause.

Each server may be reached over a link to the database that can be cut, and is a process that can be killed or frozen.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg

from benchmarks.processes import SandboxProcess, ServerProcess, soon
from faults.cluster_judge import Judge
from faults.delivery_count import THANKS, Bought, unit_text
from shoal.accounts.ownership import SHARDS
from support.databases.database_link import DatabaseLink
from support.databases.postgres_server import Postgres

GOODS = "M"
SETUPS_AT_ONCE = 16
AT_THE_STRIKE = 2
SOON_SECONDS = 600.0
_OWNED = """
    SELECT accounts.id FROM shards JOIN accounts USING (shard)
    JOIN nodes ON nodes.name = shards.owner AND nodes.inc = shards.owner_inc
    WHERE nodes.name = ANY(%s) AND NOT nodes.dead
"""
_WITHOUT_OWNER = """
    SELECT count(*) FROM shards WHERE NOT EXISTS (
        SELECT 1 FROM nodes WHERE nodes.name = shards.owner AND nodes.inc = shards.owner_inc AND NOT nodes.dead
        AND nodes.name || ':' || nodes.inc <> ALL(%s)
    )
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One question of a buyer who asks once."""

    unb: str
    buyer_id: str


@dataclass(kw_only=True)
class Cluster:
    """The servers, their shops, and the site. ``unbs``: each shop's seller number; ``items``: what it sells."""

    site: SandboxProcess
    postgres: Postgres
    url: str
    directory: Path
    lease_seconds: float
    judge: Judge
    nodes: dict[str, ServerProcess] = field(default_factory=dict)
    links: dict[str, DatabaseLink] = field(default_factory=dict)
    unbs: dict[str, str] = field(default_factory=dict)
    items: dict[str, str] = field(default_factory=dict)
    bought: list[Bought] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    extra: Mapping[str, str] = field(default_factory=dict)
    """More settings of every server."""
    struck: tuple[str, ...] = ()
    """The lives that were struck last."""
    parent: str = ""
    """The server that has ``workers``; empty: none has."""
    workers: int = 0
    _asking: psycopg.Connection[Any] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _numbers: Iterator[int] = field(default_factory=count)
    is_short: bool = False
    """Whether no step waits until a server has half of its share, which takes long, or a killed one is back.

    Few buyers come then, but some of the struck shops just before each strike.
    """

    def close(self) -> None:
        """Close what asks the database."""
        if self._asking is not None:
            self._asking.close()

    # ── servers ─────────────────────────────────────────────────────────────────────────────────────────────────

    def make(self, name: str, url: str, *options: str) -> ServerProcess:
        """Make a server that is not started. ``options``: of ``shoal serve``."""
        shared = {
            "SHOAL_DATABASE_URL": url,
            "SHOAL_SECRET_KEY": "5a" * 32,
            "SHOAL_NODE_LEASE_SECONDS": f"{self.lease_seconds:g}",
            "SHOAL_NODE": name,
            "SHOAL_ORDER_CALLS_PER_SECOND": "100",
            "SHOAL_SHOP_REPLIES_PER_MINUTE": "0",
            **self.extra,
        }
        server = ServerProcess(self.directory / name, self.site.url, **shared)
        server.environment["SHOAL_NODE_ADDRESS"] = server.url
        server.options = options
        self.nodes[name] = server
        return server

    def living(self, *but: str) -> ServerProcess:
        """Return a server that runs, and is none of those."""
        return next(server for name, server in self.nodes.items() if name not in but and server.is_running)

    def owners(self, *names: str) -> list[str]:
        """Return the names under which these servers, else all, own shards: those of workers where there are some."""
        return [
            owner
            for name in names or self.nodes
            for owner in ([f"{name}/{one}" for one in range(1, self.workers + 1)] if name == self.parent else [name])
        ]

    def worker(self, name: str) -> psutil.Process:
        """Return the process of a worker, such as ``one/2``, as its parent logged it last."""
        server, _, number = name.partition("/")
        log = self.nodes[server].log_file.read_text(encoding="utf-8")
        return psutil.Process(int(re.findall(rf"a worker serves .*process=(\d+) worker={number}\b", log)[-1]))

    # ── shops ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def open_shops(self, units: int) -> None:
        """Open all shops of the site at the first server, with so many units to sell."""
        server = self.living()
        goods = await server.ok("POST", "/goods", {"name": GOODS, "kind": "stock"})
        lines = [unit_text(GOODS, number) for number in range(units)]
        answer = await server.ok("POST", f"/goods/{goods['id']}/units", {"lines": lines})
        assert answer["taken"] == units, answer
        turns = asyncio.Semaphore(SETUPS_AT_ONCE)

        async def one(shop: str, seller: dict[str, Any]) -> None:
            async with turns:
                await server.add(shop, seller["cookie"], wait=0)
                await server.ok("POST", f"/keywords/{shop}", {"keywords": {"在吗": "在的"}})
                await server.ok("PATCH", f"/cookies/{shop}/settings", {"auto_confirm": True})
                parts = [{"text": "您的卡密：\n{codes}"}, {"text": THANKS}]
                rule = {"item_id": self.items[shop], "goods_id": goods["id"], "parts": parts, "confirm": "yes"}
                await server.ok("PUT", f"/cookies/{shop}/deliveries", {"rules": [rule]})

        sellers = {f"shop{number}": seller for number, seller in enumerate((await self.site.get("sellers"))["items"])}
        self.unbs = {shop: seller["unb"] for shop, seller in sellers.items()}
        self.items = {shop: seller["items"][0]["id"] for shop, seller in sellers.items()}
        await asyncio.gather(*(one(shop, seller) for shop, seller in sellers.items()))

    async def all_connected(self, *, seconds: float = SOON_SECONDS) -> None:
        """Wait until every shop has exactly one socket at the site."""

        async def is_so() -> bool:
            found = await self.site.get("sockets")
            return all(found.get(unb, {"now": 0})["now"] == 1 for unb in self.unbs.values())

        await soon(is_so, seconds=seconds, every_seconds=0.5)

    async def shared_among(self, *names: str) -> None:
        """Wait until exactly these servers own shards, each some with a shop, and each shard has an owner.

        Each has half of its share at least: what is struck next may be moving.
        """

        async def is_so() -> bool:
            rows = await self.rows("SELECT owner, count(*) FROM shards GROUP BY owner")
            least = min((count for _, count in rows), default=0)
            enough = 1 if self.is_short else SHARDS // len(names) // 2
            is_shared = {owner for owner, _ in rows} == set(names) and least >= enough
            return is_shared and all([await self.shops_of(name) for name in names])

        await soon(is_so, seconds=SOON_SECONDS, every_seconds=0.1)

    async def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the database itself."""

        def ask() -> list[tuple[Any, ...]]:
            if self._asking is None or self._asking.closed:
                self._asking = psycopg.connect(self.url.replace("+psycopg", ""), autocommit=True)
            return self._asking.execute(query, values or None).fetchall()

        async with self._turn:
            return await asyncio.to_thread(ask)

    async def shops_of(self, *names: str) -> frozenset[str]:
        """Return the seller numbers of the shops that these servers own."""
        return frozenset(self.unbs[row[0]] for row in await self.rows(_OWNED, list(names)))

    async def lives(self, *owners: str) -> tuple[str, ...]:
        """Return the present lives of these."""
        found = await self.rows("SELECT name || ':' || inc FROM nodes WHERE name = ANY(%s)", list(owners))
        return tuple(str(life) for (life,) in found)

    async def time_to_own(self, began: float) -> float:
        """Wait until every shard has a living owner that is none of the struck lives; return the seconds since then."""

        async def is_so() -> bool:
            try:
                return (await self.rows(_WITHOUT_OWNER, list(self.struck))) == [(0,)]
            except psycopg.OperationalError:  # the database is restarting
                return False

        await soon(is_so, seconds=SOON_SECONDS, every_seconds=0.02)
        return time.monotonic() - began

    # ── buyers ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def trade(self, per_second: float, chance: random.Random) -> None:
        """Let buyers ask and pay in turn until it is cancelled."""
        shops = list(self.unbs)
        while True:
            await self.one_buyer(chance.choice(shops), chance.choice(shops), chance.randint(1, 2))
            await asyncio.sleep(chance.expovariate(per_second))

    async def one_buyer(self, asked: str, paid: str, pieces: int) -> None:
        """Let a new buyer ask at one shop, and another one pay at another."""
        number = next(self._numbers)
        said = await self.site.do("say", account=self.unbs[asked], buyer=f"客人{number}", text="在吗")
        self.asked.append(Asked(unb=self.unbs[asked], buyer_id=said["buyer_id"]))
        about = {"account": self.unbs[paid], "buyer": f"买家{number}", "item": self.items[paid], "quantity": pieces}
        order = await self.site.do("pay", **about)
        facts = {"order_id": order["order_id"], "buyer_id": order["buyer_id"]}
        self.bought.append(Bought(shop=paid, unb=self.unbs[paid], goods=GOODS, wanted=pieces, **facts))

    async def buyers_at(self, unbs: Iterable[str]) -> None:
        """Let buyers ask and pay at some of these shops, all at once."""
        chosen = sorted(unbs)[:AT_THE_STRIKE]
        shops = [shop for shop, unb in self.unbs.items() if unb in chosen]
        await asyncio.gather(*(self.one_buyer(shop, shop, 2) for shop in shops))

    async def problems(self) -> list[dict[str, Any]]:
        """Return the orders that wait for their owner."""
        rows: list[dict[str, Any]] = (await self.living().ok("GET", "/orders?problem=true&limit=200"))["items"]
        return rows

    async def orders(self) -> dict[str, Any]:
        """Return the site's orders by id."""
        return {order["id"]: order for order in (await self.site.get("orders"))["items"]}


@asynccontextmanager
async def a_cluster(
    directory: Path,
    postgres: Postgres,
    names: tuple[str, ...],
    *,
    shops: int,
    lease_seconds: float,
    is_short: bool = False,
    workers: int = 0,
    **extra: str,
) -> AsyncIterator[Cluster]:
    """Make servers of these names, none of them started, on one site. ``workers``: of the first one.

    The last one has a link to the database, unless it is short: all of its traffic goes through this process.
    """
    site = await SandboxProcess(directory / "sandbox.log").start(shops=shops)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(site.end)
        url = stack.enter_context(postgres.database(migrated=True))
        cluster = Cluster(
            site=site, postgres=postgres, url=url, directory=directory, lease_seconds=lease_seconds,
            judge=Judge(site), extra=extra, is_short=is_short, parent=names[0] if workers else "", workers=workers,
        )  # fmt: skip
        stack.callback(cluster.close)
        for name in names:
            address = url
            if name == names[-1] and not is_short:
                link = cluster.links[name] = await stack.enter_async_context(DatabaseLink(url).open())
                address = link.url
            options = ("--workers", str(workers)) if name == cluster.parent else ()
            server = cluster.make(name, address, *options)
            stack.push_async_callback(_ended, server)
        yield cluster


async def _ended(server: ServerProcess) -> None:
    await server.http.aclose()
    await server.end_at_once()


async def answers(server: ServerProcess) -> bool:
    """Return whether a server is ready."""
    try:
        return (await server.http.get("/health/ready")).status_code == 200
    except httpx.TransportError:
        return False
