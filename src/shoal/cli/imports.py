"""``shoal import …``: moves the data of another system to a server, over its API."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from shoal.cli.rows import YES, Answer, Given, arg, flag, option, row
from shoal.cli.run_rows import group, listed, sure
from shoal.cli.words import printable, words
from shoal.errors import ConfigError

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

# What draws progress, and what packs a folder, is imported by the commands that need it.
# ruff: noqa: PLC0415

_LOOK_SECONDS = 0.5
_SHOWN = 40
"""How many rows of a report are printed; ``--json`` prints all."""
_ALL = 1_000_000_000
_FATES = ("taken", "changed", "skipped", "waiting", "known")

# ── what is done ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _there(path: Path) -> Path:
    if not path.exists():
        raise typer.BadParameter(words("cli.imports.no_file", path=path))
    return path


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise typer.BadParameter(words("cli.imports.no_folder", path=path))
    return path


def _asked_key(_: bool) -> str:
    if not sys.stdin.isatty():
        raise ConfigError("cli.imports.key_unasked")
    return str(typer.prompt(words("cli.imports.data_key"), hide_input=True, err=True))


async def _legacy(client: ApiClient, given: Given) -> Any:
    return await _import(client, "legacy", given, uploads=given["_uploads"])


async def _autoagent(client: ApiClient, given: Given) -> Any:
    from shoal.maintenance.moving.autoagent import packed

    path = given["_file"]
    if not path.is_dir():
        return await _import(client, "autoagent", given)
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "agent.zip"
        try:
            file.write_bytes(packed(path))
        except OSError:
            raise typer.BadParameter(words("cli.imports.no_file", path=path / ".env")) from None
        return await _import(client, "autoagent", {**given, "_file": file})


async def _ydisks(client: ApiClient, given: Given) -> Any:
    key = given["_key"] or os.environ.get("XIANYU_DATA_KEY", "")
    return await _import(client, "ydisks", given, headers={"X-Data-Key": key} if key else {})


async def _import(
    client: ApiClient,
    importer: str,
    given: Given,
    *,
    uploads: Path | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    file = given["_file"]
    query = {"name": file.name, "only_user": given.get("_user")}
    with _one_file(file, uploads) as path:
        plan = await client.send_stream("POST /imports/plans", path, query=query, headers=headers)
    plan_id = plan["plan_id"]
    is_other = plan["source"] != importer
    rows = (
        [] if is_other else await listed(client, "GET /imports/plans/{plan_id}/rows", {"limit": _ALL}, plan_id=plan_id)
    )
    if is_other or given["_dry_run"]:
        await client.ask("DELETE /imports/plans/{plan_id}", plan_id=plan_id)
        if is_other:
            raise typer.BadParameter(_of_other_system(plan["source"], file), param_hint="FILE")
        return {**plan, "rows": rows}
    seen = await _followed(client, await client.ask("POST /imports", body={"plan_id": plan_id}))
    return {**seen, "rows": rows}


def _of_other_system(source: str, file: Path) -> str:
    """Return which importer takes the file: each has options of its own, such as the key that opens secrets."""
    system, path = words(f"cli.imports.systems.{source}"), shlex.quote(printable(str(file)))
    return words("cli.imports.other_system", system=system, command=f"shoal import {source} {path}")


async def _followed(client: ApiClient, seen: Answer) -> Answer:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(words("cli.imports.progress"), total=seen["total"], completed=seen["done"])
        while seen["state"] == "running":
            await asyncio.sleep(_LOOK_SECONDS)
            seen = await client.ask("GET /imports/{run_id}", run_id=str(seen["id"]))
            progress.update(bar, total=seen["total"], completed=seen["done"])
    return seen


@contextmanager
def _one_file(file: Path, uploads: Path | None) -> Iterator[Path]:
    """Yield one file to send: the file, or an archive of it with its log and the pictures below a folder."""
    log = file.with_name(f"{file.name}-wal")
    if uploads is None and not log.is_file():
        yield file
        return
    with tempfile.TemporaryDirectory() as home:
        packed = Path(home) / "import.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(file, f"data{file.suffix or '.db'}")
            if log.is_file():
                archive.write(log, f"data{file.suffix or '.db'}-wal")
            for number, picture in enumerate(sorted(uploads.rglob("*")) if uploads is not None else ()):
                if picture.is_file() and picture.suffix.lower() in {".jpg", ".jpeg", ".png", ".gif", ".webp"}:
                    archive.write(picture, f"{number}/{picture.name}", zipfile.ZIP_STORED)
        yield packed


async def _list(client: ApiClient, _: Given) -> Any:
    return (await client.ask("GET /imports"))["items"]


async def _show(client: ApiClient, given: Given) -> Any:
    run_id = str(given["run_id"])
    seen = await client.ask("GET /imports/{run_id}", run_id=run_id)
    return {**seen, "rows": await listed(client, "GET /imports/{run_id}/rows", {"limit": _ALL}, run_id=run_id)}


async def _start(client: ApiClient, given: Given) -> Any:
    run_id = str(given["run_id"])
    if not given["_yes"]:
        await client.ask("GET /imports/{run_id}", run_id=run_id)  # before a question about one that is not there
        if not sure(words("cli.imports.is_stopped")):
            typer.echo(words("cli.imports.stop_it_first"), err=True)
            raise typer.Exit(1)
    body = {"old_system_stopped": True}
    return (await client.ask("POST /imports/{run_id}/start", run_id=run_id, body=body))["items"]


# ── what is shown ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _lines(found: list[Answer], _: Given) -> str:
    lines = (
        words("cli.imports.line", id=one["id"], source=one["source"], at=one["started_at"],
              state=words(f"cli.imports.states.{one['state']}"))
        for one in found
    )  # fmt: skip
    return "\n".join(lines) or words("cli.imports.none")


def _started(found: list[Answer], _: Given) -> str:
    off = [one for one in found if one["problem"]]
    lines = [words("cli.imports.started", count=len(found) - len(off))]
    return "\n".join([*lines, *(_stays_off(one, one["problem"]) for one in off)])


def _stays_off(one: Answer, why: str) -> str:
    return words("cli.imports.not_started", name=printable(one["name"]), why=why)


def _report(seen: Answer, _: Given) -> str:
    lines = []
    for one in seen["counts"]:
        fates = [words(f"cli.imports.fates.{fate}", count=one[fate]) for fate in _FATES if one[fate]]
        kind = words(f"cli.imports.kinds.{one['kind']}")
        lines.append(f"{kind}: {', '.join(fates)}")
    for one in seen["rows"][:_SHOWN]:
        fate = words(f"cli.imports.fate.{one['fate']}")
        lines.append(f"  [{fate}] {printable(one['table'])} {printable(one['row'])}: {one['detail']}")
    if len(seen["rows"]) > _SHOWN:
        lines.append(words("cli.imports.more_rows", count=len(seen["rows"]) - _SHOWN))
    if starting := [printable(one["name"]) for one in seen["was_on"] if not one["stays_off"]]:
        lines.append(words("cli.imports.was_on", count=len(starting), names=", ".join(starting)))
    lines += [_stays_off(one, one["stays_off"]) for one in seen["was_on"] if one["stays_off"]]
    if "state" not in seen:
        lines.append(words("cli.imports.nothing_stored"))
    elif seen["state"] != "stopped" and starting and seen["turned_on_at"] is None:
        lines.append(words("cli.imports.start_hint", id=seen["id"]))
    return "\n".join(lines)


def _ended_early(seen: Answer, _: Given) -> str:
    return words("cli.imports.stopped") if seen.get("state") == "stopped" else ""


_FILE = arg("FILE", "_file", Path, dir_okay=False, read=_there)
_RUN = arg("IMPORT", "run_id", int, min=1, help="cli.imports.help.run")
_DRY_RUN = flag("--dry-run", "_dry_run")
_USER = option("--user", "_user")
_SHOWING = {"shown": _report, "note": _ended_early}
_IMPORTED = {**_SHOWING, "ok": lambda seen: seen.get("state", "done") == "done"}

imports = group("import", (
    row("legacy", _legacy, _FILE, _DRY_RUN, option("--uploads", "_uploads", Path, file_okay=False, read=_folder), _USER,
        **_IMPORTED),
    row("autoagent", _autoagent, arg("PATH", "_file", Path, read=_there, help="cli.imports.help.autoagent_path"),
        _DRY_RUN, **_IMPORTED),
    row("ydisks", _ydisks, flag("--ask-key", "_key", read=_asked_key), _FILE, _DRY_RUN, _USER, **_IMPORTED),
    row("list", _list, shown=_lines),
    row("show", _show, _RUN, **_SHOWING),
    row("start", _start, _RUN, YES.but(help="cli.imports.help.yes"), shown=_started,
        ok=lambda found: all(one["outcome"] == "stays_off" for one in found if one["problem"])),
), root="cli.imports")  # fmt: skip
