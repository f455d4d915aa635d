"""Commands that are imported when they are asked for: who calls one waits for its modules, not for those of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_group


def _made(name: str, place: str) -> Any:
    """Import the module of a command and return it: a group, or one of the commands of that Typer instance."""
    module, _, instance = place.partition(":")
    group = get_group(getattr(import_module(f"shoal.cli.{module}"), instance))
    if name in group.commands:
        return group.commands[name]
    group.name = name
    return group


class LateGroup(TyperGroup):
    """A group with commands that are made when they are asked for, before and after those that it is given.

    Each stands by its name, with the module of ``shoal.cli`` and the Typer instance in which it is.
    """

    before: Mapping[str, str]
    after: Mapping[str, str]

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands: MutableMapping[str, Any] = _Commands({**self.before, **self.commands, **self.after})

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  the name that Typer calls it by
        """Return the names in the order of the help, and make no command."""
        return list(self.commands)


class _Commands(MutableMapping[str, Any]):
    """Commands by name. One that is late is made when it is looked up, and kept."""

    def __init__(self, commands: dict[str, Any]) -> None:
        self._commands = commands

    def __getitem__(self, name: str) -> Any:
        found = self._commands[name]
        if isinstance(found, str):
            found = self._commands[name] = _made(name, found)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._commands

    def __setitem__(self, name: str, command: Any) -> None:
        self._commands[name] = command

    def __delitem__(self, name: str) -> None:
        del self._commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._commands)

    def __len__(self) -> int:
        return len(self._commands)
