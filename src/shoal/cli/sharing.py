"""``shoal accounts staff|share|unshare``: with whom an account is shared, and what they may do."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from shoal.cli.accounts import AccountId, accounts
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import in_chinese, printable, words

Person = Annotated[
    str, typer.Argument(metavar="USER", help=words("Their user name.", "对方的用户名。"), show_default=False)
]


class Given(StrEnum):
    """What somebody may do with an account of another; each contains the one before."""

    READ = "read"
    REPLY = "reply"
    OPERATE = "operate"


_MAY = {
    Given.READ: ("read", "查看"),
    Given.REPLY: ("reply for", "回复"),
    Given.OPERATE: ("operate", "操作"),
}


@accounts.command("staff")
@in_chinese("列出一个账号共享给了谁，以及各自的权限。")
def list_staff(account_id: AccountId, url: Url = None) -> None:
    """List with whom an account is shared, and what each of them may do."""
    run(_list(url, account_id))


@accounts.command("share")
@in_chinese(
    "把账号共享给另一个用户。\n\n"
    "权限：read 查看；reply 另可发消息、接管会话、处理订单；operate 另可改开关、规则和设置。"
    "Cookie、代理、删除和共享始终只有店主可以操作。"
)
def share(
    account_id: AccountId,
    user: Person,
    permission: Annotated[Given, typer.Option(help=words("What they may do.", "权限。"))] = Given.READ,
    url: Url = None,
) -> None:
    """Share an account with another person.

    read: see everything but secrets. reply: also send, take chats over, serve orders. operate: also switches, rules and
    settings. The cookie, the proxy, the removal and the sharing stay yours.
    """
    run(_share(url, account_id, user, permission))


@accounts.command("unshare")
@in_chinese("不再把账号共享给某个用户，立即生效。")
def unshare(account_id: AccountId, user: Person, url: Url = None) -> None:
    """Share an account with a person no more, at once."""
    run(_unshare(url, account_id, user))


async def _list(url: str | None, account_id: str) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "cookies", account_id, "staff"))["items"]
    if not found:
        typer.echo(words("It is shared with nobody.", "没有共享给任何人。"))
    for row in found:
        typer.echo(f"{printable(row['username'])}: {words(*_MAY[Given(row['permission'])])}")


async def _share(url: str | None, account_id: str, user: str, permission: Given) -> None:
    async with signed_in(url) as client:
        row = await client.call("PUT", "cookies", account_id, "staff", user, body={"permission": permission.value})
    english, chinese = _MAY[permission]
    name, account = printable(row["username"]), printable(account_id)
    typer.echo(words(f"{name} may {english} {account}.", f"{name} 现在可以对 {account} 进行“{chinese}”。"))


async def _unshare(url: str | None, account_id: str, user: str) -> None:
    async with signed_in(url) as client:
        answer = await client.call("DELETE", "cookies", account_id, "staff", user)
    name, account = printable(answer["username"]), printable(account_id)
    if answer["changed"]:
        typer.echo(words(f"{name} may do nothing with {account} any more.", f"{name} 不再能使用 {account}。"))
    else:
        typer.echo(words(f"{account} was not shared with {name}.", f"{account} 没有共享给 {name}。"))
