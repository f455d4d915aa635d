"""``shoal users …``: the users of a server; and recovery for locked-out users, on its machine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from shoal.cli.cells import either, since
from shoal.cli.rows import SHOPS, YES, Answer, Given, arg, option, row
from shoal.cli.run_rows import AsJson, echo, group, sure
from shoal.cli.words import printable, words
from shoal.errors import ConfigError
from shoal.network.addresses import is_loopback

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

# The client, settings, and what changes the database directly are imported by the commands that need them.
# ruff: noqa: PLC0415

ROLES = ("admin", "owner", "staff")
_NAME = arg("NAME", "_name")
_ROLE = option("--role", kind=ROLES, default="owner")
_HOURS = option("--hours", "expires_hours", float, min=0.1, max=720)


def _role(one: Answer) -> str:
    return words(f"cli.users.roles.{one['role']}")


def _is_leaving(one: Answer) -> str:
    if one["active"]:
        return ""
    return words("cli.users.leaving") if one["leaving"] else words("cli.users.inactive")


def _recipient(one: Answer) -> str:
    name = _role(one) if one["role"] else words("cli.users.link_for_password", name=one["username"])
    return " ".join(filter(None, (name, one["email"])))


async def _of_user(client: ApiClient, operation: str, given: Given, **more: Any) -> Any:
    """Call an operation of the user that is named, in any case."""
    from shoal.cli.api_client import Refused

    name = given["_name"]
    for user in (await client.ask("GET /users"))["items"]:
        if user["username"].casefold() == name.strip().casefold():
            return await client.ask(operation, user_id=str(user["id"]), **more)
    raise Refused(404, "unknown_person", words("cli.users.unknown", name=printable(name)))


async def _invite(client: ApiClient, given: Given) -> Any:
    shared = [{"account": one, "permission": given["_permission"]} for one in dict.fromkeys(given["_accounts"] or ())]
    body = {name: given[name] for name in ("role", "email", "expires_hours")}
    return _with_address(client, await client.ask("POST /invitations", body={**body, "shops": shared}))


async def _password_link(client: ApiClient, given: Given) -> Any:
    body = {"expires_hours": given["expires_hours"]}
    return _with_address(client, await _of_user(client, "POST /users/{user_id}/password-link", given, body=body))


def _with_address(client: ApiClient, link: Answer) -> Answer:
    return {**link, "url": link["url"] or f"{client.url.rstrip('/')}{link['path']}"}


def _link(link: Answer, _: Given) -> str:
    is_only_here = is_loopback(urlsplit(link["url"]).hostname or "")
    warning = f"\n{words('cli.users.only_here')}\n" if is_only_here else ""
    return f"{words('cli.users.link')}\n\n    {link['url']}\n{warning}"


async def _change(client: ApiClient, given: Given) -> Any:
    body: Given = {name: given[name] for name in ("role", "email", "active") if given[name] is not None}
    if not body:
        raise ConfigError("cli.users.nothing_to_change")
    if "email" in body:
        body["email"] = body["email"] or None
    return await _of_user(client, "PATCH /users/{user_id}", given, body=body)


def _changed(now: Answer, _: Given) -> str:
    state = words("cli.users.active") if now["active"] else words("cli.users.inactive")
    return f"{printable(now['username'])}: {_role(now)}, {state}"


async def _add(client: ApiClient, given: Given) -> Any:
    if sys.stdin.isatty():
        question = words("cli.users.ask_password", name=printable(given["username"]))
        password = typer.prompt(question, hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    return await client.ask("POST /users", body={**given, "password": password})


async def _totp_off(client: ApiClient, given: Given) -> Any:
    return await _of_user(client, "DELETE /users/{user_id}/totp", given)


async def _remove(client: ApiClient, given: Given) -> Any:
    if not given["_yes"]:
        would = await _of_user(client, "DELETE /users/{user_id}", given, query={"dry_run": True})
        name, shops = printable(would["username"]), len(would["shops"])
        if not sure(words("cli.users.remove_question", name=name, shops=shops)):
            raise typer.Abort
    return await _of_user(client, "DELETE /users/{user_id}", given)


users = group("users", (
    row(
        "list", "GET /users",
        shown={
            "cli.users.user": "username", "cli.users.role": _role, "cli.users.shops": "shops",
            "cli.users.totp": lambda one: words("cli.users.totp_on") if one["has_totp"] else "–",
            "cli.users.last_login": since("signed_in_at"), "cli.users.email": "email", "cli.table.current": _is_leaving,
        },
    ),
    row("invite", _invite, arg("ROLE", "role", ROLES, "owner"), option("--email"), _HOURS.but(default=72),
        SHOPS.but(name="_accounts", help="cli.users.help.invited_shops"),
        option("--permission", "_permission", ("read", "reply", "operate"), "reply",
               help="cli.users.help.shared_permission"), shown=_link),
    row(
        "invitations", "GET /invitations",
        shown={
            "id": "id", "cli.users.for": _recipient, "cli.users.made_by": "invited_by|–",
            "cli.users.until": lambda one: one["expires_at"][:16].replace("T", " ") + " UTC",
            "cli.users.used_by": "used_by",
        },
    ),
    row("revoke", "DELETE /invitations/{invitation_id}", arg("ID", "invitation_id", help="cli.users.help.invitation"),
        shown="cli.users.link_revoked"),
    row("change", _change, _NAME, option("--role", kind=ROLES, help="cli.users.help.new_role"),
        option("--email", help="cli.users.help.new_email"), option("--active/--inactive", kind=bool), shown=_changed),
    row("add", _add, arg("NAME", "username"), _ROLE, shown="cli.users.added"),
    row("totp-off", _totp_off, _NAME, shown="cli.users.totp_reset"),
    row("remove", _remove, _NAME, YES, shown=either("removed", "cli.users.removed", "cli.users.removing")),
    row("password-link", _password_link, _NAME, _HOURS.but(default=24), shown=_link),
))  # fmt: skip

_Name = Annotated[str, typer.Argument(metavar="NAME", help=words("cli.users.help.name"), show_default=False)]
_DataDir = Annotated[str | None, typer.Option("--data-dir", help=words("cli.help.data_dir"))]


@users.command("reset-password", help=words("cli.users.help.reset_password"))
def reset_password(name: _Name = "admin", data_dir: _DataDir = None, _as_json: AsJson = False) -> None:
    """Give a locked-out user a new password, and end their sessions. Changes the database directly."""
    import asyncio

    from shoal.auth.account_recovery import reset_password as reset
    from shoal.config import load_settings

    password = asyncio.run(reset(load_settings(data_dir=data_dir), name))
    heading = words("cli.users.new_password", name=printable(name))
    echo({"username": name, "password": password}, f"{heading}\n\n    {password}\n")


@users.command("reset-totp", help=words("cli.users.help.reset_totp"))
def reset_totp(name: _Name = "admin", data_dir: _DataDir = None, _as_json: AsJson = False) -> None:
    """Turn off a user's TOTP, and end their sessions. Changes the database directly."""
    from shoal.auth.account_recovery import reset_totp as reset
    from shoal.config import load_settings

    was_on = reset(load_settings(data_dir=data_dir), name)
    key = "cli.users.totp_off" if was_on else "cli.users.had_no_totp"
    echo({"username": name, "was_on": was_on}, words(key, username=printable(name)))
