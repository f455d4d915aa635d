"""``shoal me …``: the signed-in user's own password and sessions, over the API."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.table import Table

from shoal.cli.arguments import AsJson
from shoal.cli.moments import local
from shoal.cli.output import Row, ask, ask_rows, echo
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import facts_table, rows_table
from shoal.cli.words import ago, words
from shoal.errors import ConfigError

me = typer.Typer(no_args_is_help=True, help=words("cli.me.help.me"))


@me.command("show", help=words("cli.me.help.show"))
def show_me(url: Url = None, as_json: AsJson = False) -> None:
    """Show who is signed in."""
    ask(url, "GET", "me", shown=_facts, as_json=as_json)


@me.command("password", help=words("cli.me.help.password"))
def change_password(url: Url = None, _as_json: AsJson = False) -> None:
    """Replace your password. All your other sessions end."""
    run(_change_password(url, *_asked()))


@me.command("sessions", help=words("cli.me.help.sessions"))
def list_sessions(url: Url = None, as_json: AsJson = False) -> None:
    """List your sessions, each with its client."""
    ask_rows(url, "sessions", table=_table, none="–", as_json=as_json)


@me.command("end-session", help=words("cli.me.help.end_session"))
def end_session(
    session_id: Annotated[str, typer.Argument(metavar="SESSION", help=words("cli.me.help.session_id"))],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """End one of your sessions, at once."""
    ask(url, "DELETE", "sessions", session_id, shown=lambda _: words("cli.me.ended"), as_json=as_json)


@me.command("end-others", help=words("cli.me.help.end_others"))
def end_others(url: Url = None, as_json: AsJson = False) -> None:
    """End all your sessions but this one."""
    ask(url, "DELETE", "sessions", shown=lambda answer: words("cli.me.ended_others", **answer), as_json=as_json)


def _asked() -> tuple[str, str]:
    """Return the old and the new password: asked for, or two lines of standard input."""
    if sys.stdin.isatty():
        old = typer.prompt(words("cli.me.old_password"), hide_input=True, err=True)
        return old, typer.prompt(words("cli.me.new_password"), hide_input=True, confirmation_prompt=True, err=True)
    lines = [line.rstrip("\r\n") for line in sys.stdin]
    if len(lines) != 2:
        raise ConfigError("cli.me.two_lines")
    return lines[0], lines[1]


async def _change_password(url: str | None, old: str, new: str) -> None:
    async with signed_in(url) as client:
        body = {"current_password": old, "new_password": new}
        answer = await client.call("PUT", "me", "password", body=body)
    echo(answer, words("cli.me.changed"))


def _facts(one: Row) -> Table:
    totp = words("cli.users.totp_on") if one["has_totp"] else "–"
    return facts_table(
        [
            ("user", one["username"]),
            ("role", words(f"cli.users.roles.{one['role']}")),
            ("email", one["email"] or ""),
            ("totp", totp),
        ]
    )


def _table(found: list[Row]) -> Table:
    rows = (
        (
            one["id"],
            words("cli.me.this") if one["current"] else "",
            one["user_agent"],
            one["address"],
            ago(one["last_used_at"]),
            local(one["expires_at"]),
        )
        for one in found
    )
    return rows_table(("id", "current", "client", "from", "last_used", "until"), rows)
