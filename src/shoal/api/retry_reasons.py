"""Why an account is retried or parked, by the reason that its state names."""

from __future__ import annotations

from shoal.language.catalogue import knows, translate
from shoal.language.choice import Language


def park_words(reason: str, language: Language) -> str:
    """Returns what the owner had to see to; a reason without a sentence is shown as it is."""
    return translate(key, language) if knows(key := f"park.{reason}") else reason


def retry_words(reason: str, detail: str, language: Language) -> str:
    """Return why it is retried; a reason without a sentence is shown by its detail, or by its name."""
    return translate(key, language) if knows(key := f"retry.{reason}") else detail or reason
