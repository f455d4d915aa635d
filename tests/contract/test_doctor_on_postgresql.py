"""``shoal doctor`` on a real PostgreSQL: what it finds when all is well, and what to do when it is not let in.

What keeps it out keeps a server out too, in the same words.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from benchmarks.processes import soon
from shoal.cli.app import app
from shoal.clock import now_ms
from shoal.errors import ConfigError
from shoal.storage.database import Database
from shoal.storage.database_preparation import check_fitness
from shoal.storage.vault import write_key_file
from support.databases.postgres_server import Postgres

PASSWORD = "CANARY0postgres"
JOINED = text("""
    INSERT INTO nodes (name, inc, expires_at_ms, host, address, version, schema, started_at_ms)
    VALUES ('b', 1, 9e12, '', 'http://127.0.0.1:1', '', '', 0), ('a', 1, 9e12, '', '', '', '', 0),
        ('old', 1, 0, '', '', '', '', 0)
""")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("SHOAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    write_key_file(directory / "secret.key", [b"k" * 32])
    return directory


async def found(data: Path, url: str, **more: str) -> dict[str, dict[str, str]]:
    """What it finds, by name. Nothing that needs an action comes without one, and no password is shown."""
    environment = {"SHOAL_DATA_DIR": str(data), "SHOAL_PORT": "0", "SHOAL_DATABASE_URL": url, "LC_ALL": "C", **more}
    done = await asyncio.to_thread(CliRunner().invoke, app, ["doctor", "--offline", "--json"], env=environment)
    assert PASSWORD not in done.output
    answer: dict[str, Any] = json.loads(done.output)
    assert done.exit_code == (0 if answer["ok"] else 1)
    assert all(row["do"] for row in answer["findings"] if row["level"] != "ok"), done.output
    return {row["name"]: row for row in answer["findings"]}


async def refused(data: Path, url: str) -> str:
    """What to do about the database, when it is not let in."""
    database = (await found(data, url))["database"]
    assert database["level"] == "fail", database
    return f"{database['detail']} {database['do']}"


@contextmanager
def role(postgres: Postgres, name: str) -> Iterator[None]:
    """A role that signs in with a password."""
    with postgres.administrator() as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), PASSWORD))
    try:
        yield
    finally:
        with postgres.administrator() as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@contextmanager
def asked_for(postgres: Postgres, name: str, method: str) -> Iterator[None]:
    """That role must prove itself by a method of ``pg_hba.conf``."""
    with postgres.administrator() as connection:
        (place,) = connection.execute("SHOW hba_file").fetchone() or ("",)
        file = Path(place)
        before = file.read_bytes()
        file.write_bytes(f"local all {name} {method}\n".encode() + before)
        connection.execute("SELECT pg_reload_conf()")
        try:
            yield
        finally:
            file.write_bytes(before)
            connection.execute("SELECT pg_reload_conf()")


def as_user(url: str, name: str, password: str = PASSWORD) -> str:
    return url.replace("postgres@", f"{name}:{password}@")


async def test_a_database_that_is_right_is_found_so_before_and_after_its_first_start(
    postgres: Postgres, data: Path
) -> None:
    with postgres.database() as url:
        new = await found(data, url)
        assert (new["database"]["level"], new["schema"]["level"]) == ("ok", "ok")
        assert new["database"]["detail"].startswith("PostgreSQL 1")
        assert "first start makes" in new["schema"]["detail"]
        async with Database(data, url=url) as database:
            await database.write(lambda connection: connection.execute(JOINED).rowcount)
        ready = await found(data, url, SHOAL_NODE="a", SHOAL_SECRET_KEY="")
        assert ready["other_servers"]["detail"] == "b: http://127.0.0.1:1 cannot be reached."
        assert "It is that of this version" in ready["schema"]["detail"]
        assert ready["key"]["level"] == "ok"


async def test_a_server_that_is_down_or_elsewhere_says_where_to_look(data: Path) -> None:
    assert "Start PostgreSQL" in await refused(data, f"postgresql://shoal:{PASSWORD}@127.0.0.1:1/shoal")
    assert "Start PostgreSQL" in await refused(data, f"postgresql://shoal:{PASSWORD}@/shoal?host=/nonexistent")
    assert "Correct the host" in await refused(data, f"postgresql://shoal:{PASSWORD}@no.such.host.invalid/shoal")


async def test_who_is_not_let_in_hears_what_to_change(postgres: Postgres, data: Path) -> None:
    with postgres.database() as url, role(postgres, "keeper"):
        assert "CREATE ROLE shoal" in await refused(data, as_user(url, "nobody_there"))
        assert "CREATE DATABASE shoal" in await refused(data, url.replace("/t_", "/not_there_"))
        with asked_for(postgres, "keeper", "scram-sha-256"):

            async def is_asked() -> bool:
                try:
                    psycopg.connect(as_user(url, "keeper", "wrong").replace("+psycopg", "")).close()
                except psycopg.OperationalError:
                    return True
                return False

            await soon(is_asked)
            assert "Put the right password" in await refused(data, as_user(url, "keeper", "wrong"))
            assert "Put the right password" in await refused(data, url.replace("postgres@", "keeper@"))
        with asked_for(postgres, "keeper", "reject"):
            await soon(is_asked)
            said = ""
            while "pg_hba.conf, then" not in said:  # the method of before is asked for until the file is read again
                said = await refused(data, as_user(url, "keeper", "wrong"))


async def test_a_role_that_may_only_read_and_a_database_that_takes_no_changes_are_named(
    postgres: Postgres, data: Path
) -> None:
    with postgres.database(migrated=True) as url, role(postgres, "looker"):
        name = url.partition("@/")[2].partition("?")[0]
        with postgres.administrator(name) as connection:
            connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker")
            said = await refused(data, as_user(url, "looker"))
            assert f"ALTER DATABASE {name} OWNER TO looker" in said
            with pytest.raises(ConfigError, match="looker may not change the tables"):
                await Database(data, url=as_user(url, "looker")).open()
            connection.execute("DROP OWNED BY looker")
            assert (await found(data, url))["database"]["level"] == "ok"
            connection.execute(
                sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(sql.Identifier(name))
            )
        assert "takes no changes" in await refused(data, url)
        with pytest.raises(ConfigError, match="takes no changes"):
            await Database(data, url=url).open()


async def test_a_role_that_may_create_no_table_is_named_before_the_first_start(postgres: Postgres, data: Path) -> None:
    with postgres.database() as url, role(postgres, "guest"):
        assert "the role guest may not" in await refused(data, as_user(url, "guest"))
        with pytest.raises(ConfigError, match="guest may not"):
            await Database(data, url=as_user(url, "guest")).open()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_an_encoding_that_cannot_hold_chinese_is_refused_before_anything_is_stored(
    postgres: Postgres, data: Path, encoding: str
) -> None:
    name = f"t_{encoding.lower()}"
    with postgres.administrator() as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0").format(
                sql.Identifier(name), encoding
            )
        )
        try:
            said = await refused(data, postgres.url(name))
            assert f"as {encoding}" in said
            assert "ENCODING 'UTF8'" in said
            with pytest.raises(ConfigError, match=encoding):
                await Database(data, url=postgres.url(name)).open()
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_a_version_that_is_too_old_is_refused(postgres: Postgres) -> None:
    """No old one can be started here: today's version is asked to be newer than itself."""
    with postgres.database() as url:
        engine = create_engine(url)
        with engine.connect() as connection:
            check_fitness(connection, creates_tables=True)
            with pytest.raises(ConfigError, match=r"PostgreSQL 1\d\S* is too old; Shoal needs 90 or newer"):
                check_fitness(connection, creates_tables=True, oldest=900_000)
        engine.dispose()


@pytest.mark.parametrize(("ahead_ms", "level"), [(0, "ok"), (3_000, "warn"), (-30_000, "fail")])
async def test_a_server_among_several_is_told_how_far_its_clock_is_from_the_databases(
    data: Path, postgres: Postgres, monkeypatch: pytest.MonkeyPatch, ahead_ms: int, level: str
) -> None:
    monkeypatch.setattr("shoal.cli.doctor.data.now_ms", lambda: now_ms() + ahead_ms)
    with postgres.database(migrated=True) as url:
        clock = (await found(data, url, SHOAL_NODE="one"))["database_clock"]
        assert clock["level"] == level, clock
        assert "database_clock" not in await found(data, url)
