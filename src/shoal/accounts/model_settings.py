"""What the settings of a shop's language model may hold."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from shoal.errors import InvalidInput

MAX_PERSONA_CHARACTERS: Final = 2_000
MAX_ITEM_FACTS_CHARACTERS: Final = 2_000
MAX_FACTS: Final = 200
MAX_QUESTION_CHARACTERS: Final = 200
MAX_ANSWER_CHARACTERS: Final = 500
MAX_TURNS: Final = 100
MAX_TOKENS_PER_DAY: Final = 100_000_000
MAX_PROVIDER_ID: Final = 2**31 - 1

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


def checked_mode(value: Any, name: str) -> str:
    """Return a mode as it is stored."""
    if value not in set(ModelMode):
        raise InvalidInput(f"{name} is off, draft or auto", code="bad_ai_mode")
    return str(ModelMode(value))


def checked_facts(value: Any, name: str) -> str:
    """Return facts as they are stored: pairs of question and answer, given as a list or as its JSON."""
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
