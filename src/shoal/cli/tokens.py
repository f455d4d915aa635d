"""``shoal tokens …``: the API tokens of the signed-in user, over the API."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.arguments import AsJson
from shoal.cli.output import echo, note
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import ago, printable, words

tokens = typer.Typer(
    no_args_is_help=True,
    help=words("cli.tokens.help.tokens"),
)


class Scope(StrEnum):
    """What a token may do; each value contains the one before."""

    READ = "read"
    REPLY = "reply"
    OPERATE = "operate"
    MANAGE = "manage"


@tokens.command("list", help=words("cli.tokens.help.list"))
def list_tokens(
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List your API tokens. A token itself is shown only once, when it is created."""
    run(_list(url, as_json=as_json))


@tokens.command("make", help=words("cli.tokens.help.make"))
def make_token(
    name: Annotated[str, typer.Argument(help=words("cli.tokens.help.name"), show_default=False)],
    scope: Annotated[Scope, typer.Option(help=words("cli.help.permission"))] = Scope.READ,
    account: Annotated[
        list[str] | None,
        typer.Option(
            help=words("cli.tokens.help.account"),
            show_default=False,
        ),
    ] = None,
    days: Annotated[int, typer.Option(help=words("cli.tokens.help.days"), min=1, max=366)] = 90,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Create an API token, and show it this once."""
    run(_make(url, {"name": name, "scope": scope.value, "accounts": account, "expires_days": days}))


@tokens.command("revoke", help=words("cli.tokens.help.revoke"))
def revoke_token(
    token_id: Annotated[int, typer.Argument(metavar="ID", help=words("cli.tokens.help.id"))],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Revoke an API token, at once and permanently."""
    run(_revoke(url, token_id))


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "tokens"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(words("cli.tokens.none"))
    else:
        wide_console().print(_table(found, plain=not sys.stdout.isatty()))


def _table(found: list[dict[str, Any]], *, plain: bool) -> Table:
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in (
        words("cli.tokens.id"), words("cli.tokens.name"), words("cli.tokens.scope"), words("cli.tokens.shops"),
        words("cli.tokens.until"), words("cli.tokens.last_used"),
    ):  # fmt: skip
        table.add_column(heading, overflow="fold")
    for token in found:
        only = token["accounts"]
        table.add_row(
            str(token["id"]),
            Text(printable(token["name"]), style="bold"),
            words(f"cli.tokens.scopes.{token['scope']}"),
            Text(words("cli.tokens.all") if only is None else printable(", ".join(only))),
            words("cli.tokens.expired") if token["expired"] else token["expires_at"][:10],
            ago(token["last_used_at"]) if token["last_used_at"] else words("cli.tokens.never"),
        )
    return table


async def _make(url: str | None, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        made = await client.call("POST", "tokens", body=body)
    note(words("cli.tokens.made", day=made["expires_at"][:10]), err=True)
    echo(made, made["token"])


async def _revoke(url: str | None, token_id: int) -> None:
    async with signed_in(url) as client:
        gone = await client.call("DELETE", "tokens", str(token_id))
    echo(gone, words("cli.tokens.revoked"))
