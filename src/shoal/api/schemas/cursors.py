"""Opaque cursors: the place where the next page of a list begins."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from shoal.errors import InvalidInput
from shoal.language.storable_texts import UNSTORABLE

_LARGEST = 2**63 - 1
_LONGEST = 128


def cursor_of(*place: int | str) -> str:
    """Return a place in a list as an opaque text."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def place_of(cursor: str, parts: int) -> tuple[int, ...]:
    """Return the place of a cursor of integers. Raise like ``mixed_place_of``."""
    return mixed_place_of(cursor, (int,) * parts)


def mixed_place_of(cursor: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """Return the place of a cursor of integers and texts. Raise ``InvalidInput`` for an invalid cursor."""
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        place = None
    if not isinstance(place, list) or len(place) != len(kinds) or not all(map(_is_place, place, kinds)):
        raise InvalidInput("no list gave this cursor", code="bad_cursor")
    return tuple(place)


def _is_place(part: object, kind: type) -> bool:
    if kind is str:
        return isinstance(part, str) and len(part) <= _LONGEST and UNSTORABLE.search(part) is None
    return isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= _LARGEST
