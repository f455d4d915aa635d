"""``shoal goods show|change|history|batches``: settings of goods and what happened to them, over the API."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from shoal.cli.arguments import AsJson, Limit
from shoal.cli.goods import GoodsId, goods
from shoal.cli.moments import local
from shoal.cli.output import Row, ask, ask_rows
from shoal.cli.session import Url
from shoal.cli.tables import facts_table, rows_table
from shoal.cli.words import words
from shoal.errors import ConfigError


@goods.command("show", help=words("cli.goods.help.show"))
def show_goods(goods_id: GoodsId, url: Url = None, as_json: AsJson = False) -> None:
    """Show goods with what is in stock of them."""
    ask(url, "GET", "goods", str(goods_id), shown=_facts, as_json=as_json)


@goods.command("change", help=words("cli.goods.help.change"))
def change_goods(
    *,
    goods_id: GoodsId,
    name: Annotated[str | None, typer.Option(help=words("cli.goods.help.name"), show_default=False)] = None,
    low_at: Annotated[int | None, typer.Option(help=words("cli.goods.help.low_at"), min=0, show_default=False)] = None,
    per_message: Annotated[
        int | None, typer.Option(help=words("cli.goods.help.per_message"), min=1, show_default=False)
    ] = None,
    text: Annotated[str | None, typer.Option(help=words("cli.goods.help.text"), show_default=False)] = None,
    active: Annotated[bool | None, typer.Option("--on/--off", help=words("cli.goods.help.active"))] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change what is given of goods; the rest stays."""
    asked = {"name": name, "low_at": low_at, "per_message": per_message, "text": text, "active": active}
    body = {key: value for key, value in asked.items() if value is not None}
    if not body:
        raise ConfigError("cli.error.nothing_to_change")
    ask(url, "PATCH", "goods", str(goods_id), body=body, shown=_facts, as_json=as_json)


@goods.command("history", help=words("cli.goods.help.history"))
def show_history(goods_id: GoodsId, limit: Limit = 50, url: Url = None, as_json: AsJson = False) -> None:
    """List what happened to goods and their units, newest first."""
    ask_rows(url, "goods", str(goods_id), "history", table=_history, none="–", limit=limit, as_json=as_json)


@goods.command("batches", help=words("cli.goods.help.batches"))
def list_batches(goods_id: GoodsId, limit: Limit = 50, url: Url = None, as_json: AsJson = False) -> None:
    """List the imports of goods, newest first."""
    ask_rows(url, "goods", str(goods_id), "batches", table=_batches, none="–", limit=limit, as_json=as_json)


def _facts(one: Row) -> Table:
    units = one["units"]
    return facts_table(
        [
            ("id", str(one["id"])),
            ("name", one["name"]),
            ("enabled", words("cli.table.yes" if one["active"] else "cli.table.no")),
            ("text", one["text"]),
            ("url", one["image_url"]),
            ("in_stock", str(units["free"])),
            ("low_at", str(one["low_at"])),
            ("per_message", str(one["per_message"])),
        ]
    )


def _history(found: list[Row]) -> Table:
    rows = (
        (
            local(one["at"]),
            one["actor"].removeprefix("user:"),
            one["what"],
            str(one["count"]),
            str(one["unit_id"] or ""),
            one["order_id"] or "",
            one["reason"] or "",
        )
        for one in found
    )
    return rows_table(("at", "actor", "what", "quantity", "unit", "order", "reason"), rows)


def _batches(found: list[Row]) -> Table:
    rows = (
        (
            str(one["id"]),
            local(one["created_at"]),
            one["state"],
            one["file_name"] or "",
            f"{one['done']}/{one['lines']}",
            str(one["taken"]),
            str(one["undone"]),
        )
        for one in found
    )
    return rows_table(("id", "at", "state", "file", "lines", "taken", "undone"), rows)
