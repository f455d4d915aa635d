"""``shoal history …``: who changed what, and undo, over the API."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from shoal.cli.arguments import AsJson, DryRun, Limit, OfAccount, Since, Until
from shoal.cli.moments import local, moment
from shoal.cli.output import Row, ask, ask_rows, given
from shoal.cli.session import Url
from shoal.cli.tables import rows_table
from shoal.cli.words import printable, words

history = typer.Typer(no_args_is_help=True, help=words("cli.history.help.history"))

_SHOWN_CHARACTERS = 60


@history.command("list", help=words("cli.history.help.list"))
def list_changes(
    *,
    account: OfAccount = None,
    actor: Annotated[str | None, typer.Option(help=words("cli.history.help.actor"), show_default=False)] = None,
    field: Annotated[str | None, typer.Option(help=words("cli.history.help.field"), show_default=False)] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the changes of all accounts, newest first."""
    params = given(cid=account, actor=actor, field=field, since=moment(since), until=moment(until))
    none = words("cli.history.none")
    ask_rows(url, "history", table=_table, none=none, limit=limit, params=params, as_json=as_json)


@history.command("undo", help=words("cli.history.help.undo"))
def undo_change(
    rev: Annotated[int, typer.Argument(metavar="CHANGE", help=words("cli.history.help.rev"), min=1)],
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Restore the old values of one change, as a new change."""
    params = given(dry_run=dry_run or None)
    ask(url, "POST", "history", str(rev), "undo", params=params, shown=_undone, as_json=as_json)


@history.command("outcome", help=words("cli.history.help.outcome"))
def look_up(
    op_id: Annotated[str, typer.Argument(metavar="OP", help=words("cli.history.help.op_id"), show_default=False)],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say whether a change was made, by its op id or key."""
    ask(url, "GET", "ops", op_id, shown=_outcome, as_json=as_json)


def _table(found: list[Row]) -> Table:
    rows = (
        (
            str(one["rev"]),
            local(one["at"]),
            one["account"],
            f"{one['actor'].removeprefix('user:')} {one['origin'].partition(' ')[0]}".strip(),
            changes_words(one["changes"]),
        )
        for one in found
    )
    return rows_table(("change", "at", "shop", "actor", "changed"), rows)


def _undone(answer: Row) -> str:
    if "changes" in answer:
        return words("cli.history.would_undo", changes=changes_words(answer["changes"]) or "–")
    return words("cli.history.undone", rev=answer["rev"])


def _outcome(answer: Row) -> str:
    if answer["state"] == "applied" and answer["rev"] is not None:
        return words("cli.history.applied", rev=answer["rev"])
    return words(f"cli.history.outcomes.{answer['state']}")


def changes_words(changes: dict[str, Any]) -> str:
    """Return on one line what changed, each field with its old and new value."""
    return " · ".join(f"{printable(name)}: {_change(change)}" for name, change in changes.items())


def _change(change: Any) -> str:
    if isinstance(change, list) and len(change) == 2:
        return f"{_value(change[0])} → {_value(change[1])}"
    if isinstance(change, dict):
        return ", ".join(f"{name} {_count(rows)}" for name, rows in change.items() if rows)
    return _value(change)


def _count(rows: Any) -> str:
    return str(len(rows)) if isinstance(rows, list | dict) else _value(rows)


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = printable(text)
    return f"{shown[:_SHOWN_CHARACTERS]}…" if len(shown) > _SHOWN_CHARACTERS else shown or "–"
