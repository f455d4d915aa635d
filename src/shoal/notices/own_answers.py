"""The answers that Shoal itself gives for a service that gave none, in the language of who reads them.

A notice stores its answer in the language of its channel, and somebody may read the console in the other one.
"""

from __future__ import annotations

import re
from functools import cache

from shoal.language.catalogue import say
from shoal.language.choice import Language

_KEYS = ("refused", "unreached", "not_sent", "no_answer", "busy", "gone", "push_gone")
_HOST = "\N{OBJECT REPLACEMENT CHARACTER}"


def answer_in(language: Language, stored: str) -> str:
    """Return a stored answer in another language if Shoal gave it; what a service answered stays as it is."""
    for pattern, key in _patterns():
        if found := pattern.fullmatch(stored):
            return say(f"channels.{key}", language, **found.groupdict())
    return stored


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((_pattern(f"channels.{key}", language), key) for key in _KEYS for language in Language)


def _pattern(key: str, language: Language) -> re.Pattern[str]:
    return re.compile(re.escape(say(key, language, host=_HOST)).replace(re.escape(_HOST), r"(?P<host>\S+)"))
