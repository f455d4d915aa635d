"""``shoal keys …``: the encryption keys of a running server, over its API."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from shoal.cli.api_client import ApiClient
from shoal.cli.arguments import AsJson
from shoal.cli.output import echo, note
from shoal.cli.run_rows import sure
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, words

keys = typer.Typer(
    no_args_is_help=True,
    help=words("cli.keys.help.keys"),
)

_LOOK_SECONDS = 0.3


@keys.command("status", help=words("cli.keys.help.status"))
def show_keys(url: Url = None, _as_json: AsJson = False) -> None:
    """Show how many values each key encrypts. The keys themselves are never shown."""
    run(_show(url))


@keys.command("rotate", help=words("cli.keys.help.rotate"))
def rotate_keys(
    url: Url = None,
    wait: Annotated[bool, typer.Option(help=words("cli.keys.help.wait"))] = True,
    _as_json: AsJson = False,
) -> None:
    """Rotate the key: the server keeps running while everything is encrypted again, and continues after a crash."""
    run(_rotate(url, wait=wait))


@keys.command("forget", help=words("cli.keys.help.forget"))
def forget_keys(
    url: Url = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("cli.help.yes"))] = False,
    _as_json: AsJson = False,
) -> None:
    """Delete the old keys once nothing uses them. Older backups need them: keep a copy elsewhere."""
    run(_forget(url, yes=yes))


async def _show(url: str | None) -> None:
    async with signed_in(url) as client:
        _publish(await client.call("GET", "system", "keys"))


async def _rotate(url: str | None, *, wait: bool) -> None:
    async with signed_in(url) as client:
        seen = await client.call("POST", "system", "keys", "rotate")
        note(words("cli.keys.rotating"))
        if not wait:
            echo(seen, words("cli.keys.follow"))
            return
        seen = await _follow(client, seen)
        if seen["renewed"] < seen["total"]:
            _publish(seen)
            raise typer.Exit(1)
        echo(seen, words("cli.keys.rotated", total=seen["total"]))
        _name_absent(seen)
        if sys.stdin.isatty() and sure(_question()):
            await client.call("POST", "system", "keys", "forget")
            note(words("cli.keys.forgotten"))
        else:
            note(words("cli.keys.forget_hint"))


async def _follow(client: ApiClient, seen: dict[str, Any]) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(words("cli.keys.progress"), total=seen["total"], completed=seen["renewed"])
        while seen["rotating"]:
            await asyncio.sleep(_LOOK_SECONDS)
            seen = await client.call("GET", "system", "keys")
            progress.update(bar, total=seen["total"], completed=seen["renewed"])
    return seen


async def _forget(url: str | None, *, yes: bool) -> None:
    async with signed_in(url) as client:
        _name_absent(await client.call("GET", "system", "keys"))
        if not yes and not sure(_question()):
            raise typer.Exit(1)
        seen = await client.call("POST", "system", "keys", "forget")
    echo(seen, words("cli.keys.forgotten"))


def _name_absent(seen: dict[str, Any]) -> None:
    """Name the servers that start with a copy of the key file only, once the old key is deleted."""
    if absent := seen.get("absent"):
        note(words("cli.keys.absent", names=", ".join(printable(name) for name in absent)), err=True)


def _question() -> str:
    return words("cli.keys.forget_question")


def _publish(seen: dict[str, Any]) -> None:
    lines = []
    for key in seen["keys"]:
        kind = words("cli.keys.newest") if key["newest"] else words("cli.keys.old")
        if not key["loaded"]:
            kind = words("cli.keys.missing")
        lines.append(words("cli.keys.line", id=key["id"], values=f"{key['values']:>6}", kind=kind))
    if seen["from_setting"]:
        lines.append(words("cli.keys.from_setting"))
    if seen["unreadable"]:
        lines.append(words("cli.keys.damaged", unreadable=seen["unreadable"]))
    if waiting := seen.get("waiting_for"):
        lines.append(words("cli.keys.waiting_for", names=", ".join(printable(name) for name in waiting)))
    if absent := seen.get("absent"):
        lines.append(words("cli.keys.absent", names=", ".join(printable(name) for name in absent)))
    if seen["rotating"]:
        lines.append(words("cli.keys.progress_of", renewed=seen["renewed"], total=seen["total"]))
    elif len(seen["keys"]) > 1 and not (seen["from_setting"] or waiting or absent or seen["renewed"] < seen["total"]):
        lines.append(words("cli.keys.forget_hint"))
    echo(seen, "\n".join(lines))
