"""The settings of an account and its items that say when and with what a language model answers, with their checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from shoal.errors import InvalidInput
from shoal.rules.opening_hours import MAX_SPANS, opening_hours

MAX_PERSONA_CHARACTERS: Final = 2_000
MAX_ITEM_FACTS_CHARACTERS: Final = 2_000
MAX_FACTS: Final = 200
MAX_QUESTION_CHARACTERS: Final = 200
MAX_ANSWER_CHARACTERS: Final = 500
MAX_TURNS: Final = 100
MAX_TOKENS_PER_DAY: Final = 100_000_000
MAX_FLOOR_FEN: Final = 100_000_000
_MAX_ID: Final = 2**31 - 1

Facts = tuple[tuple[str, str], ...]
"""Questions with their answers. The id of a fact is its place, from 1."""


class ModelMode(StrEnum):
    """What happens with an answer that a language model proposes."""

    OFF = "off"
    """No model is asked."""
    DRAFT = "draft"
    """A person approves it before it is sent."""
    AUTO = "auto"
    """It is sent once it has passed all checks."""


class ModelLack(StrEnum):
    """What a model that is on lacks, so that it is not asked."""

    NO_PROVIDER = "no_provider"
    """The shop names no provider, or one that is gone or another user's."""
    NO_CONSENT = "no_consent"
    """The provider's owner does not agree, or not any more, that words go to it."""


def facts_text(facts: Facts) -> str:
    """Return facts in the form that is stored; empty without any."""
    return json.dumps(facts, ensure_ascii=False, separators=(",", ":")) if facts else ""


@lru_cache(maxsize=64)
def facts_of(text: str) -> Facts:
    """Return the facts of a stored text."""
    return tuple((question, answer) for question, answer in json.loads(text)) if text else ()


def _mode(value: Any, name: str) -> str:
    if value not in set(ModelMode):
        raise InvalidInput(f"{name} is off, draft or auto", code="bad_ai_mode")
    return str(ModelMode(value))


def _persona(value: Any, name: str) -> str:
    return _text(value, name, MAX_PERSONA_CHARACTERS).strip()


def _facts(value: Any, name: str) -> str:
    """Check facts: pairs of question and answer, as a list or as its JSON."""
    try:
        pairs = json.loads(value or "[]") if isinstance(value, str) else value
        found = tuple((_line(question), _line(answer)) for question, answer in pairs)
    except (TypeError, ValueError, RecursionError):
        raise _bad_facts(name) from None
    if len(found) > MAX_FACTS or any(
        not 1 <= len(question) <= MAX_QUESTION_CHARACTERS or not 1 <= len(answer) <= MAX_ANSWER_CHARACTERS
        for question, answer in found
    ):
        raise _bad_facts(name)
    return facts_text(found)


def _line(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value.strip()


def _bad_facts(name: str) -> InvalidInput:
    return InvalidInput(
        f"{name} are at most {MAX_FACTS} questions of {MAX_QUESTION_CHARACTERS} characters with answers of "
        f"{MAX_ANSWER_CHARACTERS}",
        code="bad_ai_facts",
        limit=MAX_FACTS,
        question=MAX_QUESTION_CHARACTERS,
        answer=MAX_ANSWER_CHARACTERS,
    )


def _hours(value: Any, name: str) -> str:
    try:
        return str(opening_hours(_text(value, name, MAX_PERSONA_CHARACTERS), ""))
    except ValueError:
        raise InvalidInput(
            f"{name} are at most {MAX_SPANS} spans such as 1-5 09:00-18:00", code="bad_opening_hours", limit=MAX_SPANS
        ) from None


def _number(low: int, high: int) -> Callable[[Any, str], int]:
    def check(value: Any, name: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise InvalidInput(f"{name} is {low} to {high}", code="bad_ai_number", field=name, low=low, high=high)
        return value

    return check


def _flag(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} is true or false", code="not_a_flag", field=name)
    return value


def _item_facts(value: Any, name: str) -> str:
    return _text(value, name, MAX_ITEM_FACTS_CHARACTERS).strip()


def _item_floor(value: Any, name: str) -> int | None:
    return None if value is None else _number(0, MAX_FLOOR_FEN)(value, name)


def _text(value: Any, name: str, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit:
        raise InvalidInput(f"{name} is a text of at most {limit} characters", code="text_too_long", limit=limit)
    return value


MODEL_SETTINGS: Final[Mapping[str, Callable[[Any, str], Any]]] = MappingProxyType(
    {
        "ai_mode": _mode,
        "ai_provider_id": _number(0, _MAX_ID),
        "ai_persona": _persona,
        "ai_facts": _facts,
        "ai_hours": _hours,
        "ai_turns_per_chat": _number(0, MAX_TURNS),
        "ai_tokens_per_day": _number(0, MAX_TOKENS_PER_DAY),
        "ai_disclosure": _flag,
    }
)
"""These settings of an account with their checks."""

ITEM_MODEL_SETTINGS: Final[Mapping[str, Callable[[Any, str], Any]]] = MappingProxyType(
    {"facts": _item_facts, "floor_fen": _item_floor}
)
"""These settings of an item with their checks."""
