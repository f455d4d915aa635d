"""Which server a command talks to, and as which user; and how a command runs its work."""

from __future__ import annotations

import asyncio
import difflib
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli.api_client import ApiClient, NoServer, Refused, server_url
from shoal.cli.last_changes import LastChanges
from shoal.cli.token_file import TokenFile
from shoal.cli.words import printable, words
from shoal.errors import ShoalError
from shoal.network.addresses import DEFAULT_HOST, DEFAULT_PORT, reachable_url

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help=words("cli.session.help.url"),
    ),
]


class NotSignedIn(ShoalError):
    """There is no valid session for the server."""

    code = "not_signed_in"


def chosen_url(url: str | None) -> str:
    """Return the server's address: ``url``, or ``SHOAL_URL``, or the address of this machine's server."""
    given = url or os.environ.get("SHOAL_URL")
    if given:
        return server_url(given)
    if not _settings_are_given():
        return reachable_url(DEFAULT_HOST, DEFAULT_PORT)
    from shoal.config import load_settings  # noqa: PLC0415  it takes a third of a start, and few need it

    settings = load_settings()
    return reachable_url(settings.host, settings.port, scheme="https" if settings.tls_cert else "http")


def _settings_are_given() -> bool:
    """Return whether the environment or a file may say where this machine's server listens."""
    named = {name.upper() for name in os.environ} - {"SHOAL_URL", "SHOAL_USER", "SHOAL_PASSWORD", "SHOAL_TOKEN"}
    return any(name.startswith("SHOAL_") for name in named) or Path("shoal.toml").exists()


def not_signed_in(url: str | None) -> ApiClient:
    """Return a client that is not signed in."""
    return ApiClient(chosen_url(url))


@asynccontextmanager
async def signed_in(url: str | None) -> AsyncIterator[ApiClient]:
    """Yield a signed-in client: by ``SHOAL_TOKEN``, by ``SHOAL_USER`` and ``SHOAL_PASSWORD``, or by the stored session.

    Raises ``NotSignedIn`` when there is none of these, or when the server does not accept it (any more).
    """
    address = chosen_url(url)
    user, password = os.environ.get("SHOAL_USER", "admin"), os.environ.get("SHOAL_PASSWORD")
    token = os.environ.get("SHOAL_TOKEN")
    by_password = not token and bool(password)
    if not token and not password:
        token = TokenFile().get(address)
        if token is None:
            raise await _not_signed_in(address)
    async with ApiClient(address, token, changes=LastChanges(address)) as client:
        if by_password and password:
            await client.sign_in(user, password)
        try:
            yield client
        except Refused as error:
            if error.code == "unknown_account":
                raise await _with_nearest(client, error) from None
            if error.status != 401:
                raise
            by_password = False
            raise NotSignedIn(words("cli.session.ended")) from None
        finally:
            if by_password:
                with suppress(NoServer, Refused):
                    await client.call("POST", "logout")


async def _with_nearest(client: ApiClient, error: Refused) -> Refused:
    """Return an error about an unknown account with the names that are most like the one that was asked for."""
    asked, names = client.account.casefold(), {}
    with suppress(NoServer, Refused):
        names = {str(name).casefold(): str(name) for name in await client.call("GET", "cookies")}
    found = [printable(names[one]) for one in difflib.get_close_matches(asked, names, n=3, cutoff=0.5)]
    if not found:
        hint = words("cli.session.list_shops") if names else words("cli.accounts.none")
    else:
        hint = words("cli.session.did_you_mean", names=", ".join(found))
    return Refused(error.status, error.code, f"{error}\n{hint}")


async def _not_signed_in(address: str) -> ShoalError:
    """Return the error to raise: if no server answers, the user must fix that first."""
    async with ApiClient(address) as client:
        try:
            await client.call("GET", "verify")
        except (NoServer, Refused) as error:
            return error
    return NotSignedIn(words("cli.session.not_signed_in", address=address))


def run(work: Coroutine[Any, Any, None], *, interrupted: int = 130) -> None:
    """Run a command's work until it ends, or until Ctrl-C; then the exit code is ``interrupted``."""
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(interrupted) from None
