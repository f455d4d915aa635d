"""``shoal doctor``: prints what it finds, and what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from shoal.cli.run_rows import AsJson
from shoal.cli.session import OwnUrl, run
from shoal.cli.words import words
from shoal.config import load_settings
from shoal.errors import ConfigError

# It looks with the server's own modules, which take longer to load than most commands run.
# ruff: noqa: PLC0415

if TYPE_CHECKING:
    from shoal.cli.doctor.findings import Finding

_MARKS = {"ok": ("✓", "green"), "warn": ("!", "bold yellow"), "fail": ("✗", "bold red")}


examining = typer.Typer()


@examining.command("doctor", help=words("doctor.help.doctor"))
def doctor(
    data_dir: Annotated[str | None, typer.Option(help=words("cli.help.data_dir"))] = None,
    offline: Annotated[bool, typer.Option("--offline", help=words("doctor.help.offline"))] = False,
    host: Annotated[str | None, typer.Option(help=words("doctor.help.host"), show_default=False)] = None,
    port: Annotated[int | None, typer.Option(help=words("doctor.help.port"), show_default=False)] = None,
    url: OwnUrl = None,
    as_json: AsJson = False,
) -> None:
    """Look at what the server needs, on its own machine. Exits with 1 when something keeps it from working."""
    given = {"data_dir": data_dir, "host": host, "port": port}
    run(_doctor(given, url or os.environ.get("SHOAL_URL", ""), offline=offline, as_json=as_json))


async def _doctor(given: Mapping[str, Any], url: str, *, offline: bool, as_json: bool) -> None:
    from shoal.cli.doctor.examination import examine
    from shoal.cli.doctor.findings import Level, Look, refusal

    found: list[Finding] = []
    try:
        settings = load_settings(**given)
    except ConfigError as error:
        found.append(refusal(Look.SETTINGS, error))
        if not as_json:
            _show(found[0])
    else:
        async for finding in examine(settings, url=url, offline=offline):
            found.append(finding)
            if not as_json:
                _show(finding)
    failures = sum(one.level is Level.FAIL for one in found)
    warnings = sum(one.level is Level.WARN for one in found)
    if as_json:
        answer = {"ok": not failures, "findings": [one.row() for one in found]}
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    elif failures or warnings:
        typer.echo("\n" + words("doctor.summary", failures=failures, warnings=warnings))
    else:
        typer.echo("\n" + words("doctor.all_well"))
    if failures:
        raise typer.Exit(1)


def _show(finding: Finding) -> None:
    mark, style = _MARKS[finding.level.value]
    line = Text.assemble((mark, style), " ", (words(f"doctor.name.{finding.look.value}"), "bold"), ": ", finding.detail)
    if finding.do:
        line.append(f"\n  → {finding.do}")
    Console(soft_wrap=True, highlight=False).print(line)
