"""Opaque cursors: where a list goes on."""

from __future__ import annotations

import base64
import binascii
import json

from shoal.errors import InvalidInput

_LARGEST = 2**63 - 1


def cursor_of(*place: int) -> str:
    """A place in a list as a text that nobody need understand."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_of(cursor: str, parts: int) -> tuple[int, ...]:
    """The place that a cursor stands for. Raises ``InvalidInput`` when it is not one of ours."""
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        place = None
    if not isinstance(place, list) or len(place) != parts or not all(_is_place(part) for part in place):
        raise InvalidInput("this cursor is not ours", code="bad_cursor")
    return tuple(place)


def _is_place(part: object) -> bool:
    return isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= _LARGEST
