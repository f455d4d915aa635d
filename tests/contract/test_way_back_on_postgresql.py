"""Who has upgraded a PostgreSQL database can go back by the commands of the help, run by PostgreSQL's own programs."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from shoal.storage import migrations
from shoal.storage.database import Database
from shoal.storage.migrations.steps import build_schema
from support.databases.postgres_server import Postgres

PAGES = Path(__file__).parents[2] / "docs" / "howto"
VERSIONS = Path(migrations.__file__).parent / "versions"
BEFORE = sorted(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*.py"))[-2]


def blocks(page: str, first: str) -> str:
    """The commands of a page in the block that begins so."""
    found: list[str] = re.findall(r"(?ms)^```\n(.*?)^```$", (PAGES / page).read_text(encoding="utf-8"))
    (block,) = (block for block in found if block.startswith(first))
    return block


def an_older_database(url: str) -> None:
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            build_schema(connection, BEFORE)
            connection.execute(text("INSERT INTO store_meta (key, value) VALUES ('told', '在吗 ''\\ x')"))
    finally:
        engine.dispose()


@pytest.mark.parametrize("page", ["upgrade.md", "upgrade.en.md"])
async def test_the_helps_way_back_gives_the_older_version_its_own_data(
    postgres: Postgres, page: str, tmp_path: Path
) -> None:
    with postgres.database() as url:
        name = url.partition("@/")[2].partition("?")[0]

        def run(block: str) -> None:
            commands = re.sub(r"\bshoal\b(?!-)", name, block.replace("OWNER TO shoal", "OWNER TO postgres"))
            place = {
                "PGHOST": str(postgres.place),
                "PGUSER": "postgres",
                "PATH": f"{postgres.programs}:{os.environ['PATH']}",
            }
            done = subprocess.run(
                ["sh", "-e", "-c", commands.replace("shoal_newer", f"{name}_newer")],  # noqa: S607
                cwd=tmp_path, env={**os.environ, **place}, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr

        an_older_database(url)
        before = content(postgres, url)
        run(blocks(page, "pg_dump"))
        await (await Database(tmp_path / "data", url=url).open()).close()
        newer = content(postgres, url)
        assert newer != before
        run(blocks(page, "psql"))
        run(blocks(page, "pg_restore"))
        try:
            assert content(postgres, url) == before
            assert content(postgres, postgres.url(f"{name}_newer")) == newer
            await (await Database(tmp_path / "data", url=url).open()).close()
        finally:
            with postgres.administrator() as connection:
                connection.execute(f"DROP DATABASE {name}_newer WITH (FORCE)".encode())


def content(postgres: Postgres, url: str) -> list[str]:
    """Everything that a database holds, as SQL, but for the word that each dump makes up."""
    said = postgres.dump(url).decode().splitlines()
    return [line for line in said if not line.startswith(("\\restrict", "\\unrestrict"))]
