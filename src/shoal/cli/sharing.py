"""``shoal accounts staff|share|unshare``: the users with whom an account is shared, and their permissions."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from shoal.cli.accounts import accounts
from shoal.cli.arguments import AccountId, AsJson
from shoal.cli.output import echo
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, words

UserName = Annotated[str, typer.Argument(metavar="USER", help=words("cli.sharing.help.user"), show_default=False)]


class Given(StrEnum):
    """What a user may do with another owner's account; each value contains the one before."""

    READ = "read"
    REPLY = "reply"
    OPERATE = "operate"


@accounts.command("staff", help=words("cli.sharing.help.staff"))
def list_staff(account_id: AccountId, url: Url = None, _as_json: AsJson = False) -> None:
    """List the users with whom an account is shared, and their permissions."""
    run(_list(url, account_id))


@accounts.command("share", help=words("cli.sharing.help.share"))
def share(
    account_id: AccountId,
    user: UserName,
    permission: Annotated[Given, typer.Option(help=words("cli.help.permission"))] = Given.READ,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Share an account with another user."""
    run(_share(url, account_id, user, permission))


@accounts.command("unshare", help=words("cli.sharing.help.unshare"))
def unshare(account_id: AccountId, user: UserName, url: Url = None, _as_json: AsJson = False) -> None:
    """Stop sharing an account with a user, at once."""
    run(_unshare(url, account_id, user))


async def _list(url: str | None, account_id: str) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "cookies", account_id, "staff"))["items"]
    echo(found, "\n".join(map(_line, found)) or words("cli.sharing.none"))


def _line(row: dict[str, Any]) -> str:
    permission = row["permission"]
    return f"{printable(row['username'])}: {words(f'permission.{permission}')}"


async def _share(url: str | None, account_id: str, user: str, permission: Given) -> None:
    async with signed_in(url) as client:
        row = await client.call("PUT", "cookies", account_id, "staff", user, body={"permission": permission.value})
    name, account = printable(row["username"]), printable(account_id)
    echo(row, words("cli.sharing.shared", name=name, shop=account, permission=words(f"permission.{permission.value}")))


async def _unshare(url: str | None, account_id: str, user: str) -> None:
    async with signed_in(url) as client:
        answer = await client.call("DELETE", "cookies", account_id, "staff", user)
    name, account = printable(answer["username"]), printable(account_id)
    if answer["changed"]:
        echo(answer, words("cli.sharing.unshared", name=name, account=account))
    else:
        echo(answer, words("cli.sharing.was_not_shared", account=account, name=name))
