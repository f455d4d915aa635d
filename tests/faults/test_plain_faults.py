"""Plain faults of a machine, met by the real server: what it says, what stays as it was, how it mends by itself."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.processes import PASSWORD, SandboxProcess, ServerProcess, free_port, soon
from faults.durable import KEY_FILE, durable_in
from faults.full_disk import no_growth
from shoal.auth.sessions import token_hash
from shoal.errors import ShoalError
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.integrity_check import SMALL_BYTES
from support.databases.small_disks import mount_again, small_disk
from support.databases.store_steps import an_account, created
from support.runs.warm_start import served_once

pytestmark = [pytest.mark.outside, pytest.mark.timeout(900)]
NOT_MADE = {"not_applied", "store_degraded"}


async def open_shop(server: ServerProcess, sandbox: SandboxProcess) -> str:
    """One account that runs; its ``unb``."""
    seller = (await sandbox.get("sellers"))["items"][0]
    assert (await server.add("shop", seller["cookie"]))["state"] == "running"
    return str(seller["unb"])


async def change(server: ServerProcess, remark: str) -> httpx.Response:
    return await server.http.put(
        "/cookies/shop/remark", json={"remark": remark}, headers={"Idempotency-Key": f"say-{remark}"}
    )


async def assert_refused_without_a_trace(server: ServerProcess, aside: Path, remark: str, before: Any) -> None:
    """A change is refused, for certain or not; readers see the old value, and the file holds it."""
    answer = await change(server, remark)
    assert answer.status_code == 503, answer.text
    assert answer.json()["code"] in NOT_MADE | {"outcome_unknown"}
    now = await server.ok("GET", "/cookies/shop")
    assert (now["desired"], now["generation"]) == (before["desired"], before["generation"])
    if answer.json()["code"] in NOT_MADE:
        durable = await durable_in(server.data_dir, aside)
        assert durable.rows["shop"]["remark"] == before["desired"]["remark"]
        assert not [op_id for op_id in durable.ops if f"say-{remark}" in op_id]


async def assert_in_step(server: ServerProcess, aside: Path) -> None:
    """What is shown is what is stored."""
    shown = await server.ok("GET", "/cookies/shop")
    row = (await durable_in(server.data_dir, aside)).rows["shop"]
    assert (shown["desired"]["remark"], shown["generation"]) == (row["remark"], row["generation"])


async def mends(server: ServerProcess, remark: str) -> None:
    """Without anybody's help a change is accepted again, and the server says that it is ready."""

    async def accepted() -> bool:
        return (await change(server, remark)).status_code == 200

    async def is_ready() -> bool:
        return (await server.http.get("/health/ready")).status_code == 200

    await soon(accepted)
    await soon(is_ready)


async def serve_once(environment: dict[str, str]) -> str:
    """Start a server that must not start; what it said."""
    status, said = await served_once({**environment, "SHOAL_PORT": str(free_port())})
    assert status != 0, said
    assert "Traceback" not in said
    return said


# ── while it runs ───────────────────────────────────────────────────────────────────────────────────────────────────


async def signed_in_while_full(server: ServerProcess) -> str:
    """The token of a sign-in that the database did not take; by it everything is read."""
    answer = await server.http.post("/login", json={"username": "admin", "password": PASSWORD}, timeout=60)
    assert answer.json()["success"], answer.text
    token = str(answer.json()["token"])
    assert await is_in(server, token)
    return token


async def is_stored(server: ServerProcess, token: str) -> bool:
    """Whether the file holds that sign-in."""
    with closing(sqlite3.connect(server.data_dir / DATABASE_FILE)) as connection:
        found = connection.execute("SELECT count(*) FROM sessions WHERE token_hash = ?", (token_hash(token),))
        return bool(found.fetchone()[0])


async def is_in(server: ServerProcess, token: str) -> bool:
    """Whether a token lets in."""
    answer = await server.http.get("/cookies", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a running process are Linux's")
async def test_f3_a_disk_that_takes_no_writes_changes_nothing_and_it_mends_by_itself(
    server: ServerProcess, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    unb = await open_shop(server, sandbox)
    await server.ok("POST", "/keywords/shop", {"keywords": {"在吗": "在的"}})
    before = await server.ok("GET", "/cookies/shop")
    with no_growth(server.child.pid):
        await assert_refused_without_a_trace(server, tmp_path / "aside", "while-full", before)
        assert (await server.http.get("/health/ready")).status_code == 503
        await assert_refused_without_a_trace(server, tmp_path / "aside", "still-full", before)
        assert (await sandbox.sockets(unb))["now"] == 1  # connections stay
        new = await signed_in_while_full(server)
    await mends(server, "room-again")
    await soon(partial(is_stored, server, new))
    await assert_in_step(server, tmp_path / "aside")
    await sandbox.do("say", account=unb, buyer="小鱼", text="在吗")

    async def answered() -> bool:
        return await sandbox.seen(unb, "小鱼") == ["在的"]

    await soon(answered)
    assert (await sandbox.sockets(unb))["total"] == 1
    await server.end(signal.SIGKILL)
    await server.start()
    assert await is_in(server, new), "what was kept in memory was stored when there was room"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    with small_disk(tmp_path / "disk", "3m") as place:
        yield place


async def test_a_full_disk_changes_nothing_and_it_mends_by_itself(
    disk: Path, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    server = await ServerProcess(disk / "data", sandbox.url).start()
    try:
        unb = await open_shop(server, sandbox)
        with (disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))
        before, number = await server.ok("GET", "/cookies/shop"), 0
        while (answer := await change(server, f"{number}")).status_code == 200:  # the WAL has some room left
            before, number = await server.ok("GET", "/cookies/shop"), number + 1
            assert number < 1000
        assert answer.status_code == 503
        await assert_refused_without_a_trace(server, tmp_path / "aside", "while-full", before)
        assert (await server.http.get("/health/ready")).status_code == 503
        assert (await sandbox.sockets(unb))["now"] == 1
        (disk / "ballast").unlink()
        await mends(server, "room-again")
        await assert_in_step(server, tmp_path / "aside")
    finally:
        await server.close()


async def test_a_read_only_disk_stops_the_start_with_a_sentence(disk: Path, sandbox: SandboxProcess) -> None:
    server = await ServerProcess(disk / "data", sandbox.url).start()
    try:
        await open_shop(server, sandbox)
        await server.end()
        calls = await sandbox_calls(sandbox)
        await asyncio.to_thread(mount_again, disk, "ro")
        said = await serve_once(server.environment)
        assert "make it writable" in said
        assert await sandbox_calls(sandbox) == calls
        await asyncio.to_thread(mount_again, disk, "rw")
        await server.start()
    finally:
        await server.close()


async def test_a_database_that_another_program_locks_changes_nothing_and_it_mends_by_itself(
    server: ServerProcess, sandbox: SandboxProcess, tmp_path: Path
) -> None:
    await open_shop(server, sandbox)
    before = await server.ok("GET", "/cookies/shop")
    with closing(sqlite3.connect(server.data_dir / DATABASE_FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        await assert_refused_without_a_trace(server, tmp_path / "aside", "while-locked", before)
        other.execute("ROLLBACK")
    assert (await change(server, "free-again")).status_code == 200
    await assert_in_step(server, tmp_path / "aside")


async def test_a18_a_table_damaged_under_a_running_server_empties_nothing(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    unb = await open_shop(server, sandbox)
    before = await server.ok("GET", "/cookies/shop")
    with closing(sqlite3.connect(server.data_dir / DATABASE_FILE, isolation_level=None)) as other:
        other.execute("ALTER TABLE accounts RENAME TO elsewhere")
        assert (await server.http.post("/system/reload-cache")).status_code == 503
        assert (await change(server, "never")).status_code == 503
        now = await server.ok("GET", "/cookies/shop")
        assert (now["desired"], now["generation"], now["state"]) == (before["desired"], before["generation"], "running")
        assert (await sandbox.sockets(unb))["now"] == 1
        other.execute("ALTER TABLE elsewhere RENAME TO accounts")
    await mends(server, "whole-again")


# ── at the start ────────────────────────────────────────────────────────────────────────────────────────────────────


async def sandbox_calls(sandbox: SandboxProcess) -> int:
    """How often anybody called the site so far."""
    return int((await sandbox.get("calls"))["last_seq"]) + int((await sandbox.get("frames"))["last_seq"])


def spoil_page(path: Path, number: int, chance: random.Random) -> None:
    """Overwrite one page of a closed database with rubbish."""
    with closing(sqlite3.connect(path)) as connection:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((number - 1) * size)
        file.write(chance.randbytes(size))


def root_page(path: Path, table: str) -> int:
    """The first page of a table."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0])


def run_sql(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def lose_key(data_dir: Path) -> None:
    (data_dir / KEY_FILE).unlink()


def spoil_accounts(data_dir: Path) -> None:
    path = data_dir / DATABASE_FILE
    spoil_page(path, root_page(path, "accounts"), random.Random(1))


def spoil_large_file(data_dir: Path) -> None:
    """Damage an index that no start reads, in a file that is checked beside the first reads."""
    path = data_dir / DATABASE_FILE
    run_sql(path, "CREATE TABLE filler (row BLOB)", "INSERT INTO filler VALUES (zeroblob(40000000))")
    run_sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
    assert path.stat().st_size > SMALL_BYTES
    spoil_page(path, root_page(path, "ix_ops_at_ms"), random.Random(1))


DAMAGE: dict[str, tuple[Any, str]] = {
    "the accounts' page": (spoil_accounts, "restore your newest backup"),
    "a large file": (spoil_large_file, "restore your newest backup"),
    "the first page": (
        lambda place: spoil_page(place / DATABASE_FILE, 1, random.Random(1)),
        "restore your newest backup",
    ),
    "a table is missing": (lambda place: run_sql(place / DATABASE_FILE, "DROP TABLE observed"), "nothing was started"),
    "one cookie": (
        lambda place: run_sql(place / DATABASE_FILE, "UPDATE accounts SET cookie_sealed = x'0102'"),
        "account shop",
    ),
    "one rule": (
        lambda place: run_sql(
            place / DATABASE_FILE, "INSERT INTO rules (account_id, id, match_mode) VALUES ('shop', 'r', 'poem')"
        ),
        "account shop",
    ),
    "the key is lost": (lose_key, "put the file back"),
}


async def test_a18_nothing_starts_on_damaged_data_and_a_sentence_says_what_to_do(
    server: ServerProcess, sandbox: SandboxProcess
) -> None:
    unb = await open_shop(server, sandbox)
    await server.end()
    calls = await sandbox_calls(sandbox)
    for number, (what, (damage, sentence)) in enumerate(DAMAGE.items()):
        place = server.data_dir.with_name(f"damaged{number}")
        shutil.copytree(server.data_dir, place)
        damage(place)
        said = await serve_once({**server.environment, "SHOAL_DATA_DIR": str(place)})
        assert sentence in said, f"{what}: {said}"
        assert "backup" in said, f"{what}: {said}"
    assert await sandbox_calls(sandbox) == calls  # no call reached the site
    await server.start()  # on the data as it was

    async def runs() -> bool:
        return bool((await sandbox.sockets(unb))["now"] == 1)

    await soon(runs)


async def test_a_database_locked_at_the_start_stops_it_with_a_sentence(server: ServerProcess) -> None:
    await server.end()
    with closing(sqlite3.connect(server.data_dir / DATABASE_FILE, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        said = await serve_once(server.environment)
        other.execute("ROLLBACK")
    assert "end the program" in said
    await server.start()


@pytest.mark.parametrize("checked_beside_reads", [False, True])
async def test_a18_whichever_page_is_damaged_nothing_is_loaded_that_was_never_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, checked_beside_reads: bool
) -> None:
    """A large file is read before it is checked, but a server acts on nothing of it before."""
    base = tmp_path / "base"
    async with Database(base) as database:
        store = DBManager(database, await open_vault(database, base / KEY_FILE))
        await created(store, *(an_account(f"shop{number}", enabled=number % 2 == 0) for number in range(8)))
        contents = await store.load()
    with closing(sqlite3.connect(base / DATABASE_FILE)) as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    chance = random.Random(7)
    numbers = range(1, pages + 1, 4 if checked_beside_reads else 1)
    if checked_beside_reads:
        monkeypatch.setattr("shoal.storage.database_preparation.SMALL_BYTES", 0)
    refused = 0
    for number in numbers:
        place = tmp_path / f"page{number}"
        shutil.copytree(base, place)
        spoil_page(place / DATABASE_FILE, number, chance)
        try:
            async with Database(place) as database:
                loaded = await DBManager(database, await open_vault(database, place / KEY_FILE)).load()
                await database.checked()
        except ShoalError:
            refused += 1
        else:
            assert loaded == contents, f"page {number}"
        shutil.rmtree(place)
    assert refused > len(numbers) / 2
