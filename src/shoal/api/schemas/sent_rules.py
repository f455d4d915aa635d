"""The rules of a long list, validated one by one.

msgspec validates most rows in a twentieth of pydantic's time. A row that it refuses is validated by ``KnownRuleBody``,
which decides, and says what is wrong. A list that replaces all rules is made into rules at once, without the values in
between.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from shoal.api.schemas.rules import KnownRuleBody, values_of
from shoal.errors import InvalidInput
from shoal.rules.rule import MAX_REPLY_CHARACTERS, NO_DELAY, MatchMode, Part, Rule, WordMode
from shoal.rules.rule_edits import MAX_PARTS, check_rule_id, fields_of_new, words_of
from shoal.rules.rule_lists import WholeRules, whole
from shoal.rules.schedule import EVERY_DAY
from shoal.strict_json import read_json

_NUL = b"\\u0000"


class _Span(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    weekdays: Annotated[list[int], Meta(max_length=len(EVERY_DAY))] = msgspec.field(
        default_factory=lambda: list(EVERY_DAY)
    )
    start: str = "00:00"
    end: str = "24:00"


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str = ""
    image_url: str = ""


class _Row(msgspec.Struct, gc=False):
    words: list[str]
    word_mode: Literal["any", "all"] | UnsetType = UNSET
    match_mode: Literal["contains", "exact", "whole_word", "regex"] | UnsetType = UNSET
    item_ids: list[str] | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    schedule: list[_Span] | UnsetType = UNSET
    parts: list[_Part] | UnsetType = UNSET
    delay_seconds: Annotated[list[float], Meta(min_length=2, max_length=2)] | UnsetType = UNSET
    cooldown_seconds: int | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    id: str | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Row).decode
_FIELDS = _Row.__struct_fields__[:-1]
"""All but the id, which is the last one."""


def sent_rule(row: Any) -> tuple[str, dict[str, Any]]:
    """Return the id of a row (empty: none was sent) and its fields, in the form that ``rule_edits`` takes.

    Raises ``pydantic.ValidationError``, and ``json.JSONDecodeError`` for a number beyond all floats.
    """
    if isinstance(row, msgspec.Raw) and _NUL not in bytes(row):
        try:
            return _fields(_decode(row))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
    body = KnownRuleBody.model_validate(read_json(bytes(row)) if isinstance(row, msgspec.Raw) else row)
    return body.id, values_of(body)


class _Whole(msgspec.Struct, gc=False):
    """A row in which a field that is left out has the value of a new rule."""

    words: list[str]
    word_mode: WordMode = WordMode.ANY
    match_mode: MatchMode = MatchMode.CONTAINS
    item_ids: tuple[str, ...] = ()
    priority: int = 0
    schedule: tuple[_Span, ...] = ()
    parts: tuple[_Part, ...] = ()
    delay_seconds: tuple[float, float] = NO_DELAY
    cooldown_seconds: int = 0
    active: bool = True
    id: str = ""


_decode_all = msgspec.json.Decoder(list[_Whole]).decode
_AT_ONCE = 128
"""Rows that are read by one call, which holds the interpreter lock for some 0.1 ms."""
_only_new = attrgetter("item_ids", "priority", "schedule", "delay_seconds", "cooldown_seconds")
_NEW = ((), 0, (), NO_DELAY, 0)


def sent_whole(rows: Sequence[msgspec.Raw], new_ids: Sequence[str], place: int) -> WholeRules | None:
    """Return the rules of rows that replace all others, from that position on.

    ``None``: a row cannot be used, or has a picture. ``sent_rule`` says what is wrong then, or takes it.
    """
    rules: list[Rule] = []
    names: list[str] = []
    try:
        for start in range(0, len(rows), _AT_ONCE):
            pieces = rows[start : start + _AT_ONCE]
            text = b",".join(pieces)
            found = _decode_all(b"[" + text + b"]")
            if _NUL in text or len(found) != len(pieces):
                return None
            for row in found:
                if row.id:
                    check_rule_id(row.id)
                    names.append(row.id)
                rules.append(_whole(row, row.id or new_ids[len(rules)], place + len(rules)))
        return whole(tuple(rules), names)
    except (msgspec.MsgspecError, UnicodeDecodeError, InvalidInput, ValueError):
        return None


def _whole(row: _Whole, rule_id: str, place: int) -> Rule:
    """Return the rule of a row. Raises ``ValueError`` or ``InvalidInput``."""
    parts = tuple([_text_part(part) for part in row.parts])
    if len(parts) > MAX_PARTS:
        raise ValueError("there are too many parts")
    words = words_of(row.words, row.match_mode)
    if _only_new(row) == _NEW:
        return Rule(
            id=rule_id, words=words, word_mode=row.word_mode, match_mode=row.match_mode, parts=parts,
            active=row.active, position=place,
        )  # fmt: skip
    values = {
        "item_ids": row.item_ids, "priority": row.priority, "delay_seconds": row.delay_seconds,
        "schedule": [_span(span) for span in row.schedule], "cooldown_seconds": row.cooldown_seconds,
    }  # fmt: skip
    return Rule(
        id=rule_id, word_mode=row.word_mode, match_mode=row.match_mode, parts=parts, active=row.active, position=place,
        **{**fields_of_new(values), "words": words},
    )  # fmt: skip


def _text_part(part: _Part) -> Part:
    if part.image_url or len(part.text) > MAX_REPLY_CHARACTERS:
        raise ValueError("it is too long, or its size is to be found first")
    return Part(text=part.text)


def _span(span: _Span) -> dict[str, Any]:
    return {"weekdays": span.weekdays, "start": span.start, "end": span.end}


def _fields(row: _Row) -> tuple[str, dict[str, Any]]:
    values = {name: value for name, value in zip(_FIELDS, astuple(row), strict=False) if value is not UNSET}
    if row.parts is not UNSET:
        values["parts"] = [_part(part) for part in row.parts]
    if row.schedule is not UNSET:
        values["schedule"] = [_span(span) for span in row.schedule]
    return row.id if row.id is not UNSET else "", values


def _part(part: _Part) -> dict[str, str]:
    if part.text and not part.image_url:
        return {"text": part.text}
    return {name: value for name, value in (("text", part.text), ("image_url", part.image_url)) if value}
