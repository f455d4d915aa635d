"""Takes secrets out of answers: a service that refuses a request often repeats its address or header."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

_SHORTEST_SECRET: Final = 4
_SHORTEST_PART: Final = 8
"""Shorter parts of an address are common words, such as ``hook``."""


def without_secrets(answer: str, secrets: Iterable[str]) -> str:
    """Return an answer with each secret as ``***``. Call it before the answer is cut: a part of one would stay."""
    parts = {form for secret in secrets for form in _forms(secret) if len(form) >= _SHORTEST_SECRET}
    for part in sorted(parts, key=len, reverse=True):
        answer = answer.replace(part, "***")
    return answer


def _forms(value: str) -> Iterator[str]:
    """Yield a secret as an answer may repeat it: encoded, and of an address what follows the host, and its parts."""
    yield from (value, quote(value), quote(value, safe=""), json.dumps(value)[1:-1])
    if "://" in value:
        parts = urlsplit(value)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        secrets = [*parts.path.split("/"), *(word for pair in parse_qsl(parts.query) for word in pair)]
        for part in [target, *(secret for secret in secrets if len(secret) >= _SHORTEST_PART)]:
            yield from (part, quote(part), unquote(part))
