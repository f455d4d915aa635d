"""``shoal channels …``, ``notices …`` and ``incidents …``: what stops a shop or needs its owner, and who is told."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shoal.cli.cells import word
from shoal.cli.files import json_of
from shoal.cli.rows import LIMIT, OF_SHOP, SHOPS, Answer, Cell, Given, Shown, arg, flag, option, row
from shoal.cli.run_rows import group, listed
from shoal.cli.words import ago, language, printable, words

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

_CHANNEL = arg("CHANNEL", "channel_id", int, help="cli.channels.help.channel_id")
_SUBSCRIPTIONS = "/channels/{channel_id}/subscriptions"


def _ago(field: str) -> Cell:
    """Return a cell that shows how long ago a time in milliseconds was."""
    return lambda one: "–" if one[field] is None else ago(datetime.fromtimestamp(one[field] / 1000, UTC).isoformat())


def _quiet(one: Answer) -> str:
    quiet = one["quiet"]
    return f"{quiet['from']}–{quiet['to']} {quiet['zone']}" if quiet else "–"


_LEAST = word("cli.channels.levels", "least")
_FACTS: Shown = {
    "id": "id", "name": "name", "service": "service", "tells_from": _LEAST, "quiet": _quiet, "enabled": "active",
    "reason": "off_reason",
}  # fmt: skip
_SUBSCRIPTION: Shown = {
    "events": lambda one: words("cli.notices.nothing") if one["nothing"] else _named(one["kinds"]),
    "shops": lambda one: _named(one["accounts"]),
}  # fmt: skip


def _named(names: list[str]) -> str:
    return ", ".join(names) or words("cli.webhooks.all")


async def _services(client: ApiClient, _: Given) -> Any:
    return (await client.ask("GET /channels/services"))["items"]


def _fields(found: list[Answer], _: Given) -> str:
    named = ((one["name"], (f"[{f['name']}]" if f["optional"] else f["name"] for f in one["fields"])) for one in found)
    return "\n".join(f"{name}: {', '.join(fields)}" for name, fields in named)


async def _tells(client: ApiClient, given: Given) -> Any:
    channel = str(given["channel_id"])
    if not (given["kinds"] or given["accounts"] or given["_everything"]):
        return await client.ask("GET /channels/{channel_id}/subscriptions", channel_id=channel)
    body = {"kinds": given["kinds"] or [], "accounts": given["accounts"] or [], "tags": []}
    return await client.ask("PUT /channels/{channel_id}/subscriptions", channel_id=channel, body=body)


def _with_quiet(given: Given) -> Given:
    typed = given.get("_quiet")
    if typed is None:
        return given
    start, _, end = typed.partition("-")
    hours = {"from": start.strip(), "to": end.strip(), "zone": given["_zone"]}
    return {**given, "quiet": None if typed == "none" else hours}


async def _incidents(client: ApiClient, given: Given) -> Any:
    query = {"open": None if given["_all"] else "1", "account": given["account"], "limit": given["limit"]}
    return await listed(client, "GET /incidents", query)


async def _add(client: ApiClient, given: Given) -> Any:
    body = {**given, "language": language()}
    return await client.ask("POST /channels", body=body)


def _tested(outcome: Answer, _: Given) -> str:
    sentence = words("cli.channels.sent" if outcome["sent"] else "cli.channels.not_sent")
    return f"{sentence}\n{printable(outcome['answer'])}"


channels = group("channels", (
    row(
        "list", "GET /channels", none="cli.channels.none",
        shown={
            "cli.channels.id": "id", "cli.channels.name": "name", "cli.channels.service": "service",
            "cli.channels.least": _LEAST, "cli.channels.quiet": _quiet, "cli.channels.active": "active",
        },
    ),
    row("services", _services, shown=_fields),
    row("add", _add, arg("NAME", "name"), arg("SERVICE", "service"), arg("FILE", "fields", Path, allow_dash=True,
        read=json_of, help="cli.channels.help.fields"), shown="cli.channels.added"),
    row("test", "POST /channels/{channel_id}/test", _CHANNEL, shown=_tested, ok="sent"),
    row("remove", "DELETE /channels/{channel_id}", _CHANNEL, shown="cli.channels.removed"),
    row("show", "GET /channels/{channel_id}", _CHANNEL, shown=_FACTS, help="cli.notices.help.show"),
    row(
        "change", "PATCH /channels/{channel_id}", _CHANNEL, option("--name"),
        option("--least", kind=("info", "warning", "urgent"), help="cli.notices.help.least"),
        option("--quiet", "_quiet", metavar="HOURS", help="cli.notices.help.quiet"),
        option("--zone", "_zone", default="Asia/Shanghai", help="cli.notices.help.zone"),
        option("--buyer-words/--no-buyer-words", kind=bool, help="cli.notices.help.buyer_words"),
        option("--on/--off", "active", bool, help="cli.notices.help.active"), shaped=_with_quiet, shown=_FACTS,
        needs_change=True, help="cli.notices.help.change",
    ),
    row("tells", _tells, _CHANNEL, option("--kind", "kinds", list[str], help="cli.notices.help.kind"),
        SHOPS.but(help="cli.notices.help.account"),
        flag("--everything", "_everything", help="cli.notices.help.everything"), shown=_SUBSCRIPTION,
        help="cli.notices.help.tells"),
))  # fmt: skip

notices = group("notices", (
    row(
        "list", "GET /notices", option("--state"), option("--incident", kind=int), LIMIT, none="cli.notices.none",
        shown={
            "at": _ago("created_at_ms"), "channel": "channel_id", "incident": "incident_id|–", "what": "phase",
            "state": "state", "tries": "tries", "detail": "error",
        },
    ),
))  # fmt: skip

incidents = group("incidents", (
    row(
        "list", _incidents, flag("--all", "_all"), OF_SHOP,
        option("--limit", kind=int, default=50, min=1, max=200),
        none="cli.incidents.none",
        shown={
            "cli.incidents.since": _ago("opened_at_ms"), "cli.incidents.over": _ago("closed_at_ms"),
            "cli.incidents.count": "count", "cli.incidents.what": "detail", "cli.incidents.do": "do",
        },
    ),
    row("backup", "POST /system/backups", option("--failed/--ok", "ok", bool, ..., read=lambda failed: not failed),
        shown="cli.incidents.noted"),
))  # fmt: skip
