"""Commands in processes of their own: the language of their help, and why a server cannot start."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.processes import START_SECONDS, clean_environment
from support.runs.warm_start import WARM


@pytest.fixture(autouse=True)
def _english_and_a_home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port that somebody listens on and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def refusal(directory: Path, *words: str, **environment: str) -> str:
    """Run a command in a process of its own that cannot do its work: the one sentence that it says."""
    errors = directory / "errors"
    async with asyncio.timeout(START_SECONDS):
        child = await WARM.start(("-m", "shoal", *words), clean_environment(**environment), errors)
        said, _ = await child.communicate()
    assert (child.returncode, said) == (2, b"")
    (sentence,) = errors.read_text(encoding="utf-8").splitlines()
    errors.unlink()
    return sentence


HELP = """
import re, typer
from shoal.cli.app import app

def walk(command, path):
    texts = {"": command.help}
    if path != "root":
        texts |= {p.name: p.help for p in command.params if p.name != "help"}
    for name, text in texts.items():
        print(f"{path}.{name}\t{bool(re.search('[\u4e00-\u9fff]', text or ''))}\t{bool(text)}")
    for name, deeper in getattr(command, "commands", {}).items():
        walk(deeper, name)

walk(typer.main.get_command(app), "root")
"""
"""Prints of each help text whether it is Chinese, and whether it is there."""


@pytest.mark.parametrize(("language", "chinese"), [("zh_CN.UTF-8", "True"), ("en_GB.UTF-8", "False"), ("C", "False")])
def test_the_whole_help_is_in_the_persons_language(language: str, chinese: str) -> None:
    environment = {**os.environ, "LANG": language}
    told = subprocess.run(
        [sys.executable, "-c", HELP], env=environment, capture_output=True, text=True, timeout=START_SECONDS, check=True
    ).stdout.split("\n")
    rows = [line.split("\t") for line in told if line]
    assert len(rows) > 30
    assert [row[0] for row in rows if row[1:] != [chinese, "True"]] == []


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"SHOAL_NOPE": "1"}, "SHOAL_NOPE is not a setting"),
        ({"SHOAL_PORT": "70000"}, "SHOAL_PORT"),
        ({"SHOAL_HOST": "192.0.2.77"}, "192.0.2.77"),
        ({"SHOAL_DATA_DIR": "/dev/null/x"}, "/dev/null/x"),
    ],
)
async def test_a_server_that_cannot_start_says_why_in_one_sentence(
    environment: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    values = {"SHOAL_DATA_DIR": str(tmp_path / "data"), "SHOAL_PORT": "0", **environment}
    assert sentence in await refusal(tmp_path, "serve", **values)


async def test_a_port_in_use_is_a_sentence_that_names_the_setting(taken_port: int, tmp_path: Path) -> None:
    for command in ("serve", "demo"):
        values = {"SHOAL_DATA_DIR": str(tmp_path / command), "SHOAL_PORT": str(taken_port)}
        said = await refusal(tmp_path, command, **values)
        assert f"port {taken_port} on 127.0.0.1 is in use; set SHOAL_PORT" in said
