"""Orders in a terminal: in the person's language, and nothing that a stranger wrote can harm it."""

from __future__ import annotations

import os
from typing import Any

import pytest
from rich.console import Console

from shoal.api.schemas.order_sums import OrderSumsShape
from shoal.api.schemas.orders import FULL_EXAMPLE
from shoal.cli.cells import table_of
from shoal.cli.commands.orders import ORDERS, order_facts, order_line, sums_table

ORDER: dict[str, Any] = FULL_EXAMPLE


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)


def drawn(table: object, width: int = 200) -> str:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:  # noqa: PTH123
        console = Console(width=width, record=True, file=nowhere)
        console.print(table)
        return console.export_text()


def test_a_list_tells_how_each_order_stands_and_what_is_in_the_way() -> None:
    text = drawn(table_of(ORDERS, [ORDER, {**ORDER, "status": "shipped", "problem": None}]))
    assert text.count("4500000000000000001") == 2
    assert text.count("会员月卡") == 2
    assert "awaiting shipment" in text
    assert "shipped" in text
    assert text.count("安全拦截") == 1


def test_the_status_of_an_order_with_a_problem_is_red() -> None:
    status = table_of(ORDERS, [ORDER, {**ORDER, "problem": None}]).columns[2]
    assert [getattr(cell, "style", None) for cell in status.cells] == ["red", ""]


def test_one_order_is_shown_with_its_acts_and_its_time_line(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(order_facts(ORDER))
    assert "Send the message after payment" in text
    assert "failed (CSI_FORBID)" in text
    assert "会员月卡 700000000001" in text
    assert "awaiting shipment (我已付款，等待你发货)  [card]" in text
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert "付款后消息" in drawn(order_facts(ORDER))


def test_a_strangers_words_move_no_cursor() -> None:
    line = {**FULL_EXAMPLE["timeline"][0], "words": "\x1b[31m红\u202e"}
    hostile = {**ORDER, "spec_value": "\x1b]0;x\x07大", "timeline": [line]}
    text = drawn(order_facts(hostile)) + order_line(hostile)
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_sums_tell_each_part_and_the_total_in_yuan() -> None:
    sums: dict[str, Any] = OrderSumsShape.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index,assignment]
    table = drawn(sums_table(sums))
    assert [line.split() for line in table.splitlines() if line.startswith(("2026", "Total"))] == [
        ["2026-01-02", "3", "2", "39.80", "2", "1", "19.90", "0"], ["Total", "3", "2", "39.80", "2", "1", "19.90", "0"],
    ]  # fmt: skip
    row = {**sums["items"][0], "account": "my-shop", "item_id": "", "item_title": ""}
    table = drawn(sums_table({**sums, "by": "item", "items": [row], "left_out": 7}))
    assert "my-shop: item unknown" in table
    assert "and 7 more" in table
