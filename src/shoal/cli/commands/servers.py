"""``shoal nodes …``, ``keys …`` and ``backup list|now``: what an operator watches while it goes on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from shoal.cli.cells import rows_table, table_of, when
from shoal.cli.moments import local
from shoal.cli.rows import YES, Answer, Cell, Given, arg, option, row
from shoal.cli.run_rows import group, note, sure
from shoal.cli.words import printable, words

if TYPE_CHECKING:
    from rich.console import RenderableType

    from shoal.cli.api_client import ApiClient

# What draws progress is imported by the commands that wait.
# ruff: noqa: PLC0415

_LOOK_SECONDS = 0.5

# ── servers that share one database ───────────────────────────────────────────────────────────────────────────────────

WARNED_SECONDS = 1.0
"""A clock that differs by more is named."""
_NODE = arg("NAME", "name")


async def _drain(client: ApiClient, given: Given) -> Any:
    from rich.console import Console

    name = given["name"]
    found = await client.ask("POST /system/nodes/{name}/drain", name=name)
    if not given["_wait"]:
        return found
    with Console(stderr=True).status("") as status:
        while (one := _node(found, name))["live"] and one["draining"] and one["shards"]:
            status.update(words("cli.nodes.going", name=printable(name), count=one["shops"]))
            await asyncio.sleep(_LOOK_SECONDS)
            found = await client.ask("GET /system/nodes")
    return found


def _drained(found: Answer, given: Given) -> str:
    one, name = _node(found, given["name"]), printable(given["name"])
    if not one["live"]:
        return words("cli.nodes.stopped", name=name)
    return words("cli.nodes.began" if one["shards"] else "cli.nodes.done", name=name)


def _node(found: Answer, name: str) -> Answer:
    """Return a server; one with several workers as the sum of them."""
    return _whole(name, [item for item in found["items"] if _server_of(item) == name])


def _server_of(item: Answer) -> str:
    return str(item["name"]).partition("/")[0]


def _whole(name: str, workers: list[Answer]) -> Answer:
    """Return a server as the sum of its workers; those that do not live count only when none does."""
    live = [one for one in workers if one["live"]] or workers
    sums = {field: sum(one[field] for one in live) for field in ("shops", "shards")}
    left = min(one["lease_left_seconds"] for one in live)
    draining = all(one["draining"] for one in live)
    return {**live[0], "name": name, **sums, "lease_left_seconds": left, "draining": draining}


def _nodes(found: Answer, _: Given) -> RenderableType:
    if not found["items"]:
        return words("cli.nodes.none")
    servers: dict[str, list[Answer]] = {}
    for one in found["items"]:
        servers.setdefault(_server_of(one), []).append(one)
    names = ("server", "version", "state", "shops", "shards", "lease_left", "machine")
    return rows_table(names, [cells for name in servers for cells in _node_rows(name, servers[name])])


def _node_rows(name: str, workers: list[Answer]) -> list[list[str]]:
    """Return the row of a server, and below it those of its workers."""
    if [one["name"] for one in workers] == [name]:
        return [_node_row(workers[0])]
    return [_node_row(_whole(name, workers)), *(_node_row({**one, "name": f"  {one['name']}"}) for one in workers)]


def _node_row(one: Answer) -> list[str]:
    left = words("cli.nodes.lease_left", seconds=f"{one['lease_left_seconds']:.0f}") if one["live"] else "–"
    return [one["name"], one["version"], _node_state(one), str(one["shops"]), str(one["shards"]), left, one["host"]]


def _node_state(one: Answer) -> str:
    if not one["live"]:
        return words("cli.nodes.gone")
    ahead = one.get("clock_ahead_seconds", 0.0)
    if abs(ahead) > WARNED_SECONDS:
        return words("cli.nodes.clock_off", seconds=f"{ahead:+.0f}")
    if not one["draining"]:
        return words("cli.nodes.live")
    return words("cli.nodes.draining" if one["shards"] else "cli.nodes.drained")


nodes = group("nodes", (
    row("list", "GET /system/nodes", shown=_nodes),
    row("drain", _drain, _NODE, option("--wait/--no-wait", "_wait", bool, default=True), shown=_drained),
    row("undrain", "DELETE /system/nodes/{name}/drain", _NODE, shown="cli.nodes.back"),
))  # fmt: skip

# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _rotate(client: ApiClient, given: Given) -> Any:
    seen = await client.ask("POST /system/keys/rotate")
    note(words("cli.keys.rotating"))
    if not given["_wait"]:
        return seen
    seen = await _followed(client, seen)
    if seen["renewed"] == seen["total"]:
        note(words("cli.keys.rotated", total=seen["total"]))
        _name_absent(seen)
        given["_forgotten"] = sys.stdin.isatty() and sure(words("cli.keys.forget_question"))
        if given["_forgotten"]:
            await client.ask("POST /system/keys/forget")
    return seen


async def _followed(client: ApiClient, seen: Answer) -> Answer:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(words("cli.keys.progress"), total=seen["total"], completed=seen["renewed"])
        while seen["rotating"]:
            await asyncio.sleep(_LOOK_SECONDS)
            seen = await client.ask("GET /system/keys")
            progress.update(bar, total=seen["total"], completed=seen["renewed"])
    return seen


def _rotated(seen: Answer, given: Given) -> str:
    if not given["_wait"]:
        return words("cli.keys.follow")
    if seen["renewed"] < seen["total"]:
        return _keys(seen, given)
    return words("cli.keys.forgotten") if given["_forgotten"] else words("cli.keys.forget_hint")


async def _forget(client: ApiClient, given: Given) -> Any:
    _name_absent(await client.ask("GET /system/keys"))
    if not given["_yes"] and not sure(words("cli.keys.forget_question")):
        raise typer.Exit(1)
    return await client.ask("POST /system/keys/forget")


def _name_absent(seen: Answer) -> None:
    """Name the servers that start with a copy of the key file only, once the old key is deleted."""
    if absent := seen.get("absent"):
        note(words("cli.keys.absent", names=", ".join(map(printable, absent))), err=True)


def _keys(seen: Answer, _: Given) -> str:
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
        lines.append(words("cli.keys.waiting_for", names=", ".join(map(printable, waiting))))
    if absent := seen.get("absent"):
        lines.append(words("cli.keys.absent", names=", ".join(map(printable, absent))))
    if seen["rotating"]:
        lines.append(words("cli.keys.progress_of", renewed=seen["renewed"], total=seen["total"]))
    elif len(seen["keys"]) > 1 and not (seen["from_setting"] or waiting or absent or seen["renewed"] < seen["total"]):
        lines.append(words("cli.keys.forget_hint"))
    return "\n".join(lines)


keys = group("keys", (
    row("status", "GET /system/keys", shown=_keys),
    row("rotate", _rotate, option("--wait/--no-wait", "_wait", bool, default=True), shown=_rotated,
        ok=lambda seen: seen["rotating"] or seen["renewed"] == seen["total"]),
    row("forget", _forget, YES, shown="cli.keys.forgotten"),
))  # fmt: skip

# ── the daily backups of a server ─────────────────────────────────────────────────────────────────────────────────────


async def _make_backup(client: ApiClient, _: Given) -> Any:
    from rich.console import Console

    await client.ask("POST /system/backups/make", query={"wait": "false"})
    with Console(stderr=True).status("") as status:
        while (found := await client.ask("GET /system/backups"))["running"]:
            status.update(words("cli.backup.making", mb=_mb(found["written"])))
            await asyncio.sleep(_LOOK_SECONDS)
    return found


def _made(found: Answer, _: Given) -> str:
    if found["failed_at"]:
        return _failed(found)
    return words("cli.backup.made_there", name=printable(found["file"]), mb=_mb(found["bytes"]), rows=found["rows"])


def _backups(found: Answer, _: Given) -> RenderableType:
    if not found["on"]:
        return words("cli.backup.off")
    lines = [words("cli.backup.next", at=local(found["next_at"]), directory=printable(found["directory"]))]
    if found["signed_by"]:
        lines.append(words("cli.backup.keep_signer", signer=found["signed_by"]))
    if found["failed_at"]:
        lines.append(_failed(found))
    if found["unreadable"]:
        lines.append(words("cli.backup.unreadable", why=printable(found["unreadable"])))
    table = table_of(_BACKUP, found["backups"])
    table.caption, table.caption_justify = Text("\n".join(lines)), "left"
    return table


def _opened_by(one: Answer) -> str:
    if not one["verified"]:
        return "–"
    if one["is_present_key"]:
        return words("cli.backup.opens.present_key")
    return words("cli.backup.opens.other_key" if one["sealed_to"] else "cli.backup.opens.passphrase")


def _failed(found: Answer) -> str:
    return words("cli.backup.failed", at=local(found["failed_at"]), why=printable(found["why"] or found["code"]))


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f}"


_BACKUP: Mapping[str, Cell] = {
    "made_at": when("made_at"), "size": lambda one: f"{_mb(one['bytes'])} MB", "opened_by": _opened_by,
    "checked": lambda one: words("cli.backup.whole" if one["verified"] else "cli.backup.not_readable"),
    "kept_until": when("kept_until", "cli.backup.stays"), "file": "name",
}  # fmt: skip

BACKUPS = (
    row("list", "GET /system/backups", shown=_backups),
    row("now", _make_backup, shown=_made, ok=lambda found: not found["failed_at"]),
)
"""Those of ``shoal backup`` that ask a running server."""
