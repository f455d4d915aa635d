"""Commands that are imported when they are asked for: who calls one waits for its modules, not for those of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from typer.core import TyperGroup
from typer.main import get_group


@dataclass(frozen=True, slots=True)
class Late:
    """Where a command is: ``of`` of ``module``, to which the modules ``added`` add commands of their own."""

    module: str
    of: str
    added: tuple[str, ...] = ()
    single: bool = False
    """It is one command of that Typer instance, and not the whole instance as a group."""

    def made(self, name: str) -> Any:
        """Import its modules and return the command."""
        instance = getattr(import_module(f"shoal.cli.{self.module}"), self.of)
        for module in self.added:
            import_module(f"shoal.cli.{module}")
        group = get_group(instance)
        if self.single:
            return group.commands[name]
        group.name = name
        return group


class LateGroup(TyperGroup):
    """A group with commands that are made when they are asked for, before and after those that it is given."""

    before: Mapping[str, Late]
    after: Mapping[str, Late]

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
        if isinstance(found, Late):
            found = self._commands[name] = found.made(name)
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
