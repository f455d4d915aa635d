"""``shoal import``: an older system's file is looked at, imported and turned on from the shell."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from benchmarks.processes import clean_environment
from support.files.picture_files import a_png
from support.moving.old_database import an_old_shop, write_sqlite
from support.moving.sealed_there import KEY, sealed
from support.servers.doors import Door, in_shell, open_door, served
from support.site.standins import cookie_of, until


@pytest.fixture
async def empty(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path / "data") as opened:
        yield opened


async def test_a_file_is_looked_at_imported_and_turned_on_from_the_shell(empty: Door, tmp_path: Path) -> None:
    rows = an_old_shop()
    picture = "/static/uploads/images/a.png"
    rows["keywords"].append({"cookie_id": "afu", "keyword": "图", "type": "image", "image_url": picture})
    file = str(write_sqlite(tmp_path / "xianyu_data.db", rows))
    uploads = tmp_path / "uploads"
    uploads.mkdir()
    (uploads / "a.png").write_bytes(a_png())
    token = await empty.server.sessions.open(1, 3600)
    manager = empty.server.manager
    async with served(empty) as url:
        code, said = await in_shell(url, token, "import", "legacy", file, "--dry-run")
        assert (code, "--uploads" in said, dict(manager.accounts)) == (0, True, {}), said
        assert "On in the old system, off here (3): 阿福, lan1, 群" in said
        code, said = await in_shell(url, token, "import", "legacy", file, "--uploads", str(uploads), "--json")
        run = json.loads(said)
        assert (code, run["state"], [row["code"] for row in run["rows"]]) == (0, "done", ["administrator_is_you"])
        assert [rule.kind.value for rule in manager.account("afu").keywords] == ["text", "text", "image"]
        code, said = await in_shell(url, token, "import", "start", str(run["id"]), typed="n\n")
        assert (code, manager.account("afu").enabled) == (2, False), said
        code, said = await in_shell(url, token, "import", "start", "999", typed="y\n")
        assert (code != 0, "stopped" in said) == (True, False), said
        code, said = await in_shell(url, token, "import", "start", str(run["id"]), "--yes")
        assert code == 0, said
        await until(lambda: set(empty.site.live) == {"afu", "lan1"})
        other = tmp_path / "other.txt"
        other.write_text("hello", encoding="utf-8")
        code, said = await in_shell(url, token, "import", "legacy", str(other))
        assert code == 1


async def test_a_folder_of_xianyu_auto_agent_is_sent_with_its_prompts(empty: Door, tmp_path: Path) -> None:
    home = tmp_path / "agent"
    (home / "prompts").mkdir(parents=True)
    (home / "prompts" / "price_prompt.txt").write_text("便宜一点", encoding="utf-8")
    token = await empty.server.sessions.open(1, 3600)
    async with served(empty) as url:
        code, said = await in_shell(url, token, "import", "autoagent", str(home))
        assert (code, "There is no file" in said) == (2, True), said
        (home / ".env").write_text(f"COOKIES_STR={cookie_of(7)}\n", encoding="utf-8")
        code, said = await in_shell(url, token, "import", "autoagent", str(home), "--json")
        run = json.loads(said)
        assert (code, run["state"], run["source"]) == (0, "done", "autoagent")
        assert "prompt_taken" in {row["code"] for row in run["rows"]}
        (account,) = empty.server.manager.accounts.values()
        assert (account.enabled, account.ai_mode, account.ai_persona) == (False, "off", "便宜一点")
        code, said = await in_shell(url, token, "import", "autoagent", str(home / ".env"), "--dry-run", "--json")
        assert (code, [row["code"] for row in json.loads(said)["rows"]].count("prompts_absent")) == (0, 1), said


async def test_what_ydisks_sealed_is_opened_with_the_key_of_the_environment(
    empty: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "xianyu_data.db"
    with closing(sqlite3.connect(file)) as opened:
        opened.execute("CREATE TABLE automation_rules (id)")
        opened.execute("CREATE TABLE cookies (id, value, user_id)")
        opened.execute("INSERT INTO cookies VALUES ('shop', ?, 1)", (sealed("cookie", "shop", cookie_of(7)),))
        opened.commit()
    token = await empty.server.sessions.open(1, 3600)
    async with served(empty) as url:
        code, said = await in_shell(url, token, "import", "ydisks", str(file), "--dry-run")
        assert (code, "XIANYU_DATA_KEY" in said) == (0, True), said
        monkeypatch.setenv("XIANYU_DATA_KEY", KEY)
        code, said = await in_shell(url, token, "import", "ydisks", str(file), "--json")
        assert (code, json.loads(said)["state"]) == (0, "done"), said
    assert empty.server.manager.account("shop").cookie == cookie_of(7)
    assert KEY not in said


@pytest.mark.slow
async def test_a_key_that_is_typed_at_a_terminal_is_not_shown(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    command = (sys.executable, "-m", "shoal", "import", "ydisks", str(tmp_path / "none.db"), "--ask-key")
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=clean_environment(SHOAL_DATA_DIR=str(tmp_path), COLUMNS="300"),
    )
    try:
        with suppress(TimeoutError):
            await until(lambda: not termios.tcgetattr(ours)[3] & termios.ECHO, seconds=20)  # earlier keys are lost
        os.write(ours, f"{KEY}\n".encode())
        assert await asyncio.wait_for(child.wait(), 60) != 0, "there is no such file"
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the end of a terminal: a read of it returns one part at a time
            while part := os.read(ours, 65_536):
                shown += part
        os.close(ours)
    assert b"none.db" in shown, "it went on with the key"
    assert KEY.encode() not in shown


async def test_a_file_of_another_system_names_its_importer_and_an_unknown_user_the_nearest(
    empty: Door, tmp_path: Path
) -> None:
    file = str(write_sqlite(tmp_path / "xianyu_data.db", an_old_shop()))
    env = tmp_path / ".env"
    env.write_text(f"COOKIES_STR={cookie_of(7)}\n", encoding="utf-8")
    token = await empty.server.sessions.open(1, 3600)
    async with served(empty) as url:
        for importer in ("ydisks", "autoagent"):
            code, said = await in_shell(url, token, "import", importer, file)
            assert (code, f"shoal import legacy {file}" in unwrapped(said)) == (2, True), said
        code, said = await in_shell(url, token, "import", "legacy", str(env))
        assert (code, f"shoal import autoagent {env}" in unwrapped(said)) == (2, True), said
        code, said = await in_shell(url, token, "import", "legacy", file, "--user", "Laan")
        assert (code, "Did you mean “lan”?" in said) == (1, True), said
    assert not empty.server.manager.accounts


def unwrapped(said: str) -> str:
    """Return what was said without the frame and the line breaks of an error of usage."""
    return "".join(line.strip("│ ") + (" " if line.endswith("  │") else "") for line in said.splitlines())


async def test_a_dump_of_ydisks_on_postgresql_is_moved_in_by_the_command(empty: Door, tmp_path: Path) -> None:
    file = tmp_path / "shop.sql"
    file.write_text(
        "--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE public.automation_rules (\n    id bigint NOT NULL\n);\n"
        "COPY public.automation_rules (id) FROM stdin;\n\\.\n\n"
        f"COPY public.cookies (id, value, user_id) FROM stdin;\nshop\t{cookie_of(7)}\t1\n\\.\n\n"
        "--\n-- PostgreSQL database dump complete\n--\n",
        encoding="utf-8",
    )
    token = await empty.server.sessions.open(1, 3600)
    async with served(empty) as url:
        code, said = await in_shell(url, token, "import", "ydisks", str(file), "--json")
        run = json.loads(said)
        assert (code, run["state"], run["source"]) == (0, "done", "ydisks"), said
        file.write_text(file.read_text(encoding="utf-8")[:250], encoding="utf-8")
        code, said = await in_shell(url, token, "import", "ydisks", str(file))
        assert (code, "The dump ends in the middle" in said) == (1, True), said
    assert empty.server.manager.account("shop").cookie == cookie_of(7)
