"""``shoal orders …``: the orders of shops, what became of each, their sums, and what a person found on the site."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from shoal.cli.cells import facts_of, rows_table, since
from shoal.cli.files import downloaded, with_ending
from shoal.cli.rows import SHOP, SINCE, UNTIL, Answer, Cell, Given, Row, arg, flag, option, row
from shoal.cli.run_rows import group
from shoal.cli.words import ago, printable, word_or, words

if TYPE_CHECKING:
    from shoal.cli.api_client import ApiClient

_STEPS = ("free_shipping", "paid_message", "confirm")
_STATUSES = (
    "unknown", "processing", "group_pending", "pending_ship", "shipped", "refunding", "completed", "cancelled",
)  # fmt: skip
_ORDER = arg("ORDER", "order_id", help="cli.orders.help.order_id")
_ONLY_SHOP = SHOP.but(name="account", default=None, help="cli.orders.help.only_shop")
_ENDING = with_ending(".csv", ".xlsx", refused="cli.deliveries.bad_ending")


ORDERS: Mapping[str, Cell] = {
    "order": "order_id", "shop": "account",
    "status": lambda one: Text(_status(one["status"]), style="red" if one["problem"] else ""),
    "updated": since("updated_at"), "item": "item_title|item_id", "amount": "amount",
    "waits": lambda one: _waits(one["waits"]), "problem": "problem.detail",
}  # fmt: skip
"""What a list shows of an order."""
_FACTS: Mapping[str, Cell] = {
    "order": "order_id", "shop": "account", "status": lambda one: _status(one["status"]), "problem": "problem.detail",
    "what_to_do": "problem.do", "waits": lambda one: _waits(one["waits"]),
    "item": lambda one: " ".join(filter(None, (one["item_title"], one["item_id"]))),
    "buyer": "buyer_id", "amount": "amount", "quantity": "quantity",
    "spec": lambda one: ": ".join(filter(None, (one["spec_name"], one["spec_value"]))), "url": "url",
}  # fmt: skip
_FIGURES = ("orders", "paid", "paid_yuan", "pieces", "refunded", "refunded_yuan", "unknown_amounts")


def order_facts(order: Answer) -> Table:
    """Return a table of one order: its facts, what to do, its actions and its time line."""
    table = facts_of(_FACTS, order)
    lines = [*_delivery(order["delivery"])]
    lines += [(_step(one["action"]), _detailed(_outcome(one["state"]), one["detail"])) for one in order["actions"]]
    lines += [(ago(one["site_at"] or one["at"]), _timeline_text(one)) for one in order["timeline"]]
    for name, text in lines:
        table.add_row(name, Text(printable(text)))
    return table


def order_line(order: Answer) -> str:
    """Return one order on one line."""
    problem = order["problem"]
    line = f"{printable(order['order_id'])}: {_status(order['status'])}"
    return f"{line} ({printable(problem['detail'])})" if problem else line


def sums_table(sums: Answer) -> Table | str:
    """Return a table with a row per day, shop or item, and the total."""
    if not sums["items"]:
        return words("cli.orders.none")
    rows = [(_summed(sums["by"], row), *_figures(row)) for row in sums["items"]]
    if sums["left_out"]:
        rows.append((words("cli.orders.left_out", count=sums["left_out"]),))
    rows.append((words("cli.orders.total"), *_figures(sums["total"])))
    table = rows_table((sums["by"], *_FIGURES), rows)
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _summed(by: str, row: Answer) -> str:
    item = row["item_title"] or row["item_id"] or words("cli.orders.unknown_item")
    return str({"day": row["day"], "shop": row["account"], "item": f"{row['account']}: {item}"}[by])


def _figures(row: Answer) -> tuple[str, ...]:
    paid, refunded = (f"{row[name] // 100}.{row[name] % 100:02}" for name in ("paid_fen", "refunded_fen"))
    counts = {name: str(row[name]) for name in ("orders", "paid", "quantity", "refunded", "unknown")}
    return (
        counts["orders"], counts["paid"], paid, counts["quantity"], counts["refunded"], refunded, counts["unknown"],
    )  # fmt: skip


def _delivery(delivery: Answer | None) -> Iterator[tuple[str, str]]:
    """Yield what an order got or would get, and each of its units."""
    if delivery is None:
        return
    if delivery["goods_id"] is not None:
        facts = {"id": delivery["goods_id"], "name": delivery["goods_name"], "count": delivery["wanted"]}
        yield words("cli.table.delivery_of"), words("cli.orders.goods", **facts)
    if delivery["obstacle"]:
        yield words("cli.table.gets"), words("cli.orders.blocked", detail=delivery["detail"], do=delivery["do"])
    for text in () if delivery["obstacle"] else delivery["gets"]:
        yield words("cli.table.gets"), text
    for unit in delivery["units"]:
        unit_text = words("cli.orders.unit", masked=unit["masked"], state=words(f"unit_state.{unit['state']}"))
        if unit["replaces"] is not None:
            unit_text += words("cli.orders.instead", number=unit["replaces"], reason=unit["reason"])
        yield words("cli.orders.unit_no", number=unit["unit_no"], id=unit["unit_id"]), unit_text


def _timeline_text(line: Answer) -> str:
    if line["action"]:
        text = f"{_step(line['action'])}: {_outcome(line['outcome'])}"
    else:
        text = _status(line["status"]) if line["status"] else ""
    return _detailed(text, line["words"]) + f"  [{line['source']}]"


def _detailed(text: str, detail: str) -> str:
    return f"{text} ({detail})" if text and detail else text or detail


def _status(name: str) -> str:
    return word_or(f"order_status.{name}", name)


def _waits(waits: Answer | None) -> str:
    """Return what an order waits for, and since when."""
    if waits is None:
        return ""
    wants = waits["for"]
    return words("cli.orders.waits", what=word_or(f"order_waits.{wants}", wants), since=ago(waits["since"]))


def _step(name: str) -> str:
    return word_or(f"order_step.{name}", name)


def _outcome(name: str) -> str:
    return word_or(f"cli.outcome.{name}", name)


async def _export(client: ApiClient, given: Given) -> Any:
    query = {name: given[name] for name in ("account", "since", "until")}
    return await downloaded(client, "GET /orders/export", given["_file"], query)


def _act_row(name: str, *params: Any, **more: Any) -> Row:
    operation = "POST /cookies/{cid}/orders/{order_id}/serve"
    return row(name, operation, SHOP, _ORDER, *params, shown=lambda order, _: order_line(order), **more)


orders = group("orders", (
    row(
        "list", "GET /orders", _ONLY_SHOP, flag("--problem -p"), flag("--waiting -w"),
        option("--status", kind=_STATUSES), SINCE, UNTIL, option("--search", "q", help="cli.orders.help.search"),
        option("--limit", kind=int, default=50, min=1, max=200), none="cli.orders.none",
        shown=ORDERS,
    ),
    row("show", "GET /cookies/{cid}/orders/{order_id}", SHOP, _ORDER, shown=lambda order, _: order_facts(order)),
    _act_row("serve", option("--action", kind=_STEPS, help="cli.orders.help.only_act"), body={}),
    _act_row("again", body={"again": True}),
    _act_row("another", arg("UNIT", "replace_unit", int, min=1, help="cli.orders.help.unit_no"),
             option("--reason", default=..., help="cli.goods.help.reason")),
    row("settle", "POST /cookies/{cid}/orders/{order_id}/settle", SHOP, _ORDER,
        arg("ACT", "action", _STEPS), arg("OUTCOME", "outcome", ("done", "not_needed")),
        shown=lambda order, _: order_line(order)),
    row("sums", "GET /orders/sums", _ONLY_SHOP, option("--by", kind=("day", "shop", "item"), default="day"), SINCE,
        UNTIL, shown=lambda sums, _: sums_table(sums)),
    row("export", _export, arg("FILE", "_file", Path, read=_ENDING, dir_okay=False), _ONLY_SHOP, SINCE, UNTIL,
        shown="cli.deliveries.exported"),
))  # fmt: skip
