"""``shoal login`` and ``shoal logout``: the session that later commands use."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from shoal.cli.api_client import ApiClient, NoServer, Refused
from shoal.cli.session import OwnUrl, Url, asked_url, chosen_url, run
from shoal.cli.token_file import TokenFile
from shoal.cli.words import words
from shoal.errors import ConfigError

sign_in = typer.Typer()


@sign_in.command(help=words("cli.app.help.login"))
def login(
    url: OwnUrl = None,
    user: Annotated[
        str | None,
        typer.Option("--user", "-u", help=words("cli.app.help.user")),
    ] = None,
) -> None:
    """Sign in to a server and keep the session for later commands, in a file that only you can read."""
    address = chosen_url(url)
    run(_reach(address))
    name, password = user or os.environ.get("SHOAL_USER"), os.environ.get("SHOAL_PASSWORD")
    if password is None:
        if not sys.stdin.isatty():
            raise ConfigError("cli.app.password_unasked")
        name = name or typer.prompt(words("cli.app.user"), default="admin", err=True)
        password = typer.prompt(words("cli.app.password"), hide_input=True, err=True)
    run(_login(address, name or "admin", password))


@sign_in.command(help=words("cli.app.help.logout"))
def logout(url: Url = None) -> None:
    """End the stored session, on the server and in the file."""
    run(_logout(asked_url(url)))


async def _reach(url: str) -> None:
    """Check that the server runs and accepts a password over this connection, before a user types one."""
    async with ApiClient(url) as client:
        await client.ask("POST /login", body={})


async def _login(url: str, user: str, password: str) -> None:
    async with ApiClient(url) as client:
        try:
            token = await client.sign_in(user, password)
        except Refused as error:
            if error.code != "totp_needed":
                raise
            if not sys.stdin.isatty():
                raise ConfigError("cli.app.totp_unasked") from None
            code = typer.prompt(words("cli.app.totp"), err=True)
            token = await client.sign_in(user, password, code)
    TokenFile().put(url, user=user, token=token)
    typer.echo(words("cli.app.signed_in", user=user, url=url))


async def _logout(url: str) -> None:
    token = TokenFile().get(url)
    if token is None:
        typer.echo(words("cli.app.was_not_signed_in", url=url))
        return
    TokenFile().drop(url)
    async with ApiClient(url, token) as client:
        try:
            await client.ask("POST /logout")
        except (NoServer, Refused) as error:
            typer.echo(words("cli.app.signed_out_here", error=error), err=True)
            return
    typer.echo(words("cli.app.signed_out", url=url))
