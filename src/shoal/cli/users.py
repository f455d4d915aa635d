"""``shoal users …``: the people of a running server, over its API; and help for who is locked out, on the machine."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shoal.cli.api_client import ApiClient, Refused
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import ago, in_chinese, printable, words
from shoal.config import load_settings
from shoal.errors import ConfigError

# What works on the database itself takes long to load and is seldom needed.
# ruff: noqa: PLC0415

users = typer.Typer(
    no_args_is_help=True,
    help=words(
        "List, invite, change and remove the people of a server; let somebody in again who is locked out.",
        "查看、邀请、修改和删除用户；帮助无法登录的人重新登录。",
    ),
)

Name = Annotated[str, typer.Argument(metavar="NAME", help=words("The user's name.", "用户名。"), show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help=words("Print JSON instead.", "以 JSON 输出。"))]
DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir", help=words("The data directory; over SHOAL_DATA_DIR.", "数据目录，优先于 SHOAL_DATA_DIR。")
    ),
]
_WIDE: Final = 1_000
_ROLES: Final = {"admin": ("administrator", "管理员"), "owner": ("owner", "店主"), "staff": ("staff", "员工")}


class RoleName(StrEnum):
    """A role, as the API names it."""

    ADMIN = "admin"
    OWNER = "owner"
    STAFF = "staff"


@users.command("list")
@in_chinese("列出所有用户：角色、店铺数、两步验证、上次登录。")
def list_users(url: Url = None, as_json: AsJson = False) -> None:
    """List the people: role, shops, second factor, and when they signed in last."""
    run(_list(url, as_json=as_json))


@users.command("invite")
@in_chinese("生成一个邀请链接（只显示一次），对方打开后自己设置用户名和密码。")
def invite(
    role: Annotated[RoleName, typer.Argument(help=words("What they may do.", "对方的角色。"))] = RoleName.OWNER,
    email: Annotated[str | None, typer.Option(help=words("Their e-mail address.", "对方的邮箱。"))] = None,
    hours: Annotated[
        float, typer.Option(min=0.1, max=720, help=words("For how long the link holds.", "链接的有效小时数。"))
    ] = 72,
    url: Url = None,
) -> None:
    """Make a link, shown once, by which one person chooses a name and a password."""
    run(_invite(url, {"role": role.value, "email": email, "expires_hours": hours}))


@users.command("invitations")
@in_chinese("列出近期的邀请链接：未使用、已使用、已过期。")
def list_invitations(url: Url = None, as_json: AsJson = False) -> None:
    """List the links of the last weeks: open, used, too old."""
    run(_list_invitations(url, as_json=as_json))


@users.command("revoke")
@in_chinese("撤销一个尚未使用的邀请链接。")
def revoke(
    invitation: Annotated[
        str, typer.Argument(metavar="ID", help=words("As `invitations` shows it.", "见 invitations 的输出。"))
    ],
    url: Url = None,
) -> None:
    """End a link that was not used."""
    run(_revoke(url, invitation))


@users.command("change")
@in_chinese("修改一个用户的角色、邮箱，或停用、启用。停用后对方立即退出登录。")
def change(
    name: Name,
    role: Annotated[RoleName | None, typer.Option(help=words("The new role.", "新的角色。"))] = None,
    email: Annotated[
        str | None, typer.Option(help=words('The new address; "" for none.', '新的邮箱；"" 为清空。'))
    ] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--inactive", help=words("Whether they may sign in.", "是否允许登录。"))
    ] = None,
    url: Url = None,
) -> None:
    """Change a person's role or address, or whether they may sign in. Who may not is signed out at once."""
    changes: dict[str, Any] = {}
    if role is not None:
        changes["role"] = role.value
    if email is not None:
        changes["email"] = email or None
    if active is not None:
        changes["active"] = active
    if not changes:
        raise ConfigError(words("say what to change, see --help", "请说明要修改什么，见 --help"))
    run(_change(url, name, changes))


@users.command("remove")
@in_chinese("删除一个用户以及其全部店铺：店铺先停止，再清除数据。")
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("Do not ask.", "不再询问。"))] = False,
    url: Url = None,
) -> None:
    """Remove a person with every shop of theirs: each is stopped, then forgotten."""
    run(_remove(url, name, yes=yes))


@users.command("password-link")
@in_chinese("为忘记密码的人生成一个链接（只显示一次），对方打开后自己设置新密码。")
def password_link(
    name: Name,
    hours: Annotated[
        float, typer.Option(min=0.1, max=720, help=words("For how long the link holds.", "链接的有效小时数。"))
    ] = 24,
    url: Url = None,
) -> None:
    """Make a link, shown once, by which a person who forgot the password chooses a new one."""
    run(_password_link(url, name, hours))


@users.command("reset-password")
@in_chinese(
    "在服务器所在的机器上，为无法登录的人生成一个新密码（只显示一次），并结束其所有登录。\n\n"
    "直接修改数据库，无需登录；服务器可以在运行，也可以不在运行。"
)
def reset_password(name: Name = "admin", data_dir: DataDir = None) -> None:
    """On the server's own machine: give somebody who is locked out a new password, shown once, and end their sessions.

    It works on the database itself and needs no sign-in; the server may run meanwhile, or not.
    """
    import asyncio

    from shoal.auth.account_recovery import reset_password as reset

    password = asyncio.run(reset(load_settings(data_dir=data_dir), name))
    told = words(
        f"New password of {printable(name)}; it is shown only now:", f"{printable(name)} 的新密码，只显示这一次："
    )
    typer.echo(f"{told}\n\n    {password}\n")


@users.command("reset-totp")
@in_chinese("在服务器所在的机器上，关闭丢失手机的人的两步验证，并结束其所有登录。密码不变。")
def reset_totp(name: Name = "admin", data_dir: DataDir = None) -> None:
    """On the server's own machine: take the second factor of somebody who lost the phone away, and end their sessions.

    The password stays. It works on the database itself; the server may run meanwhile, or not.
    """
    from shoal.auth.account_recovery import reset_totp as reset

    was_on = reset(load_settings(data_dir=data_dir), name)
    shown = printable(name)
    if was_on:
        typer.echo(words(f"{shown} signs in by the password alone now.", f"{shown} 现在只用密码登录。"))
    else:
        typer.echo(words(f"{shown} had no second factor.", f"{shown} 没有开启两步验证。"))


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "users"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = _table(
        words("User", "用户"), words("Role", "角色"), words("Shops", "店铺"), words("Second factor", "两步验证"),
        words("Signed in", "上次登录"), words("E-mail", "邮箱"), "",
    )  # fmt: skip
    for user in found:
        state = words("is being removed", "正在删除") if user["leaving"] else words("may not sign in", "已停用")
        table.add_row(
            Text(printable(user["username"]), style="bold"),
            words(*_ROLES[user["role"]]),
            str(user["shops"]),
            words("on", "已开启") if user["has_totp"] else "–",
            ago(user["signed_in_at"]),
            Text(printable(user["email"] or "")),
            "" if user["active"] else state,
        )
    _console().print(table)


async def _list_invitations(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "invitations"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = _table(
        "ID", words("For", "用途"), words("Made by", "发出者"), words("Until", "有效至"), words("Used by", "使用者")
    )
    for link in found:
        whom = (
            words(*_ROLES[link["role"]]) if link["role"] else words("new password of ", "新密码：") + link["username"]
        )
        table.add_row(
            link["id"],
            Text(printable(" ".join(filter(None, (whom, link["email"]))))),
            Text(printable(link["invited_by"] or "–")),
            link["expires_at"][:16].replace("T", " ") + " UTC",
            Text(printable(link["used_by"] or "")),
        )
    _console().print(table)


async def _invite(url: str | None, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        _tell_link(client, await client.call("POST", "invitations", body=body))


async def _password_link(url: str | None, name: str, hours: float) -> None:
    async with signed_in(url) as client:
        user = await _user(client, name)
        path = ("users", str(user["id"]), "password-link")
        _tell_link(client, await client.call("POST", *path, body={"expires_hours": hours}))


def _tell_link(client: ApiClient, link: dict[str, Any]) -> None:
    told = words(
        "Send this link to that person alone. It works once, and is shown only now:",
        "请把链接只发给本人。链接只能用一次，只显示这一次：",
    )
    typer.echo(f"{told}\n\n    {client.url.rstrip('/')}{link['path']}\n")


async def _revoke(url: str | None, invitation: str) -> None:
    async with signed_in(url) as client:
        await client.call("DELETE", "invitations", invitation)
    typer.echo(words("The link is over.", "链接已撤销。"))


async def _change(url: str | None, name: str, changes: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        user = await _user(client, name)
        now = await client.call("PATCH", "users", str(user["id"]), body=changes)
    state = words("may sign in", "可以登录") if now["active"] else words("may not sign in", "已停用")
    typer.echo(f"{printable(now['username'])}: {words(*_ROLES[now['role']])}, {state}")


async def _remove(url: str | None, name: str, *, yes: bool) -> None:
    async with signed_in(url) as client:
        user = await _user(client, name)
        path = ("users", str(user["id"]))
        if not yes:
            if not sys.stdin.isatty():
                raise ConfigError(words("say --yes to remove a person without being asked", "非交互环境请加 --yes"))
            shops = (await client.call("DELETE", *path, params={"dry_run": "true"}))["shops"]
            question = words("Remove {} with {} shop(s)?", "删除用户 {} 以及 {} 个店铺？")
            typer.confirm(question.format(printable(user["username"]), len(shops)), abort=True)
        gone = await client.call("DELETE", *path)
    shown = printable(gone["username"])
    if gone["removed"]:
        typer.echo(words(f"{shown} was removed.", f"已删除 {shown}。"))
    else:
        typer.echo(words(f"{shown} is being removed; the shops are ending.", f"正在删除 {shown}，店铺正在停止。"))


async def _user(client: ApiClient, name: str) -> dict[str, Any]:
    """One person by name, in whatever case it is typed."""
    for user in (await client.call("GET", "users"))["items"]:
        if user["username"].casefold() == name.strip().casefold():
            found: dict[str, Any] = user
            return found
    raise Refused(404, "unknown_person", words(f"There is nobody called {name}.", f"没有名为 {name} 的用户。"))


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


def _console() -> Console:
    """As wide as the terminal; elsewhere wide enough to cut nothing."""
    return Console() if sys.stdout.isatty() else Console(width=_WIDE)
