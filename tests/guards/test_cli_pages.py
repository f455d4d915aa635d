"""The pages of the commands in the help have every command with every parameter, in both languages."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

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
