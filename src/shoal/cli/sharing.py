"""``shoal accounts staff|share|unshare``: the users with whom an account is shared, and their permissions."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from shoal.cli.accounts import AccountId, accounts
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, words

UserName = Annotated[str, typer.Argument(metavar="USER", help=words("cli.sharing.help.user"), show_default=False)]


class Given(StrEnum):
    """What a user may do with another owner's account; each value contains the one before."""

    READ = "read"
    REPLY = "reply"
    OPERATE = "operate"


@accounts.command("staff", help=words("cli.sharing.help.staff"))
def list_staff(account_id: AccountId, url: Url = None) -> None:
    """List the users with whom an account is shared, and their permissions."""
    run(_list(url, account_id))


@accounts.command("share", help=words("cli.sharing.help.share"))
def share(
    account_id: AccountId,
    user: UserName,
    permission: Annotated[Given, typer.Option(help=words("cli.help.permission"))] = Given.READ,
    url: Url = None,
) -> None:
    """Share an account with another user."""
    run(_share(url, account_id, user, permission))


@accounts.command("unshare", help=words("cli.sharing.help.unshare"))
def unshare(account_id: AccountId, user: UserName, url: Url = None) -> None:
    """Stop sharing an account with a user, at once."""
    run(_unshare(url, account_id, user))


async def _list(url: str | None, account_id: str) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "cookies", account_id, "staff"))["items"]
    if not found:
        typer.echo(words("cli.sharing.none"))
    for row in found:
        permission = words(f"permission.{row['permission']}")
        typer.echo(f"{printable(row['username'])}: {permission}")


async def _share(url: str | None, account_id: str, user: str, permission: Given) -> None:
    async with signed_in(url) as client:
        row = await client.call("PUT", "cookies", account_id, "staff", user, body={"permission": permission.value})
    name, account = printable(row["username"]), printable(account_id)
    typer.echo(words("cli.sharing.shared", name=name, shop=account, permission=words(f"permission.{permission.value}")))


async def _unshare(url: str | None, account_id: str, user: str) -> None:
    async with signed_in(url) as client:
        answer = await client.call("DELETE", "cookies", account_id, "staff", user)
    name, account = printable(answer["username"]), printable(account_id)
    if answer["changed"]:
        typer.echo(words("cli.sharing.unshared", name=name, account=account))
    else:
        typer.echo(words("cli.sharing.was_not_shared", account=account, name=name))
