"""A server of a newer version joins while one of an older version runs: additive steps run, closing ones wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.lease_watchdog import NodeTimes
from shoal.cluster.node_rows import NodeRows, join
from shoal.cluster.server_lease import ServerLease, older_servers
from shoal.errors import ConfigError
from shoal.storage.data_directory import LOCK_FILE
from shoal.storage.database import Database
from shoal.storage.migrations import newest, revisions, steps
from shoal.storage.migrations.marks import stored_revision
from support.databases.postgres_server import Postgres
from support.site.standins import until

pytestmark = pytest.mark.filterwarnings("ignore:Did not recognize type 'xid8'")

LONG = NodeTimes(lease_seconds=3600.0, renew_seconds=0.5, look_seconds=0.1)
OLD = "0026"
_STEP = '''"""A step of a later version.

Revision ID: {revision}
"""

from alembic import op

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None
{kind}


def upgrade() -> None:
    op.execute("{statement}")
'''


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """A database as the older version left it."""
    with postgres.database() as fresh:
        engine = create_engine(fresh)
        with engine.begin() as connection:
            steps.build_schema(connection, OLD)
        engine.dispose()
        yield fresh


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for steps of a later version."""
    place = tmp_path / "later"
    place.mkdir()
    monkeypatch.setattr(revisions, "VERSIONS", [*revisions.VERSIONS, place])
    monkeypatch.setattr(steps, "VERSIONS", revisions.VERSIONS)
    yield place
    revisions.forget()


def step(place: Path, revision: str, kind: str, statement: str) -> None:
    """Write a step that follows this program's, or the one of the number before."""
    before = f"{int(revision) - 1}" if (place / f"{int(revision) - 1}_later.py").exists() else newest()
    said = f'kind = "{kind}"' if kind else ""
    text_of = _STEP.format(revision=revision, before=before, kind=said, statement=statement)
    (place / f"{revision}_later.py").write_text(text_of, encoding="utf-8")
    revisions.forget()


def older_server(engine: Engine, schema: str = OLD) -> NodeRows:
    """A server of that version, which lives."""
    facts = {"host": "here", "address": "", "version": "0.1.0", "schema": schema}
    with engine.begin() as connection:
        rows = join(connection, "older", 3_600_000, facts)
        assert rows is not None
        rows.claim(connection)
    return rows


def stored(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return stored_revision(connection)


@asynccontextmanager
async def newer_server(url: str) -> AsyncIterator[ClusterOwnership]:
    """A server of this program's version."""
    ownership = ClusterOwnership("newer", LONG, end=lambda: None)
    try:
        async with Database(url=url, guard=ownership.take, older=older_servers):
            ownership.start()
            yield ownership
    finally:
        await ownership.close()


async def test_a_newer_server_migrates_and_joins_while_an_older_one_reads_and_writes(url: str, engine: Engine) -> None:
    older, goes_on, written = older_server(engine), threading.Event(), [0]
    put = text("INSERT INTO store_meta (key, value) VALUES (:key, 'x')")

    def work() -> None:
        while not goes_on.is_set():
            with engine.begin() as connection:
                connection.execute(put, {"key": f"older:{written[0]}"})
                connection.execute(text("SELECT id, shard FROM accounts")).all()
            written[0] += 1

    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        await until(lambda: written[0] > 3)
        async with newer_server(url):
            assert stored(engine) == newest()
            count = written[0]
            await until(lambda: written[0] > count + 3)
            with engine.begin() as connection:
                assert older.renew(connection, 3_600_000) is not None, "it lives on"
    finally:
        goes_on.set()
        await working


async def test_a_closing_step_waits_for_the_last_older_server(url: str, engine: Engine, later: Path) -> None:
    step(later, "9001", "additive", "CREATE TABLE later_things (id integer)")
    step(later, "9002", "closing", "ALTER TABLE paces DROP COLUMN next_at_ms")
    older = older_server(engine)
    async with newer_server(url):
        assert stored(engine) == "9001"
        assert inspect(engine).has_table("later_things")
        assert "next_at_ms" in {column["name"] for column in inspect(engine).get_columns("paces")}
    async with newer_server(url):  # again, and nothing is to be done
        assert stored(engine) == "9001"
    with engine.begin() as connection:
        older.leave(connection)
    async with newer_server(url):
        assert stored(engine) == "9002"
        assert "next_at_ms" not in {column["name"] for column in inspect(engine).get_columns("paces")}


@pytest.mark.parametrize("kinds", [("",), ("closing", "additive")], ids=["not marked", "closing before additive"])
async def test_a_step_that_would_disturb_an_older_server_is_refused_and_nothing_is_done(
    url: str, engine: Engine, later: Path, kinds: tuple[str, ...]
) -> None:
    for number, kind in enumerate(kinds, start=9001):
        step(later, str(number), kind, f"CREATE TABLE later_{number} (id integer)")
    older = older_server(engine)
    with pytest.raises(ConfigError, match=r"older version .*\(older\).*stop them first"):
        async with newer_server(url):
            pass
    assert stored(engine) == OLD
    with engine.begin() as connection:
        older.leave(connection)
    async with newer_server(url):
        assert stored(engine) == newest() == str(9000 + len(kinds))


async def test_nothing_is_migrated_under_a_single_server(tmp_path: Path, url: str, engine: Engine) -> None:
    (tmp_path / LOCK_FILE).touch()
    lease = ServerLease(tmp_path / LOCK_FILE)
    lease.take(engine)
    with pytest.raises(ConfigError, match="a single server serves this database"):
        async with newer_server(url):
            pass
    assert stored(engine) == OLD
    await lease.close()


def test_every_step_since_several_servers_says_of_which_kind_it_is() -> None:
    since = [revision for revision in revisions._files() if revision > OLD]
    assert since
    assert {revision for revision in since if not revisions.kind_of(revision)} == set()
    assert newest() in revisions.enough()
