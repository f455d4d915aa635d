"""Write ``docs/cli.md`` and ``docs/cli.en.md``, the commands in both languages: ``python scripts/cli_pages.py``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from shoal.cli.app import app

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {"cli.md": "zh_CN.UTF-8", "cli.en.md": "en_US.UTF-8"}
TITLES = {
    "zh": ("命令行", "| 参数 | 说明 | 默认值 |"),
    "en": ("The command line", "| parameter | what it is | default |"),
}
ASK = "--print"


def page_in(locale: str) -> str:
    """Return the page in the language of ``locale``. The commands choose theirs once, so a process of its own asks."""
    environment = {**os.environ, "LC_ALL": locale, "LANG": locale, "COLUMNS": "200"}
    asked = [sys.executable, __file__, ASK, locale[:2]]
    return subprocess.run(asked, env=environment, check=True, capture_output=True, text=True).stdout


def page(language: str) -> str:
    """Return the page of this process's language."""
    title, head = TITLES[language]
    lines = [f"# {title}", "", "<!-- made by scripts/cli_pages.py -->", ""]
    for name, command in _commands("shoal", typer.main.get_command(app)):
        lines += [f"## `{name}`", "", _text(command.help), ""]
        if rows := [_row(parameter) for parameter in command.params if not getattr(parameter, "hidden", False)]:
            lines += [head, "|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, one in command.commands.items():
        yield from _commands(f"{name} {part}", one)


def _row(parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    names = ", ".join([*parameter.opts, *parameter.secondary_opts]) if is_option else parameter.name.strip("_").upper()
    help_text = getattr(parameter, "help", None)
    default = "" if callable(parameter.default) or parameter.default in (None, False, ()) else str(parameter.default)
    return f"| `{names}` | {_text(help_text)} | {f'`{default}`' if default else '–'} |"


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def main() -> int:
    """Print one page, or write both."""
    if sys.argv[1:2] == [ASK]:
        sys.stdout.write(page(sys.argv[2]))
        return 0
    for name, locale in PAGES.items():
        (DOCS / name).write_text(page_in(locale), encoding="utf-8")
        sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
