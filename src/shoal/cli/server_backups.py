"""``shoal backup list`` and ``now``: the daily backups of a running server, over its API."""

from __future__ import annotations

import asyncio
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from shoal.cli.api_client import ApiClient
from shoal.cli.arguments import AsJson
from shoal.cli.moments import local
from shoal.cli.output import ask, publish
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import rows_table
from shoal.cli.words import printable, words

_LOOK_SECONDS = 0.5


def list_backups(url: Url = None, as_json: AsJson = False) -> None:
    """List the backups in the server's directory; say when the next is made, and what failed since the last."""
    ask(url, "GET", "system", "backups", shown=_shown, as_json=as_json)


def make_on_server(url: Url = None, as_json: AsJson = False) -> None:
    """Let the server make its daily backup now, and wait for it. Exits with 1 when it failed."""
    run(_make(url, as_json=as_json))


async def _make(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        await client.call("POST", "system", "backups", "make", params={"wait": "false"})
        found = await _ended(client)
    publish(found, _made, as_json=as_json)
    if found["failed_at"]:
        raise typer.Exit(1)


async def _ended(client: ApiClient) -> dict[str, Any]:
    console = Console(stderr=True)
    with console.status(words("cli.backup.making", mb=_mb(0))) as status:
        while True:
            found: dict[str, Any] = await client.call("GET", "system", "backups")
            if not found["running"]:
                return found
            status.update(words("cli.backup.making", mb=_mb(found["written"])))
            await asyncio.sleep(_LOOK_SECONDS)


def _made(found: dict[str, Any]) -> str:
    if found["failed_at"]:
        return _failed(found)
    return words("cli.backup.made_there", name=printable(found["file"]), mb=_mb(found["bytes"]), rows=found["rows"])


def _shown(found: dict[str, Any]) -> str | Table:
    if not found["on"]:
        return words("cli.backup.off")
    caption = words("cli.backup.next", at=local(found["next_at"]), directory=printable(found["directory"]))
    if found["signed_by"]:
        caption += "\n" + words("cli.backup.keep_signer", signer=found["signed_by"])
    if found["failed_at"]:
        caption += "\n" + _failed(found)
    if found["unreadable"]:
        caption += "\n" + words("cli.backup.unreadable", why=printable(found["unreadable"]))
    names = ("made_at", "size", "opened_by", "checked", "kept_until", "file")
    table = rows_table(names, [_row(one) for one in found["backups"]])
    table.caption, table.caption_justify = Text(caption), "left"
    return table


def _row(one: dict[str, Any]) -> list[str]:
    return [
        local(one["made_at"]),
        f"{_mb(one['bytes'])} MB",
        _opened_by(one),
        words("cli.backup.whole" if one["verified"] else "cli.backup.not_readable"),
        local(one["kept_until"]) if one["kept_until"] else words("cli.backup.stays"),
        printable(one["name"]),
    ]


def _opened_by(one: dict[str, Any]) -> str:
    if not one["verified"]:
        return "–"
    if one["is_present_key"]:
        return words("cli.backup.opens.present_key")
    return words("cli.backup.opens.other_key" if one["sealed_to"] else "cli.backup.opens.passphrase")


def _failed(found: dict[str, Any]) -> str:
    return words("cli.backup.failed", at=local(found["failed_at"]), why=printable(found["why"] or found["code"]))


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f}"
