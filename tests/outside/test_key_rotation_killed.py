"""The real server takes a new key under a storm of changes and is killed on the way: every secret opens afterwards."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import httpx
import pytest

from benchmarks.processes import ServerProcess
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.sealed_values import count_by_key
from shoal.storage.vault import key_id, read_key_file
from support.databases.store_steps import an_account, created
from support.runs.quick_start import blank_database
from support.site.standins import cookie_of, unb_of

pytestmark = pytest.mark.outside
SHOPS = 400
NOWHERE = "http://127.0.0.1:9"


async def fill(data_dir: Path) -> None:
    """Shops that are switched off, each with a cookie and a proxy."""
    await blank_database(data_dir)
    async with Database(data_dir) as database:
        manager = DBManager(database, await open_vault(database, data_dir / "secret.key"))
        shops = (
            an_account(f"shop{n}", unb=unb_of(n), cookie=cookie_of(n), proxy=proxy_of(n, 0), enabled=False)
            for n in range(SHOPS)
        )
        await created(manager, *shops)


def proxy_of(number: int, turn: int) -> str:
    return f"http://shop{number}:password{turn}@proxy.example.com:8080"


class Storm:
    """Changes of proxies and cookies until the server goes: what was asked for, and what was acknowledged."""

    def __init__(self) -> None:
        self.asked: dict[int, list[int]] = {n: [0] for n in range(SHOPS)}
        self.acknowledged: dict[int, int] = dict.fromkeys(range(SHOPS), 0)
        self._turn = 0

    async def rage(self, server: ServerProcess) -> None:
        dice = random.Random(self._turn)
        while True:
            self._turn += 1
            number, turn = dice.randrange(SHOPS), self._turn
            self.asked[number].append(turn)
            body = {"proxy": proxy_of(number, turn)}
            try:
                answer = await server.http.patch(f"/cookies/shop{number}/settings?wait=0", json=body)
                if answer.status_code == 200:
                    self.acknowledged[number] = turn
                renewed = {"id": f"shop{number}", "value": cookie_of(number, secret=f"turn{turn}x")}
                await server.http.put(f"/cookies/shop{number}?wait=0", json=renewed)
            except httpx.TransportError:
                return

    def may_be(self, number: int) -> set[str]:
        """The acknowledged proxy, or one that was asked for later."""
        return {proxy_of(number, turn) for turn in self.asked[number] if turn >= self.acknowledged[number]}


async def reach_the_middle(server: ServerProcess) -> bool:
    """Wait until some values have the new key and others the old one; False when it was faster than we look."""
    while True:
        seen = await server.ok("GET", "/system/keys")
        if not seen["rotating"]:
            return False
        if 0 < seen["renewed"] < seen["total"]:
            return True


def keys_of(data_dir: Path) -> list[bytes]:
    return read_key_file(data_dir / "secret.key", required=True)


async def test_a_server_killed_while_it_rotates_loses_no_secret_and_leaves_none_under_the_old_key(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "data"
    await fill(data_dir)
    (oldest,) = keys_of(data_dir)
    server, storm = ServerProcess(data_dir, NOWHERE), Storm()
    try:
        await server.start()
        raging = [asyncio.create_task(storm.rage(server)) for _ in range(3)]
        await server.ok("POST", "/system/keys/rotate")
        while not await reach_the_middle(server):
            await server.ok("POST", "/system/keys/rotate")  # it was over before we looked
        await server.end(signal.SIGKILL)
        await asyncio.gather(*raging)
        await server.start()
        async with asyncio.timeout(60):
            while (seen := await server.ok("GET", "/system/keys"))["rotating"]:
                await asyncio.sleep(0.05)
        assert (seen["renewed"], seen["unreadable"]) == (2 * SHOPS, 0), seen
        assert len((await server.ok("POST", "/system/keys/forget"))["keys"]) == 1
    finally:
        await server.close()
    (newest,) = keys_of(data_dir)
    assert newest != oldest
    async with Database(data_dir) as database:
        assert set(await database.read(count_by_key)) == {key_id(newest)}
        found = (await DBManager(database, await open_vault(database, data_dir / "secret.key")).load()).accounts
    assert len(found) == SHOPS
    for number in range(SHOPS):
        assert found[f"shop{number}"].proxy in storm.may_be(number)
