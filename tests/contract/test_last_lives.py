"""A node that is started again after a crash: it ends exactly the life of the process whose lock it holds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from shoal.accounts.ownership import SHARDS
from shoal.cluster import last_life
from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.last_life import LIFE_FILE, Life, LifeFile
from shoal.cluster.lease_watchdog import NodeTimes
from shoal.cluster.node_rows import end_life, join
from shoal.storage.data_directory import LOCK_FILE
from shoal.storage.database import Database

LONG = NodeTimes(lease_seconds=3600.0, renew_seconds=0.5, look_seconds=0.1)
"""No test waits for it."""
FACTS = {"host": "here", "address": "", "version": "", "schema": ""}
LIFE = Life("a", 3, 1_700_000_000_000)


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A data directory in which a life is remembered."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / LOCK_FILE).touch()
    LifeFile(tmp_path / "data").write(LIFE)
    return tmp_path / "data"


def test_a_life_is_read_again_in_its_own_directory_on_its_own_boot_only(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert LifeFile(directory).read() == LIFE
    assert (directory / LIFE_FILE).stat().st_mode & 0o777 == 0o600
    shutil.copytree(directory, tmp_path / "copy")
    assert LifeFile(tmp_path / "copy").read() is None, "the process of the directory it was copied from may live"
    with monkeypatch.context() as patch:
        patch.setattr(last_life, "place_of", lambda _: "another boot")
        assert LifeFile(directory).read() is None
    directory.rename(tmp_path / "moved")
    assert LifeFile(tmp_path / "moved").read() == LIFE, "the same lock"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"place": 1}', '{"place": "x", "name": "a"}'])
def test_a_file_that_cannot_be_understood_ends_nobody(directory: Path, content: str) -> None:
    (directory / LIFE_FILE).write_text(content)
    assert LifeFile(directory).read() is None
    LifeFile(directory).write(LIFE)
    assert LifeFile(directory).read() == LIFE


def test_a_life_that_cannot_be_written_is_no_failure_of_the_start(directory: Path) -> None:
    (directory / LIFE_FILE).unlink()
    (directory / f"{LIFE_FILE}.new").mkdir()
    LifeFile(directory).write(LIFE)
    assert LifeFile(directory).read() is None


def test_exactly_that_life_is_ended(engine: Engine) -> None:
    with engine.begin() as connection:
        a, b = join(connection, "a", 3_600_000, FACTS), join(connection, "b", 3_600_000, FACTS)
        assert a is not None
        assert b is not None
        mine = a.life
        for other in (
            Life("a", mine.inc + 1, mine.started_at_ms),
            Life("a", mine.inc, mine.started_at_ms - 1),
            Life("c", mine.inc, mine.started_at_ms),
        ):
            assert not end_life(connection, other)
        assert end_life(connection, mine)
        assert not end_life(connection, mine)
        dead = connection.scalars(text("SELECT name FROM nodes WHERE dead")).all()
        assert dead == ["a"]
        assert len(b.claim(connection).held) == SHARDS


async def vanishes(ownership: ClusterOwnership) -> None:
    """Let go of everything without a word to the database, as a process that is killed."""
    ownership._rows = None
    await ownership.close()


async def test_a_node_whose_process_has_vanished_joins_at_once_on_its_directory_and_not_on_a_copy(
    url: str, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers: list[int] = []
    for _ in range(2):
        ownership = ClusterOwnership("a", LONG, data_dir=tmp_path / "data")
        async with Database(tmp_path / "data", url=url, guard=ownership.take):
            pass
        await vanishes(ownership)
        with engine.connect() as connection:
            number, dead = connection.execute(text("SELECT inc, dead FROM nodes")).one()
        assert not dead
        numbers.append(number)
    assert numbers[1] == numbers[0] + 1
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    monkeypatch.setattr("shoal.cluster.cluster_ownership.time.sleep", _waits)
    waiting = ClusterOwnership("a", LONG, data_dir=tmp_path / "copy")
    with pytest.raises(_WaitsError):
        await Database(tmp_path / "copy", url=url, guard=waiting.take).open()
    await waiting.close()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT inc, dead FROM nodes")).one() == (numbers[1], False)


class _WaitsError(Exception):
    """The node has begun to wait for a lease."""


def _waits(_: float) -> None:
    raise _WaitsError


def test_workers_of_one_directory_remember_each_its_own_life(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).touch()
    for number in (1, 2):
        LifeFile(tmp_path, f"one/{number}").write(Life(f"one/{number}", number, 7))
    assert LifeFile(tmp_path, "one/1").read() == Life("one/1", 1, 7)
    assert LifeFile(tmp_path, "one/2").read() == Life("one/2", 2, 7)
    assert LifeFile(tmp_path, "one").read() is None
