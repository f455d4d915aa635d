"""Whether a service took a notice, by its own answer: many report an error with HTTP 200."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

MOST_ANSWER: Final = 500
"""How many characters of an answer are kept."""
LONGEST_WAIT: Final = 86_400.0
"""A service that wants no more for longer is asked again after that time."""
_GOOD: Final[dict[str, dict[str, tuple[Any, ...]]]] = {
    "dingtalk": {"errcode": (0,)},
    "feishu": {"code": (0,), "StatusCode": (0,)},
    "lark": {"code": (0,), "StatusCode": (0,)},
    "wecom": {"errcode": (0,)},
    "bark": {"code": (200,)},
    "pushplus": {"code": (200,)},
    "serverchan": {"code": (0,), "errno": (0,)},
    "wxpusher": {"code": (1000,)},
    "telegram": {"ok": (True,)},
    "qq": {"code": (0,), "success": (True,)},
}
"""Of each service the keys that hold the outcome, and their good values. All that are there must be good."""
_INSIDE: Final[dict[str, dict[str, tuple[Any, ...]]]] = {"serverchan": {"errno": (0,)}, "wxpusher": {"code": (1000,)}}
"""The same for what stands in ``data``: a call that was taken may have failed for its only reader."""
_LIMITED: Final[dict[str, tuple[str, dict[int, float]]]] = {
    "dingtalk": ("errcode", {130101: 600.0}),
    "feishu": ("code", {11232: 60.0}),
    "lark": ("code", {11232: 60.0}),
    "wecom": ("errcode", {45009: 60.0}),
    "pushplus": ("code", {900: LONGEST_WAIT}),
}
"""Of each service the key and the codes of “too much was sent”, and for how many seconds nothing is taken then.

PushPlus locks a token for longer when it is asked on."""
_NAMED: Final = {"ntfy": "id", "gotify": "id"}
"""The key that is there when the service stored the message."""


def was_taken(service: str, status: int, body: str) -> bool:
    """Return whether the answer says that the service took the message."""
    if not 200 <= status < 300:
        return False
    good, named = _GOOD.get(service), _NAMED.get(service)
    if good is None and named is None:  # any webhook: the status is all that is agreed
        return True
    answer = _object(body)
    if named is not None:
        return named in answer
    checks = _judged(answer, good or {})
    inside = answer.get("data")
    parts = inside if isinstance(inside, list) else [inside]
    for part in parts:
        checks += _judged(part, _INSIDE.get(service, {})) if isinstance(part, dict) and checks else []
    return bool(checks) and all(checks)


def _judged(answer: dict[str, Any], good: dict[str, tuple[Any, ...]]) -> list[bool]:
    return [answer[key] in values for key, values in good.items() if key in answer]


def wait_of(service: str, header: str | None, body: str, now: datetime | None = None) -> float | None:
    """Return for how many seconds the service wants no more: by its ``Retry-After``, a code, or as Telegram says it."""
    seconds: float | None = None
    answer = _object(body)
    parameters = answer.get("parameters")
    key, limits = _LIMITED.get(service, ("", {}))
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


def shown(status: int, body: str) -> str:
    """Return the answer as its reader sees it: the status, and the first characters of the body on one line."""
    return f"HTTP {status} {' '.join(body.split())}".strip()[:MOST_ANSWER]


def _object(body: str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
