"""Whether a service took a notice, by its own answer (see ``services.Answers``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

MOST_ANSWER: Final = 500
"""How many characters of an answer are kept."""
LONGEST_WAIT: Final = 86_400.0
"""A service that wants no more for longer is asked again after that time."""


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """How a service answers: many report an error with HTTP 200. By default the status is all that is agreed."""

    good: Mapping[str, tuple[Any, ...]] = {}
    """The keys that hold the outcome, and their good values. All that are there must be good."""
    inside: Mapping[str, tuple[Any, ...]] = {}
    """The same for what stands in ``data``: a call that was taken may have failed for its only reader."""
    named: str = ""
    """The key that is there when the service stored the message."""
    limited: tuple[str, Mapping[int, float]] = ("", {})
    """The key and the codes of “too much was sent”, and for how many seconds nothing is taken then."""

    def was_taken(self, status: int, body: str) -> bool:
        """Return whether the answer says that the service took the message."""
        if not 200 <= status < 300:
            return False
        answer = _object(body)
        if self.named:
            return self.named in answer
        if not self.good:
            return True
        checks = _judged(answer, self.good)
        inside = answer.get("data")
        parts = inside if isinstance(inside, list) else [inside]
        for part in parts:
            checks += _judged(part, self.inside) if isinstance(part, dict) and checks else []
        return bool(checks) and all(checks)

    def wait_of(self, header: str | None, body: str, now: datetime | None = None) -> float | None:
        """Return for how many seconds the service wants no more: by ``Retry-After``, a code, or as Telegram says it."""
        seconds: float | None = None
        answer = _object(body)
        parameters = answer.get("parameters")
        key, limits = self.limited
        if header and header.strip().isascii() and header.strip().isdigit():
            seconds = float(header)
        elif header:
            try:
                seconds = (parsedate_to_datetime(header) - (now or datetime.now(UTC))).total_seconds()
            except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
                seconds = None
        elif isinstance(parameters, dict) and isinstance(parameters.get("retry_after"), int):
            seconds = float(parameters["retry_after"])
        elif isinstance(answer.get(key), int):
            seconds = limits.get(answer[key])
        return None if seconds is None else min(max(seconds, 0.0), LONGEST_WAIT)


def _judged(answer: dict[str, Any], good: Mapping[str, tuple[Any, ...]]) -> list[bool]:
    return [answer[key] in values for key, values in good.items() if key in answer]


def shown(status: int, body: str) -> str:
    """Return the answer as its reader sees it: the status, and the first characters of the body on one line."""
    return f"HTTP {status} {' '.join(body.split())}".strip()[:MOST_ANSWER]


def _object(body: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
