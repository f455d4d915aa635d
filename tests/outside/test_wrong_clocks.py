"""A real server whose machine's clock is wrong, by libfaketime: nothing is deleted by age, and it says so."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from benchmarks.processes import SandboxProcess, ServerProcess, soon

FOUND = importlib.util.find_spec("libfaketime")
pytestmark = [
    pytest.mark.outside,
    pytest.mark.slow,
    pytest.mark.cold,
    pytest.mark.skipif(
        FOUND is None and not os.environ.get("CI"), reason="libfaketime has a wheel for Linux on x86-64 only"
    ),
]

TOKEN = "a token of the operator's monitoring"
DAY_SECONDS = 86_400
NOWHERE = "http://127.0.0.1:9"
CHILD = str(Path(__file__).with_name("wrong_clock_child.py"))
TABLES = ("journal", "ops", "state_moves", "messages", "chats", "security_notes", "sessions")


class WrongServer(ServerProcess):
    """A server whose wall clock shows ``ahead_seconds`` more than the true time; its steady clock is true."""

    command = (CHILD,)

    def __init__(self, data_dir: Path, sandbox_url: str, ahead_seconds: int) -> None:
        assert FOUND is not None
        assert FOUND.submodule_search_locations is not None
        library = Path(FOUND.submodule_search_locations[0], "vendor/libfaketime/src/libfaketime.so.1")
        self._shown = data_dir.parent / "clock"
        self.set_clock(ahead_seconds)
        super().__init__(
            data_dir,
            sandbox_url,
            SHOAL_METRICS_TOKEN=TOKEN,
            LD_PRELOAD=str(library),
            FAKETIME_TIMESTAMP_FILE=str(self._shown),
            FAKETIME_CACHE_DURATION="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            FAKETIME_FORCE_MONOTONIC_FIX="0",  # else threads that wait for Python's lock spin, ten times slower
            NO_FAKE_STAT="1",
        )

    def set_clock(self, ahead_seconds: int) -> None:
        """Set the machine's clock, as NTP or its administrator does while the server runs."""
        self._shown.write_text(f"{ahead_seconds:+d}\n")

    def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        with closing(sqlite3.connect(self.data_dir / "shoal.db")) as connection:
            return {table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES}  # noqa: S608

    async def skew_seconds(self) -> float | None:
        """What ``/metrics`` says of the clock."""
        answer = await self.http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        found = re.search(r"^shoal_clock_skew_seconds(?:\{.*\})? (\S+)$", answer.text, re.MULTILINE)
        return None if found is None else float(found[1])

    async def told(self) -> list[dict[str, Any]]:
        """The incidents of the clock, newest first."""
        answer = await self.http.get("/incidents", headers={"Accept-Language": "en"})
        assert answer.status_code == 200, answer.text
        return [one for one in answer.json()["items"] if one["kind"] == "clock_wrong"]

    def refusals(self) -> int:
        """How often old rows were looked for, and nothing was deleted because of the clock."""
        return self.log_file.read_text().count("nothing is deleted")


@asynccontextmanager
async def wrong_server(data_dir: Path, url: str, *, ahead_seconds: int) -> AsyncIterator[WrongServer]:
    server = await WrongServer(data_dir, url, ahead_seconds).start()
    try:
        yield server
    finally:
        await server.close()


async def opened_shop(server: WrongServer, sandbox: SandboxProcess) -> str:
    """A shop that answers. Its seller. Who signed in before the site told its time signs in once more."""
    seller = (await sandbox.get("sellers"))["items"][0]
    assert (await server.add("shop", seller["cookie"]))["state"] == "running"
    server.http.headers["Authorization"] = f"Bearer {await server.sign_in()}"
    await server.ok("POST", "/keywords/shop", {"keywords": {"在吗": "在的"}})
    return str(seller["unb"])


async def asked(sandbox: SandboxProcess, seller: str, *, answers: int) -> None:
    """A buyer asks, and is answered for so many times now."""
    await sandbox.do("say", account=seller, buyer="小鱼", text="在吗")

    async def is_answered() -> bool:
        return len(await sandbox.seen(seller, "小鱼")) >= answers

    await soon(is_answered, every_seconds=0.2)
    assert await sandbox.seen(seller, "小鱼") == ["在的"] * answers


async def is_wrong(server: WrongServer, words: str = "") -> bool:
    """Whether an incident of the clock goes on, and says that: until the site answers, it is of the stored data."""
    return any(one["closed_at_ms"] is None and words in one["detail"] for one in await server.told())


async def is_right(server: WrongServer) -> bool:
    return not await is_wrong(server)


async def looked_again(server: WrongServer) -> None:
    """Wait until old rows were looked for twice more: the second time began after this."""
    before = server.refusals()

    async def has_looked() -> bool:
        return server.refusals() >= before + 2

    await soon(has_looked, every_seconds=0.2)


async def left(server: WrongServer, before: dict[str, int]) -> dict[str, int]:
    """How many of those rows are still there, after what is deleted by age had its time."""
    await asyncio.sleep(2.5)
    return {table: min(count, before[table]) for table, count in server.rows().items()}


async def test_g22_a_server_that_starts_400_days_ahead_and_is_set_right_deletes_nothing(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    async with wrong_server(data_dir, sandbox.url, ahead_seconds=0) as server:
        seller = await opened_shop(server, sandbox)
        await asked(sandbox, seller, answers=1)
        assert await server.skew_seconds() == pytest.approx(0, abs=60)
        assert await server.told() == []
        session = server.http.headers["Authorization"]
        before = server.rows()
        assert before["messages"] >= 2
        assert min(before.values()) >= 1

    async with wrong_server(data_dir, sandbox.url, ahead_seconds=400 * DAY_SECONDS) as server:
        await soon(lambda: is_wrong(server, "The server's clock is wrong: it is 400 days ahead of Xianyu's"))
        await looked_again(server)
        assert await left(server, before) == before
        (told,) = await server.told()
        assert "nothing is deleted by age" in told["do"]
        assert await server.skew_seconds() == pytest.approx(400 * DAY_SECONDS, abs=60)
        answer = await server.http.get("/cookies/shop", headers={"Authorization": session})
        assert answer.status_code == 200, "who was signed in still is"
        await asked(sandbox, seller, answers=2)

        server.set_clock(0)
        await soon(lambda: is_right(server), every_seconds=0.5)
        assert await server.skew_seconds() == pytest.approx(0, abs=60)
        assert await left(server, before) == before
        await asked(sandbox, seller, answers=3)
        assert len(await server.told()) == 1, "one incident for all of it"


async def test_g22_without_the_site_the_newest_rows_contradict_the_clock(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    async with wrong_server(data_dir, NOWHERE, ahead_seconds=0) as server:
        session = server.http.headers["Authorization"]
        before = server.rows()
        assert before["sessions"] == 1

    async with wrong_server(data_dir, NOWHERE, ahead_seconds=400 * DAY_SECONDS) as server:
        await soon(lambda: is_wrong(server), every_seconds=0.5)
        await looked_again(server)
        assert await left(server, before) == before, "a sign-in deletes no session that it takes for expired"
        (told,) = await server.told()
        assert "400 days ahead of the newest data" in told["detail"]
        server.set_clock(0)
        await soon(lambda: is_right(server), every_seconds=0.5)
        assert await left(server, before) == before
        answer = await server.http.get("/me", headers={"Authorization": session})
        assert answer.status_code == 200, "it had not ended for good"


async def test_g22_a_machine_that_starts_in_1970_answers_each_buyer_once(
    sandbox: SandboxProcess, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    to_1970 = DAY_SECONDS - int(time.time())
    async with wrong_server(data_dir, sandbox.url, ahead_seconds=to_1970) as server:
        seller = await opened_shop(server, sandbox)
        await asked(sandbox, seller, answers=1)
        await soon(lambda: is_wrong(server, "behind Xianyu's"), every_seconds=0.5)
        (told,) = await server.told()
        assert told["opened_at_ms"] > time.time() * 1000 - 30 * DAY_SECONDS * 1000, "no row is of 1970"
        assert await server.skew_seconds() == pytest.approx(to_1970, abs=60)
        before = server.rows()

    async with wrong_server(data_dir, sandbox.url, ahead_seconds=to_1970) as server:
        await asked(sandbox, seller, answers=2)
        await looked_again(server)
        server.set_clock(0)
        await soon(lambda: is_right(server), every_seconds=0.5)
        await asked(sandbox, seller, answers=3)
        assert await left(server, before) == before
