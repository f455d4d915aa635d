"""Rules in full as an Excel file: every one comes back as it was, and what is wrong in a cell is told."""

from __future__ import annotations

from typing import Any

import pytest

from shoal.errors import InvalidInput
from shoal.rules.rule import MatchMode, Part, Rule, WordMode
from shoal.rules.rule_lists import replaced
from shoal.rules.rule_xlsx import COLUMNS
from shoal.rules.schedule import Span
from shoal.sheets.xlsx import UnusableRows
from support.files.table_files import a_table, rules_read, texts_of, written

RULES = (
    Rule(id="a", words=("包邮", "邮费"), parts=(Part(text="=SUM(1)"), Part(image_url="https://example.com/a.png"))),
    Rule(
        id="b", words=(r" \d+元 ", "a|b"), match_mode=MatchMode.REGEX, item_ids=("7001", "7002"), priority=-5,
        position=1,
    ),
    Rule(id="c", words=("两\n行",), word_mode=WordMode.ALL, parts=(Part(text="  "), Part(text="[图片]x")), position=2),
    Rule(
        id="d", words=("XL",), match_mode=MatchMode.WHOLE_WORD, delay_seconds=(0.5, 3.0), cooldown_seconds=60,
        active=False, position=3,
        schedule=(Span(weekdays=(1, 3, 6, 7), start="22:00", end="06:00"), Span(weekdays=(2,))),
    ),
    Rule(id="e", words=("多",), match_mode=MatchMode.EXACT, parts=(Part(text="x"),) * 10, position=4),
)  # fmt: skip


@pytest.mark.parametrize("chinese", [True, False])
def test_every_rule_comes_back_as_it_was(chinese: bool) -> None:
    read = [wanted for _, wanted in rules_read(written(RULES, chinese=chinese))]
    assert replaced(RULES, read) == replaced(RULES, [*read]) == tuple(sorted(RULES, key=lambda rule: -rule.priority))


def test_a_table_has_as_many_replies_as_its_longest_rule() -> None:
    _, (heads, first) = texts_of(written(RULES[:1], chinese=False))
    assert [head for head in heads if head.startswith("Reply")] == ["Reply", "Reply 2"]
    assert first[:2] == ["包邮\n邮费", "contains"]
    assert len(texts_of(written((), chinese=True))[1][0]) == len(COLUMNS) - 9


def test_an_old_file_of_keywords_is_read_too() -> None:
    data = a_table(
        [["关键词", "商品ID", "关键词内容"], ["在吗", None, "在的"], ["尺寸", 7001, None]], sheet="关键词数据"
    )
    assert [(number, dict(wanted.values)) for number, wanted in rules_read(data)] == [
        (2, {"words": ["在吗"], "item_ids": [], "parts": [{"text": "在的"}]}),
        (3, {"words": ["尺寸"], "item_ids": ["7001"], "parts": []}),
    ]


WRONG: list[tuple[str, Any, str]] = [
    ("匹配方式", "like", "cell_match_mode"),
    ("多个词时", "some", "cell_word_mode"),
    ("优先级", "high", "cell_priority"),
    ("优先级", 1001, "bad_priority"),
    ("时段", "周一 9:00-18:00", "cell_schedule"),
    ("时段", "1-5 9-18", "cell_schedule"),
    ("时段", "5-1 09:00-18:00", "bad_schedule"),
    ("时段", "1,1 09:00-18:00", "bad_schedule"),
    ("延迟（秒）", "soon", "cell_delay_seconds"),
    ("延迟（秒）", "3-1", "bad_delay"),
    ("冷却（秒）", 1.5, "cell_cooldown_seconds"),
    ("冷却（秒）", -1, "bad_cooldown"),
    ("启用", "maybe", "cell_active"),
    ("商品ID", "a/b", "bad_item_id"),
    ("回复", "x" * 4001, "text_too_long"),
    ("编号", "a b", "bad_rule_id"),
]


@pytest.mark.parametrize(("head", "cell", "code"), WRONG, ids=[f"{code}-{n}" for n, (_, _, code) in enumerate(WRONG)])
def test_what_is_wrong_in_a_cell_is_told_with_its_row_and_column(head: str, cell: Any, code: str) -> None:
    with pytest.raises(UnusableRows) as caught:
        rules_read(a_table([["词", head], ["fine", None], ["x", cell]]))
    (fault,) = caught.value.faults
    assert (fault.row, fault.column, fault.error.code) == (3, head, code)


def test_cells_are_read_as_people_write_them() -> None:
    heads = ["Words", "Match", "Items", "Hours", "Delay (s)", "On", "Reply", "Reply 2"]
    row = [
        "a\n\n b ",
        "REGEX",
        "7001，7002；7003",
        "1、3,6-7  9:00 ~ 18:30\n2 22:00–6:00",
        " 2 ",
        "FALSE",
        "[Picture] https://x.example/a.png",
        "[TEXT]x",
    ]
    ((_, wanted),) = rules_read(a_table([heads, row]))
    assert dict(wanted.values) == {
        "words": ["a", " b "],
        "match_mode": MatchMode.REGEX,
        "item_ids": ["7001", "7002", "7003"],
        "schedule": [
            {"weekdays": [1, 3, 6, 7], "start": "09:00", "end": "18:30"},
            {"weekdays": [2], "start": "22:00", "end": "06:00"},
        ],
        "delay_seconds": [2.0, 2.0],
        "active": False,
        "parts": [{"image_url": "https://x.example/a.png"}, {"text": "x"}],
    }


def test_a_file_without_rules_and_an_id_that_stands_twice_are_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        rules_read(a_table([["词"]]))
    assert caught.value.code == "no_rows"
    with pytest.raises(UnusableRows) as twice:
        rules_read(a_table([["词", "编号"], ["a", "x"], ["b", "x"], ["c", None], ["d", None]]))
    assert [(fault.row, fault.error.code) for fault in twice.value.faults] == [(3, "duplicate_rule_id")]
