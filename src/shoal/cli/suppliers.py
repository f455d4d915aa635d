"""``shoal goods supplier`` and ``shoal goods try``: the supplier of goods, over the API."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli.arguments import AsJson
from shoal.cli.goods import GoodsId, goods
from shoal.cli.output import echo
from shoal.cli.session import Url, run, signed_in
from shoal.cli.words import printable, words

SettingsFile = Annotated[
    Path | None, typer.Argument(help=words("cli.goods.help.settings"), allow_dash=True, show_default=False)
]


@goods.command("supplier", help=words("cli.goods.help.supplier"))
def supplier_of_goods(goods_id: GoodsId, file: SettingsFile = None, url: Url = None, _as_json: AsJson = False) -> None:
    """Print the settings of a supplier, masked; with a JSON file, change those that stand in it."""
    run(_supplier(url, goods_id, file))


@goods.command("add-supplier", help=words("cli.goods.help.add_supplier"))
def add_supplied_goods(
    name: Annotated[str, typer.Argument(help=words("cli.goods.help.name"), show_default=False)],
    file: Annotated[Path, typer.Argument(help=words("cli.goods.help.settings"), allow_dash=True, show_default=False)],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Add goods that a supplier sells, with its settings from a JSON file, and print their id."""
    run(_add(url, name, file))


@goods.command("try", help=words("cli.goods.help.try"))
def try_supplier(
    goods_id: GoodsId,
    call: Annotated[bool, typer.Option("--call", help=words("cli.goods.help.call"))] = False,
    item_id: Annotated[str, typer.Option(help=words("cli.goods.help.item_id"), show_default=False)] = "",
    spec: Annotated[str, typer.Option(help=words("cli.goods.help.spec"), show_default=False)] = "",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the call to a supplier; with ``--call`` make it, which buys one unit."""
    run(_try(url, goods_id, {"item_id": item_id, "spec": spec, "call": call}, as_json=as_json))


async def _supplier(url: str | None, goods_id: int, file: Path | None) -> None:
    settings = None if file is None else await asyncio.to_thread(_settings, file)
    async with signed_in(url) as client:
        if settings is None:
            found = await client.call("GET", "goods", str(goods_id))
        else:
            found = await client.call("PATCH", "goods", str(goods_id), body={"supplier": settings})
    if found["supplier"] is None:
        typer.echo(words("cli.goods.no_supplier"), err=True)
        raise typer.Exit(1)
    typer.echo(json.dumps(found["supplier"], ensure_ascii=False, indent=2))


async def _add(url: str | None, name: str, file: Path) -> None:
    settings = await asyncio.to_thread(_settings, file)
    async with signed_in(url) as client:
        made = await client.call("POST", "goods", body={"name": name, "kind": "supplier", "supplier": settings})
    echo(made, words("cli.goods.added", id=made["id"], name=printable(made["name"])))


async def _try(url: str | None, goods_id: int, body: dict[str, Any], *, as_json: bool) -> None:
    async with signed_in(url) as client:
        tried = await client.call("POST", "goods", str(goods_id), "supplier", "try", body=body)
    if as_json:
        typer.echo(json.dumps(tried, ensure_ascii=False, indent=2))
        return
    request, answer = tried["request"], tried["answer"]
    lines = [f"{request['method']} {request['url']}", *(f"{key}: {value}" for key, value in request["headers"].items())]
    typer.echo("\n".join(map(printable, [*lines, "", *request["body"].splitlines()])))
    if answer is None:
        typer.echo(words("cli.goods.not_called"))
    else:
        outcome = words(f"cli.goods.outcomes.{answer['outcome']}")
        typer.echo(words("cli.goods.called", outcome=outcome, status=answer["status"], masked=answer["masked"] or "–"))


def _settings(file: Path) -> Any:
    """Return the JSON of a file. Raises ``typer.BadParameter``."""
    try:
        return json.loads(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
    except OSError as error:
        raise typer.BadParameter(words("cli.goods.unreadable", path=file, why=error.strerror)) from None
    except ValueError:
        raise typer.BadParameter(words("cli.goods.no_json", path=file)) from None
