"""Cases of an owner: read from each kind of file alike, refused row by row, and judged as they say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shoal.cli.eval_cases import COLUMNS, Case, faults_of, read_cases, read_facts
from shoal.errors import InvalidInput
from shoal.sheets.csv_tables import written_csv
from shoal.sheets.xlsx import UnusableRows, written_table

HEADS = ["名称", "问题", "商品ID", "资料", "必须说", "不许说", "应当"]
ROWS = [
    ["邮费", "包邮吗", "700000000001", "包邮吗 | 满 30 元包邮", "30\n/包\\s*邮/", "/\\d+\\s*元.*给你/", "回复"],
    ["", "你是人吗", "", "", "", "", "转人工"],
]
WANTED = (
    Case(
        name="邮费", question="包邮吗", item="700000000001", facts=(("包邮吗", "满 30 元包邮"),),
        must=("30", "/包\\s*邮/"), must_not=("/\\d+\\s*元.*给你/",), action="reply",
    ),
    Case(name="2", question="你是人吗", action="handoff"),
)  # fmt: skip


def test_a_csv_file_and_an_excel_file_give_the_same_cases() -> None:
    assert read_cases(written_csv(HEADS, ROWS), "cases.csv") == WANTED
    sheet = written_table("cases", [(column, column.en) for column in COLUMNS], ROWS)
    assert read_cases(sheet, "Cases.XLSX") == WANTED


def test_a_json_file_has_lists_where_a_table_has_lines() -> None:
    rows: list[dict[str, Any]] = [
        {
            "name": "邮费", "question": "包邮吗", "item": "700000000001", "must": ["30", "/包\\s*邮/"],
            "facts": [{"question": "包邮吗", "answer": "满 30 元包邮"}], "must_not": "/\\d+\\s*元.*给你/",
            "action": "reply",
        },
        {"question": "你是人吗", "action": "hand-off"},
    ]  # fmt: skip
    assert read_cases(json.dumps(rows).encode(), "cases.json") == WANTED


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"question": " "}, "bad_case_question", "question"),
        ({"question": "x" * 4_001}, "bad_case_question", "question"),
        ({"question": "x", "action": "sell"}, "bad_case_action", "action"),
        ({"question": "x", "must": "/(/"}, "bad_pattern", "must"),
        ({"question": "x", "must": [7]}, "bad_case_text", "must"),
        ({"question": "x", "facts": "no bar"}, "bad_case_facts", "facts"),
        ({"question": "x", "facts": [{"question": "x", "answer": "y" * 501}]}, "bad_case_facts", "facts"),
        ({"question": "x", "musn't": "y"}, "unknown_case_field", "musn't"),
    ],
)
def test_a_row_that_is_no_case_is_named_with_what_is_wrong(row: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(UnusableRows) as refused:
        read_cases(json.dumps([{"question": "ok"}, row]).encode(), "cases.json")
    (fault,) = refused.value.faults
    assert (fault.row, fault.column, fault.error.code) == (2, field, code)


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "cases.txt", "not_a_cases_file"),
        (b"{}", "cases.json", "bad_cases"),
        (b"[1]", "cases.json", "bad_cases"),
        (b"[" * 100_000, "cases.json", "bad_cases"),
        (b"[]", "cases.json", "no_cases"),
        (b"x", "cases.xlsx", "not_xlsx"),
        ("问题\n".encode(), "cases.csv", "no_cases"),
        ("名称\nx\n".encode(), "cases.csv", "missing_columns"),
    ],
)
def test_a_file_that_is_none_is_refused(data: bytes, name: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_cases(data, name)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("case", "decision", "text", "kinds"),
    [
        (WANTED[0], "reply", "满３０元包 邮哦", []),
        (WANTED[0], "reply", "满 20 元包邮", ["missing"]),
        (WANTED[0], "reply", "满 30 元包邮，10元也给你", ["said"]),
        (WANTED[0], "blocked", "", ["action", "missing", "missing"]),
        (WANTED[1], "handoff", "", []),
        (WANTED[1], "blocked", "", []),
        (WANTED[1], "reply", "是的", ["action"]),
        (Case(name="x", question="x", must_not=("微信",)), "silent", "", []),
        (Case(name="x", question="x", must_not=("微信",)), "reply", "加我V信", []),
        (Case(name="x", question="x", must_not=("微信",)), "budget", "", ["no_answer"]),
        (Case(name="x", question="x", must_not=("微信",)), "failed", "", ["no_answer"]),
        (Case(name="x", question="x", action="blocked"), "handoff", "", ["action"]),
    ],
)
def test_what_happened_is_judged_by_the_case(case: Case, decision: str, text: str, kinds: list[str]) -> None:
    assert [kind for kind, _ in faults_of(case, decision, text)] == kinds


def test_a_case_that_must_say_something_wants_a_reply() -> None:
    (case,) = read_cases(b'[{"question": "x", "must": "y"}]', "c.json")
    assert case.action == "reply"


def test_facts_are_read_from_tables_and_lists() -> None:
    wanted = (("包邮吗", "满 30 元包邮"),)
    assert read_facts(written_csv(["问题", "回答"], [list(wanted[0])]), "f.csv") == wanted
    assert read_facts(json.dumps([{"question": "包邮吗", "answer": " 满 30 元包邮"}]).encode(), "f.json") == wanted
    with pytest.raises(UnusableRows):
        read_facts(b'[{"question": "x"}]', "f.json")
