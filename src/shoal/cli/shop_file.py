"""``shoal export`` and ``shoal apply``: shops as a file, over the API."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, words

_SIGNS = {"added": "+", "changed": "~", "removed": "-", "moved": "~"}


shops = typer.Typer()


@shops.command("export", help=words("cli.shop_file.help.export"))
def export_shops(
    accounts: Annotated[
        list[str] | None, typer.Option("--account", metavar="ID", help=words("cli.shop_file.help.account"))
    ] = None,
    show_schema: Annotated[bool, typer.Option("--schema", help=words("cli.shop_file.help.schema"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=words("cli.help.json"))] = False,
    url: Url = None,
) -> None:
    """Print shops as a file for ``shoal apply``: settings, rules, delivery rules and staff, without secrets."""
    if show_schema:
        from shoal.maintenance.shop_file.shapes import schema  # noqa: PLC0415  loads pydantic

        typer.echo(json.dumps(schema(), ensure_ascii=False, indent=2))
        return
    run(_export(url, accounts or [], as_json=as_json))


@shops.command("apply", help=words("cli.shop_file.help.apply"))
def apply_shops(
    file: Annotated[str, typer.Argument(metavar="FILE", help=words("cli.shop_file.help.file"), show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help=words("cli.shop_file.help.dry_run"))] = False,
    prune: Annotated[bool, typer.Option("--prune", help=words("cli.shop_file.help.prune"))] = False,
    as_json: Annotated[bool, typer.Option("--json", help=words("cli.help.json"))] = False,
    url: Url = None,
) -> None:
    """Change shops to what a file says, and print what differed. Exits with 1 when a shop is absent or failed."""
    if not file:
        raise typer.BadParameter(words("cli.error.empty_name"), param_hint="FILE")
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or words("cli.shop_file.no_text")
        raise typer.BadParameter(words("cli.shop_file.unreadable", path=file, why=why), param_hint="FILE") from None
    params = {"dry_run": str(dry_run).lower(), "prune": str(prune).lower()}
    run(_apply(url, text, params, as_json=as_json))


async def _export(url: str | None, accounts: list[str], *, as_json: bool) -> None:
    params: dict[str, str | list[str]] = {"format": "json" if as_json else "yaml"}
    if accounts:
        params["account"] = accounts
    async with signed_in(url) as client:
        data = await client.fetch_file("export", params=params)
    sys.stdout.write(data.decode())


async def _apply(url: str | None, text: str, params: dict[str, str], *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("POST", "apply", body={"file": text}, params=params)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        _print_outcomes(found)
    if any(row["outcome"] in {"absent", "failed"} for row in found["accounts"]):
        raise typer.Exit(1)


def _print_outcomes(found: dict[str, Any]) -> None:
    for row in found["accounts"]:
        if row["outcome"] == "unchanged":
            continue
        head = words(f"cli.shop_file.outcome.{row['outcome']}")
        typer.echo(f"{printable(row['id'])}: {head}" + (f" – {printable(row['detail'])}" if row["detail"] else ""))
        for one in row["differences"]:
            typer.echo(f"  {_SIGNS[one['kind']]} {printable(one['text'])}")
        if row["more"]:
            typer.echo("  " + words("cli.shop_file.more", count=row["more"]))
    unchanged = sum(row["outcome"] == "unchanged" for row in found["accounts"])
    typer.echo(words("cli.shop_file.unchanged", count=unchanged))
