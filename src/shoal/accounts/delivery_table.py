"""Delivery rules as a table for Excel or CSV files: one row for each rule, and the faults of rows that are read.

Each message has a column of its own, so that its order is seen, and nothing in a text needs a separator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shoal.accounts.delivery_edits import (
    MAX_COUNT,
    MAX_DELAY_SECONDS,
    Values,
    goods_unknown,
    replaced,
)
from shoal.accounts.delivery_rule import Confirm, Deliveries, DeliveryRule
from shoal.errors import InvalidInput
from shoal.rules.rule_edits import MAX_PARTS
from shoal.rules.rule_xlsx import FLAGS, column_of, flag_reader, one_of, part_of, part_text
from shoal.sheets.xlsx import Column, Fault, Row, Table, UnusableRows

SHEET = "发货规则"
COLUMNS: tuple[Column, ...] = (
    Column("item_id", "商品ID", "Item ID", width=18, needed=True, also=("item",)),
    Column("title_contains", "标题包含", "Title contains", width=18),
    Column("spec", "规格", "Spec", width=18),
    Column("goods_id", "货品ID", "Goods ID", width=10),
    Column("goods", "货品", "Goods", width=18),
    Column("count", "每件数量", "For each piece", width=10),
    *(Column(f"part_{number}", f"消息 {number}", f"Message {number}", width=40) for number in range(1, MAX_PARTS + 1)),
    Column("nothing_to_send", "无需发送", "Nothing to send", width=10),
    Column("delay_seconds", "延迟（秒）", "Delay (s)", width=10),
    Column("confirm", "确认发货", "Confirm shipment", width=14),
)
_PARTS = [f"part_{number}" for number in range(1, MAX_PARTS + 1)]
_EVERY = ("全部商品", "every item")
"""What names every item of a shop. An empty cell does not: a forgotten item id would give its goods to all buyers."""
_CONFIRMS: dict[Confirm, tuple[str, str]] = {None: ("按店铺", "as the shop"), "yes": FLAGS[True], "no": FLAGS[False]}
_HOURS = re.compile(r"(?:after\s*)?(\d{1,9})\s*(?:小时后|小时|h|hours?)?", re.IGNORECASE)
_WHOLE = re.compile(r"\d{1,18}")
_ROUNDED = re.compile(r"\d(?:[.,]\d+)?E\+\d+", re.IGNORECASE)
"""A long number as Excel saves it in a CSV file: its last digits are gone."""


def delivery_table(
    rules: Sequence[DeliveryRule], goods: Mapping[int, str], *, chinese: bool
) -> tuple[list[tuple[Column, str]], list[list[str]]]:
    """Return the columns and rows of the rules in their order, with heads and words in Chinese or English.

    ``goods`` has the names of the owner's goods. Columns of messages that no rule has are left out, but for the first.
    """
    widest = max((len(rule.parts) for rule in rules), default=1)
    shown = [column for column in COLUMNS if column.key not in _PARTS[max(widest, 1) :]]
    heads = [(column, column.zh if chinese else column.en) for column in shown]
    texts = (_texts(rule, goods, 0 if chinese else 1) for rule in rules)
    return heads, [[row.get(column.key, "") for column in shown] for row in texts]


def _texts(rule: DeliveryRule, goods: Mapping[int, str], language: int) -> dict[str, str]:
    return {
        "item_id": rule.item_id or ("" if rule.title_contains else _EVERY[language]),
        "title_contains": rule.title_contains,
        "spec": rule.spec,
        "goods_id": "" if rule.goods_id is None else str(rule.goods_id),
        "goods": "" if rule.goods_id is None else goods.get(rule.goods_id, ""),
        "count": str(rule.count),
        "nothing_to_send": FLAGS[rule.nothing_to_send][language],
        "delay_seconds": str(rule.delay_seconds),
        "confirm": _confirm_text(rule.confirm, language),
        **{key: part_text(part, language) for key, part in zip(_PARTS, rule.parts, strict=False)},
    }


def _confirm_text(confirm: Confirm, language: int) -> str:
    if isinstance(confirm, int):
        return (f"{confirm} 小时后", f"after {confirm} h")[language]
    return _CONFIRMS[confirm][language]


def rules_of_table(
    table: Table, goods: Mapping[int, str], before: Deliveries, *, repeats: bool = False
) -> list[tuple[int, dict[str, Any]]]:
    """Return the values of the table's rules (see ``delivery_edits``), each with the number of its row.

    ``goods`` are those of the shop's owner. A rule may name others only if it is among ``before``; with ``repeats``
    (the change may be done already) any. Raises ``UnusableRows`` with the fault of each row, and ``InvalidInput``
    (``no_rows``).
    """
    faults, found = list(table.faults), []
    kept = {(rule.key, rule.goods_id) for rule in before}
    first: dict[tuple[str, str, str], int] = {}
    for row in table.rows:
        values, wrong = _values(row, table.heads, goods)
        faults += wrong
        if wrong:
            continue
        try:
            (rule,) = replaced((), [values])
            _check_place(rule, row.number, first)
            is_known = rule.goods_id is None or rule.goods_id in goods or (rule.key, rule.goods_id) in kept
            if not is_known and not repeats:
                raise goods_unknown(rule)
        except InvalidInput as error:
            faults.append(Fault(row.number, table.heads.get(column_of(error), ""), error))
        else:
            found.append((row.number, values))
    if faults:
        raise UnusableRows(faults)
    if not found:
        raise InvalidInput("no row says anything", code="no_rows")
    return found


def _check_place(rule: DeliveryRule, number: int, first: dict[tuple[str, str, str], int]) -> None:
    if rule.place in first:
        raise InvalidInput(
            "two rows are for the same orders", code="delivery_row_twice", first=first[rule.place], field="item_id"
        )
    first[rule.place] = number


def _values(row: Row, heads: Mapping[str, str], goods: Mapping[int, str]) -> tuple[dict[str, Any], list[Fault]]:
    """Return the fields of the row's rule and the faults of its cells. An empty cell sets no field."""
    texts = {key: text for key, text in row.texts.items() if text.strip()}
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for key, read in _READ.items():
        if key in texts:
            try:
                values[key] = read(texts[key])
            except InvalidInput as error:
                faults.append(Fault(row.number, heads[key], error))
    if parts := [part_of(texts[key]) for key in _PARTS if key in texts]:
        values["parts"] = parts
    if not faults:
        try:
            values |= _named_goods(texts, values, goods)
            _check_whole(texts, values)
        except InvalidInput as error:
            faults.append(Fault(row.number, heads.get(column_of(error), ""), error))
    return values, faults


def _named_goods(texts: Mapping[str, str], values: Values, goods: Mapping[int, str]) -> dict[str, int]:
    """Return the id of goods that a row only names. Refuse a name that is not the one of the row's id."""
    name = texts.get("goods", "").strip()
    if not name:
        return {}
    if "goods_id" in values:
        known = goods.get(values["goods_id"], name)  # unknown ids are refused as such
        if known != name:
            raise InvalidInput(
                "id and name are of different goods",
                code="delivery_goods_differ",
                goods=values["goods_id"],
                known=known,
                name=name[:100],
                field="goods_id",
            )
        return {}
    named = [goods_id for goods_id, one in goods.items() if one == name]
    if len(named) != 1:
        raise InvalidInput(
            "no goods, or several, have that name", code="delivery_goods_unnamed", name=name[:100], field="goods"
        )
    return {"goods_id": named[0]}


def _check_whole(texts: Mapping[str, str], values: Values) -> None:
    """Refuse a row that names no orders, or sends nothing without saying so: a cell was forgotten."""
    if "item_id" not in texts and "title_contains" not in texts:
        raise InvalidInput("the row names no orders", code="delivery_row_unaimed", field="item_id")
    if not ({"goods_id", "parts"} & values.keys() or values.get("nothing_to_send", False)):
        raise InvalidInput("the row sends nothing", code="delivery_row_empty", field="parts")


def _item_id(text: str) -> str:
    name = text.strip()
    if name.lower() in {*_EVERY, "*"}:
        return ""
    if _ROUNDED.fullmatch(name):
        raise InvalidInput("the item id is rounded", code="cell_item_rounded")
    return name


def _whole(code: str, limit: int = 0) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not _WHOLE.fullmatch(text.strip()):
            raise InvalidInput("no whole number", code=code, limit=limit)
        return int(text)

    return read


def _flag(text: str) -> bool:
    try:
        return bool(flag_reader(empty=False)(text))
    except ValueError:
        raise InvalidInput("neither yes nor no", code="cell_active") from None


def _confirm(text: str) -> Confirm:
    if hours := _HOURS.fullmatch(text.strip()):
        return int(hours[1])
    try:
        found: Confirm = one_of(_CONFIRMS, None, {})(text)
    except ValueError:
        raise InvalidInput("no kind of confirmation", code="cell_confirm") from None
    return found


_READ: dict[str, Callable[[str], Any]] = {
    "item_id": _item_id,
    "title_contains": str,
    "spec": str,
    "goods_id": _whole("bad_delivery_goods"),
    "count": _whole("bad_delivery_count", MAX_COUNT),
    "nothing_to_send": _flag,
    "delay_seconds": _whole("bad_delivery_delay", MAX_DELAY_SECONDS),
    "confirm": _confirm,
}
"""The reader of a cell, by its column. Raises ``InvalidInput`` for a text it cannot read."""
