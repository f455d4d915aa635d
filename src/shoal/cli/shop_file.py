"""``shoal export`` and ``shoal apply``: shops as a file, over the API."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from shoal.cli.rows import DRY_RUN, Answer, Given, arg, flag, row
from shoal.cli.run_rows import add_rows
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


async def _export(url: str | None, accounts: list[str], *, as_json: bool) -> None:
    query = {"format": "json" if as_json else "yaml", "account": accounts or None}
    async with signed_in(url) as client:
        sys.stdout.write((await client.fetch_file("GET /export", query=query)).decode())


def _text(file: str) -> str:
    if not file:
        raise typer.BadParameter(words("cli.error.empty_name"), param_hint="FILE")
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or words("cli.shop_file.no_text")
        raise typer.BadParameter(words("cli.shop_file.unreadable", path=file, why=why), param_hint="FILE") from None


def _outcomes(found: Answer, _: Given) -> str:
    lines = []
    for one in found["accounts"]:
        if one["outcome"] == "unchanged":
            continue
        head = words(f"cli.shop_file.outcome.{one['outcome']}")
        lines.append(f"{printable(one['id'])}: {head}" + (f" – {printable(one['detail'])}" if one["detail"] else ""))
        lines += [f"  {_SIGNS[part['kind']]} {printable(part['text'])}" for part in one["differences"]]
        if one["more"]:
            lines.append("  " + words("cli.shop_file.more", count=one["more"]))
    unchanged = sum(one["outcome"] == "unchanged" for one in found["accounts"])
    return "\n".join([*lines, words("cli.shop_file.unchanged", count=unchanged)])


add_rows(shops, (
    row("apply", "POST /apply", arg("FILE", "file", read=_text), DRY_RUN, flag("--prune", "?prune"), shown=_outcomes,
        ok=lambda found: not any(one["outcome"] in {"absent", "failed"} for one in found["accounts"])),
), "cli.shop_file")  # fmt: skip
