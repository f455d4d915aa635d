"""Reads values of uncertain type from payloads. Nothing here raises; what cannot be read is empty."""

from __future__ import annotations

import base64
import binascii
import re

from shoal.xianyu.identity import ADDRESS_SUFFIX
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

_NO_OBJECT: dict[str, object] = {}
_MS_LIMIT = 2**53
_MAX_ID_CHARACTERS = 128
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}")


def object_at(parent: dict[str, object], key: str) -> dict[str, object]:
    """Return the object at a key; empty when there is none."""
    value = parent.get(key)
    return value if isinstance(value, dict) else _NO_OBJECT


def object_in(parent: dict[str, object], *path: str) -> dict[str, object]:
    """Return the object at the end of a path of keys; empty when there is none."""
    for key in path:
        parent = object_at(parent, key)
    return parent


def json_object(text: str) -> dict[str, object]:
    """Return the JSON object that a text holds; empty when it holds none."""
    if not text.startswith("{"):
        return _NO_OBJECT
    try:
        return parse_json_object(text)
    except UndecodableFrame:
        return _NO_OBJECT


def text_of(value: object) -> str:
    """Return a text; empty when the value is none."""
    return value if isinstance(value, str) else ""


def base64_text(value: object) -> str:
    """Return the text that a base64 text holds; empty when it holds none."""
    try:
        return base64.b64decode(text_of(value).encode(), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def id_of(value: object) -> str:
    """Return an id as text. Whole numbers are converted; a text longer than an id can be becomes empty."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**64:
        return str(value)
    return value if isinstance(value, str) and len(value) <= _MAX_ID_CHARACTERS else ""


def number_of(value: object) -> int | None:
    """Return a whole number that is not negative, also from its text; else ``None``."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MS_LIMIT:
        return value
    if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value):
        return number_of(int(value))
    return None


def ms_of(value: object) -> int:
    """Return a time in milliseconds; 0 when there is none."""
    return number_of(value) or 0


def is_address(value: object) -> bool:
    """Return whether a value is the address of a user or a chat."""
    return isinstance(value, str) and value.endswith(ADDRESS_SUFFIX)


def found(pattern: re.Pattern[str], text: str) -> str | None:
    """Return the first group of a pattern's first match; ``None`` without one, or when it is too long for an id."""
    match = pattern.search(text)
    return match[1] if match and len(match[1]) <= _MAX_ID_CHARACTERS else None
