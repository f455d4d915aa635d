"""Delivery rules as a table: every one comes back as it was, and what is wrong in a row is told."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.accounts.delivery_edits import replaced
from shoal.accounts.delivery_rule import DeliveryRule, in_order
from shoal.accounts.delivery_table import COLUMNS, SHEET, delivery_table, rules_of_table
from shoal.errors import InvalidInput
from shoal.rules.rule import Part
from shoal.sheets.csv_tables import read_csv, written_csv
from shoal.sheets.xlsx import Table, UnusableRows, read_table, written_table
from support.files.table_files import a_table

GOODS = {7: "月卡", 8: "年卡", 9: "季卡", 10: "季卡"}
RULES = in_order([
    DeliveryRule(
        item_id="7001", spec="时长:月卡", goods_id=7, count=3, delay_seconds=60, confirm="yes",
        parts=(Part(text="=卡密：{codes}"), Part(image_url="https://example.com/a.png"), Part(text="第三条,\n\"完\"")),
    ),
    DeliveryRule(item_id="7001", spec="时长:年卡", goods_id=8, confirm="no"),
    DeliveryRule(item_id="7002", parts=(Part(text="留着的文字"),), nothing_to_send=True),
    DeliveryRule(item_id="7003", parts=(Part(text="[图片]x"), Part(text="  ")), confirm=48),
    DeliveryRule(title_contains="-会员", spec="a:1;b:2", parts=(Part(text="会员"),)),
    DeliveryRule(title_contains="gone", goods_id=99),
    DeliveryRule(parts=(Part(text="店铺"),)),
])  # fmt: skip


def excel(rules: Any, *, chinese: bool) -> Table:
    heads, rows = delivery_table(rules, GOODS, chinese=chinese)
    return read_table(written_table(SHEET, heads, rows), COLUMNS, sheet=SHEET, most=99)


def in_csv(rules: Any, *, chinese: bool) -> Table:
    heads, rows = delivery_table(rules, GOODS, chinese=chinese)
    return read_csv(written_csv([head for _, head in heads], rows), COLUMNS, most=99)


@pytest.mark.parametrize("form", [excel, in_csv])
@pytest.mark.parametrize("chinese", [True, False])
def test_every_rule_comes_back_as_it_was(form: Any, chinese: bool) -> None:
    found = rules_of_table(form(RULES, chinese=chinese), GOODS, RULES)
    assert [number for number, _ in found] == list(range(2, 2 + len(RULES)))
    assert replaced(RULES, [values for _, values in found]) == RULES


def test_a_row_shows_the_id_and_the_name_of_its_goods_and_a_column_for_each_message() -> None:
    heads, rows = delivery_table(RULES, GOODS, chinese=True)
    shown = [dict(zip([head for _, head in heads], row, strict=True)) for row in rows]
    first = next(row for row in shown if row["货品ID"] == "7")
    assert (first["货品"], first["每件数量"], first["消息 2"]) == ("月卡", "3", "[图片]https://example.com/a.png")
    assert "消息 4" not in first
    assert [head for _, head in delivery_table((), {}, chinese=False)[0]].count("Message 1") == 1


def read(*rows: dict[str, Any], before: tuple[DeliveryRule, ...] = (), repeats: bool = False) -> Any:
    """What a table with these cells (by the columns' keys) says."""
    keys = list(dict.fromkeys(key for one in rows for key in one))
    data = a_table([keys, *([one.get(key) for key in keys] for one in rows)])
    return rules_of_table(read_table(data, COLUMNS, sheet=SHEET, most=99), GOODS, before, repeats=repeats)


@pytest.mark.parametrize(
    ("cells", "column", "code"),
    [
        ({"part_1": "x", "item_id": ""}, "item_id", "delivery_row_unaimed"),
        ({"item_id": "1", "part_1": ""}, "part_1", "delivery_row_empty"),
        ({"item_id": "1", "part_1": "", "nothing_to_send": "否"}, "part_1", "delivery_row_empty"),
        ({"item_id": "1", "title_contains": "x", "part_1": "x"}, "item_id", "delivery_item_or_title"),
        ({"item_id": "7.00E+11", "part_1": "x"}, "item_id", "cell_item_rounded"),
        ({"item_id": "a b", "part_1": "x"}, "item_id", "bad_item_id"),
        ({"item_id": "1", "part_1": "x", "count": "2"}, "count", "delivery_count_without_goods"),
        ({"item_id": "1", "goods_id": 7, "count": "-1"}, "count", "bad_delivery_count"),
        ({"item_id": "1", "goods_id": 7, "count": 201}, "count", "bad_delivery_count"),
        ({"item_id": "1", "goods_id": "七"}, "goods_id", "bad_delivery_goods"),
        ({"item_id": "1", "goods_id": 11}, "goods_id", "delivery_goods_unknown"),
        ({"item_id": "1", "goods_id": 7, "goods": "年卡"}, "goods_id", "delivery_goods_differ"),
        ({"item_id": "1", "goods_id": "", "goods": "季卡"}, "goods", "delivery_goods_unnamed"),
        ({"item_id": "1", "goods_id": "", "goods": "周卡"}, "goods", "delivery_goods_unnamed"),
        ({"item_id": "1", "part_1": "{codes}", "goods_id": ""}, "goods_id", "delivery_codes_without_goods"),
        ({"item_id": "1", "part_1": "x" * 5001}, "part_1", "text_too_long"),
        ({"item_id": "1", "part_1": "[图片] "}, "part_1", "bad_part"),
        ({"item_id": "1", "part_1": "x", "delay_seconds": 1.5}, "delay_seconds", "bad_delivery_delay"),
        ({"item_id": "1", "part_1": "x", "delay_seconds": 86401}, "delay_seconds", "bad_delivery_delay"),
        ({"item_id": "1", "part_1": "x", "confirm": "maybe"}, "confirm", "cell_confirm"),
        ({"item_id": "1", "part_1": "x", "confirm": "241 小时后"}, "confirm", "bad_delivery_confirm"),
        ({"item_id": "1", "part_1": "x", "nothing_to_send": "?"}, "nothing_to_send", "cell_active"),
        ({"item_id": "1", "part_1": "=1+1"}, "part_1", "cell_formula"),
    ],
)
def test_what_is_wrong_in_a_row_is_told_with_its_column(cells: dict[str, Any], column: str, code: str) -> None:
    with pytest.raises(UnusableRows) as refused:
        read({"item_id": "2", "part_1": "good"}, cells)
    assert [(one.row, one.column, one.error.code) for one in refused.value.faults] == [(3, column, code)]


def test_two_rows_for_the_same_orders_are_told_with_the_first_of_them() -> None:
    rows = [{"item_id": "1", "spec": spec, "part_1": "x"} for spec in ("时长:月卡;色:红", "x", " 色：红；时长：月卡")]
    with pytest.raises(UnusableRows) as refused:
        read(*rows)
    assert [(one.row, one.error.params["first"]) for one in refused.value.faults] == [(4, 2)]


def test_goods_are_found_by_their_name_and_every_item_is_said_in_words() -> None:
    (found,) = read({"item_id": "全部商品", "goods": "月卡", "part_1": "", "part_3": "B", "part_2": "A {codes}"})
    assert found == (2, {"item_id": "", "goods_id": 7, "parts": [{"text": "A {codes}"}, {"text": "B"}]})
    assert [values["confirm"] for _, values in read(
        *({"item_id": str(place), "part_1": "x", "confirm": text} for place, text in enumerate(
            ("2", "After 2 h", "是", "NO", "按店铺")
        ))
    )] == [2, 2, "yes", "no", None]  # fmt: skip


def test_other_goods_stay_where_they_are_and_are_not_asked_of_a_repeat() -> None:
    before = (DeliveryRule(item_id="1", goods_id=11),)
    assert read({"item_id": "1", "goods_id": 11}, before=before)[0][1]["goods_id"] == 11
    assert read({"item_id": "2", "goods_id": 11}, repeats=True)[0][1]["goods_id"] == 11


def test_a_file_without_rows_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        rules_of_table(excel((), chinese=True), GOODS, RULES)
    assert refused.value.code == "no_rows"
