"""Cases by which an owner judges a model, and facts: read from CSV, Excel or JSON files. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Final, TypeVar

from shoal.errors import InvalidInput
from shoal.language.folding import folded
from shoal.rules.matcher import Patterns
from shoal.sheets.csv_tables import decoded, read_csv
from shoal.sheets.xlsx import Column, Fault, UnusableRows, read_table

T = TypeVar("T")

MOST_CASES: Final = 1_000
LONGEST_QUESTION: Final = 4_000
MOST_FACTS: Final = 200
_LONGEST_FACT: Final = (200, 500)
SHEET: Final = "cases"
COLUMNS: Final = (
    Column("name", "名称", "Case", also=("name",)),
    Column("question", "问题", "Question", needed=True),
    Column("item", "商品ID", "Item", also=("item id", "商品")),
    Column("facts", "资料", "Facts"),
    Column("must", "必须说", "Must say"),
    Column("must_not", "不许说", "Must not say"),
    Column("action", "应当", "Action"),
)
FACT_COLUMNS: Final = (
    Column("question", "问题", "Question", needed=True),
    Column("answer", "回答", "Answer", needed=True, also=("答案",)),
)
ACTIONS: Final[Mapping[str, str]] = {
    "": "", "reply": "reply", "回复": "reply", "handoff": "handoff", "hand-off": "handoff", "转人工": "handoff",
    "silent": "silent", "不回复": "silent", "blocked": "blocked", "拦下": "blocked",
}  # fmt: skip
"""What a case may expect, as files write it. A reply that is held back hands the chat over: it fulfils ``handoff``."""
_FULFIL: Final[Mapping[str, frozenset[str]]] = {
    "reply": frozenset({"reply"}),
    "handoff": frozenset({"handoff", "blocked"}),
    "silent": frozenset({"silent"}),
    "blocked": frozenset({"blocked"}),
}
_SIGNS: Final = ("|", "｜")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One case. Without a name it has its place among the cases, from 1.

    ``facts`` stand in place of the shop's; ``None`` leaves those.

    ``must`` and ``must_not``: words, or a regular expression between slashes. ``action``: what must happen; empty for
    anything, unless something must be said.
    """

    name: str
    question: str
    item: str = ""
    facts: tuple[tuple[str, str], ...] | None = None
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    action: str = ""


def read_cases(data: bytes, name: str) -> tuple[Case, ...]:
    """Return the cases of a file, whose name says what it is.

    Raises ``InvalidInput``: what is wrong with the file, ``bad_cases`` for no JSON list of cases, ``no_cases``, and
    ``UnusableRows`` with each row that is no case.
    """
    return _read(data, name, COLUMNS, MOST_CASES, lambda values, place: _case(_with_facts(values), place))


def read_facts(data: bytes, name: str) -> tuple[tuple[str, str], ...]:
    """Return the facts of a file: questions and answers. Raises like ``read_cases``."""
    return _read(data, name, FACT_COLUMNS, MOST_FACTS, lambda values, _: _fact_of(values))


def _read(
    data: bytes, name: str, columns: Sequence[Column], most: int, made: Callable[[Mapping[str, Any], int], T]
) -> tuple[T, ...]:
    ending = PurePath(name).suffix.lower()
    faults: list[Fault] = []
    if ending == ".json":
        rows = _json_rows(data, most)
    elif ending in {".csv", ".xlsx"}:
        read = read_csv(data, columns, most=most) if ending == ".csv" else None
        table = read or read_table(data, columns, sheet=SHEET, most=most)
        rows, faults = [(row.number, row.texts) for row in table.rows], list(table.faults)
    else:
        raise InvalidInput("a file of cases is CSV, Excel or JSON", code="not_a_cases_file")
    found: list[T] = []
    for place, (number, values) in enumerate(rows, 1):
        try:
            found.append(made(values, place))
        except InvalidInput as error:
            faults.append(Fault(number, str(error.params.get("field", "")), error))
    if faults:
        raise UnusableRows(faults)
    if not found:
        raise InvalidInput("the file has no row", code="no_cases")
    return tuple(found)


def faults_of(case: Case, decision: str, text: str) -> tuple[tuple[str, str], ...]:
    """Return what a case finds wrong with what happened, each as a kind and the words that it is about.

    Kinds: ``action``, ``missing``, ``said``, ``no_answer``.
    """
    faults: list[tuple[str, str]] = []
    if case.action and decision not in _FULFIL[case.action]:
        faults.append(("action", decision))
    elif not case.action and decision not in {"reply", "handoff", "silent", "blocked"}:
        faults.append(("no_answer", decision))
    read = folded(text)
    faults += [("missing", word) for word in case.must if not _matcher(word)(read)]
    faults += [("said", word) for word in case.must_not if _matcher(word)(read)]
    return tuple(faults)


def _matcher(word: str) -> Callable[[str], bool]:
    """Return whether a folded text has the word, or matches what stands between slashes."""
    if (pattern := _pattern(word)) is not None:
        patterns = Patterns([pattern])
        return lambda text: bool(patterns.found_in(text))
    return lambda text: folded(word) in text


def _pattern(word: str) -> str | None:
    return word[1:-1] if len(word) > 2 and word[0] == word[-1] == "/" else None


def _json_rows(data: bytes, most: int) -> list[tuple[int, Mapping[str, Any]]]:
    try:
        found = json.loads(decoded(data))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidInput("the file is no JSON list of cases", code="bad_cases")
    if len(found) > most:
        raise InvalidInput("there are too many cases", code="too_many_cases", limit=most)
    return list(enumerate(found, 1))


def _with_facts(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the values of a row with the facts that stand in a text: one on each line."""
    facts = values.get("facts")
    return {**values, "facts": [_fact(line) for line in _lines(facts)] or None} if isinstance(facts, str) else values


def _fact(line: str) -> dict[str, str] | None:
    """Return the fact of a line: its question and its answer, with a bar between them."""
    for sign in _SIGNS:
        question, found, answer = line.partition(sign)
        if found:
            return {"question": question.strip(), "answer": answer.strip()}
    return None


def _case(values: Mapping[str, Any], place: int) -> Case:
    unknown = values.keys() - {column.key for column in COLUMNS}
    if unknown:
        raise InvalidInput("no such field", code="unknown_case_field", field=min(unknown))
    question, action = _text(values, "question"), folded(_text(values, "action"))
    if not question or len(question) > LONGEST_QUESTION:
        raise InvalidInput("a case needs a question", code="bad_case_question", field="question")
    if action not in ACTIONS:
        raise InvalidInput(
            "no such action", code="bad_case_action", field="action", words=" / ".join(filter(None, ACTIONS))
        )
    must, must_not = _words(values, "must"), _words(values, "must_not")
    return Case(
        name=_text(values, "name") or str(place),
        question=question,
        item=_text(values, "item"),
        facts=_facts(values.get("facts")),
        must=must,
        must_not=must_not,
        action=ACTIONS[action] or ("reply" if must else ""),
    )


def _text(values: Mapping[str, Any], field: str) -> str:
    value = values.get(field)
    if value is not None and not isinstance(value, str):
        raise InvalidInput("the field is a text", code="bad_case_text", field=field)
    return (value or "").strip()


def _words(values: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Return the words of a field: the lines of a text, or a list. Raises ``InvalidInput`` for a bad expression."""
    value = values.get(field)
    given = value if isinstance(value, list) else _lines(_text(values, field))
    if not all(isinstance(word, str) for word in given):
        raise InvalidInput("the field is a text or a list of texts", code="bad_case_text", field=field)
    found = tuple(word.strip() for word in given if word.strip())
    for word in found:
        if (pattern := _pattern(word)) is not None:
            _check_pattern(pattern, field)
    return found


def _check_pattern(pattern: str, field: str) -> None:
    try:
        Patterns([pattern])
    except InvalidInput as error:
        raise InvalidInput(str(error), code=error.code, **(error.params | {"field": field})) from None


def _facts(value: Any) -> tuple[tuple[str, str], ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MOST_FACTS:
        raise InvalidInput("facts are questions and answers", code="bad_case_facts", field="facts")
    return tuple(map(_fact_of, value))


def _fact_of(value: Any) -> tuple[str, str]:
    given = value if isinstance(value, dict) else {}
    question, answer = (str(given.get(key) or "").strip() for key in ("question", "answer"))
    if not 0 < len(question) <= _LONGEST_FACT[0] or not 0 < len(answer) <= _LONGEST_FACT[1]:
        raise InvalidInput("facts are questions and answers", code="bad_case_facts", field="facts")
    return question, answer


def _lines(text: str) -> Iterable[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
