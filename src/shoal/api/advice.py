"""What a state, a finding of a diagnosis or the problem of an order means, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shoal.language.catalogue import knows, translate
from shoal.language.choice import Language


def advice_on(key: str, language: Language, params: Mapping[str, Any]) -> tuple[str, str]:
    """Returns what is so, and what to do about it; the latter is empty when nothing need be done."""
    do = f"{key}.do"
    return translate(f"{key}.detail", language, **params), translate(do, language, **params) if knows(do) else ""


def park_words(reason: str, language: Language) -> str:
    """Returns what the owner had to see to; a reason without a sentence is shown as it is."""
    return translate(key, language) if knows(key := f"park.{reason}") else reason


def retry_words(reason: str, detail: str, language: Language) -> str:
    """Return why it is retried; a reason without a sentence is shown by its detail, or by its name."""
    return translate(key, language) if knows(key := f"retry.{reason}") else detail or reason
