"""Every route is called by a command, or a reason is written down; and every command can print JSON."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import typer

from shoal.cli.app import app

ROOT = Path(__file__).parents[2]
RUN_UNTIL_STOPPED = {"shoal serve", "shoal demo", "shoal sandbox"}
FOR_PEOPLE = {"shoal login", "shoal logout"}
"""They ask and answer a person; a script uses SHOAL_TOKEN."""


@cache
def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("commands_table", ROOT / "scripts" / "commands_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look there for their annotations
    spec.loader.exec_module(module)
    return module


def test_each_route_is_called_by_a_command_or_has_a_reason() -> None:
    routes = _script().routes_of_commands()
    assert len(routes) > 200
    lacking = [route for route, commands in routes.items() if not commands and not _script().reason_of(*route)]
    assert lacking == [], "call it from a command, or write the reason into scripts/commands_table.py"


def test_the_sources_tell_which_command_calls_a_route() -> None:
    routes = _script().routes_of_commands()
    assert routes["PATCH", "/cookies/{cid}/rules/{rule_id}"] == ["shoal rules edit"]
    assert routes["POST", "/goods/{goods_id}/units/{unit_id}/doubt"] == ["shoal goods doubt"]
    assert routes["POST", "/cookies/{cid}/orders/{order_id}/settle"] == ["shoal orders settle"]
    assert routes["POST", "/keywords/{cid}"] == []


def test_every_command_prints_json() -> None:
    silent = [
        name
        for name, command in _commands("shoal", typer.main.get_command(app))
        if not any("--json" in parameter.opts for parameter in command.params)
    ]
    assert [name for name in silent if name not in RUN_UNTIL_STOPPED | FOR_PEOPLE] == []


def test_the_table_of_the_page_is_that_of_the_commands() -> None:
    page = _script().PAGE.read_text(encoding="utf-8")
    written = page.partition(_script().BEGIN)[2].partition(_script().END)[0].strip()
    assert written == _script().table(), "run: python scripts/commands_table.py"


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(command, "commands"):
        yield name, command
        return
    for part, one in command.commands.items():
        yield from _commands(f"{name} {part}", one)
