"""The rules of a long list.

msgspec reads the whole list at once, in a twentieth of pydantic's time. A list that it refuses is validated row by row
by ``KnownRuleBody``, which decides, and says what is wrong. A list that replaces all rules is made into rules at once,
without the values in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi.exceptions import RequestValidationError
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple
from pydantic import ValidationError

from shoal.api.schemas.rules import KnownRuleBody, values_of
from shoal.errors import InvalidInput
from shoal.rules.rule import MAX_REPLY_CHARACTERS, NO_DELAY, MatchMode, Part, Rule, WordMode
from shoal.rules.rule_edits import MAX_PARTS, check_rule_id, fields_of_new, words_of
from shoal.rules.rule_lists import WholeRules, whole
from shoal.rules.schedule import EVERY_DAY

_NUL = b"\\u0000"
_MOST_ERRORS = 20


class _Span(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    weekdays: Annotated[list[int], Meta(max_length=len(EVERY_DAY))] = msgspec.field(
        default_factory=lambda: list(EVERY_DAY)
    )
    start: str = "00:00"
    end: str = "24:00"


class _Part(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    text: str = ""
    image_url: str = ""


class SentRule(msgspec.Struct, gc=False):
    """A row that msgspec has read."""

    words: list[str]
    word_mode: WordMode | UnsetType = UNSET
    match_mode: MatchMode | UnsetType = UNSET
    item_ids: list[str] | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    schedule: list[_Span] | UnsetType = UNSET
    parts: list[_Part] | UnsetType = UNSET
    delay_seconds: Annotated[list[float], Meta(min_length=2, max_length=2)] | UnsetType = UNSET
    cooldown_seconds: int | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    id: str | UnsetType = UNSET


class _List(msgspec.Struct):
    rules: list[SentRule]


_decode = msgspec.json.Decoder(_List).decode
_FIELDS = SentRule.__struct_fields__[:-1]
"""All but the id, which is the last one."""


def sent_rules(text: bytes) -> list[SentRule] | None:
    """Return the rows of a JSON text with ``rules``; ``None`` when not all can be used as they are."""
    if _NUL in text:
        return None
    try:
        return _decode(text).rules
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def sent_rule(row: Any) -> tuple[str, dict[str, Any]]:
    """Return the id of a row (empty: none was sent) and its fields, in the form that ``rule_edits`` takes.

    Raises ``pydantic.ValidationError``.
    """
    if isinstance(row, SentRule):
        return row.id or "", _fields(row)
    body = KnownRuleBody.model_validate(row)
    return body.id, values_of(body)


def checked(rows: Any) -> list[tuple[str, dict[str, Any]]]:
    """Read each row of a list. Raise ``RequestValidationError`` with up to 20 places."""
    if not isinstance(rows, list):
        raise RequestValidationError(
            [{"type": "list_type", "loc": ("body", "rules"), "msg": "Input should be a valid list", "input": None}]
        )
    found: list[tuple[str, dict[str, Any]]] = []
    errors: list[Any] = []
    for place, row in enumerate(rows):
        try:
            found.append(sent_rule(row))
        except ValidationError as error:
            errors += [
                {**one, "loc": ("body", "rules", place, *one["loc"])}
                for one in error.errors(include_url=False, include_input=False, include_context=False)
            ]
        if len(errors) >= _MOST_ERRORS:
            break
    if errors:
        raise RequestValidationError(errors[:_MOST_ERRORS])
    return found


def sent_whole(rows: Sequence[Any], new_ids: Sequence[str], place: int) -> WholeRules | None:
    """Return the rules of rows that replace all others, from that position on.

    ``None``: a row cannot be used, or has a picture. ``sent_rule`` says what is wrong then, or takes it.
    """
    if not all(isinstance(row, SentRule) for row in rows):
        return None
    names = [row.id for row in rows if row.id]
    try:
        for name in names:
            check_rule_id(name)
        rules = [_whole(row, row.id or new_ids[number], place + number) for number, row in enumerate(rows)]
        return whole(tuple(rules), names)
    except (InvalidInput, ValueError):
        return None


def _whole(row: SentRule, rule_id: str, place: int) -> Rule:
    """Return the rule of a row. Raises ``ValueError`` or ``InvalidInput``."""
    parts = tuple([_text_part(part) for part in row.parts or ()])
    if len(parts) > MAX_PARTS:
        raise ValueError("there are too many parts")
    has_delay = row.delay_seconds and tuple(row.delay_seconds) != NO_DELAY
    if row.item_ids or row.priority or row.schedule or row.cooldown_seconds or has_delay:
        return Rule(id=rule_id, position=place, **fields_of_new(_fields(row)))
    match_mode = row.match_mode or MatchMode.CONTAINS
    return Rule(
        id=rule_id, words=words_of(row.words, match_mode), word_mode=row.word_mode or WordMode.ANY,
        match_mode=match_mode, parts=parts, active=row.active is not False, position=place,
    )  # fmt: skip


def _text_part(part: _Part) -> Part:
    if part.image_url or len(part.text) > MAX_REPLY_CHARACTERS:
        raise ValueError("it is too long, or its size is to be found first")
    return Part(text=part.text)


def _span(span: _Span) -> dict[str, Any]:
    return {"weekdays": span.weekdays, "start": span.start, "end": span.end}


def _fields(row: SentRule) -> dict[str, Any]:
    values = {name: value for name, value in zip(_FIELDS, astuple(row), strict=False) if value is not UNSET}
    if row.parts:
        values["parts"] = [_part(part) for part in row.parts]
    if row.schedule:
        values["schedule"] = [_span(span) for span in row.schedule]
    return values


def _part(part: _Part) -> dict[str, str]:
    if part.text and not part.image_url:
        return {"text": part.text}
    return {name: value for name, value in (("text", part.text), ("image_url", part.image_url)) if value}
