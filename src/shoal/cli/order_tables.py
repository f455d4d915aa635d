"""Orders as tables and lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.words import ago, printable, word_or, words

Order = dict[str, Any]


def order_table(orders: Sequence[Order], *, plain: bool = False) -> Table:
    """Return a table with one row per order."""
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in ("order", "shop", "status", "updated"):
        table.add_column(words(f"cli.table.{name}"), no_wrap=True)
    table.add_column(words("cli.table.item"), overflow="ellipsis", no_wrap=True)
    table.add_column(words("cli.table.amount"), justify="right", no_wrap=True)
    table.add_column(words("cli.table.problem"), overflow="fold", no_wrap=plain)
    for order in orders:
        problem = order["problem"]
        table.add_row(
            Text(printable(order["order_id"]), style="bold"),
            Text(printable(order["account"])),
            Text(_status(order["status"]), style="red" if problem else ""),
            ago(order["updated_at"]),
            Text(printable(order["item_title"] or order["item_id"] or "")),
            Text(printable(order["amount"])),
            Text(printable(problem["detail"]) if problem else ""),
        )
    return table


def sums_table(sums: dict[str, Any], *, plain: bool = False) -> Table:
    """Return a table with a row per day, shop or item, and the total."""
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column(words(f"cli.table.{sums['by']}"))
    for name in ("orders", "paid", "paid_yuan", "pieces", "refunded", "refunded_yuan", "unknown_amounts"):
        table.add_column(words(f"cli.table.{name}"), justify="right", no_wrap=True)
    for row in sums["items"]:
        item = row["item_title"] or row["item_id"] or words("cli.orders.unknown_item")
        named = {"day": row["day"], "shop": row["account"], "item": f"{row['account']}: {item}"}
        table.add_row(Text(printable(named[sums["by"]])), *_figures(row))
    if sums["left_out"]:
        table.add_row(words("cli.orders.left_out", count=sums["left_out"]))
    table.add_row(Text(words("cli.orders.total"), style="bold"), *_figures(sums["total"]))
    return table


def _figures(row: dict[str, Any]) -> list[str]:
    def yuan(fen: int) -> str:
        return f"{fen // 100}.{fen % 100:02}"

    return [
        str(row["orders"]), str(row["paid"]), yuan(row["paid_fen"]), str(row["quantity"]),
        str(row["refunded"]), yuan(row["refunded_fen"]), str(row["unknown"]),
    ]  # fmt: skip


def order_facts(order: Order) -> Table:
    """Return a table of one order: its facts, what to do, its actions and its time line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    problem = order["problem"] or {"detail": "", "do": ""}
    spec = ": ".join(filter(None, (order["spec_name"], order["spec_value"])))
    facts = [
        ("order", order["order_id"]),
        ("shop", order["account"]),
        ("status", _status(order["status"])),
        ("problem", problem["detail"]),
        ("what_to_do", problem["do"]),
        ("item", " ".join(filter(None, (order["item_title"], order["item_id"])))),
        ("buyer", order["buyer_id"]),
        ("amount", order["amount"]),
        ("quantity", order["quantity"]),
        ("spec", spec),
        ("url", order["url"]),
    ]
    for name, value in facts:
        if value:
            table.add_row(words(f"cli.table.{name}"), Text(printable(value)))
    for name, value in _delivery(order["delivery"]):
        table.add_row(name, Text(printable(value)))
    for action in order["actions"]:
        table.add_row(_step(action["action"]), Text(_detailed(_outcome(action["state"]), action["detail"])))
    for line in order["timeline"]:
        table.add_row(ago(line["site_at"] or line["at"]), Text(_timeline_text(line)))
    return table


def _delivery(delivery: dict[str, Any] | None) -> Iterator[tuple[str, str]]:
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


def order_line(order: Order) -> str:
    """Return one order on one line."""
    problem = order["problem"]
    line = f"{printable(order['order_id'])}: {_status(order['status'])}"
    return f"{line} ({printable(problem['detail'])})" if problem else line


def _timeline_text(line: dict[str, Any]) -> str:
    if line["action"]:
        text = f"{_step(line['action'])}: {_outcome(line['outcome'])}"
    else:
        text = _status(line["status"]) if line["status"] else ""
    return _detailed(text, line["words"]) + f"  [{printable(line['source'])}]"


def _detailed(text: str, detail: str) -> str:
    return f"{text} ({printable(detail)})" if text and detail else text or printable(detail)


def _status(name: str) -> str:
    return word_or(f"order_status.{name}", name)


def _step(name: str) -> str:
    return word_or(f"order_step.{name}", name)


def _outcome(name: str) -> str:
    return word_or(f"cli.outcome.{name}", name)
