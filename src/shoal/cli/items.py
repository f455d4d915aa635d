"""``shoal items …``: what a shop says and sends for single items, over the API."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from shoal.cli.arguments import AccountId, AsJson
from shoal.cli.moments import local
from shoal.cli.output import Row, ask, ask_rows, saved
from shoal.cli.session import Url
from shoal.cli.tables import facts_table, rows_table
from shoal.cli.words import word_or, words
from shoal.errors import ConfigError

items = typer.Typer(no_args_is_help=True, help=words("cli.items.help.items"))

ItemId = Annotated[str, typer.Argument(metavar="ITEM", help=words("cli.deliveries.help.item"), show_default=False)]


@items.command("list", help=words("cli.items.help.list"))
def list_items(account_id: AccountId, url: Url = None, as_json: AsJson = False) -> None:
    """List the items that have settings."""
    ask_rows(url, "cookies", account_id, "items", table=_table, none=words("cli.items.none"), as_json=as_json)


@items.command("show", help=words("cli.items.help.show"))
def show_item(account_id: AccountId, item_id: ItemId, url: Url = None, as_json: AsJson = False) -> None:
    """Show the settings of an item."""
    ask(url, "GET", "cookies", account_id, "items", item_id, shown=_facts, as_json=as_json)


@items.command("set", help=words("cli.items.help.set"))
def set_item(
    *,
    account_id: AccountId,
    item_id: ItemId,
    reply: Annotated[str | None, typer.Option(help=words("cli.items.help.reply"), show_default=False)] = None,
    paid_message: Annotated[
        str | None, typer.Option(help=words("cli.items.help.paid_message"), show_default=False)
    ] = None,
    nothing_to_send: Annotated[
        bool | None,
        typer.Option("--nothing-to-send/--something-to-send", help=words("cli.items.help.nothing_to_send")),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Change the settings that are given; the others stay."""
    asked = {"reply": reply, "paid_message": paid_message, "nothing_to_send": nothing_to_send}
    body = {name: value for name, value in asked.items() if value is not None}
    if not body:
        raise ConfigError("cli.error.nothing_to_change")
    ask(url, "PUT", "cookies", account_id, "items", item_id, body=body, shown=saved, as_json=as_json)


@items.command("page", help=words("cli.items.help.page"))
def show_page(
    account_id: AccountId,
    item_id: ItemId,
    read: Annotated[bool, typer.Option("--read", help=words("cli.items.help.read"))] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show what an item's page on the site said, or read it again first."""
    ask(url, "POST" if read else "GET", "cookies", account_id, "items", item_id, "page", shown=_page, as_json=as_json)


@items.command("remove", help=words("cli.items.help.remove"))
def remove_item(account_id: AccountId, item_id: ItemId, url: Url = None, as_json: AsJson = False) -> None:
    """Delete the settings of an item."""
    ask(url, "DELETE", "cookies", account_id, "items", item_id, shown=saved, as_json=as_json)


def _table(found: list[Row]) -> Table:
    return rows_table(
        ("item", "item_reply", "paid_message"), ((one["item_id"], one["reply"], _sends(one)) for one in found)
    )


def _facts(one: Row) -> Table:
    return facts_table([("item", one["item_id"]), ("item_reply", one["reply"]), ("paid_message", _sends(one))])


def _page(one: Row) -> Table:
    price = "" if one["price_fen"] is None else _yuan(one["price_fen"])
    specs = [f"{spec['name']} {_yuan(spec['price_fen'])}" for spec in one["specs"]]
    return facts_table([
        ("item", one["item_id"]),
        ("item_title", one["title"]),
        ("item_price", "\n".join(specs) or price),
        ("item_description", one["description"]),
        ("state", words(f"cli.items.states.{one['status'] or 'unknown'}") if one["read_at"] else ""),
        ("read_at", local(one["read_at"])),
        ("reason", word_or(f"cli.items.why.{one['why']}", one["why"]) if one["why"] else ""),
    ])  # fmt: skip


def _yuan(fen: int) -> str:
    return f"¥{fen // 100}.{fen % 100:02}"


def _sends(one: Row) -> str:
    return words("cli.deliveries.nothing") if one["nothing_to_send"] else one["paid_message"]
