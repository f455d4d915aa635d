"""``shoal import …``: moves the data of another system to a server, over its API."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from shoal.cli.api_client import ApiClient
from shoal.cli.run_rows import sure
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, words
from shoal.errors import ConfigError

imports = typer.Typer(no_args_is_help=True, help=words("cli.imports.help.imports"))

_LOOK_SECONDS = 0.5
_SHOWN = 40
"""How many rows of a report are printed; ``--json`` prints all."""
_PAGE = 200

AsJson = Annotated[bool, typer.Option("--json", help=words("cli.imports.help.json"))]
DryRun = Annotated[bool, typer.Option("--dry-run", help=words("cli.imports.help.dry_run"))]
RunId = Annotated[int, typer.Argument(metavar="IMPORT", help=words("cli.imports.help.run"), min=1)]


@imports.command("legacy", help=words("cli.imports.help.legacy"))
def import_legacy(
    file: Annotated[Path, typer.Argument(help=words("cli.imports.help.file"), show_default=False, dir_okay=False)],
    dry_run: DryRun = False,
    uploads: Annotated[
        Path | None, typer.Option(help=words("cli.imports.help.uploads"), show_default=False, file_okay=False)
    ] = None,
    user: Annotated[str, typer.Option("--user", help=words("cli.imports.help.user"), show_default=False)] = "",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Import a database of xianyu-auto-reply: its SQLite file, its JSON backup, or a dump of its MySQL database."""
    run(_import("legacy", url, file, uploads, user, dry_run=dry_run, as_json=as_json))


@imports.command("autoagent", help=words("cli.imports.help.autoagent"))
def import_autoagent(
    path: Annotated[Path, typer.Argument(help=words("cli.imports.help.autoagent_path"), show_default=False)],
    dry_run: DryRun = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Import the shop of XianyuAutoAgent: its folder, or its ``.env``. Its prompts are kept."""
    if not path.is_dir():
        run(_import("autoagent", url, path, None, "", dry_run=dry_run, as_json=as_json))
        return
    from shoal.maintenance.moving.autoagent import packed  # noqa: PLC0415  only this command needs it

    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "agent.zip"
        try:
            file.write_bytes(packed(path))
        except OSError:
            raise typer.BadParameter(words("cli.imports.no_file", path=path / ".env")) from None
        run(_import("autoagent", url, file, None, "", dry_run=dry_run, as_json=as_json))


@imports.command("ydisks", help=words("cli.imports.help.ydisks"))
def import_ydisks(
    file: Annotated[Path, typer.Argument(help=words("cli.imports.help.file"), show_default=False, dir_okay=False)],
    dry_run: DryRun = False,
    user: Annotated[str, typer.Option("--user", help=words("cli.imports.help.user"), show_default=False)] = "",
    ask_key: Annotated[bool, typer.Option("--ask-key", help=words("cli.imports.help.ask_key"))] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Import the SQLite database of Ydisks-Xianyu-Helper. ``XIANYU_DATA_KEY`` of the environment opens its secrets."""
    key = os.environ.get("XIANYU_DATA_KEY", "")
    if ask_key:
        if not sys.stdin.isatty():
            raise ConfigError("cli.imports.key_unasked")
        key = typer.prompt(words("cli.imports.data_key"), hide_input=True, err=True)
    run(_import("ydisks", url, file, None, user, key=key, dry_run=dry_run, as_json=as_json))


@imports.command("list", help=words("cli.imports.help.list"))
def list_imports(url: Url = None, as_json: AsJson = False) -> None:
    """List your imports."""
    run(_list(url, as_json=as_json))


@imports.command("show", help=words("cli.imports.help.show"))
def show_import(run_id: RunId, url: Url = None, as_json: AsJson = False) -> None:
    """Show the report of an import."""
    run(_show(url, run_id, as_json=as_json))


@imports.command("start", help=words("cli.imports.help.start"))
def start_imported(
    run_id: RunId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=words("cli.imports.help.yes"))] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Turn on what was on in the other system, which must be stopped."""
    run(_start(url, run_id, yes=yes, as_json=as_json))


async def _import(
    importer: str,
    url: str | None,
    file: Path,
    uploads: Path | None,
    user: str,
    *,
    dry_run: bool,
    as_json: bool,
    key: str = "",
) -> None:
    _require(file, uploads)
    params = {"name": file.name, **({"only_user": user} if user else {})}
    headers = {"X-Data-Key": key} if key else None
    async with signed_in(url) as client:
        with _one_file(file, uploads) as path:
            plan = await client.send_stream("imports", "plans", file=path, params=params, headers=headers)
        if plan["source"] != importer:
            await client.call("DELETE", "imports", "plans", plan["plan_id"])
            raise typer.BadParameter(_of_other_system(plan["source"], file), param_hint="FILE")
        rows = await _rows(client, "imports", "plans", plan["plan_id"])
        if dry_run:
            await client.call("DELETE", "imports", "plans", plan["plan_id"])
            _publish({**plan, "rows": rows}, as_json=as_json)
            return
        seen = await client.call("POST", "imports", body={"plan_id": plan["plan_id"]})
        seen = await _follow(client, seen)
        _publish({**seen, "rows": rows}, as_json=as_json)
    if seen["state"] != "done":
        raise typer.Exit(1)


def _of_other_system(source: str, file: Path) -> str:
    """Return which importer takes the file: each has options of its own, such as the key that opens secrets."""
    system, path = words(f"cli.imports.systems.{source}"), shlex.quote(printable(str(file)))
    return words("cli.imports.other_system", system=system, command=f"shoal import {source} {path}")


async def _follow(client: ApiClient, seen: dict[str, Any]) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(words("cli.imports.progress"), total=seen["total"], completed=seen["done"])
        while seen["state"] == "running":
            await asyncio.sleep(_LOOK_SECONDS)
            seen = await client.call("GET", "imports", str(seen["id"]))
            progress.update(bar, total=seen["total"], completed=seen["done"])
    return seen


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "imports"))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(words("cli.imports.none"))
    for one in () if as_json else found:
        state = words(f"cli.imports.states.{one['state']}")
        typer.echo(words("cli.imports.line", id=one["id"], source=one["source"], at=one["started_at"], state=state))


async def _show(url: str | None, run_id: int, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        seen = await client.call("GET", "imports", str(run_id))
        rows = await _rows(client, "imports", str(run_id))
    _publish({**seen, "rows": rows}, as_json=as_json)


async def _start(url: str | None, run_id: int, *, yes: bool, as_json: bool) -> None:
    async with signed_in(url) as client:
        if not yes:
            await client.call("GET", "imports", str(run_id))  # before anybody is asked about one that is not there
            if not sure(words("cli.imports.is_stopped")):
                typer.echo(words("cli.imports.stop_it_first"), err=True)
                raise typer.Exit(1)
        answer = await client.call("POST", "imports", str(run_id), "start", body={"old_system_stopped": True})
    if as_json:
        typer.echo(json.dumps(answer["items"], ensure_ascii=False, indent=2))
    off = [one for one in answer["items"] if one["problem"]]
    if not as_json:
        typer.echo(words("cli.imports.started", count=len(answer["items"]) - len(off)))
        for one in off:
            typer.echo(words("cli.imports.not_started", name=printable(one["name"]), why=one["problem"]))
    if any(one["outcome"] != "stays_off" for one in off):
        raise typer.Exit(1)


async def _rows(client: ApiClient, *path: str) -> list[dict[str, Any]]:
    """Return every row of a report."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        params = {"limit": str(_PAGE), **({"cursor": cursor} if cursor else {})}
        page = await client.call("GET", *path, "rows", params=params)
        found += page["items"]
        cursor = page["next"]
    return found


def _publish(seen: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(seen, ensure_ascii=False, indent=2))
        return
    for row in seen["counts"]:
        fates = [
            words(f"cli.imports.fates.{fate}", count=row[fate])
            for fate in ("taken", "changed", "skipped", "waiting", "known")
            if row[fate]
        ]
        kind = words(f"cli.imports.kinds.{row['kind']}")
        typer.echo(f"{kind}: {', '.join(fates)}")
    for row in seen["rows"][:_SHOWN]:
        fate = words(f"cli.imports.fate.{row['fate']}")
        typer.echo(f"  [{fate}] {printable(row['table'])} {printable(row['row'])}: {row['detail']}")
    if len(seen["rows"]) > _SHOWN:
        typer.echo(words("cli.imports.more_rows", count=len(seen["rows"]) - _SHOWN))
    if starting := [printable(one["name"]) for one in seen["was_on"] if not one["stays_off"]]:
        typer.echo(words("cli.imports.was_on", count=len(starting), names=", ".join(starting)))
    for one in seen["was_on"]:
        if one["stays_off"]:
            typer.echo(words("cli.imports.not_started", name=printable(one["name"]), why=one["stays_off"]))
    if "state" not in seen:
        typer.echo(words("cli.imports.nothing_stored"))
    elif seen["state"] == "stopped":
        typer.echo(words("cli.imports.stopped"), err=True)
    elif starting and seen["turned_on_at"] is None:
        typer.echo(words("cli.imports.start_hint", id=seen["id"]))


def _require(file: Path, uploads: Path | None) -> None:
    if not file.is_file():
        raise typer.BadParameter(words("cli.imports.no_file", path=file))
    if uploads is not None and not uploads.is_dir():
        raise typer.BadParameter(words("cli.imports.no_folder", path=uploads))


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
