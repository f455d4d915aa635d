"""``shoal goods …``: goods and their units, over the API."""

from __future__ import annotations

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.arguments import AsJson
from shoal.cli.output import echo
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import printable, words

goods = typer.Typer(no_args_is_help=True, help=words("cli.goods.help.goods"))

GoodsId = Annotated[int, typer.Argument(metavar="GOODS", help=words("cli.goods.help.goods_id"))]
UnitId = Annotated[int, typer.Argument(metavar="UNIT", help=words("cli.goods.help.unit_id"))]
Reason = Annotated[str, typer.Option(help=words("cli.goods.help.reason"), show_default=False)]
_NAMED = 20
"""How many doubles and refused lines are printed."""


class Kind(StrEnum):
    """What kind of goods can be added."""

    STOCK = "stock"
    REUSABLE = "reusable"
    FIXED = "fixed"


class State(StrEnum):
    """The states by which units can be listed."""

    FREE = "free"
    HELD = "held"
    OUT = "out"
    VOID = "void"
    RETURNED = "returned"
    DOUBTED = "doubted"
    FETCHING = "fetching"


@goods.command("list", help=words("cli.goods.help.list"))
def list_goods(url: Url = None, as_json: AsJson = False) -> None:
    """List your goods with what is in stock."""
    run(_list(url, as_json=as_json))


@goods.command("add", help=words("cli.goods.help.add"))
def add_goods(
    name: Annotated[str, typer.Argument(help=words("cli.goods.help.name"), show_default=False)],
    kind: Annotated[Kind, typer.Option(help=words("cli.goods.help.kind"))] = Kind.STOCK,
    low_at: Annotated[int, typer.Option(help=words("cli.goods.help.low_at"), min=0)] = 0,
    per_message: Annotated[int, typer.Option(help=words("cli.goods.help.per_message"), min=1)] = 1,
    text: Annotated[str, typer.Option(help=words("cli.goods.help.text"), show_default=False)] = "",
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Add goods, and print their id."""
    body = {"name": name, "kind": kind.value, "low_at": low_at, "per_message": per_message, "text": text}
    run(_add(url, body))


@goods.command("import", help=words("cli.goods.help.import"))
def import_units(
    goods_id: GoodsId,
    file: Annotated[Path, typer.Argument(help=words("cli.goods.help.file"), allow_dash=True, show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help=words("cli.goods.help.dry_run"))] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Import units from a text, CSV or Excel file; ``-`` reads text from standard input."""
    run(_import(url, goods_id, file, dry_run=dry_run, as_json=as_json))


@goods.command("units", help=words("cli.goods.help.units"))
def list_units(
    goods_id: GoodsId,
    state: Annotated[State | None, typer.Option(help=words("cli.goods.help.state"), show_default=False)] = None,
    after: Annotated[int, typer.Option(help=words("cli.goods.help.after"), min=0)] = 0,
    limit: Annotated[int, typer.Option(help=words("cli.goods.help.limit"), min=1, max=200)] = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List units, masked, the oldest first."""
    params = {"after": str(after), "limit": str(limit), **({} if state is None else {"state": state.value})}
    run(_units(url, goods_id, params, as_json=as_json))


@goods.command("reveal", help=words("cli.goods.help.reveal"))
def reveal_unit(goods_id: GoodsId, unit_id: UnitId, reason: Reason, url: Url = None, _as_json: AsJson = False) -> None:
    """Print a unit. Who saw it and why is noted."""
    run(_act(url, goods_id, ("units", str(unit_id), "reveal"), {"reason": reason}, show="text"))


@goods.command("void", help=words("cli.goods.help.void"))
def void_unit(goods_id: GoodsId, unit_id: UnitId, reason: Reason, url: Url = None, _as_json: AsJson = False) -> None:
    """Take a free unit out of the stock for ever."""
    run(_act(url, goods_id, ("units", str(unit_id), "void"), {"reason": reason}))


@goods.command("return", help=words("cli.goods.help.return"))
def return_unit(goods_id: GoodsId, unit_id: UnitId, reason: Reason, url: Url = None, _as_json: AsJson = False) -> None:
    """Note that a buyer gave a unit back. It is not sold again."""
    run(_act(url, goods_id, ("units", str(unit_id), "return"), {"reason": reason}))


@goods.command("doubt", help=words("cli.goods.help.doubt"))
def doubt_unit(goods_id: GoodsId, unit_id: UnitId, reason: Reason, url: Url = None, _as_json: AsJson = False) -> None:
    """Note that somebody else may have a unit, or that it may not work."""
    run(_act(url, goods_id, ("units", str(unit_id), "doubt"), {"reason": reason}))


@goods.command("give-back", help=words("cli.goods.help.give_back"))
def give_back(
    goods_id: GoodsId,
    unit_id: UnitId,
    reason: Reason,
    order: Annotated[str, typer.Option(help=words("cli.goods.help.order"), show_default=False)] = "",
    never_arrived: Annotated[bool, typer.Option("--never-arrived", help=words("cli.goods.help.never_arrived"))] = False,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Give the units back to the stock that an order has and its buyer does not."""
    body = {"reason": reason, "order_id": order, "never_arrived": never_arrived}
    run(_give_back(url, goods_id, unit_id, body))


@goods.command("undo", help=words("cli.goods.help.undo"))
def undo_import(
    goods_id: GoodsId,
    batch_id: Annotated[int, typer.Argument(metavar="BATCH", help=words("cli.goods.help.batch_id"))],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Delete the units of an import while no order has one of them."""
    run(_act(url, goods_id, ("batches", str(batch_id), "undo"), None))


@goods.command("waiting", help=words("cli.goods.help.waiting"))
def list_waiting(goods_id: GoodsId, url: Url = None, as_json: AsJson = False) -> None:
    """List the orders that wait for goods, and what each would get."""
    run(_waiting(url, goods_id, as_json=as_json))


@goods.command("serve-waiting", help=words("cli.goods.help.serve_waiting"))
def serve_waiting(goods_id: GoodsId, url: Url = None, _as_json: AsJson = False) -> None:
    """Serve the orders that wait for goods, as far as the stock is enough."""
    run(_serve_waiting(url, goods_id))


async def _list(url: str | None, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "goods"))["items"]
    _print(found, as_json=as_json, none=words("cli.goods.none"), table=_goods_table)


async def _add(url: str | None, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        made = await client.call("POST", "goods", body=body)
    echo(made, words("cli.goods.added", id=made["id"], name=printable(made["name"])))


async def _import(url: str | None, goods_id: int, file: Path, *, dry_run: bool, as_json: bool) -> None:
    data = await asyncio.to_thread(_read, file)
    name = "-.txt" if str(file) == "-" else file.name
    async with signed_in(url) as client:
        params = {"dry_run": "true"} if dry_run else None
        answer = await client.send_file("goods", str(goods_id), "units", name=name, data=data, params=params)
    if as_json:
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    counted = {name: answer[name] for name in ("taken", "doubles_count", "refused_count")}
    typer.echo(
        words("cli.goods.would_take", **counted)
        if dry_run
        else words("cli.goods.taken", batch=answer["batch_id"], **counted)
    )
    for row in sorted((*answer["doubles"], *answer["refused"]), key=lambda row: int(row["line"]))[:_NAMED]:
        typer.echo(words("cli.goods.line", line=row["line"], detail=row["detail"]))


async def _units(url: str | None, goods_id: int, params: dict[str, str], *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "goods", str(goods_id), "units", params=params))["items"]
    _print(found, as_json=as_json, none=words("cli.goods.no_units"), table=_unit_table)


async def _waiting(url: str | None, goods_id: int, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = (await client.call("GET", "goods", str(goods_id), "waiting"))["items"]
    _print(found, as_json=as_json, none=words("cli.goods.none_waiting"), table=_waiting_table)


async def _serve_waiting(url: str | None, goods_id: int) -> None:
    async with signed_in(url) as client:
        answer = await client.call("POST", "goods", str(goods_id), "serve-waiting", body={})
    echo(answer, words("cli.goods.requested", count=answer["requested"], waiting=len(answer["items"])))


async def _act(url: str | None, goods_id: int, path: tuple[str, ...], body: Any, *, show: str = "") -> None:
    async with signed_in(url) as client:
        answer = await client.call("POST", "goods", str(goods_id), *path, body=body)
    echo(answer, str(answer[show]) if show else words("cli.goods.done"))


async def _give_back(url: str | None, goods_id: int, unit_id: int, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        answer = await client.call("POST", "goods", str(goods_id), "units", str(unit_id), "give-back", body=body)
    echo(answer, words("cli.goods.given_back", count=len(answer["units"]), order=printable(answer["order_id"])))


def _read(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(words("cli.goods.unreadable", path=file, why=error.strerror)) from None


def _print(found: list[dict[str, Any]], *, as_json: bool, none: str, table: Any) -> None:
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(none)
    else:
        wide_console().print(table(found, plain=not sys.stdout.isatty()))


def _table(headings: tuple[str, ...], *, plain: bool) -> Table:
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _goods_table(found: list[dict[str, Any]], *, plain: bool) -> Table:
    headings = (
        words("cli.goods.id"), words("cli.goods.name"), words("cli.goods.kind"), words("cli.goods.free"),
        words("cli.goods.held"), words("cli.goods.out"), words("cli.goods.days_left"),
    )  # fmt: skip
    table = _table(headings, plain=plain)
    for one in found:
        counts, days = one["units"], one["days_left"]
        table.add_row(
            str(one["id"]),
            Text(printable(one["name"]), style="bold"),
            words(f"cli.goods.kinds.{one['kind']}"),
            f"{counts['free']}{' !' if one['low'] else ''}",
            str(counts["held"]),
            str(counts["out"]),
            "–" if days is None else f"{days:g}",
        )
    return table


def _waiting_table(found: list[dict[str, Any]], *, plain: bool) -> Table:
    headings = (
        words("cli.table.shop"), words("cli.goods.order"), words("cli.goods.wanted"), words("cli.goods.gets"),
        words("cli.table.problem"),
    )  # fmt: skip
    table = _table(headings, plain=plain)
    for one in found:
        values = (one["account"], one["order_id"], str(one["wanted"]), str(one["gets"]), one["detail"])
        table.add_row(*(Text(printable(value)) for value in values))
    return table


def _unit_table(found: list[dict[str, Any]], *, plain: bool) -> Table:
    headings = (
        words("cli.goods.id"), words("cli.goods.state"), words("cli.goods.unit"), words("cli.goods.batch"),
        words("cli.goods.order"),
    )  # fmt: skip
    table = _table(headings, plain=plain)
    for one in found:
        table.add_row(
            str(one["id"]),
            words(f"unit_state.{one['state']}"),
            Text(printable(one["masked"])),
            str(one["batch_id"] or "–"),
            str(one["order_id"] or "–"),
        )
    return table
