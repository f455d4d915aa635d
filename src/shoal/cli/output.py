"""What commands print: the answer of a route as JSON, or a sentence or a table made of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import typer
from rich.table import Table

from shoal.cli.api_client import ApiClient
from shoal.cli.session import run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import words

Row = dict[str, Any]
Shown = Callable[[Any], "str | Table"]
"""Makes of an answer what people read."""

_PAGE = 200
"""The largest page of every list."""


_wants_json: ContextVar[bool] = ContextVar("wants_json", default=False)


def wants_json() -> bool:
    """Return whether the command was given ``--json``."""
    return _wants_json.get()


def remember_json(value: bool) -> bool:
    """Keep for ``echo`` whether the command was given ``--json``."""
    _wants_json.set(value)
    return value


def echo(answer: Any, sentence: str, *, err: bool = False) -> None:
    """Print a sentence about an answer, or the answer itself if the command was given ``--json``."""
    print_json(answer)
    note(sentence, err=err)


def print_json(answer: Any) -> None:
    """Print an answer as JSON, if the command was given ``--json``."""
    if _wants_json.get():
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))


def note(sentence: str, *, err: bool = False) -> None:
    """Print a sentence, unless the command was given ``--json``."""
    if not _wants_json.get():
        typer.echo(sentence, err=err)


def publish(answer: Any, shown: Shown, *, as_json: bool) -> None:
    """Print an answer as JSON, or what ``shown`` makes of it."""
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    output = shown(answer)
    if isinstance(output, str):
        typer.echo(output)
    else:
        wide_console().print(output)


def ask(
    url: str | None,
    method: str,
    *path: str,
    shown: Shown,
    as_json: bool,
    body: Any = None,
    params: Mapping[str, str] | None = None,
) -> None:
    """Call a route and print its answer."""

    async def work() -> None:
        async with signed_in(url) as client:
            answer = await client.call(method, *path, body=body, params=params)
        publish(answer, shown, as_json=as_json)

    run(work())


def ask_rows(
    url: str | None,
    *path: str,
    table: Callable[[list[Row]], Table],
    none: str,
    as_json: bool,
    limit: int | None = None,
    params: Mapping[str, str] | None = None,
    paged_by: str = "cursor",
) -> None:
    """Read a list and print it as a table; ``none`` when it is empty."""

    async def work() -> None:
        async with signed_in(url) as client:
            found = await rows_of(client, *path, limit=limit, params=params, paged_by=paged_by)
        publish(found, lambda rows: table(rows) if rows else none, as_json=as_json)

    run(work())


async def rows_of(
    client: ApiClient,
    *path: str,
    limit: int | None = None,
    params: Mapping[str, str] | None = None,
    paged_by: str = "cursor",
) -> list[Row]:
    """Return the first ``limit`` rows of a list, page by page. ``None``: the list has no pages.

    ``paged_by``: the parameter that takes the ``next`` of the page before.
    """
    found: list[Row] = []
    cursor: str | None = None
    while limit is None or len(found) < limit:
        paging = {} if limit is None else {"limit": str(min(_PAGE, limit - len(found)))}
        page = await client.call(
            "GET", *path, params={**(params or {}), **paging, **({paged_by: cursor} if cursor else {})}
        )
        found += page["items"]
        cursor = page.get("next")
        if cursor is None:
            break
    return found


def given(**values: str | float | bool | None) -> dict[str, str]:
    """Return the parameters of a query that have a value."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }


def saved(answer: Row) -> str:
    """Return a sentence about a change of an account: its number in the history, by which it can be undone."""
    return words("cli.changes.saved", rev=answer["rev"]) if answer["changed"] else words("cli.changes.same")
