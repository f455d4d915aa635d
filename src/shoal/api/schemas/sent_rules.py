"""The rules of a long list, validated one by one.

msgspec validates most rows in a twentieth of pydantic's time. A row that it refuses is validated by ``KnownRuleBody``,
which decides, and says what is wrong.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import astuple

from shoal.api.schemas.rules import KnownRuleBody, values_of
from shoal.rules.schedule import EVERY_DAY

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

    Raises ``pydantic.ValidationError``.
    """
    if isinstance(row, msgspec.Raw) and _NUL not in bytes(row):
        try:
            return _fields(_decode(row))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
    body = KnownRuleBody.model_validate(msgspec.json.decode(row) if isinstance(row, msgspec.Raw) else row)
    return body.id, values_of(body)


def _fields(row: _Row) -> tuple[str, dict[str, Any]]:
    values = {name: value for name, value in zip(_FIELDS, astuple(row), strict=False) if value is not UNSET}
    if row.parts is not UNSET:
        values["parts"] = [_part(part) for part in row.parts]
    if row.schedule is not UNSET:
        values["schedule"] = [
            {"weekdays": span.weekdays, "start": span.start, "end": span.end} for span in row.schedule
        ]
    return row.id if row.id is not UNSET else "", values


def _part(part: _Part) -> dict[str, str]:
    if part.text and not part.image_url:
        return {"text": part.text}
    return {name: value for name, value in (("text", part.text), ("image_url", part.image_url)) if value}
