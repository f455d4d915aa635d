"""Several workers of one parent: one is killed, the parent is killed, and all end in order."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import SIGHUP, SIGKILL
from typing import Any

import httpx
import psutil
import pytest

from benchmarks.processes import SandboxProcess, ServerProcess, clean_environment, soon
from outside.node_pair import SELDOM
from shoal.accounts.ownership import SHARDS
from support.databases.postgres_server import Postgres
from support.network.certificates import certificate
from support.runs.warm_start import ran

pytestmark = [pytest.mark.outside, pytest.mark.slow, pytest.mark.timeout(600)]
SHOPS = 3
TOKEN = "scrape-me-if-you-can"


@asynccontextmanager
async def a_server(tmp_path: Path, postgres: Postgres) -> AsyncIterator[tuple[ServerProcess, SandboxProcess]]:
    """A server with two workers and some shops, all connected. Its lease is longer than any wait of these tests."""
    site = await SandboxProcess(tmp_path / "sandbox.log").start(shops=SHOPS)
    with postgres.database(migrated=True) as url:
        server = ServerProcess(
            tmp_path / "one", site.url, SHOAL_DATABASE_URL=url, SHOAL_SECRET_KEY="5a" * 32,
            SHOAL_NODE_LEASE_SECONDS="300", SHOAL_METRICS_TOKEN=TOKEN,
        )  # fmt: skip
        server.options = ("--node", "one", "--workers", "2")
        try:
            await server.start()
            for number, seller in enumerate((await site.get("sellers"))["items"]):
                await server.add(f"shop{number}", seller["cookie"], wait=0)
            await all_connected(site)
            yield server, site
        finally:
            await server.close()
            await site.end()


async def all_connected(site: SandboxProcess) -> None:
    async def is_so() -> bool:
        found = await site.get("sockets")
        return len(found) == SHOPS and all(one["now"] == 1 for one in found.values())

    await soon(is_so, every_seconds=SELDOM)


async def shared_out(server: ServerProcess) -> None:
    """Wait until both workers live and own some shards."""

    async def is_so() -> bool:
        try:
            items = (await server.ok("GET", "/system/nodes"))["items"]
        except httpx.TransportError:  # the worker that had the connection was killed
            return False
        return {one["name"] for one in items if one["live"] and one["shards"]} >= {"one/1", "one/2"}

    await soon(is_so, every_seconds=SELDOM)


def workers(server: ServerProcess) -> list[psutil.Process]:
    return psutil.Process(server.child.pid).children()


async def test_the_shops_of_a_killed_worker_go_on_at_once_and_one_page_has_the_figures_of_all(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_server(tmp_path, postgres) as (server, site):
        await shared_out(server)
        before = workers(server)
        assert len(before) == 2
        before[1].suspend()
        for _ in range(10):  # the other one takes every connection
            async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
                assert (await client.get("/health")).status_code == 200
        before[1].resume()
        before[0].kill()

        async def is_replaced() -> bool:
            return len({one.pid for one in workers(server)} - {one.pid for one in before}) == 1

        await soon(is_replaced)
        await shared_out(server)  # the killed one was declared dead, and its next life took its share
        await all_connected(site)
        most = {one["max"] for one in (await site.get("sockets")).values()}
        assert most == {1}, "no shop was ever connected twice"

        async def both_tell() -> bool:
            page = (await server.http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})).text
            lines = page.splitlines()
            assert len([line for line in lines if line.startswith("# TYPE")]) == len(
                {line.split()[2] for line in lines if line.startswith("# TYPE")}
            ), "each family is described once"
            assert all('worker="' in line for line in lines if line and not line.startswith("#"))
            return 'worker="1"' in page and 'worker="2"' in page

        await soon(both_tell)
        assert (await server.http.post("/system/nodes/one/drain")).json()["code"] == "last_node", (
            "both would be drained"
        )
        token = str(server.http.headers["Authorization"]).removeprefix("Bearer ")
        told = await ran(("-m", "shoal", "nodes", "list"), clean_environment(SHOAL_URL=server.url, SHOAL_TOKEN=token))
        names = [line.split()[0] for line in told.stdout.splitlines() if "one" in line]
        assert names == ["one", "one/1", "one/2"], told
        begun = (await server.http.post("/qr-logins", json={})).json()
        for _ in range(6):  # each over a connection of its own, to whichever worker takes it
            async with httpx.AsyncClient(base_url=server.url, headers=server.http.headers, timeout=60) as client:
                found = await client.get(f"/qr-logins/{begun['id']}")
            assert (found.status_code, found.json()["id"]) == (200, begun["id"])


async def test_a_worker_that_dies_while_its_server_is_drained_takes_no_shop_when_it_is_started_again(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_server(tmp_path, postgres) as (server, site):
        await shared_out(server)
        shared = ("SHOAL_DATABASE_URL", "SHOAL_SECRET_KEY", "SHOAL_NODE_LEASE_SECONDS")
        other = ServerProcess(tmp_path / "two", site.url, **{name: server.environment[name] for name in shared})
        other.options = ("--node", "two")

        async def facts() -> dict[str, dict[str, Any]]:
            return {one["name"]: one for one in (await other.ok("GET", "/system/nodes"))["items"]}

        try:
            await other.start()
            await other.ok("POST", "/system/nodes/one/drain")
            before = await facts()
            workers(server)[0].kill()

            def again(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
                return [one for name, one in found.items() if one["started_at"] != before[name]["started_at"]]

            async def is_there_again_and_nothing_is_free() -> bool:
                living = {name: one for name, one in (await facts()).items() if one["live"]}
                owned = sum(one["shards"] for one in living.values())
                return (len(living), len(again(living)), owned) == (3, 1, SHARDS)

            await soon(is_there_again_and_nothing_is_free)
            told = await facts()
            assert [one["shards"] for one in again(told)] == [0]
            assert [told[name]["draining"] for name in ("one/1", "one/2", "two")] == [True, True, False]
            await other.ok("DELETE", "/system/nodes/one/drain")
            await shared_out(server)
        finally:
            await other.close()


async def test_workers_end_with_a_killed_parent_and_the_next_one_starts_without_waiting(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with a_server(tmp_path, postgres) as (server, site):
        left = workers(server)
        await server.end(SIGKILL)
        await server.start()
        with suppress(psutil.NoSuchProcess):
            assert not [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        await all_connected(site)
        most = {one["max"] for one in (await site.get("sockets")).values()}
        assert most == {1}, "no shop was ever connected twice"
        left = workers(server)
        assert await server.end() == 0
        assert not [one for one in left if one.is_running()]


async def test_a_renewed_certificate_is_read_by_all_workers(tmp_path: Path, postgres: Postgres) -> None:
    def renewed() -> ssl.SSLContext:
        _, trusting = certificate(tmp_path, "localhost")
        (tmp_path / "localhost.pem").chmod(0o600)
        return trusting

    pem, first = str(tmp_path / "localhost.pem"), renewed()
    with postgres.database(migrated=True) as url:
        server = ServerProcess(
            tmp_path / "one", "http://127.0.0.1:9", SHOAL_DATABASE_URL=url, SHOAL_SECRET_KEY="5a" * 32,
            SHOAL_TLS_CERT=pem, SHOAL_TLS_KEY=pem,
        )  # fmt: skip
        server.options = ("--node", "one", "--workers", "2")
        await server.http.aclose()
        address = f"https://localhost:{server.port}"
        server.http = httpx.AsyncClient(base_url=address, verify=first, timeout=60)
        try:
            await server.start()
            await shared_out(server)
            second = renewed()
            server.child.send_signal(SIGHUP)

            async def all_show_it() -> bool:
                try:
                    for _ in range(8):  # each over a connection of its own, to whichever worker takes it
                        async with httpx.AsyncClient(base_url=address, verify=second, timeout=60) as client:
                            assert (await client.get("/health/live")).status_code == 200
                except httpx.ConnectError:
                    return False
                return True

            await soon(all_show_it, every_seconds=SELDOM)
        finally:
            await server.close()


@pytest.mark.parametrize(
    ("options", "told"),
    [((), "--node"), (("--node", "one"), "PostgreSQL")],
)
async def test_workers_that_could_not_share_the_shops_are_refused(
    tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    environment = clean_environment(SHOAL_DATA_DIR=str(tmp_path))
    ended = await asyncio.wait_for(ran(("-m", "shoal", "serve", "--workers", "2", *options), environment), 60)
    assert ended.returncode == 2
    assert told in ended.stderr


async def test_a_server_whose_first_worker_cannot_start_says_so_once_and_ends(
    tmp_path: Path, postgres: Postgres
) -> None:
    environment = clean_environment(SHOAL_DATA_DIR=str(tmp_path), SHOAL_DATABASE_URL=postgres.url("nobody_made_this"))
    serve = ("-m", "shoal", "serve", "--node", "one", "--workers", "2")
    ended = await asyncio.wait_for(ran(serve, environment), 60)
    assert ended.returncode in {1, 2}
    assert ended.stderr.count("shoal: ") == 1
