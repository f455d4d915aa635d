"""``shoal accounts qr``: shows a QR code in the terminal and follows its login."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import segno
import typer

from shoal.cli.api_client import ApiClient
from shoal.cli.run_rows import wants_json
from shoal.cli.words import printable, words
from shoal.errors import ShoalError
from shoal.xianyu.site_pages import SITE_URL

LOOK_SECONDS = 1.0
_UNDER_WAY = {"waiting", "scanned", "face_check"}


class LoginEnded(ShoalError):
    """The login ended without a new cookie."""

    code = "qr_login_ended"


async def log_in_by_qr(
    client: ApiClient, account_id: str | None, proxy: str | None, *, keep_signed_in: bool = False
) -> str:
    """Show the code, follow the login, and return the account's id. A cancelled caller cancels the login.

    Raises ``LoginEnded`` with a sentence that says what to do.
    """
    given = (("account", account_id), ("proxy", proxy), ("keep_signed_in", keep_signed_in or None))
    body = {name: value for name, value in given if value is not None}
    login = await client.ask("POST /qr-logins", body=body)
    try:
        login = await _follow(client, login)
    finally:
        if login["state"] in _UNDER_WAY:
            await client.ask("DELETE /qr-logins/{login_id}", login_id=login["id"])
    if login["state"] != "done":
        raise LoginEnded(_end_words(login))
    return str(login["account"])


async def _follow(client: ApiClient, login: dict[str, Any]) -> dict[str, Any]:
    if login["content"]:
        typer.echo(terminal_picture(login["content"]), err=wants_json())
    state = ""
    while True:
        if login["state"] != state:
            state = login["state"]
            if state == "face_check":
                typer.echo(terminal_picture(login["content"]), err=wants_json())
            if sentence := _PROGRESS.get(state):
                typer.echo(sentence(), err=wants_json())
        if state not in _UNDER_WAY:
            return login
        await asyncio.sleep(LOOK_SECONDS)
        login = await client.ask("GET /qr-logins/{login_id}", login_id=login["id"])


def terminal_picture(content: str) -> str:
    """Return the code in block characters, two modules per character, for dark and light terminals."""
    drawn = io.StringIO()
    segno.make(content, error="l").terminal(out=drawn, border=2, compact=True)
    return drawn.getvalue().rstrip("\n")


_PROGRESS: dict[str, Callable[[], str]] = {
    "waiting": lambda: words("cli.qr_login.waiting"),
    "scanned": lambda: words("cli.qr_login.scanned"),
    "face_check": lambda: words("cli.qr_login.face_check"),
}


def _end_words(login: dict[str, Any]) -> str:
    page = printable(login["action_url"]) or SITE_URL
    ends = {
        "expired": words("cli.qr_login.expired"),
        "cancelled": words("cli.qr_login.cancelled"),
        "needs_owner": words("cli.qr_login.needs_owner", page=page),
    }
    return ends.get(login["state"], printable(login["detail"]))
