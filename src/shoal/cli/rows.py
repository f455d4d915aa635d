"""A command that calls the API is a row of a table: what it is given, which operation it calls, and what it prints.

``commands/`` holds the rows, by noun; ``run_rows`` makes commands of them and runs each. A name in a row is the API's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from shoal.cli.moments import moment
from shoal.cli.names import account_ids

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from shoal.cli.api_client import ApiClient

Answer = dict[str, Any]
"""A JSON object of the API: a whole answer, or a row of a list."""
Given = dict[str, Any]
"""What was given to a command, by the names of its parameters."""
Cell = str | Callable[[Answer], "str | Text"]
"""What a table shows of a row: a field (``a.b``), the first that has a value (``a|b|–``), or a function of the row."""
Shown = str | Mapping[str, Cell] | Callable[[Any, Given], "str | RenderableType"]
"""What people read of an answer: a sentence with its fields, its cells by their headings, or a function of it."""


@dataclass(frozen=True, slots=True)
class Param:
    """An argument, or an option if it has flags.

    ``name`` is that of a part of the path, a parameter of the query or a field of the body; with ``?`` before it always
    of the query, with ``_`` for the command alone. ``kind`` may be a tuple of the values to choose from, or a list of
    them when several may be given. ``read`` makes of what was typed what the API takes, or raises
    ``typer.BadParameter``. ``more`` goes to Typer as it is.
    """

    name: str
    flags: tuple[str, ...]
    kind: Any
    default: Any
    help: str | Callable[[], str]
    read: Callable[[Any], Any] | None
    more: Mapping[str, Any]

    def but(self, **changes: Any) -> Param:
        """Return the same with some changes."""
        return replace(self, **changes)


def arg(
    shown: str,
    name: str,
    kind: Any = str,
    default: Any = ...,
    *,
    help: str | Callable[[], str] = "",  # noqa: A002  as Typer calls it
    read: Callable[[Any], Any] | None = None,
    **more: Any,
) -> Param:
    """Return an argument, which a help calls ``shown``."""
    return Param(name, (), kind, default, help, read, {"metavar": shown, **more})


def option(
    flags: str,
    name: str = "",
    kind: Any = str,
    default: Any = None,
    *,
    help: str | Callable[[], str] = "",  # noqa: A002  as Typer calls it
    read: Callable[[Any], Any] | None = None,
    **more: Any,
) -> Param:
    """Return an option; without a ``name`` the API calls it as its first flag says. ``...``: it must be given."""
    return Param(name or plain(flags), tuple(flags.split()), kind, default, help, read, more)


def flag(flags: str, name: str = "", **more: Any) -> Param:
    """Return an option without a value; it is sent when it is given."""
    return option(flags, name, bool, default=False, **more)


def plain(flags: str) -> str:
    """Return the name in the first flag: ``--take-over`` is ``take_over``."""
    return flags.split(maxsplit=1)[0].partition("/")[0].strip("-").replace("-", "_")


NULL: Final = object()
"""What ``read`` returns to send ``null``: ``None`` is what was not given."""

SHOP = arg("ACCOUNT", "cid", help="cli.help.shop_id", autocompletion=account_ids)
OF_SHOP = option("--account", metavar="ACCOUNT", help="cli.help.only_shop", autocompletion=account_ids)
SHOPS = OF_SHOP.but(name="accounts", kind=list[str])
SINCE = option("--since", metavar="TIME", help="cli.help.since", read=moment)
UNTIL = option("--until", metavar="TIME", help="cli.help.until", read=moment)
LIMIT = option("--limit", kind=int, default=50, min=1, help="cli.help.limit")
DRY_RUN = flag("--dry-run", "?dry_run", help="cli.help.dry_run")
YES = flag("--yes -y", "_yes", help="cli.help.yes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A command.

    It calls its operation (a method and a path), or ``does`` its own work and returns the answer. ``body``: fields that
    are sent beside those that are given; it is empty for an operation that takes a body of which nothing is given.
    ``shaped`` changes what is given before it is sent. An answer with ``items`` whose cells are shown is a list:
    ``none`` is the sentence for an empty one, ``cursor`` the parameter that takes its ``next``. ``first`` and ``note``
    are printed beside it for people, before and after. ``ok`` is a field of the answer, with ``=`` its value: without
    it the command exits with 1.
    """

    name: str
    operation: str = ""
    params: tuple[Param, ...] = ()
    does: Callable[[ApiClient, Given], Awaitable[Any]] | None = None
    body: Mapping[str, Any] | None = None
    shaped: Callable[[Given], Given] | None = None
    is_open: bool = False
    """It needs no sign-in."""
    needs_change: bool = False
    """At least one field of the body must be given."""
    confirm: str = ""
    """The question that is asked first, unless the command was given ``--yes``."""
    shown: Shown
    none: str = "–"
    cursor: str = "cursor"
    first: Shown | None = None
    note: Shown | None = None
    ok: str | Callable[[Any], Any] = ""
    help: str = ""


def row(name: str, operation: str | Callable[[ApiClient, Given], Awaitable[Any]], *params: Param, **more: Any) -> Row:
    """Return a command that calls an operation, or does more than one call."""
    if callable(operation):
        return Row(name=name, does=operation, params=params, **more)
    return Row(name=name, operation=operation, params=params, **more)
