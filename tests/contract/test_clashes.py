"""A writer that stands still, and one that PostgreSQL ends in favour of another: nothing stays locked or is lost."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from shoal.errors import NotApplied
from shoal.storage.database import Database
from support.databases.store_steps import Place

_STANDS = """
import asyncio, sys
from sqlalchemy import text
from shoal.storage.database import Database

def job(connection):
    connection.execute(text("UPDATE store_meta SET value = 'stood' WHERE key = 'row'"))
    print("holds", flush=True)
    sys.stdin.readline()
    connection.execute(text("UPDATE store_meta SET value = 'went on' WHERE key = 'row'"))

async def main():
    async with Database(url=sys.argv[1], idle_seconds=float(sys.argv[2])) as database:
        print("ready", flush=True)
        sys.stdin.readline()
        await database.write(job)
        print("written", flush=True)

asyncio.run(main())
"""
_CHANGE = text("UPDATE store_meta SET counter = counter + 1 WHERE key = :key")


@pytest.fixture
def standing(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a transaction that holds a row; each line goes on with it."""
    with subprocess.Popen(
        [sys.executable, "-c", _STANDS, url, "1.0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        try:
            yield process
        finally:
            process.kill()


async def test_what_a_stopped_process_holds_is_free_again_and_it_writes_anew_when_it_goes_on(
    url: str, standing: subprocess.Popen[str]
) -> None:
    assert standing.stdout is not None
    assert standing.stdin is not None
    async with Database(url=url) as database:
        assert await asyncio.to_thread(standing.stdout.readline) == "ready\n"
        await database.remember("row", "before")
        standing.stdin.write("begin\n")
        assert await asyncio.to_thread(standing.stdout.readline) == "holds\n"
        standing.send_signal(signal.SIGSTOP)
        await database.write(lambda connection: connection.execute(_CHANGE, {"key": "row"}).rowcount)
        assert await database.fact("row") == "before", "what stood still was rolled back"
        standing.send_signal(signal.SIGCONT)
        said = list[str]()
        while said[-1:] != ["written\n"]:
            standing.stdin.write("on\n")  # on a slow machine it may be ended once more before it hears this
            said.append(await asyncio.to_thread(standing.stdout.readline))
        assert len(said) > 1, "it holds the row again, in another transaction"
        assert set(said[:-1]) == {"holds\n"}
        assert await database.fact("row") == "went on"
        counter = text("SELECT counter FROM store_meta WHERE key = 'row'")
        assert await database.read(lambda connection: connection.scalar(counter)) == 1


async def test_a_write_that_clashes_with_another_transaction_is_written_after_it(place: Place) -> None:
    if not place.url:
        pytest.skip("a file has one writer")
    database = await place.open_again()
    for key in ("a", "b"):
        await database.remember(key, "x")
    tries, held, crossed = [], threading.Event(), threading.Event()

    def job(connection: Connection) -> int:
        tries.append(connection)
        connection.execute(_CHANGE, {"key": "a"})
        held.set()
        crossed.wait(60)
        return connection.execute(_CHANGE, {"key": "b"}).rowcount

    def cross() -> None:
        address = make_url(place.url).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(address) as other:
            other.execute("SET deadlock_timeout = '60s'")  # so that the writer is the one that is ended
            other.execute("SELECT 1 FROM store_meta WHERE key = 'b' FOR UPDATE")
            held.wait(60)
            crossed.set()
            other.execute("SELECT 1 FROM store_meta WHERE key = 'a' FOR UPDATE")

    crossing = asyncio.create_task(asyncio.to_thread(cross))
    assert await database.write(job) == 1
    await crossing
    counters = text("SELECT counter FROM store_meta WHERE key IN ('a', 'b')")
    assert await database.read(lambda connection: list(connection.scalars(counters))) == [1, 1]
    # In its group and, after the clash, by itself: once more each time that the other transaction was slow to cross it.
    assert 2 <= len(tries) <= 5


async def test_a_write_that_clashes_each_time_is_refused_in_the_end(place: Place) -> None:
    if not place.url:
        pytest.skip("a file has one writer")
    database = await place.open_again()
    tries = []

    def job(connection: Connection) -> None:
        tries.append(connection)
        connection.execute(text("DO $$ BEGIN RAISE EXCEPTION 'clash' USING ERRCODE = '40P01'; END $$"))

    with pytest.raises(NotApplied) as caught:
        await database.write(job)
    assert caught.value.params["reason"] == "40P01"
    assert len(tries) == 5
    assert await database.remember("after", "x") == "x"
