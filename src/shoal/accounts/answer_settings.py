"""The settings of an account that hold for answers of every kind: hours, hand-off and output filter, with their checks.

A text of several values has one on each line, or after the signs that each setting names; it is stored in one form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from shoal.errors import InvalidInput
from shoal.rules.handoff_words import DEFAULT_REPLY, DEFAULT_WORDS, MAX_WORD_CHARACTERS, MAX_WORDS, words_of
from shoal.rules.opening_hours import MAX_HOLIDAYS, MAX_SPANS, holidays_text, opening_hours
from shoal.rules.output_filter import output_filter
from shoal.rules.rule import MAX_REPLY_CHARACTERS

MAX_TEXT_CHARACTERS: Final = 4_000
MAX_FLOOR_FEN: Final = 100_000_000

OF_NEW_SHOPS: Final[Mapping[str, Any]] = MappingProxyType(
    {"filter_contacts": True, "filter_links": True, "handoff_words": DEFAULT_WORDS, "handoff_reply": DEFAULT_REPLY}
)
"""What a shop that is added begins with. One that was there before, or comes from another system, has none of it:
nothing that its owner sends stops by itself."""


def _hours(value: Any, name: str) -> str:
    text = _text(value, name)
    try:
        return str(opening_hours(text, ""))
    except ValueError:
        raise InvalidInput(
            f"{name} are at most {MAX_SPANS} spans such as 1-5 09:00-18:00", code="bad_opening_hours", limit=MAX_SPANS
        ) from None


def _holidays(value: Any, name: str) -> str:
    text = _text(value, name)
    try:
        return holidays_text(opening_hours("", text))
    except ValueError:
        raise InvalidInput(
            f"{name} are at most {MAX_HOLIDAYS} days such as 2026-10-01 or 2026-10-01/2026-10-07",
            code="bad_holidays",
            limit=MAX_HOLIDAYS,
        ) from None


def _words(value: Any, name: str) -> str:
    words = words_of(_text(value, name))
    if len(words) > MAX_WORDS or any(len(word) > MAX_WORD_CHARACTERS for word in words):
        raise InvalidInput(
            f"{name} are at most {MAX_WORDS} words of {MAX_WORD_CHARACTERS} characters",
            code="bad_handoff_words",
            limit=MAX_WORDS,
            characters=MAX_WORD_CHARACTERS,
        )
    return "\n".join(words)


def _patterns(value: Any, name: str) -> str:
    patterns = "\n".join(words_of(_text(value, name)))
    output_filter(False, False, patterns, None)
    return patterns


def _floor(value: Any, name: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_FLOOR_FEN:
        raise InvalidInput(f"{name} is 1 to {MAX_FLOOR_FEN}, or null for none", code="bad_price_floor")
    return value


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is true or false", code="not_a_flag", field=name)
    return value


def _reply(value: Any, name: str) -> str:
    return _text(value, name, MAX_REPLY_CHARACTERS)


def _text(value: Any, name: str, limit: int = MAX_TEXT_CHARACTERS) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise InvalidInput(f"{name} is a text of at most {limit} characters", code="text_too_long", limit=limit)
    return value


ANSWER_SETTINGS: Final[Mapping[str, Callable[[Any, str], Any]]] = MappingProxyType(
    {
        "opening_hours": _hours,
        "holidays": _holidays,
        "away_reply": _reply,
        "handoff_words": _words,
        "handoff_reply": _reply,
        "filter_contacts": _flag,
        "filter_links": _flag,
        "filter_patterns": _patterns,
        "price_floor_fen": _floor,
    }
)
"""These settings with their checks."""
