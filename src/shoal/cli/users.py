"""``shoal users …``: the users of a running server, over its API; and recovery for locked-out users, on the machine."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.api_client import ApiClient, Refused
from shoal.cli.arguments import AsJson
from shoal.cli.output import echo
from shoal.cli.run_rows import sure
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import ago, printable, words
from shoal.config import load_settings
from shoal.errors import ConfigError
from shoal.network.addresses import is_loopback

# The commands that change the database directly take long to load and are rarely needed.
# ruff: noqa: PLC0415

users = typer.Typer(
    no_args_is_help=True,
    help=words("cli.users.help.users"),
)

Name = Annotated[str, typer.Argument(metavar="NAME", help=words("cli.users.help.name"), show_default=False)]
DataDir = Annotated[
    str | None,
    typer.Option("--data-dir", help=words("cli.help.data_dir")),
]


class RoleName(StrEnum):
    """A role, as the API names it."""

    ADMIN = "admin"
    OWNER = "owner"
    STAFF = "staff"


class SharedPermission(StrEnum):
    """What an invited user may do with the shops that the link names, as the API names it."""

    READ = "read"
    REPLY = "reply"
    OPERATE = "operate"


@users.command("list", help=words("cli.users.help.list"))
def list_users(url: Url = None, as_json: AsJson = False) -> None:
    """List the users: role, shops, TOTP, and last sign-in."""
    run(_list(url, as_json=as_json))


@users.command("invite", help=words("cli.users.help.invite"))
def invite(
    role: Annotated[RoleName, typer.Argument(help=words("cli.users.help.role"))] = RoleName.OWNER,
    email: Annotated[str | None, typer.Option(help=words("cli.users.help.email"))] = None,
    hours: Annotated[float, typer.Option(min=0.1, max=720, help=words("cli.users.help.hours"))] = 72,
    shops: Annotated[
        list[str] | None, typer.Option("--account", metavar="ID", help=words("cli.users.help.invited_shops"))
    ] = None,
    permission: Annotated[SharedPermission, typer.Option(help=words("cli.users.help.shared_permission"))] = (
        SharedPermission.REPLY
    ),
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Create a link, shown once, with which a new user chooses a name and a password, and gets the shops named."""
    shared = [{"account": one, "permission": permission.value} for one in dict.fromkeys(shops or ())]
    run(_invite(url, {"role": role.value, "email": email, "expires_hours": hours, "shops": shared}))


@users.command("invitations", help=words("cli.users.help.invitations"))
def list_invitations(url: Url = None, as_json: AsJson = False) -> None:
    """List the links of the last weeks: open, used, expired."""
    run(_list_invitations(url, as_json=as_json))


@users.command("revoke", help=words("cli.users.help.revoke"))
def revoke(
    invitation: Annotated[str, typer.Argument(metavar="ID", help=words("cli.users.help.invitation"))],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Revoke an unused link."""
    run(_revoke(url, invitation))


@users.command("change", help=words("cli.users.help.change"))
def change(
    name: Name,
    role: Annotated[RoleName | None, typer.Option(help=words("cli.users.help.new_role"))] = None,
    email: Annotated[str | None, typer.Option(help=words("cli.users.help.new_email"))] = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive", help=words("cli.users.help.active"))] = None,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Change a user's role or address, or whether they can sign in. A user who can no longer sign in is signed out at
    once."""
    changes: dict[str, Any] = {}
    if role is not None:
        changes["role"] = role.value
    if email is not None:
        changes["email"] = email or None
    if active is not None:
        changes["active"] = active
    if not changes:
        raise ConfigError("cli.users.nothing_to_change")
    run(_change(url, name, changes))


@users.command("add", help=words("cli.users.help.add"))
def add(
    name: Name,
    role: Annotated[RoleName, typer.Option(help=words("cli.users.help.role"))] = RoleName.OWNER,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Add a user with a first password, which is asked for."""
    if sys.stdin.isatty():
        question = words("cli.users.ask_password", name=printable(name))
        password = typer.prompt(question, hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    run(_add(url, {"username": name, "password": password, "role": role.value}))


@users.command("totp-off", help=words("cli.users.help.totp_off"))
def totp_off(name: Name, url: Url = None, _as_json: AsJson = False) -> None:
    """Switch off TOTP for a user who lost it. Their sessions end."""
    run(_totp_off(url, name))


@users.command("remove", help=words("cli.users.help.remove"))
def remove(
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("cli.help.yes"))] = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Remove a user with all their accounts: each is stopped, then deleted."""
    run(_remove(url, name, yes=yes))


@users.command("password-link", help=words("cli.users.help.password_link"))
def password_link(
    name: Name,
    hours: Annotated[float, typer.Option(min=0.1, max=720, help=words("cli.users.help.hours"))] = 24,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Create a link, shown once, with which a user who forgot the password chooses a new one."""
    run(_password_link(url, name, hours))


@users.command("reset-password", help=words("cli.users.help.reset_password"))
def reset_password(name: Name = "admin", data_dir: DataDir = None, _as_json: AsJson = False) -> None:
    """Give a locked-out user a new password, and end their sessions. Changes the database directly."""
    import asyncio

    from shoal.auth.account_recovery import reset_password as reset

    password = asyncio.run(reset(load_settings(data_dir=data_dir), name))
    heading = words("cli.users.new_password", name=printable(name))
    echo({"username": name, "password": password}, f"{heading}\n\n    {password}\n")


@users.command("reset-totp", help=words("cli.users.help.reset_totp"))
def reset_totp(name: Name = "admin", data_dir: DataDir = None, _as_json: AsJson = False) -> None:
    """Turn off a user's TOTP, and end their sessions. Changes the database directly."""
    from shoal.auth.account_recovery import reset_totp as reset

    was_on = reset(load_settings(data_dir=data_dir), name)
    shown = printable(name)
    sentence = words("cli.users.totp_off", shown=shown) if was_on else words("cli.users.had_no_totp", shown=shown)
    echo({"username": name, "was_on": was_on}, sentence)


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "users"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = _table(
        words("cli.users.user"), words("cli.users.role"), words("cli.users.shops"), words("cli.users.totp"),
        words("cli.users.last_login"), words("cli.users.email"), "",
    )  # fmt: skip
    for user in found:
        state = words("cli.users.leaving") if user["leaving"] else words("cli.users.inactive")
        table.add_row(
            Text(printable(user["username"]), style="bold"),
            _role(user),
            str(user["shops"]),
            words("cli.users.totp_on") if user["has_totp"] else "–",
            ago(user["signed_in_at"]),
            Text(printable(user["email"] or "")),
            "" if user["active"] else state,
        )
    wide_console().print(table)


async def _list_invitations(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "invitations"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    table = _table(
        "ID", words("cli.users.for"), words("cli.users.made_by"), words("cli.users.until"), words("cli.users.used_by")
    )
    for link in found:
        recipient = _role(link) if link["role"] else words("cli.users.link_for_password", name=link["username"])
        table.add_row(
            link["id"],
            Text(printable(" ".join(filter(None, (recipient, link["email"]))))),
            Text(printable(link["invited_by"] or "–")),
            link["expires_at"][:16].replace("T", " ") + " UTC",
            Text(printable(link["used_by"] or "")),
        )
    wide_console().print(table)


async def _invite(url: str | None, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        _print_link(client, await client.call("POST", "invitations", body=body))


async def _password_link(url: str | None, name: str, hours: float) -> None:
    async with signed_in(url) as client:
        user = await _user(client, name)
        path = ("users", str(user["id"]), "password-link")
        _print_link(client, await client.call("POST", *path, body={"expires_hours": hours}))


def _print_link(client: ApiClient, link: dict[str, Any]) -> None:
    heading = words("cli.users.link")
    whole = link["url"] or f"{client.url.rstrip('/')}{link['path']}"
    warning = "" if not is_loopback(urlsplit(whole).hostname or "") else f"\n{words('cli.users.only_here')}\n"
    echo({**link, "url": whole}, f"{heading}\n\n    {whole}\n{warning}")


async def _revoke(url: str | None, invitation: str) -> None:
    async with signed_in(url) as client:
        gone = await client.call("DELETE", "invitations", invitation)
    echo(gone, words("cli.users.link_revoked"))


async def _add(url: str | None, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        made = await client.call("POST", "users", body=body)
    echo(made, words("cli.users.added", name=printable(made["username"])))


async def _totp_off(url: str | None, name: str) -> None:
    async with signed_in(url) as client:
        user = await _user(client, name)
        now = await client.call("DELETE", "users", str(user["id"]), "totp")
    echo(now, words("cli.users.totp_reset", name=printable(now["username"])))


async def _change(url: str | None, name: str, changes: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        user = await _user(client, name)
        now = await client.call("PATCH", "users", str(user["id"]), body=changes)
    state = words("cli.users.active") if now["active"] else words("cli.users.inactive")
    echo(now, f"{printable(now['username'])}: {_role(now)}, {state}")


async def _remove(url: str | None, name: str, *, yes: bool) -> None:
    async with signed_in(url) as client:
        user = await _user(client, name)
        path = ("users", str(user["id"]))
        if not yes:
            shops = (await client.call("DELETE", *path, params={"dry_run": "true"}))["shops"]
            question = words("cli.users.remove_question", name=printable(user["username"]), shops=len(shops))
            if not sure(question):
                raise typer.Abort
        gone = await client.call("DELETE", *path)
    shown = printable(gone["username"])
    if gone["removed"]:
        echo(gone, words("cli.users.removed", shown=shown))
    else:
        echo(gone, words("cli.users.removing", shown=shown))


async def _user(client: ApiClient, name: str) -> dict[str, Any]:
    """Return one user by name, in any case."""
    for user in (await client.call("GET", "users"))["items"]:
        if user["username"].casefold() == name.strip().casefold():
            found: dict[str, Any] = user
            return found
    raise Refused(404, "unknown_person", words("cli.users.unknown", name=name))


def _role(row: dict[str, Any]) -> str:
    return words(f"cli.users.roles.{row['role']}")


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table
