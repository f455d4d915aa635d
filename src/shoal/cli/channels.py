"""``shoal channels …``: where you are notified of incidents, over the API."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.arguments import AsJson
from shoal.cli.output import echo
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import language, printable, words

channels = typer.Typer(no_args_is_help=True, help=words("cli.channels.help.channels"))

ChannelId = Annotated[int, typer.Argument(metavar="CHANNEL", help=words("cli.channels.help.channel_id"))]


@channels.command("list", help=words("cli.channels.help.list"))
def list_channels(url: Url = None, as_json: AsJson = False) -> None:
    """List your channels, without their addresses."""
    run(_list(url, as_json=as_json))


@channels.command("services", help=words("cli.channels.help.services"))
def list_services(url: Url = None, as_json: AsJson = False) -> None:
    """List the services, and the fields that each needs."""
    run(_services(url, as_json=as_json))


@channels.command("add", help=words("cli.channels.help.add"))
def add_channel(
    name: Annotated[str, typer.Argument(help=words("cli.channels.help.name"), show_default=False)],
    service: Annotated[str, typer.Argument(help=words("cli.channels.help.service"), show_default=False)],
    file: Annotated[Path, typer.Argument(help=words("cli.channels.help.fields"), allow_dash=True, show_default=False)],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Add a channel with the fields of a JSON file, and print its id. ``-`` reads standard input."""
    run(_add(url, name, service, file))


@channels.command("test", help=words("cli.channels.help.test"))
def try_channel(channel_id: ChannelId, url: Url = None, _as_json: AsJson = False) -> None:
    """Send a test, and print the service's own answer. The exit code is 1 when it was not taken."""
    run(_test(url, channel_id))


@channels.command("remove", help=words("cli.channels.help.remove"))
def remove_channel(channel_id: ChannelId, url: Url = None, _as_json: AsJson = False) -> None:
    """Remove a channel. What waits to be told over it is not told."""
    run(_remove(url, channel_id))


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "channels"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(words("cli.channels.none"))
    else:
        wide_console().print(_table(found, plain=not sys.stdout.isatty()))


async def _services(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "channels", "services"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for one in found:
        fields = (f"[{field['name']}]" if field["optional"] else field["name"] for field in one["fields"])
        typer.echo(f"{one['name']}: {', '.join(fields)}")


async def _add(url: str | None, name: str, service: str, file: Path) -> None:
    fields = await asyncio.to_thread(_fields, file)
    async with signed_in(url) as client:
        body = {"name": name, "service": service, "fields": fields, "language": language()}
        made = await client.call("POST", "channels", body=body)
    echo(made, words("cli.channels.added", id=made["id"], name=printable(made["name"])))


async def _test(url: str | None, channel_id: int) -> None:
    async with signed_in(url) as client:
        outcome = await client.call("POST", "channels", str(channel_id), "test")
    sentence = words("cli.channels.sent" if outcome["sent"] else "cli.channels.not_sent")
    echo(outcome, f"{sentence}\n{printable(outcome['answer'])}")
    if not outcome["sent"]:
        raise typer.Exit(1)


async def _remove(url: str | None, channel_id: int) -> None:
    async with signed_in(url) as client:
        gone = await client.call("DELETE", "channels", str(channel_id))
    echo(gone, words("cli.channels.removed"))


def _fields(file: Path) -> Any:
    """Return the JSON of a file. Raises ``typer.BadParameter``."""
    try:
        return json.loads(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    except OSError as error:
        raise typer.BadParameter(words("cli.goods.unreadable", path=file, why=error.strerror)) from None
    except ValueError:
        raise typer.BadParameter(words("cli.goods.no_json", path=file)) from None


def _table(found: list[dict[str, Any]], *, plain: bool) -> Table:
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in (
        words("cli.channels.id"), words("cli.channels.name"), words("cli.channels.service"),
        words("cli.channels.least"), words("cli.channels.quiet"), words("cli.channels.active"),
    ):  # fmt: skip
        table.add_column(heading, overflow="fold")
    for one in found:
        quiet = one["quiet"]
        table.add_row(
            str(one["id"]),
            Text(printable(one["name"]), style="bold"),
            one["service"],
            words(f"cli.channels.levels.{one['least']}"),
            Text(f"{quiet['from']}–{quiet['to']} {quiet['zone']}" if quiet else "–"),
            words("cli.table.yes" if one["active"] else "cli.table.no"),
        )
    return table
