"""Rules with all their fields as an Excel file: one row for each rule, and the faults of rows that are read.

It also reads the files of the sellers' previous system: their columns are some of these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any

from shoal.errors import InvalidInput
from shoal.rules.rule import MatchMode, Part, Rule, WordMode
from shoal.rules.rule_edits import MAX_PARTS, check_rule_id, with_rule
from shoal.rules.rule_lists import Wanted
from shoal.rules.schedule_text import span_of, text_of
from shoal.sheets.xlsx import Column, Fault, Row, Table, UnusableRows

SHEET = "规则"

_MODES = {
    MatchMode.CONTAINS: ("包含", "contains"),
    MatchMode.EXACT: ("完全相同", "exactly"),
    MatchMode.WHOLE_WORD: ("完整单词", "whole word"),
    MatchMode.REGEX: ("正则", "regular expression"),
}
_WORD_MODES = {WordMode.ANY: ("任意一个", "any of them"), WordMode.ALL: ("全部", "all of them")}
FLAGS = {True: ("是", "yes"), False: ("否", "no")}
"""How a cell says yes and no, in Chinese and English."""
_MORE_FLAGS = {"true": True, "false": False, "1": True, "0": False, "on": True, "off": False}

COLUMNS: tuple[Column, ...] = (
    Column("words", "词", "Words", width=24, needed=True, also=("关键词", "keyword")),
    Column("match_mode", "匹配方式", "Match", width=12),
    Column("word_mode", "多个词时", "Of several words", width=12),
    Column("item_ids", "商品ID", "Items", width=18, also=("item id",)),
    Column("priority", "优先级", "Priority", width=8),
    Column("schedule", "时段", "Hours", width=18),
    Column("part_1", "回复", "Reply", width=48, also=("关键词内容",)),
    *(Column(f"part_{number}", f"回复 {number}", f"Reply {number}", width=32) for number in range(2, MAX_PARTS + 1)),
    Column("delay_seconds", "延迟（秒）", "Delay (s)", width=10),
    Column("cooldown_seconds", "冷却（秒）", "Cool-down (s)", width=10),
    Column("active", "启用", "On", width=8),
    Column("id", "编号", "Id", width=18),
)
_PARTS = [f"part_{number}" for number in range(1, MAX_PARTS + 1)]
_KIND = re.compile(r"\[(图片|picture|文字|text)\]", re.IGNORECASE)
_PICTURES = ("图片", "picture")
_DELAY = re.compile(r"(\d+(?:\.\d+)?)(?:\s*[-–—~～]\s*(\d+(?:\.\d+)?))?")


def rule_table(rules: Sequence[Rule], *, chinese: bool) -> tuple[list[tuple[Column, str]], list[list[str]]]:
    """Return the columns and rows of the rules in their order, with heads and words in Chinese or English."""
    widest = max((len(rule.parts) for rule in rules), default=1)
    shown = [column for column in COLUMNS if column.key not in _PARTS[max(widest, 1) :]]
    heads = [(column, column.zh if chinese else column.en) for column in shown]
    texts = (_texts(rule, 0 if chinese else 1) for rule in rules)
    return heads, [[row.get(column.key, "") for column in shown] for row in texts]


def _texts(rule: Rule, language: int) -> dict[str, str]:
    least, most = (f"{seconds:g}" for seconds in rule.delay_seconds)
    return {
        "id": rule.id,
        "words": "\n".join(json.dumps(word, ensure_ascii=False) if "\n" in word else word for word in rule.words),
        "match_mode": _MODES[rule.match_mode][language],
        "word_mode": _WORD_MODES[rule.word_mode][language],
        "item_ids": "\n".join(rule.item_ids),
        "priority": str(rule.priority),
        "schedule": "\n".join(text_of(span) for span in rule.schedule),
        "delay_seconds": least if least == most else f"{least}-{most}",
        "cooldown_seconds": str(rule.cooldown_seconds),
        "active": FLAGS[rule.active][language],
        **{key: part_text(part, language) for key, part in zip(_PARTS, rule.parts, strict=False)},
    }


def part_text(part: Part, language: int) -> str:
    """Return a message as the text of a cell, in Chinese (0) or English (1); ``part_of`` reads both."""
    if part.image_url:
        return f"[{_PICTURES[language]}]{part.image_url}"
    return (
        f"[{('文字', 'text')[language]}]{part.text}" if _KIND.match(part.text) or not part.text.strip() else part.text
    )


def rules_of_table(table: Table) -> list[tuple[int, Wanted]]:
    """Return the rules of a table, each with the number of its row.

    Raises ``UnusableRows`` with the fault of each row, and ``InvalidInput`` (``no_rows``).
    """
    faults, wanted = list(table.faults), []
    for row in table.rows:
        values, wrong = _values(row, table)
        faults += wrong
        if not wrong:
            wanted.append((row.number, Wanted(values, row.texts.get("id", "").strip())))
    faults += faults_of(wanted, heads=table.heads)
    if faults:
        raise UnusableRows(faults)
    if not wanted:
        raise InvalidInput("no row says anything", code="no_rows")
    return wanted


def faults_of(wanted: Iterable[tuple[int, Wanted]], *, heads: Mapping[str, str] | None = None) -> list[Fault]:
    """Return the faults of single rules, by the number of their rows."""
    faults: list[Fault] = []
    seen: set[str] = set()
    for number, row in wanted:
        error = _refusal(row, seen)
        if error is not None:
            faults.append(Fault(number, (heads or {}).get(column_of(error), ""), error))
        seen.add(row.id)
    return faults


def _refusal(row: Wanted, seen: Set[str]) -> InvalidInput | None:
    if row.id and row.id in seen:
        return InvalidInput("an id stands twice", code="duplicate_rule_id", field="id")
    try:
        check_rule_id(row.id or "new")
        with_rule((), "new", row.values)
    except InvalidInput as error:
        return error
    return None


def column_of(error: InvalidInput) -> str:
    """Return the column of the field that is refused; empty: the whole row."""
    name, _, place = str(error.params.get("field", "")).partition(".")
    return f"part_{int(place or 0) + 1}" if name == "parts" else name


def _values(row: Row, table: Table) -> tuple[dict[str, Any], list[Fault]]:
    """Return the fields of the row's rule and the faults of its cells. A missing column sets no field."""
    values: dict[str, Any] = {}
    faults: list[Fault] = []
    for column in COLUMNS:
        read = _READ.get(column.key)
        if read is None or column.key not in table.heads:
            continue
        try:
            values[column.key] = read(row.texts[column.key])
        except ValueError:
            faults.append(
                Fault(row.number, table.heads[column.key], InvalidInput("not understood", code=f"cell_{column.key}"))
            )
    if "part_1" in table.heads:
        values["parts"] = [part_of(text) for key in _PARTS if (text := row.texts.get(key, "")).strip()]
    return values, faults


def part_of(text: str) -> dict[str, str]:
    """Return the message of a cell."""
    kind = _KIND.match(text)
    if kind is None:
        return {"text": text}
    rest = text[kind.end() :]
    return {"image_url": rest.strip()} if kind[1].lower() in _PICTURES else {"text": rest}


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _word(line: str) -> str:
    """Return the word of a line; a word of several lines is written as JSON."""
    if line.startswith('"') and "\\n" in line:
        with suppress(ValueError):
            return str(json.loads(line))
    return line


def one_of(choices: Mapping[Any, tuple[str, str]], empty: Any, more: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return a reader of cells that name a choice. It raises ``ValueError`` for other texts."""
    known = {name: value for value, names in choices.items() for name in names} | dict(more)

    def read(text: str) -> Any:
        name = text.strip().lower()
        if name and name not in known:
            raise ValueError(name)
        return known[name] if name else empty

    return read


def flag_reader(*, empty: bool) -> Callable[[str], Any]:
    """Return a reader of cells that say yes or no, as ``one_of``."""
    return one_of(FLAGS, empty, _MORE_FLAGS)


def delay_of(text: str) -> list[float]:
    """Return the delay of a text such as ``2`` or ``1-3``. Raises ``ValueError``."""
    found = _DELAY.fullmatch(text.strip() or "0")
    if found is None:
        raise ValueError(text)
    return [float(found[1]), float(found[2] or found[1])]


_READ: dict[str, Callable[[str], Any]] = {
    "words": lambda text: [_word(line) for line in _lines(text)],
    "match_mode": one_of(_MODES, MatchMode.CONTAINS, {str(mode): mode for mode in MatchMode}),
    "word_mode": one_of(_WORD_MODES, WordMode.ANY, {str(mode): mode for mode in WordMode}),
    "item_ids": lambda text: re.split(r"[\s,，;；、]+", text.strip()) if text.strip() else [],
    "priority": lambda text: int(text.strip() or "0"),
    "schedule": lambda text: [span_of(line) for line in _lines(text)],
    "delay_seconds": delay_of,
    "cooldown_seconds": lambda text: int(text.strip() or "0"),
    "active": flag_reader(empty=True),
}
"""The reader of a cell, by its column. Raises ``ValueError`` for a text it cannot read."""
