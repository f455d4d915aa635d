"""Times in a query: RFC 3339 with a time zone. A bare number is refused: it may be seconds or a year."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final

from fastapi import Query
from pydantic import AwareDatetime, BeforeValidator

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]")


def _written_out(value: object) -> object:
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("a moment looks like 2026-01-02T03:04:05Z")
    return value


LATEST_MS: Final = 253_402_128_000_000
"""Two days before the year 10000, which no date can have, whatever the time zone."""

Moment = Annotated[AwareDatetime, BeforeValidator(_written_out)]
Since = Annotated[
    Moment | None, Query(description="Only entries at or after this time.", examples=["2026-01-01T00:00:00Z"])
]
Until = Annotated[Moment | None, Query(description="Only entries before this time.", examples=["2026-01-02T00:00:00Z"])]


def ms_of(moment: datetime | None) -> int | None:
    """Return a time as milliseconds since 1970, at most ``LATEST_MS``; ``None`` stays ``None``."""
    return None if moment is None else min(max(0, round(moment.timestamp() * 1000)), LATEST_MS)
