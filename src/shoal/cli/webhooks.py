"""``shoal webhooks …``: where the signed-in user's events are posted, over the API."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.arguments import AsJson
from shoal.cli.output import echo, note
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import ago, printable, word_or, words

webhooks = typer.Typer(no_args_is_help=True, help=words("cli.webhooks.help.webhooks"))

Id = Annotated[int, typer.Argument(metavar="ID", help=words("cli.webhooks.help.id"))]


class Kind(StrEnum):
    """What can be posted."""

    INCIDENT = "incident"
    STATE = "state"
    MESSAGE = "message"
    ORDER = "order"
    DELIVERY = "delivery"
    CHANGE = "change"


@webhooks.command("list", help=words("cli.webhooks.help.list"))
def list_webhooks(url: Url = None, as_json: AsJson = False) -> None:
    """List your webhooks."""
    run(_list(url, as_json=as_json))


@webhooks.command("add", help=words("cli.webhooks.help.add"))
def add_webhook(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help=words("cli.webhooks.help.address"))],
    kind: Annotated[list[Kind] | None, typer.Option(help=words("cli.webhooks.help.kind"), show_default=False)] = None,
    account: Annotated[
        list[str] | None, typer.Option(help=words("cli.webhooks.help.account"), show_default=False)
    ] = None,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Add a webhook, and show its secret this once."""
    kinds = [one.value for one in kind or ()]
    run(_add(url, {"url": address, "kinds": kinds, "accounts": account or []}))


@webhooks.command("test", help=words("cli.webhooks.help.test"))
def try_webhook(webhook_id: Id, url: Url = None, _as_json: AsJson = False) -> None:
    """Post a test, and show what the receiver answers."""
    run(_test(url, webhook_id))


@webhooks.command("attempts", help=words("cli.webhooks.help.attempts"))
def list_attempts(webhook_id: Id, url: Url = None, as_json: AsJson = False) -> None:
    """List the last calls of a webhook."""
    run(_attempts(url, webhook_id, as_json=as_json))


@webhooks.command("replay", help=words("cli.webhooks.help.replay"))
def replay_webhook(
    webhook_id: Id,
    event: Annotated[str, typer.Argument(metavar="EVENT", help=words("cli.webhooks.help.event"))],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Post everything from an event on again."""
    run(_replay(url, webhook_id, event))


@webhooks.command("on", help=words("cli.webhooks.help.on"))
def switch_on(webhook_id: Id, url: Url = None, _as_json: AsJson = False) -> None:
    """Let a webhook that was switched off go on where it stopped."""
    run(_switch(url, webhook_id, active=True))


@webhooks.command("off", help=words("cli.webhooks.help.off"))
def switch_off(webhook_id: Id, url: Url = None, _as_json: AsJson = False) -> None:
    """Post nothing more to a webhook for now."""
    run(_switch(url, webhook_id, active=False))


@webhooks.command("remove", help=words("cli.webhooks.help.remove"))
def remove_webhook(webhook_id: Id, url: Url = None, _as_json: AsJson = False) -> None:
    """Remove a webhook."""
    run(_remove(url, webhook_id))


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "webhooks"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(words("cli.webhooks.none"))
    else:
        headings = (
            words("cli.webhooks.id"), words("cli.webhooks.address"), words("cli.webhooks.kinds"),
            words("cli.webhooks.shops"), words("cli.webhooks.state"), words("cli.webhooks.arrived"),
        )  # fmt: skip
        wide_console().print(_table(headings, [_row(one) for one in found]))


def _row(one: dict[str, Any]) -> list[str | Text]:
    working = "failing" if one["tries"] else "on"
    state = working if one["active"] else one["off_reason"] or "off"
    return [
        str(one["id"]),
        Text(printable(one["url"]) or words("cli.webhooks.unread"), style="bold"),
        ", ".join(one["kinds"]) or words("cli.webhooks.all"),
        Text(printable(", ".join(one["accounts"])) or words("cli.webhooks.all")),
        words(f"cli.webhooks.states.{state}"),
        ago(one["arrived_at"]) if one["arrived_at"] else words("cli.webhooks.never"),
    ]


def _table(headings: tuple[str, ...], rows: list[list[str | Text]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


async def _add(url: str | None, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        made = await client.call("POST", "webhooks", body=body)
    note(words("cli.webhooks.made", id=made["id"]), err=True)
    echo(made, made["secret"])


async def _test(url: str | None, webhook_id: int) -> None:
    async with signed_in(url) as client:
        tried = await client.call("POST", "webhooks", str(webhook_id), "test")
    why = tried["error"] and word_or(f"cli.webhooks.errors.{tried['error']}", tried["error"])
    answer = printable(" ".join(str(part) for part in (tried["status"], why, tried["answer"]) if part))
    echo(tried, words("cli.webhooks.taken" if tried["sent"] else "cli.webhooks.not_taken", answer=answer))
    if not tried["sent"]:
        raise typer.Exit(1)


async def _attempts(url: str | None, webhook_id: int, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "webhooks", str(webhook_id), "attempts"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    rows: list[list[str | Text]] = [
        [
            ago(one["at"]),
            one["event"],
            one["type"],
            str(one["status"] or one["error"]),
            str(one["took_ms"]),
            Text(printable(one["answer"])),
        ]
        for one in found
    ]
    headings = (
        words("cli.webhooks.at"), words("cli.webhooks.event"), words("cli.webhooks.type"),
        words("cli.webhooks.status"), words("cli.webhooks.ms"), words("cli.webhooks.answer"),
    )  # fmt: skip
    wide_console().print(_table(headings, rows))


async def _replay(url: str | None, webhook_id: int, event: str) -> None:
    async with signed_in(url) as client:
        answer = await client.call("POST", "webhooks", str(webhook_id), "replay", body={"from_event": event})
    echo(answer, words("cli.webhooks.replayed"))


async def _switch(url: str | None, webhook_id: int, *, active: bool) -> None:
    async with signed_in(url) as client:
        answer = await client.call("PATCH", "webhooks", str(webhook_id), body={"active": active})
    echo(answer, words("cli.webhooks.switched_on" if active else "cli.webhooks.switched_off"))


async def _remove(url: str | None, webhook_id: int) -> None:
    async with signed_in(url) as client:
        gone = await client.call("DELETE", "webhooks", str(webhook_id))
    echo(gone, words("cli.webhooks.removed"))
