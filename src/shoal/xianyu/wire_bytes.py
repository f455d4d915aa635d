"""Bytes and payloads: base64, JSON and the site's old MessagePack (docs/protocol.md §3.5, §3.6).

For any input, decoding either returns an object with text keys or raises ``UndecodableFrame``. Depth, width and length
are bounded, so that no input can exhaust the stack or the memory.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping

import msgpack  # type: ignore[import-untyped]  # the package ships no types
import msgspec

from shoal.errors import ShoalError
from shoal.language.storable_texts import UNSTORABLE

MAX_ENTRY_CHARACTERS = 1024 * 1024
"""The longest ``data`` text of one push entry."""

MAX_DEPTH = 64
"""How deep containers may be nested; real payloads reach 10."""

MAX_CONTAINER_ITEMS = 4096
"""How many items one MessagePack container may announce: this bounds what the decoder reserves in advance."""

_SPACE = re.compile(r"\s+")
_TO_STANDARD_BASE64 = str.maketrans("-_", "+/")


class UndecodableFrame(ShoalError):
    """Bytes in none of the site's formats, or deeper or larger than anything it sends."""

    code = "undecodable_frame"


def parse_json_object(text: str | bytes) -> dict[str, object]:
    """Parse a JSON object from a frame or a reply.

    Lone surrogates and NUL become U+FFFD. Raises ``UndecodableFrame``.
    """
    return _tidy_object(_load_json(text))


def decode_entry(data_b64: object) -> dict[str, object]:
    """Decode one ``data[i].data`` of a push.

    Tried in order: base64 of a JSON object, base64 of MessagePack, a plain JSON object. Integer keys become text.
    Raises ``UndecodableFrame``, and nothing else, for any other input.
    """
    if not isinstance(data_b64, str):
        raise UndecodableFrame("an entry is not text")
    if len(data_b64) > MAX_ENTRY_CHARACTERS:
        raise UndecodableFrame("an entry is longer than anything the site sends")
    raw = _base64_bytes(data_b64)
    if raw is None:
        return parse_json_object(data_b64)
    return _tidy_object(_load_json_or_msgpack(raw))


def _base64_bytes(text: str) -> bytes | None:
    bare = _SPACE.sub("", text).translate(_TO_STANDARD_BASE64).rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _load_json_or_msgpack(raw: bytes) -> object:
    """Parse JSON if the bytes are a JSON object, otherwise MessagePack, whose first byte is never valid UTF-8."""
    if raw[:1].isspace() or raw.startswith(b"{"):
        return _load_json(raw)
    try:
        loaded: object = msgpack.unpackb(
            raw,
            raw=False,
            strict_map_key=False,
            unicode_errors="replace",
            max_array_len=MAX_CONTAINER_ITEMS,
            max_map_len=MAX_CONTAINER_ITEMS,
        )
    except (ValueError, TypeError, RecursionError, OverflowError) as refusal:
        raise UndecodableFrame("an entry is neither JSON nor MessagePack") from refusal
    return loaded


def _load_json(text: str | bytes) -> object:
    try:
        fast: object = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return _load_json_leniently(text)
    return fast


def _load_json_leniently(text: str | bytes) -> object:
    """Parse what the strict parser refuses but the site sends: lone surrogates where a text was cut."""
    try:
        loaded: object = json.loads(text)
    except (ValueError, RecursionError) as refusal:
        raise UndecodableFrame("the text is not JSON") from refusal
    return loaded


def _tidy_object(loaded: object) -> dict[str, object]:
    if not isinstance(loaded, dict):
        raise UndecodableFrame("the payload is not an object")
    return _tidy_mapping(loaded, 0)


def _tidy_mapping(mapping: Mapping[object, object], depth: int) -> dict[str, object]:
    return {_key(key): _tidy(value, depth + 1) for key, value in mapping.items()}


def _tidy(value: object, depth: int) -> object:
    """Return the value with text keys and valid text; drop binary and extension values, which have no meaning here."""
    if depth > MAX_DEPTH:
        raise UndecodableFrame("the payload is nested deeper than anything the site sends")
    match value:
        case str():
            return UNSTORABLE.sub("\ufffd", value)
        case float():
            return value if math.isfinite(value) else None
        case None | bool() | int():
            return value
        case dict():
            return _tidy_mapping(value, depth)
        case list():
            return [_tidy(item, depth + 1) for item in value]
        case _:
            return None


def _key(key: object) -> str:
    if isinstance(key, str):
        return UNSTORABLE.sub("\ufffd", key)
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    raise UndecodableFrame("a key is neither text nor a whole number")
