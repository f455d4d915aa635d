"""``shoal system …`` and ``history …``: a server's health, figures and log, and who changed what."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shoal.cli.cells import since, when
from shoal.cli.rows import DRY_RUN, LIMIT, OF_SHOP, SINCE, UNTIL, Answer, Cell, Given, Shown, arg, option, row
from shoal.cli.run_rows import group
from shoal.cli.words import printable, state_word, words

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

_MIB = 1024 * 1024


# ── history ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_SHOWN_CHARACTERS = 60


def changes_words(changes: dict[str, Any]) -> str:
    """Return on one line what changed, each field with its old and new value; of a new or removed shop only that."""
    owner = changes.get("owner_id")
    if isinstance(owner, list) and None in owner:
        return words("cli.history.shop_added" if owner[0] is None else "cli.history.shop_removed")
    return " · ".join(f"{printable(name)}: {_change(change)}" for name, change in changes.items())


def _change(change: Any) -> str:
    if isinstance(change, list) and len(change) == 2:
        return f"{_value(change[0])} → {_value(change[1])}"
    if isinstance(change, dict):
        return ", ".join(f"{name} {_count(rows)}" for name, rows in change.items() if rows)
    return _value(change)


def _count(rows: Any) -> str:
    return str(len(rows)) if isinstance(rows, list | dict) else _value(rows)


def _value(value: Any) -> str:
    shown = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return f"{shown[:_SHOWN_CHARACTERS]}…" if len(shown) > _SHOWN_CHARACTERS else shown or "–"


def _undone(answer: Answer, _: Given) -> str:
    if "changes" in answer:
        return words("cli.history.would_undo", changes=changes_words(answer["changes"]) or "–")
    return words("cli.history.undone", rev=answer["rev"])


def _outcome(answer: Answer, _: Given) -> str:
    if answer["state"] == "applied" and answer["rev"] is not None:
        return words("cli.history.applied", rev=answer["rev"])
    return words(f"cli.history.outcomes.{answer['state']}")


def _by(one: Answer) -> str:
    return f"{one['actor'].removeprefix('user:')} {one['origin'].partition(' ')[0]}".strip()


history = group("history", (
    row(
        "list", "GET /history", OF_SHOP, option("--actor"), option("--field"), SINCE, UNTIL, LIMIT,
        none="cli.history.none",
        shown={"change": "rev", "at": when("at"), "shop": "account", "actor": _by,
               "changed": lambda one: changes_words(one["changes"])},
    ),
    row("undo", "POST /history/{rev}/undo", arg("CHANGE", "rev", int, min=1, help="cli.history.help.rev"), DRY_RUN,
        shown=_undone),
    row("outcome", "GET /ops/{op_id}", arg("OP", "op_id", help="cli.history.help.op_id"), shown=_outcome),
))  # fmt: skip

# ── the server ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _health(client: ApiClient, _: Given) -> Any:
    return await client.readiness()


def _ready(found: Answer, _: Given) -> str:
    figures = found["accounts"]
    text = words("cli.system.ready" if found["ready"] else "cli.system.not_ready")
    if found.get("draining"):
        text = words("cli.system.draining")
    return f"{text} {words('cli.system.connected', running=figures['running'], wanted=figures['wanted'])}"


def _database(found: Answer) -> str:
    store = found["store"]
    if store["degraded"]:
        working = words("cli.system.degraded")
    else:
        working = words("cli.system.checking" if store["checking"] else "cli.system.working")
    return f"{store['kind']} {store['version'] or '–'}, {working}"


def _mib(part: str, name: str) -> Cell:
    return lambda found: "–" if found[part][name] is None else f"{found[part][name] / _MIB:,.0f} MiB"


_STATUS: Shown = {
    "version": lambda found: f"{found['version']} (Python {found['python']})", "started": since("started_at"),
    "database": _database, "schema": "store.schema_revision|–", "size": _mib("store", "size"),
    "free_space": _mib("store", "free"), "memory": _mib("process", "memory"),
    "shops": lambda found: " · ".join(f"{n} {state_word(state)}" for state, n in found["accounts"].items()) or "–",
    "readers": "readers",
}  # fmt: skip


def _locks(found: Answer, _: Given) -> str:
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


def _log_lines(found: Answer, _: Given) -> str:
    line = "{timestamp} {level:<7} {source} {message}".format
    return "\n".join(line(**{**one, "message": printable(one["message"])}) for one in found["logs"])


def _reloaded(found: Answer, _: Given) -> str:
    key = "cli.system.would_reload" if found["dry_run"] else "cli.system.reloaded"
    lines = [words(key, count=found["differed"])]
    for one in found["differences"]:
        changes = changes_words(one["changes"]) if one["changes"] else ", ".join(one["fields"])
        lines.append(f"  {printable(one['id'])}: {changes} {printable(one['detail'])}".rstrip())
    return "\n".join(lines)


def _facts(one: Answer) -> str:
    return json.dumps(one["facts"], ensure_ascii=False) if one["facts"] else ""


system = group("system", (
    row("status", "GET /system/status", shown=_STATUS),
    row("health", _health, shown=_ready, ok="ready", is_open=True),
    row("locks", "GET /system/locks", shown=_locks),
    row("logs", "GET /logs", option("--lines", kind=int, default=100, min=1, max=2000), option("--level"),
        option("--source"), shown=_log_lines),
    row("reload", "POST /system/reload-cache", DRY_RUN, shown=_reloaded, ok="success"),
    row("activity", "GET /activity", OF_SHOP, SINCE, option("--minutes", kind=int, default=60, min=1, max=1440),
        shown={"at": when("at"), "msgs": "messages", "sent": "sent", "failed": "failed"}),
    row(
        "audit", "GET /security-log", option("--kind"), option("--user"), option("--outcome"), SINCE, UNTIL, LIMIT,
        shown={
            "at": when("at"), "what": "kind", "outcome": "outcome",
            "actor": lambda one: one["actor"].removeprefix("user:"), "user": "username", "shop": "account",
            "from": "origin", "detail": _facts,
        },
    ),
))  # fmt: skip
