"""``shoal incidents …``: what stopped a shop or needs its owner, over the API."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.arguments import AsJson
from shoal.cli.output import echo
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import ago, printable, words

incidents = typer.Typer(no_args_is_help=True, help=words("cli.incidents.help.incidents"))


@incidents.command("list", help=words("cli.incidents.help.list"))
def list_incidents(
    every: Annotated[bool, typer.Option("--all", help=words("cli.incidents.help.all"))] = False,
    account: Annotated[str | None, typer.Option(help=words("cli.incidents.help.account"), show_default=False)] = None,
    limit: Annotated[int, typer.Option(help=words("cli.incidents.help.limit"), min=1, max=200)] = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List the incidents that last, the newest first; with ``--all`` also those that are over."""
    params = {"limit": str(limit), **({} if every else {"open": "1"}), **({"cid": account} if account else {})}
    run(_list(url, params, as_json=as_json))


@incidents.command("backup", help=words("cli.incidents.help.backup"))
def note_backup(
    failed: Annotated[bool, typer.Option("--failed/--ok", help=words("cli.incidents.help.failed"))],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Note how a backup went, so that administrators are told of one that failed."""
    run(_backup(url, failed=failed))


async def _list(url: str | None, params: dict[str, str], *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "incidents", params=params))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(words("cli.incidents.none"))
    else:
        wide_console().print(_table(found, plain=not sys.stdout.isatty()))


async def _backup(url: str | None, *, failed: bool) -> None:
    async with signed_in(url) as client:
        noted = await client.call("POST", "system", "backups", body={"ok": not failed})
    echo(noted, words("cli.incidents.noted"))


def _table(found: list[dict[str, Any]], *, plain: bool) -> Table:
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in (
        words("cli.incidents.since"), words("cli.incidents.over"), words("cli.incidents.count"),
        words("cli.incidents.what"), words("cli.incidents.do"),
    ):  # fmt: skip
        table.add_column(heading, overflow="fold")
    for one in found:
        table.add_row(
            _ago(one["opened_at_ms"]),
            "–" if one["closed_at_ms"] is None else _ago(one["closed_at_ms"]),
            str(one["count"]),
            Text(printable(one["detail"]), style="bold"),
            Text(printable(one["do"])),
        )
    return table


def _ago(at_ms: int) -> str:
    return ago(datetime.fromtimestamp(at_ms / 1000, UTC).isoformat())
