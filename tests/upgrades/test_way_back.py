"""Who has upgraded can go back: the copy is the database as the older version left it, and the help's commands hold."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import stat
import subprocess
from pathlib import Path

import pytest

from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from upgrades.test_upgrades import MIGRATIONS, lay

PAGES = Path(__file__).parents[2] / "docs" / "howto"
COPY = re.compile(r"shoal\.db\.before-\d{4}-\d{8}-\d{6}")


def dumped(file: Path) -> list[str]:
    """Everything that a database holds, as SQL, but for the mark by which its directory knows it again."""
    with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [line for line in connection.iterdump() if "'marker'" not in line]


def commands(page: str) -> str:
    """The commands of the page by which one goes back."""
    blocks: list[str] = re.findall(r"(?ms)^ *```\n(.*?)^ *```$", (PAGES / page).read_text(encoding="utf-8"))
    (block,) = (block for block in blocks if "cp -p shoal.db.before-" in block)
    return block


@pytest.mark.parametrize("page", ["upgrade.md", "upgrade.en.md"])
async def test_the_helps_way_back_gives_the_older_version_its_own_data(page: str, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    lay(MIGRATIONS[-2], data_dir)
    file = data_dir / DATABASE_FILE
    before = dumped(file)
    async with Database(data_dir):
        pass
    newer = dumped(file)
    assert newer != before
    (copy,) = data_dir.glob(f"{DATABASE_FILE}.before-*")
    assert COPY.fullmatch(copy.name)
    subprocess.run(["sh", "-c", COPY.sub(copy.name, commands(page))], cwd=data_dir, check=True)  # noqa: ASYNC221, S607
    assert dumped(file) == dumped(copy) == before
    assert dumped(data_dir / "newer" / DATABASE_FILE) == newer
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    async with Database(data_dir):
        pass
    assert dumped(file) == newer
