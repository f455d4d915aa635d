"""Makes commands of rows, and runs each of them."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from enum import StrEnum
from keyword import iskeyword
from typing import TYPE_CHECKING, Annotated, Any, Optional, cast

import typer

from shoal.cli.rows import NULL, Answer, Given, Param, Row, flag, option, plain
from shoal.cli.words import words
from shoal.errors import ConfigError

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

# The client, and what draws tables, are imported by a command that runs: a help needs neither.
# ruff: noqa: PLC0415

URL = option("--url", "_url", metavar="URL", help="cli.session.help.url")
AS_JSON = flag("--json", "_json", help="cli.help.json")
_PAGE = 200
"""The largest page of every list."""
_YES = flag("--yes -y", "_yes", help="cli.help.yes")
_wants_json: ContextVar[bool] = ContextVar("wants_json", default=False)


def wants_json() -> bool:
    """Return whether the command was given ``--json``."""
    return _wants_json.get()


def note(sentence: str, *, err: bool = False) -> None:
    """Print a sentence, unless the command was given ``--json``."""
    if not _wants_json.get():
        typer.echo(sentence, err=err)


def echo(answer: Any, sentence: str) -> None:
    """Print a sentence about an answer, or the answer itself if the command was given ``--json``."""
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=2) if _wants_json.get() else sentence)


def remember_json(value: bool) -> bool:
    """Keep whether a command that is no row was given ``--json``."""
    _wants_json.set(value)
    return value


AsJson = Annotated[bool, typer.Option("--json", help=words("cli.help.json"), callback=remember_json)]
"""``--json`` of a command that is no row."""

# ── rows as commands ──────────────────────────────────────────────────────────────────────────────────────────────────


def group(name: str, rows: Sequence[Row], root: str = "") -> typer.Typer:
    """Return a group with a command per row. ``root``: where the catalogue has its help; ``cli.NAME`` when left out."""
    root = root or f"cli.{name}"
    made = typer.Typer(no_args_is_help=True, help=words(f"{root}.help.{name}"))
    made.callback()(lambda: None)  # a group with one command stays a group
    return add_rows(made, rows, root)


def add_rows(made: typer.Typer, rows: Sequence[Row], root: str) -> typer.Typer:
    """Add a command per row to a group."""
    for one in rows:
        made.command(one.name, help=words(help_of(one, root)))(command_of(one, root))
    return made


def command_of(one: Row, root: str) -> Callable[..., None]:
    """Return the function of a command, with the signature by which Typer parses it."""
    params = {_typed_name(param): param for param in _params(one)}

    def run_row(**typed: Any) -> None:
        run(one, {param.name: _read(param, typed[name]) for name, param in params.items()})

    made: Any = run_row
    made.__signature__ = inspect.Signature([_parameter(name, param, root) for name, param in params.items()])
    made.row, made.root = one, root
    return cast("Callable[..., None]", made)


def help_of(one: Row, root: str) -> str:
    """Return the key of a command's help."""
    return one.help or f"{root}.help.{one.name.replace('-', '_')}"


def keys_of(one: Row, root: str) -> set[str]:
    """Return the keys of the catalogue by which the help of a command is made."""
    return {help_of(one, root), *(_help_key(param, root) for param in _params(one) if isinstance(param.help, str))}


def rows_in(command: Any, name: str = "shoal") -> Iterator[tuple[str, Row, str]]:
    """Yield each command below one that is a row: its name, the row, and where the catalogue has its help."""
    for part, below in getattr(command, "commands", {}).items():
        yield from rows_in(below, f"{name} {part}")
    called = command.callback
    while hasattr(called, "__wrapped__"):
        called = called.__wrapped__
    if hasattr(called, "row"):
        yield name, called.row, called.root


def _params(one: Row) -> tuple[Param, ...]:
    return (*one.params, *((_YES,) if one.confirm else ()), URL, AS_JSON)


def _help_key(param: Param, root: str) -> str:
    return str(param.help) or f"{root}.help.{_typed_name(param)}"


def _typed_name(param: Param) -> str:
    name = plain(param.flags[0]) if param.flags else re.sub(r"\W", "", param.more["metavar"]).lower()
    return f"{name}_" if iskeyword(name) else name


def _parameter(name: str, param: Param, root: str) -> inspect.Parameter:
    kind: Any = param.kind
    if isinstance(kind, tuple | list):
        kind = cast("Any", StrEnum)("Choice", {one: one for one in kind})
        kind = list[kind] if isinstance(param.kind, list) else kind
    more = {"show_default": False, **param.more} if param.default in {None, ...} else param.more
    known = {"help": words(_help_key(param, root)) if isinstance(param.help, str) else param.help(), **more}
    of = typer.Option(param.default, *param.flags, **known) if param.flags else typer.Argument(param.default, **known)
    if param.default is None:
        kind = Optional[kind]  # noqa: UP045  a type that is made at run time
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=of, annotation=kind)


def _read(param: Param, typed: Any) -> Any:
    """Return what the API takes; ``None`` for what was not given."""
    if typed is None or typed == [] or (typed is False and param.default is False):
        return None
    return typed if param.read is None else param.read(typed)


# ── a command that runs ───────────────────────────────────────────────────────────────────────────────────────────────


def run(one: Row, given: Given) -> None:
    """Carry out a command. Raises ``typer.Exit``."""
    from shoal.cli.session import run as run_work

    url, as_json = given.pop(URL.name), bool(given.pop(AS_JSON.name))
    _wants_json.set(as_json)
    if one.needs_change and not body_of(one, given):
        raise ConfigError("cli.error.nothing_to_change")
    if one.confirm and not given.pop(_YES.name):
        _ask(one.confirm, given)
    run_work(_work(one, given, url))


def _ask(question: str, given: Given) -> None:
    from shoal.cli.cells import Sentence

    if not sure(Sentence(question, {})({}, given)):
        raise typer.Abort


def sure(question: str) -> bool:
    """Ask for a yes or no on the terminal. Without one, raise ``ConfigError`` that names the option ``--yes``."""
    if not sys.stdin.isatty():
        raise ConfigError("cli.error.unasked")
    return typer.confirm(question, err=True)


async def _work(one: Row, given: Given, url: str | None) -> None:
    from shoal.cli.session import not_signed_in, signed_in

    async with not_signed_in(url) if one.is_open else signed_in(url) as client:
        answer = await (_asked(client, one, given) if one.does is None else one.does(client, given))
    if answer is not None:
        _publish(one, answer, given)


async def _asked(client: ApiClient, one: Row, given: Given) -> Any:
    path = {name: str(param) for name, param in given.items() if in_path(one, name)}
    query = {name.lstrip("?"): param for name, param in given.items() if in_query(one, name)}
    body = body_of(one, given) if one.body is not None or any(in_body(one, name) for name in given) else None
    if one.operation.startswith("GET ") and isinstance(one.shown, dict):
        return await listed(client, one.operation, query, cursor=one.cursor, **path)
    return await client.ask(one.operation, body=body, query=query, **path)


async def listed(
    client: ApiClient, operation: str, query: Given | None = None, *, cursor: str = "cursor", **path: str
) -> Any:
    """Return the rows of a list, page by page up to the ``limit`` of the query; an answer that is no list as it is."""
    query = dict(query or {})
    limit = query.get("limit")
    found: list[Answer] = []
    while True:
        if limit is not None:
            query["limit"] = min(_PAGE, limit - len(found))
        page = await client.ask(operation, query=query, **path)
        if not isinstance(page.get("items"), list):
            return page
        found += page["items"]
        query[cursor] = page.get("next")
        if query[cursor] is None or limit is None or len(found) >= limit:
            return found


def body_of(one: Row, given: Given) -> Given:
    """Return the body of a call: what is given of it, and what is always sent."""
    given = {name: param for name, param in given.items() if param is not None}
    given = given if one.shaped is None else one.shaped(given)
    fields = {name: None if param is NULL else param for name, param in given.items() if in_body(one, name)}
    return {**(one.body or {}), **fields}


def in_path(one: Row, name: str) -> bool:
    """Return whether a parameter is a part of the path."""
    return f"{{{name}}}" in one.operation


def in_query(one: Row, name: str) -> bool:
    """Return whether a parameter is one of the query."""
    return name.startswith("?") or (one.operation.startswith(("GET ", "DELETE ")) and _is_sent(one, name))


def in_body(one: Row, name: str) -> bool:
    """Return whether a parameter is a field of the body."""
    return _is_sent(one, name) and not in_query(one, name)


def _is_sent(one: Row, name: str) -> bool:
    return not name.startswith(("_", "?")) and not in_path(one, name)


def _publish(one: Row, answer: Any, given: Given) -> None:
    from shoal.cli.cells import shown_as, wide_console

    if one.first is not None:
        note(str(shown_as(one.first, answer, given)), err=True)
    if _wants_json.get():
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    elif answer == [] and isinstance(one.shown, dict):
        typer.echo(words(one.none) if "." in one.none else one.none)
    else:
        output = shown_as(one.shown, answer, given)
        if isinstance(output, str):
            typer.echo(output, nl=bool(output))
        else:
            wide_console().print(output)
    if one.note is not None and (sentence := shown_as(one.note, answer, given)):
        note(str(sentence), err=True)
    if one.ok and not _is_ok(one.ok, answer):
        raise typer.Exit(1)


def _is_ok(field: str | Callable[[Any], Any], answer: Answer) -> bool:
    if callable(field):
        return bool(field(answer))
    name, _, wanted = field.partition("=")
    return answer[name] == wanted if wanted else bool(answer[name])
