"""``shoal orders …``: the orders of a running server's accounts, over its API."""

from __future__ import annotations

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from shoal.cli.arguments import AccountId, AsJson
from shoal.cli.moments import moment
from shoal.cli.order_tables import order_facts, order_line, order_table, sums_table
from shoal.cli.output import echo, publish
from shoal.cli.session import Url, run, signed_in
from shoal.cli.tables import wide_console
from shoal.cli.words import printable, words

orders = typer.Typer(
    no_args_is_help=True,
    help=words("cli.orders.help.orders"),
)

OrderId = Annotated[str, typer.Argument(metavar="ORDER", help=words("cli.orders.help.order_id"), show_default=False)]


class ActionName(StrEnum):
    """An action, as the API names it."""

    FREE_SHIPPING = "free_shipping"
    PAID_MESSAGE = "paid_message"
    CONFIRM = "confirm"


class SumBy(StrEnum):
    """What orders are summed by."""

    DAY = "day"
    SHOP = "shop"
    ITEM = "item"


class Outcome(StrEnum):
    """What the owner found on the site."""

    DONE = "done"
    NOT_NEEDED = "not_needed"


OnlyShop = Annotated[
    str | None,
    typer.Argument(metavar="[ACCOUNT]", help=words("cli.orders.help.only_shop"), show_default=False),
]
Since = Annotated[str | None, typer.Option(help=words("cli.help.since"), show_default=False)]
Until = Annotated[str | None, typer.Option(help=words("cli.help.until"), show_default=False)]
_FORMATS = (".csv", ".xlsx")

Action = Annotated[
    ActionName,
    typer.Argument(
        metavar="ACT",
        help=words("cli.orders.help.act"),
    ),
]


@orders.command("list", help=words("cli.orders.help.list"))
def list_orders(
    account_id: OnlyShop = None,
    problem: Annotated[bool, typer.Option("--problem", "-p", help=words("cli.orders.help.problem"))] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help=words("cli.orders.help.limit"))] = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List orders, newest first: the status of each, and what blocks it."""
    run(_list(url, account_id, problem=problem, limit=limit, as_json=as_json))


@orders.command("show", help=words("cli.orders.help.show"))
def show_order(account_id: AccountId, order_id: OrderId, url: Url = None, as_json: AsJson = False) -> None:
    """Show everything about one order, with its time line."""
    run(_show(url, account_id, order_id, as_json=as_json))


@orders.command("serve", help=words("cli.orders.help.serve"))
def serve_order(
    account_id: AccountId,
    order_id: OrderId,
    action: Annotated[
        ActionName | None, typer.Option("--action", help=words("cli.orders.help.only_act"), show_default=False)
    ] = None,
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Retry actions that failed or whose outcome is unknown. A finished action is never repeated."""
    run(_publish(url, account_id, order_id, "serve", {} if action is None else {"action": action.value}))


@orders.command("again", help=words("cli.orders.help.again"))
def send_again(account_id: AccountId, order_id: OrderId, url: Url = None, _as_json: AsJson = False) -> None:
    """Send the same messages, with the same units, once more."""
    run(_publish(url, account_id, order_id, "serve", {"again": True}))


@orders.command("another", help=words("cli.orders.help.another"))
def send_another(
    account_id: AccountId,
    order_id: OrderId,
    unit_no: Annotated[int, typer.Argument(metavar="UNIT", help=words("cli.orders.help.unit_no"), min=1)],
    reason: Annotated[str, typer.Option(help=words("cli.goods.help.reason"), show_default=False)],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Send another unit in place of one that went out."""
    run(_publish(url, account_id, order_id, "serve", {"replace_unit": unit_no, "reason": reason}))


@orders.command("settle", help=words("cli.orders.help.settle"))
def settle_order(
    account_id: AccountId,
    order_id: OrderId,
    action: Action,
    outcome: Annotated[
        Outcome,
        typer.Argument(metavar="OUTCOME", help=words("cli.orders.help.outcome")),
    ],
    url: Url = None,
    _as_json: AsJson = False,
) -> None:
    """Record what you found on the site: an action was done, or is no longer needed. The next action then continues."""
    run(_publish(url, account_id, order_id, "settle", {"action": action.value, "outcome": outcome.value}))


@orders.command("sums", help=words("cli.orders.help.sums"))
def sum_orders(
    account_id: OnlyShop = None,
    by: Annotated[SumBy, typer.Option(help=words("cli.orders.help.by"))] = SumBy.DAY,
    since: Since = None,
    until: Until = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Sum orders by day, shop or item: how many, paid, refunded."""
    run(_sums(url, _narrow(account_id, since, until) | {"by": by.value}, as_json=as_json))


@orders.command("export", help=words("cli.orders.help.export"))
def export_orders(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=words("cli.orders.help.file"), dir_okay=False)],
    account_id: OnlyShop = None,
    since: Since = None,
    until: Until = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Save orders as a CSV or Excel file."""
    if file.suffix.lower() not in _FORMATS:
        raise typer.BadParameter(words("cli.deliveries.bad_ending"), param_hint="FILE")
    params = _narrow(account_id, since, until) | {"format": file.suffix.lower().removeprefix(".")}
    run(_export(url, file, params, as_json=as_json))


def _narrow(account_id: str | None, since: str | None, until: str | None) -> dict[str, str]:
    given = {"cid": account_id, "since": moment(since), "until": moment(until)}
    return {name: value for name, value in given.items() if value is not None}


async def _sums(url: str | None, params: dict[str, str], *, as_json: bool) -> None:
    async with signed_in(url) as client:
        found = await client.call("GET", "orders", "sums", params=params)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found["items"]:
        typer.echo(words("cli.orders.none"))
    else:
        wide_console().print(sums_table(found, plain=not sys.stdout.isatty()))


async def _export(url: str | None, file: Path, params: dict[str, str], *, as_json: bool) -> None:
    async with signed_in(url) as client:
        data = await client.fetch_file("orders", "export", params=params)
    try:
        await asyncio.to_thread(file.write_bytes, data)
    except OSError as error:
        raise typer.BadParameter(
            words("cli.deliveries.unwritable", path=file, why=error.strerror), param_hint="FILE"
        ) from None
    answer = {"file": str(file), "bytes": len(data)}
    publish(answer, lambda one: words("cli.deliveries.exported", file=printable(one["file"])), as_json=as_json)


async def _list(url: str | None, account_id: str | None, *, problem: bool, limit: int, as_json: bool) -> None:
    params = {"limit": str(limit), "problem": str(problem).lower()}
    if account_id is not None:
        params["cid"] = account_id
    async with signed_in(url) as client:
        found = (await client.call("GET", "orders", params=params))["items"]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo(words("cli.orders.none"))
    else:
        wide_console().print(order_table(found, plain=not sys.stdout.isatty()))


async def _show(url: str | None, account_id: str, order_id: str, *, as_json: bool) -> None:
    async with signed_in(url) as client:
        order = await client.call("GET", "cookies", account_id, "orders", order_id)
    if as_json:
        typer.echo(json.dumps(order, ensure_ascii=False, indent=2))
    else:
        wide_console().print(order_facts(order))


async def _publish(url: str | None, account_id: str, order_id: str, verb: str, body: dict[str, Any]) -> None:
    async with signed_in(url) as client:
        order = await client.call("POST", "cookies", account_id, "orders", order_id, verb, body=body)
    echo(order, order_line(order))
