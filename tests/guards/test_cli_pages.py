"""The pages of the commands in the help have every command with every parameter, in both languages."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

ROOT = Path(__file__).parents[2]
NAMES = re.compile(r"^## `[^`]+`|^\| `[^`]+`", re.MULTILINE)
"""Commands and their parameters. Sentences may be better worded without renewing the pages at once."""


@pytest.mark.parametrize(("name", "locale"), [("cli.md", "zh_CN.UTF-8"), ("cli.en.md", "en_US.UTF-8")])
def test_the_page_names_every_command_and_parameter(name: str, locale: str) -> None:
    spec = importlib.util.spec_from_file_location("cli_pages", ROOT / "scripts" / "cli_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert NAMES.findall(page) == NAMES.findall(module.page_in(locale)), "run: python scripts/cli_pages.py"
    assert "## `shoal serve`" in page


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_terminal_shows_every_word_of_a_help_sentence(language: str) -> None:
    """The help is rich markup: a terminal shows nothing of ``[word]``, and the pages show it."""
    text = (ROOT / "src" / "shoal" / "language" / language / "cli.toml").read_text(encoding="utf-8")
    sentences = list(_help_sentences(tomllib.loads(text)))
    assert len(sentences) > 100
    assert [one for one in sentences if Text.from_markup(one).plain != one] == []


def _help_sentences(table: dict[str, Any], *, in_help: bool = False) -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _help_sentences(value, in_help=in_help or name == "help")
        elif in_help:
            yield value
