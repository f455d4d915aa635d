"""Rules of a long list are validated as single rules are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from shoal.api.schemas.rules import RULE_EXAMPLE, KnownRuleBody, values_of
from shoal.api.schemas.sent_rules import sent_rule, sent_rules, sent_whole
from shoal.errors import InvalidInput
from shoal.rules.rule import in_order
from shoal.rules.rule_lists import Wanted, replaced

PIECES: list[dict[str, Any]] = [
    {}, {"words": []}, {"words": ["a", "b"]}, {"words": "a"}, {"words": [1]}, {"words": None}, {"words": ["a\x00"]},
    {"words": ["\ud800"]}, {"words": ["😀"]}, {"word_mode": "all"}, {"word_mode": "some"}, {"match_mode": "regex"},
    {"match_mode": 1}, {"item_ids": ["7"]}, {"item_ids": [7]}, {"priority": 3}, {"priority": 3.0}, {"priority": True},
    {"priority": 10**30}, {"schedule": [{}]}, {"schedule": [{"weekdays": [1, 7], "start": "09:00", "end": "18:00"}]},
    {"schedule": [{"weekdays": [1] * 8}]}, {"schedule": [{"day": 1}]}, {"parts": [{"text": "x", "image_url": ""}]},
    {"parts": [{"text": "x", "width": 1}]}, {"parts": [{"image_url": "u"}]}, {"parts": [{}]}, {"parts": [{"text": 1}]},
    {"delay_seconds": [1, 2.5]}, {"delay_seconds": [1]}, {"delay_seconds": ["1", 2]}, {"cooldown_seconds": 60},
    {"cooldown_seconds": None}, {"active": False}, {"active": 0}, {"id": "r1"}, {"id": ""}, {"id": 1}, {"hits": 3},
    {"last_hit_at": None}, {"text": "\x00"},
]  # fmt: skip


@pytest.mark.parametrize("base", [{}, {"words": ["w"]}, RULE_EXAMPLE], ids=["nothing", "words", "example"])
def test_a_row_is_read_as_the_model_reads_it(base: dict[str, Any]) -> None:
    for piece in PIECES:
        _compare({**base, **piece})


@pytest.mark.parametrize("base", [{"words": ["w"]}, RULE_EXAMPLE], ids=["words", "example"])
def test_a_list_that_replaces_all_is_made_into_the_same_rules_at_once(base: dict[str, Any]) -> None:
    odd: list[dict[str, Any]] = [
        {"parts": [{"text": "x" * 4_001}]},
        {"parts": [{"text": "x"}] * 11},
        {"words": [" a ", "a", "\u200b"]},
        {"id": "?"},
    ]
    read = 0
    for piece in (*PIECES, *odd):
        rows = [{"words": ["before"]}, {**base, **piece}]
        try:
            expected = replaced(
                (), [Wanted(values, name, f"new{n}") for n, (name, values) in enumerate(map(sent_rule, rows))]
            )
        except (ValidationError, InvalidInput):
            expected = None
        found = sent_whole(_read(rows), ["new0", "new1"], 0)
        read += found is not None
        if found is None:
            assert expected is None or "\x00" in piece.get("text", "") or "image_url" in piece["parts"][0], piece
        else:
            assert in_order(found.rules) == replaced((), found) == expected, piece
    assert read > 10
    assert sent_whole(_read([{"id": "r", "words": ["x"]}] * 2), ["", ""], 0) is None


def _read(rows: list[dict[str, Any]]) -> list[Any]:
    return sent_rules(json.dumps({"rules": rows}).encode()) or rows


def _compare(row: dict[str, Any]) -> None:
    expected: Any
    try:
        body = KnownRuleBody.model_validate(row)
        expected = (body.id, values_of(body))
    except ValidationError as error:
        expected = error.errors(include_url=False, include_context=False)
    found: Any
    try:
        found = sent_rule(*_read([row]))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
    assert found == expected, row
