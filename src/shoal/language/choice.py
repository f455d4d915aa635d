"""Which of the two languages an answer speaks."""

from __future__ import annotations

from enum import StrEnum


class Language(StrEnum):
    """The languages that sellers read."""

    ZH = "zh"
    EN = "en"

    @property
    def tag(self) -> str:
        """The ``lang`` of a page."""
        return "zh-CN" if self is Language.ZH else "en"


def language_of(accept_language: str | None) -> Language:
    """The best of both by an ``Accept-Language`` header; Chinese when it names neither."""
    best, weight = Language.ZH, 0.0
    for part in (accept_language or "").split(","):
        tag, _, parameters = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        if name in set(Language) and (found := _weight(parameters)) > weight:
            best, weight = Language(name), found
    return best


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
