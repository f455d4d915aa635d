"""``shoal backup`` and ``shoal restore`` as programs: what they print and refuse, and a death at any moment."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from sqlalchemy import text

from benchmarks.processes import clean_environment
from shoal.maintenance.backup.place import Place
from shoal.maintenance.backup.restoring import _fresh
from shoal.storage.database import Database
from shoal.storage.db_manager import open_vault
from support.runs.quick_start import blank_database
from support.runs.warm_start import WARM, ran

SHOAL = ("-m", "shoal")
PASSPHRASE = "correct horse battery staple"


def environment(data: Path) -> dict[str, str]:
    return clean_environment(SHOAL_DATA_DIR=str(data), LC_ALL="C.UTF-8")


async def shoal(data: Path, *arguments: str, typed: str = "") -> CompletedProcess[str]:
    """Run a command with something on its standard input."""
    return await ran((*SHOAL, *arguments), environment(data), typed=typed)


async def killed(data: Path, arguments: tuple[str, ...], seen: Callable[[], bool]) -> None:
    """Run a command and kill it as soon as something is seen, or let it end."""
    child = await WARM.start((*SHOAL, *arguments), environment(data))
    with suppress(TimeoutError):
        async with asyncio.timeout(60):
            while child.returncode is None and not seen():
                await asyncio.sleep(0.001)
    child.kill()
    await child.communicate()


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    await blank_database(directory)
    await noted(directory, "before")
    return directory


async def noted(data: Path, value: str) -> None:
    async with Database(data) as database:
        await open_vault(database, data / "secret.key")
        await database.replace_fact("note", value)


async def note_in(data: Path) -> str | None:
    async with Database(data) as database:
        await open_vault(database, data / "secret.key")
        assert await database.read(lambda connection: connection.scalar(text("PRAGMA integrity_check"))) == "ok"
        return await database.fact("note")


@pytest.mark.slow
async def test_a_backup_is_made_shown_and_restored_by_commands(data: Path, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(f"{PASSPHRASE}\n")
    made = await shoal(data, "backup", "make", str(tmp_path / "one.backup"), "--passphrase-file", str(secret), "--json")
    assert made.returncode == 0, made.stderr
    facts = json.loads(made.stdout)
    assert (facts["verified"], facts["opens_with"], facts["database"]) == (True, "passphrase", "sqlite")
    await noted(data, "after")

    without = await shoal(data, "restore", str(tmp_path / "one.backup"), "-y")
    assert (without.returncode, "--passphrase-file" in without.stderr) == (2, True)
    wrong = await shoal(
        data, "restore", str(tmp_path / "one.backup"), "-y", "--passphrase-file", "-", typed="another one\n"
    )
    assert (wrong.returncode, "not the passphrase" in wrong.stderr) == (2, True)
    assert await note_in(data) == "after", "a refused restore changes nothing"
    empty = await shoal(data, "restore", str(tmp_path / "one.backup"), "-y", "--passphrase-file", "-", typed="\n")
    assert (empty.returncode, "the first line of - is empty" in empty.stderr) == (2, True)
    nowhere = await shoal(
        data, "backup", "make", "--data-dir", str(tmp_path / "nowhere")
    )  # before it asks for a passphrase
    assert (nowhere.returncode, "--data-dir" in nowhere.stderr) == (2, True)

    for words in (("restore", "-y"), ("backup", "show"), ("apply",)):
        unnamed = await shoal(data, *words, "")
        assert (unnamed.returncode, "name is empty" in unnamed.stderr) == (2, True), unnamed.stderr
    unkept = await shoal(data, "restore", "--back", "shoal.db.before-restore-20000101-000000", typed="y\n")
    assert (unkept.returncode, "[y/N]" in unkept.stderr, "no restore kept" in unkept.stderr) == (2, False, True)

    done = await shoal(
        data, "restore", str(tmp_path / "one.backup"), "-y", "--passphrase-file", "-", typed=f"{PASSPHRASE}\n"
    )
    assert done.returncode == 0, done.stderr
    assert await note_in(data) == "before"
    assert "shoal restore --back shoal.db.before-restore-" in done.stdout
    assert not (data / ".restore").exists()


@pytest.mark.slow
async def test_g21_the_last_sentence_of_a_restore_starts_a_server_on_what_was_restored(
    data: Path, tmp_path: Path
) -> None:
    """Without the directory, ``shoal serve`` opened another, empty one."""
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    kept = str(tmp_path / "b.shoalbackup")
    assert (await shoal(data, "backup", "make", kept, "--passphrase-file", str(secret))).returncode == 0
    asked = ("restore", kept, "--data-dir", str(data), "--passphrase-file", str(secret), "--yes")
    done = await shoal(tmp_path / "usual", *asked)
    assert done.returncode == 0, done.stderr
    words = shlex.split(done.stdout.splitlines()[-1].partition("shoal ")[2])
    assert words == ["serve", "--data-dir", str(data)]


@pytest.mark.slow
async def test_a_directory_that_is_missing_does_not_become_a_file(data: Path, tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    for name, why in (
        ("", "is empty"),
        (str(tmp_path / "disk"), "no directory"),
        (f"{tmp_path / 'disk.d'}/", "no directory"),
    ):
        refused = await shoal(data, "backup", "make", name, "--passphrase-file", str(secret))
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr
    assert not (tmp_path / "disk").exists()
    assert not (tmp_path / "disk.d").exists()
    (tmp_path / "disk").mkdir()
    made = await shoal(data, "backup", "make", f"{tmp_path / 'disk'}/", "--passphrase-file", str(secret), "--json")
    assert Path(json.loads(made.stdout)["path"]).parent == tmp_path / "disk", made.stderr


@pytest.mark.slow
async def test_a_restore_that_is_killed_leaves_the_old_data_or_the_new(data: Path, tmp_path: Path) -> None:
    """It is killed once the database has a second name, just before the change; else it has ended."""
    secret = tmp_path / "passphrase"
    secret.write_text(PASSPHRASE)
    made = await shoal(data, "backup", "make", str(tmp_path / "b.shoalbackup"), "--passphrase-file", str(secret))
    assert made.returncode == 0, made.stderr
    await noted(data, "after")
    arguments = ("restore", str(tmp_path / "b.shoalbackup"), "-y", "--passphrase-file", str(secret))
    await killed(data, arguments, lambda: any(data.glob("*.before-restore-*")))
    assert await note_in(data) in {"before", "after"}
    again = await shoal(data, *arguments)
    assert again.returncode == 0, again.stderr
    assert await note_in(data) == "before"
    assert not (data / ".restore").exists()


def test_a_restored_database_lies_where_nobody_else_can_look(tmp_path: Path) -> None:
    with _fresh(Place(data_dir=tmp_path / "data")) as directory:
        assert directory.stat().st_mode & 0o777 == 0o700
    assert not directory.exists()
