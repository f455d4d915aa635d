"""``shoal notices …``: what was sent over your channels, and what each channel reports, over the API."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer
from rich.table import Table

from shoal.cli.arguments import AsJson, Limit
from shoal.cli.channels import ChannelId, channels
from shoal.cli.output import Row, ask, ask_rows, given
from shoal.cli.session import Url
from shoal.cli.tables import facts_table, rows_table
from shoal.cli.words import ago, words
from shoal.errors import ConfigError

notices = typer.Typer(no_args_is_help=True, help=words("cli.notices.help.notices"))


class LevelName(StrEnum):
    """From which level on a channel reports, as the API names it."""

    INFO = "info"
    WARNING = "warning"
    URGENT = "urgent"


@notices.command("list", help=words("cli.notices.help.list"))
def list_notices(
    state: Annotated[str | None, typer.Option(help=words("cli.notices.help.state"), show_default=False)] = None,
    incident: Annotated[int | None, typer.Option(help=words("cli.notices.help.incident"), show_default=False)] = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List what was told over your channels, newest first, also what failed."""
    params = given(state=state, incident=incident)
    none = words("cli.notices.none")
    ask_rows(url, "notices", table=_table, none=none, limit=limit, params=params, as_json=as_json)


@channels.command("show", help=words("cli.notices.help.show"))
def show_channel(channel_id: ChannelId, url: Url = None, as_json: AsJson = False) -> None:
    """Show a channel, without its address."""
    ask(url, "GET", "channels", str(channel_id), shown=_facts, as_json=as_json)


@channels.command("change", help=words("cli.notices.help.change"))
def change_channel(
    *,
    channel_id: ChannelId,
    name: Annotated[str | None, typer.Option(help=words("cli.channels.help.name"), show_default=False)] = None,
    least: Annotated[LevelName | None, typer.Option(help=words("cli.notices.help.least"), show_default=False)] = None,
    quiet: Annotated[
        str | None, typer.Option(metavar="HOURS", help=words("cli.notices.help.quiet"), show_default=False)
    ] = None,
    zone: Annotated[str, typer.Option(help=words("cli.notices.help.zone"))] = "Asia/Shanghai",
    buyer_words: Annotated[
        bool | None, typer.Option("--buyer-words/--no-buyer-words", help=words("cli.notices.help.buyer_words"))
    ] = None,
    active: Annotated[bool | None, typer.Option("--on/--off", help=words("cli.notices.help.active"))] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of a channel; the rest stays."""
    asked = {"name": name, "least": least, "buyer_words": buyer_words, "active": active}
    body: Row = {key: value for key, value in asked.items() if value is not None}
    if quiet is not None:
        start, _, end = quiet.partition("-")
        body["quiet"] = None if quiet == "none" else {"from": start.strip(), "to": end.strip(), "zone": zone}
    if not body:
        raise ConfigError("cli.error.nothing_to_change")
    ask(url, "PATCH", "channels", str(channel_id), body=body, shown=_facts, as_json=as_json)


@channels.command("tells", help=words("cli.notices.help.tells"))
def set_subscription(
    *,
    channel_id: ChannelId,
    kind: Annotated[list[str] | None, typer.Option(help=words("cli.notices.help.kind"), show_default=False)] = None,
    account: Annotated[
        list[str] | None, typer.Option(help=words("cli.notices.help.account"), show_default=False)
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help=words("cli.notices.help.everything"))] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Print of what a channel tells; with options, set it."""
    path = ("channels", str(channel_id), "subscriptions")
    if not (kind or account or everything):
        ask(url, "GET", *path, shown=_subscription_table, as_json=as_json)
        return
    body = {"kinds": kind or [], "accounts": account or [], "tags": []}
    ask(url, "PUT", *path, body=body, shown=_subscription_table, as_json=as_json)


def _table(found: list[Row]) -> Table:
    rows = (
        (
            ago(datetime.fromtimestamp(one["created_at_ms"] / 1000, UTC).isoformat()),
            str(one["channel_id"]),
            str(one["incident_id"] or "–"),
            one["phase"],
            one["state"],
            str(one["tries"]),
            one["error"] or "",
        )
        for one in found
    )
    return rows_table(("at", "channel", "incident", "what", "state", "tries", "detail"), rows)


def _facts(one: Row) -> Table:
    quiet = one["quiet"]
    return facts_table(
        [
            ("id", str(one["id"])),
            ("name", one["name"]),
            ("service", one["service"]),
            ("tells_from", words(f"cli.channels.levels.{one['least']}")),
            ("quiet", f"{quiet['from']}–{quiet['to']} {quiet['zone']}" if quiet else "–"),
            ("enabled", words("cli.table.yes" if one["active"] else "cli.table.no")),
            ("reason", one["off_reason"] or ""),
        ]
    )


def _subscription_table(one: Row) -> Table:
    everything = words("cli.webhooks.all")
    nothing = words("cli.notices.nothing")
    kinds = nothing if one["nothing"] else ", ".join(one["kinds"]) or everything
    return facts_table([("events", kinds), ("shops", ", ".join(one["accounts"]) or everything)])
