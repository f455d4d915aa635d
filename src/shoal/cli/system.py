"""``shoal system …``: the running server's health, figures, log and audit log, over the API."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.table import Table

from shoal.cli.api_client import ApiClient
from shoal.cli.arguments import AsJson, DryRun, Limit, OfAccount, Since, Until
from shoal.cli.history import changes_words
from shoal.cli.moments import local, moment
from shoal.cli.output import Row, ask, ask_rows, given, publish
from shoal.cli.session import Url, chosen_url, run, signed_in
from shoal.cli.tables import facts_table, rows_table
from shoal.cli.words import ago, printable, state_word, words

system = typer.Typer(no_args_is_help=True, help=words("cli.system.help.system"))

_MIB = 1024 * 1024


@system.command("status", help=words("cli.system.help.status"))
def show_status(url: Url = None, as_json: AsJson = False) -> None:
    """Show versions, the database, memory, and how many shops are in each state."""
    ask(url, "GET", "system", "status", shown=_status, as_json=as_json)


@system.command("health", help=words("cli.system.help.health"))
def show_health(url: Url = None, as_json: AsJson = False) -> None:
    """Say whether the server can store changes now; needs no sign-in. Exits with 1 when it cannot."""
    run(_health(chosen_url(url), as_json=as_json))


@system.command("locks", help=words("cli.system.help.locks"))
def show_locks(url: Url = None, as_json: AsJson = False) -> None:
    """Show the figures of the accounts' locks since the start."""
    ask(url, "GET", "system", "locks", shown=_locks, as_json=as_json)


@system.command("logs", help=words("cli.system.help.logs"))
def show_logs(
    lines: Annotated[int, typer.Option(min=1, max=2000, help=words("cli.system.help.lines"))] = 100,
    level: Annotated[str | None, typer.Option(help=words("cli.system.help.level"), show_default=False)] = None,
    source: Annotated[str | None, typer.Option(help=words("cli.system.help.source"), show_default=False)] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Print the newest log lines, the oldest of them first."""
    params = given(lines=lines, level=level, source=source)
    ask(url, "GET", "logs", params=params, shown=_log_lines, as_json=as_json)


@system.command("reload", help=words("cli.system.help.reload"))
def reload_accounts(dry_run: DryRun = False, url: Url = None, as_json: AsJson = False) -> None:
    """Compare stored accounts with those in memory, and load what differs. Exits with 1 when some could not be."""
    run(_reload(url, dry_run=dry_run, as_json=as_json))


@system.command("activity", help=words("cli.system.help.activity"))
def show_activity(
    account: OfAccount = None,
    since: Since = None,
    minutes: Annotated[int, typer.Option(min=1, max=1440, help=words("cli.system.help.minutes"))] = 60,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Count messages, replies, and replies that did not arrive, by time."""
    params = given(cid=account, since=moment(since), minutes=minutes)
    ask_rows(url, "activity", table=_activity, none="–", params=params, as_json=as_json)


@system.command("audit", help=words("cli.system.help.audit"))
def show_audit_log(
    *,
    kind: Annotated[str | None, typer.Option(help=words("cli.system.help.kind"), show_default=False)] = None,
    user: Annotated[str | None, typer.Option(help=words("cli.system.help.user"), show_default=False)] = None,
    outcome: Annotated[str | None, typer.Option(help=words("cli.system.help.outcome"), show_default=False)] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List sign-ins, refusals, and changes of users, tokens and keys, newest first."""
    params = given(kind=kind, user=user, outcome=outcome, since=moment(since), until=moment(until))
    ask_rows(url, "security-log", table=_audit, none="–", limit=limit, params=params, as_json=as_json)


async def _health(url: str, *, as_json: bool) -> None:
    async with ApiClient(url) as client:
        found = await client.readiness()
    publish(found, _ready, as_json=as_json)
    if not found["ready"]:
        raise typer.Exit(1)


async def _reload(url: str | None, *, dry_run: bool, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("POST", "system", "reload-cache", params=given(dry_run=dry_run or None))
    publish(found, _reloaded, as_json=as_json)
    if not found["success"]:
        raise typer.Exit(1)


def _status(found: Row) -> Table:
    store, process = found["store"], found["process"]
    states = " · ".join(f"{count} {state_word(state)}" for state, count in found["accounts"].items())
    if store["degraded"]:
        working = words("cli.system.degraded")
    else:
        working = words("cli.system.checking" if store["checking"] else "cli.system.working")
    return facts_table(
        [
            ("version", f"{found['version']} (Python {found['python']})"),
            ("started", ago(found["started_at"])),
            ("database", f"{store['kind']} {store['version'] or '–'}, {working}"),
            ("schema", store["schema_revision"] or "–"),
            ("size", _mib(store["size"])),
            ("free_space", _mib(store["free"])),
            ("memory", _mib(process["memory"])),
            ("shops", states or "–"),
            ("readers", str(found["readers"])),
        ]
    )


def _mib(count: int | None) -> str:
    return "–" if count is None else f"{count / _MIB:,.0f} MiB"


def _ready(found: Row) -> str:
    figures = found["accounts"]
    text = words("cli.system.ready" if found["ready"] else "cli.system.not_ready")
    if found.get("draining"):
        text = words("cli.system.draining")
    return f"{text} {words('cli.system.connected', running=figures['running'], wanted=figures['wanted'])}"


def _locks(found: Row) -> str:
    text = words(
        "cli.system.locks_line",
        held=found["held"],
        waiting=found["waiting"],
        acquired=found["acquired_total"],
        timeouts=found["timeouts_total"],
        wait=f"{found['longest_wait_seconds']:.3g}",
        hold=f"{found['longest_hold_seconds']:.3g}",
    )
    if not found["oldest_account"]:
        return text
    oldest = {"shop": printable(found["oldest_account"]), "operation": found["oldest_operation"]}
    return f"{text}\n{words('cli.system.oldest', **oldest)}"


def _log_lines(found: Row) -> str:
    lines = (
        f"{one['timestamp']} {one['level']:<7} {one['source']} {printable(one['message'])}" for one in found["logs"]
    )
    return "\n".join(lines)


def _reloaded(found: Row) -> str:
    key = "cli.system.would_reload" if found["dry_run"] else "cli.system.reloaded"
    lines = [words(key, count=found["differed"])]
    for one in found["differences"]:
        changes = changes_words(one["changes"]) if one["changes"] else ", ".join(one["fields"])
        lines.append(f"  {printable(one['id'])}: {changes} {printable(one['detail'])}".rstrip())
    return "\n".join(lines)


def _activity(found: list[Row]) -> Table:
    rows = ((local(one["at"]), str(one["messages"]), str(one["sent"]), str(one["failed"])) for one in found)
    return rows_table(("at", "msgs", "sent", "failed"), rows)


def _audit(found: list[Row]) -> Table:
    rows = (
        (local(one["at"]), one["kind"], one["outcome"], one["actor"].removeprefix("user:"), one["username"] or "",
         one["account"] or "", one["origin"], _facts(one["facts"]))
        for one in found
    )  # fmt: skip
    return rows_table(("at", "what", "outcome", "actor", "user", "shop", "from", "detail"), rows)


def _facts(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False) if facts else ""
