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


_NAMED = 20
"""How many of the known shops an error names."""


OwnUrl = Annotated[str | None, typer.Option("--url", metavar="URL", help=words("cli.session.help.own_url"))]
"""Of a command that asks no saved sign-in."""


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


def asked_url(url: str | None) -> str:
    """Return the address that a command asks: the chosen one; where nothing chooses, that of the only saved sign-in."""
    address = chosen_url(url)
    chosen = url or os.environ.get("SHOAL_URL") or os.environ.get("SHOAL_TOKEN") or os.environ.get("SHOAL_PASSWORD")
    if chosen or _settings_are_given():
        return address
    saved = TokenFile().urls()
    return saved[0] if len(saved) == 1 else address


def _settings_are_given() -> bool:
    """Return whether the environment or a file may say where this machine's server listens."""
    named = {name.upper() for name in os.environ} - {"SHOAL_URL", "SHOAL_USER", "SHOAL_PASSWORD", "SHOAL_TOKEN"}
    return any(name.startswith("SHOAL_") for name in named) or Path("shoal.toml").exists()


def not_signed_in(url: str | None) -> ApiClient:
    """Return a client that is not signed in."""
    return ApiClient(asked_url(url))


@asynccontextmanager
async def signed_in(url: str | None) -> AsyncIterator[ApiClient]:
    """Yield a signed-in client: by ``SHOAL_TOKEN``, by ``SHOAL_USER`` and ``SHOAL_PASSWORD``, or by the stored session.

    Raises ``NotSignedIn`` when there is none of these, or when the server does not accept it (any more).
    """
    address = asked_url(url)
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
                raise await _with_known(client, error) from None
            if error.status != 401:
                raise
            by_password = False
            raise NotSignedIn(words("cli.session.ended", command=_sign_in_command(address))) from None
        finally:
            if by_password:
                with suppress(NoServer, Refused):
                    await client.ask("POST /logout")


async def _with_known(client: ApiClient, error: Refused) -> Refused:
    """Return an error about an unknown shop that names it, the shops that are most like it, and those that are here."""
    named, known = client.accounts, list[str]()
    with suppress(NoServer, Refused):
        known = [str(name) for name in await client.ask("GET /cookies")]
    folded = {name.casefold(): name for name in known}
    asked = next((name for name in named if name not in known), "")
    alike = difflib.get_close_matches(asked.casefold(), folded, n=3, cutoff=0.5)
    lines = [words("cli.session.unknown_shop", name=printable(asked)) if asked else str(error)]
    if alike:
        lines.append(words("cli.session.did_you_mean", names=", ".join(printable(folded[one]) for one in alike)))
    if known:
        shown, more = ", ".join(map(printable, known[:_NAMED])), len(known) - _NAMED
        lines.append(words("cli.session.known_shops" if more <= 0 else "cli.session.some_shops", names=shown))
    else:
        lines.append(words("cli.accounts.none"))
    return Refused(error.status, error.code, "\n".join(lines))


async def _not_signed_in(address: str) -> ShoalError:
    """Return the error to raise: if no server answers, the user must fix that first."""
    async with ApiClient(address) as client:
        try:
            await client.ask("GET /verify")
        except (NoServer, Refused) as error:
            others = [one for one in TokenFile().urls() if one != address]
            return NoServer(f"{error}\n{words('cli.session.others', urls=', '.join(others))}") if others else error
    return NotSignedIn(words("cli.session.not_signed_in", address=address, command=_sign_in_command(address)))


def _sign_in_command(address: str) -> str:
    return "shoal login" if address == chosen_url(None) else f"shoal login --url {address}"


def run(work: Coroutine[Any, Any, None], *, interrupted: int = 130) -> None:
    """Run a command's work until it ends, or until Ctrl-C; then the exit code is ``interrupted``."""
    try:
        asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(interrupted) from None
