"""The options by which the settings of a shop are changed: each comes from its declaration."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import typer

from shoal.accounts.setting_kinds import Flag, Lines, Number, Way
from shoal.accounts.shop_settings import Declared, declared_by, declared_in
from shoal.cli.rows import NULL, Param, option
from shoal.cli.words import words

_NO_NUMBER = frozenset({"", "none", "server"})
"""What is typed for a number that a shop need not have."""


def options_of(*groups: type[msgspec.Struct]) -> tuple[Param, ...]:
    """Return an option for each setting of the groups that a change takes."""
    changed = declared_in(Way.BODY)
    return tuple(_option(one) for group in groups for one in declared_by(group).values() if one.name in changed)


def _option(one: Declared) -> Param:
    flags, setting = one.setting.option, one.setting
    plain = f"--{one.name.replace('_', '-')}"
    known: dict[str, Any] = {"name": one.name, "help": lambda: _help(one.name)}
    if isinstance(setting, Flag):
        return option(flags or f"{plain}/--no{plain[1:]}", kind=bool, **known)
    if isinstance(setting, Lines):
        return option(flags or plain, kind=list[str], read="\n".join, **known)
    if not isinstance(setting, Number):
        return option(flags or plain, **known)
    if one.is_optional:
        return option(flags or plain, metavar=setting.unit.upper() or "NUMBER", read=_number(setting.kind), **known)
    return option(flags or plain, kind=setting.kind, min=setting.least, max=setting.most, **known)


def _help(name: str) -> str:
    """Return what a setting is called, without its unit in the console, and what it means."""
    called = re.sub(r"\s*[(（].*?[)）]", "", words(f"fields.{name}"))
    return words("cli.settings.option", called=called, hint=words(f"fields.hint.{name}"))


def _number(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(typed: str) -> Any:
        try:
            return NULL if typed.strip() in _NO_NUMBER else kind(typed)
        except ValueError:
            raise typer.BadParameter(words("cli.settings.bad_number", text=typed)) from None

    return read
