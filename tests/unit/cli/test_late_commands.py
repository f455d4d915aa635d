"""A command is imported when it is called, with no other command; the help has all of them."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer.main

from shoal.cli.app import app

_PROGRAM = """
import sys
from shoal.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit:
    pass
print("imported:", *sorted(name for name in sys.modules if name.startswith("shoal.cli.")), file=sys.stderr)
"""


def _imported_by(*words: str) -> set[str]:
    told = subprocess.run([sys.executable, "-c", _PROGRAM, *words], capture_output=True, text=True, check=True)
    return {name.removeprefix("shoal.cli.") for name in told.stderr.split("imported: ")[1].split()}


@pytest.mark.slow
def test_a_command_imports_its_own_modules_only() -> None:
    imported = _imported_by("items", "list", "--help")
    assert "commands.goods" in imported
    assert not imported & {
        "api_client",
        "commands.accounts",
        "commands.ai",
        "backup",
        "doctor",
        "commands.orders",
        "commands.chats",
    }


@pytest.mark.slow
def test_the_version_imports_no_command() -> None:
    assert _imported_by("--version") == {"app", "late_commands", "words"}


def test_every_command_is_there_under_its_name() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert {name: command.name for name, command in commands.items()} == {name: name for name in commands}
    assert {"apply", "login", "serve", "channels", "import"} <= set(commands)


def test_a_command_is_made_once() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert commands["items"] is commands["items"]
    assert "items" in commands
    assert "itemz" not in commands
    with pytest.raises(KeyError):
        commands["itemz"]
