"""Orders as tables and lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from shoal.cli.words import ago, printable, words

Order = dict[str, Any]

_STATUSES: Final[dict[str, tuple[str, str]]] = {
    "unknown": ("unknown", "未知"),
    "processing": ("not paid", "待付款"),
    "group_pending": ("group price", "待刀成"),
    "pending_ship": ("paid", "待发货"),
    "shipped": ("shipped", "已发货"),
    "refunding": ("refund asked", "退款中"),
    "completed": ("completed", "交易成功"),
    "cancelled": ("cancelled", "已关闭"),
}
_ACTS: Final[dict[str, tuple[str, str]]] = {
    "free_shipping": ("Group price completed", "免拼发货"),
    "paid_message": ("Message sent", "付款后消息"),
    "confirm": ("Shipment confirmed", "确认发货"),
}
_OUTCOMES: Final[dict[str, tuple[str, str]]] = {
    "pending": ("due", "待处理"),
    "not_needed": ("not needed", "无需处理"),
    "intended": ("under way", "进行中"),
    "done": ("done", "已完成"),
    "failed": ("failed", "失败"),
    "uncertain": ("nobody knows", "不确定"),
}


def order_table(orders: Sequence[Order], *, plain: bool = False) -> Table:
    """One row per order."""
    table = Table(box=None if plain else box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in (
        words("Order", "订单"),
        words("Account", "账号"),
        words("Status", "状态"),
        words("Received", "时间"),
    ):
        table.add_column(heading, no_wrap=True)
    table.add_column(words("Amount", "金额"), justify="right", no_wrap=True)
    table.add_column(words("What is in the way", "待处理"), overflow="fold", no_wrap=plain)
    for order in orders:
        problem = order["problem"]
        table.add_row(
            Text(printable(order["order_id"]), style="bold"),
            Text(printable(order["account"])),
            Text(_word(_STATUSES, order["status"]), style="red" if problem else ""),
            ago(order["updated_at"]),
            Text(printable(order["amount"])),
            Text(printable(problem["detail"]) if problem else ""),
        )
    return table


def order_facts(order: Order) -> Table:
    """One order: its facts, what to do, its acts and its time line."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bright_black", no_wrap=True)
    table.add_column(overflow="fold")
    problem = order["problem"] or {"detail": "", "do": ""}
    spec = ": ".join(filter(None, (order["spec_name"], order["spec_value"])))
    facts = [
        ("Order", "订单", order["order_id"]),
        ("Account", "账号", order["account"]),
        ("Status", "状态", _word(_STATUSES, order["status"])),
        ("In the way", "问题", problem["detail"]),
        ("What to do", "处理方法", problem["do"]),
        ("Item", "商品", order["item_id"] or ""),
        ("Buyer", "买家", order["buyer_id"]),
        ("Amount", "金额", order["amount"]),
        ("Quantity", "数量", order["quantity"]),
        ("Spec", "规格", spec),
        ("On the site", "闲鱼页面", order["url"]),
    ]
    for english, chinese, value in facts:
        if value:
            table.add_row(words(english, chinese), Text(printable(value)))
    for act in order["actions"]:
        table.add_row(_word(_ACTS, act["action"]), Text(_detailed(_word(_OUTCOMES, act["state"]), act["detail"])))
    for line in order["timeline"]:
        table.add_row(ago(line["site_at"] or line["at"]), Text(_told(line)))
    return table


def order_line(order: Order) -> str:
    """One order on one line."""
    problem = order["problem"]
    line = f"{printable(order['order_id'])}: {_word(_STATUSES, order['status'])}"
    return f"{line} ({printable(problem['detail'])})" if problem else line


def _told(line: dict[str, Any]) -> str:
    if line["action"]:
        said = f"{_word(_ACTS, line['action'])}: {_word(_OUTCOMES, line['outcome'])}"
    else:
        said = _word(_STATUSES, line["status"]) if line["status"] else ""
    return _detailed(said, line["words"]) + f"  [{printable(line['source'])}]"


def _detailed(said: str, detail: str) -> str:
    return f"{said} ({printable(detail)})" if said and detail else said or printable(detail)


def _word(names: dict[str, tuple[str, str]], name: str) -> str:
    return words(*names[name]) if name in names else printable(name)
