"""Every command of Shoal that a page, an alert or a sentence tells somebody to run exists, with its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from shoal.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = (
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if not path.name.startswith("cli.")),
    *(
        ROOT / name
        for name in (
            "README.md",
            "README.zh-CN.md",
            "CONTRIBUTING.md",
            "compose.yaml",
            "compose.local.yaml",
            "compose.cluster.yaml",
        )
    ),
    *sorted((ROOT / "deploy").glob("*.service")),
    *sorted((ROOT / "deploy" / "prometheus").glob("*.yml")),
    *sorted((ROOT / "src/shoal/language").rglob("*.toml")),
)
"""Those of each command (``docs/cli``) are generated."""
_CODE = re.compile(
    r"^```[^\n]*\n(.*?)^ *```|`([^`\n]+(?:\n[^`\n]+)?)`|[“\"']((?:[\w/~.]*/)?shoal [^”\"'`\n]+)[”\"']",
    re.DOTALL | re.MULTILINE,
)
_ENDS = re.compile(r"\s*(?:&&|\|\||[;|>])\s*|\s+#.*|\n")
_NAME = re.compile(r"(?:ExecStart=)?(?:\S*/bin/)?shoal")


def commands_in(text: str) -> Iterator[list[str]]:
    """The words after ``shoal`` of each command in the code of a text."""
    for match in _CODE.finditer(text.replace("\\\n", " ")):
        block, span, quoted = match.groups()
        code = block if block is not None else (span or quoted).replace("\n", " ")
        for command in _ENDS.split(code):
            words = [word for word in (command or "").split() if not re.match(r"[A-Z_]+=|…$|sudo$", word)]
            if "exec" in words and "shoal" in words:
                words = words[words.index("shoal") + 1 :]  # the service of Compose, then its command
            if words and _NAME.fullmatch(words[0]):
                yield words[1:]


@cache
def _whole() -> Any:
    return typer.main.get_command(app)


def fault_of(words: list[str]) -> str:
    """Why a command cannot be run like that; nothing if it can. A placeholder ends what can be checked."""
    command, options = _whole(), [word.strip("[]().,:：，。、") for word in words]
    while options and hasattr(command, "commands"):
        word = options[0]
        if word.startswith("-"):
            break
        if word not in command.commands:
            return "" if not re.fullmatch(r"[a-z][a-z-]*", word) else f"{word!r} is no command of {command.name}"
        command = command.commands[options.pop(0)]
    known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
    known |= {"--help", "-h", "--install-completion", "--show-completion"}
    for word in options:
        name = word.partition("=")[0]
        if re.fullmatch(r"-{1,2}[a-z][a-z-]*", name) and name not in known:
            return f"{command.name} has no {name}"
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_somebody_is_told_to_run_exists(page: Path) -> None:
    found = list(commands_in(page.read_text(encoding="utf-8")))
    assert {" ".join(words): fault for words in found if (fault := fault_of(words))} == {}


def test_a_wrong_command_is_found_wherever_it_stands() -> None:
    told = (
        "```\nSHOAL_X=1 ~/shoal/bin/shoal backup mak /x   # c\nshoal serve --hots 1 && shoal users nope\n```\n"
        "`docker compose exec shoal shoal usres list`, `shoal doctor --offline`, “shoal rules add SHOP”, "
        "`… exec shoal shoal me`"
    )
    assert [fault_of(words) for words in commands_in(told)] == [
        "'mak' is no command of backup", "serve has no --hots", "'nope' is no command of users",
        "'usres' is no command of shoal", "", "", "",
    ]  # fmt: skip


def test_the_help_tells_of_most_commands_so_that_this_looks_at_something() -> None:
    pages = [path for path in PAGES if path.suffix == ".md"]
    assert sum(len(list(commands_in(path.read_text(encoding="utf-8")))) for path in pages) > 200
