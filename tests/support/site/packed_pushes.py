"""Pushes as the site packs them, made from decoded payloads."""

from __future__ import annotations

import base64
import re

import msgpack  # type: ignore[import-untyped]  # the package ships no types

_ALL_DIGITS = re.compile(r"0|[1-9][0-9]{0,8}")


def _with_integer_keys(value: object) -> object:
    if isinstance(value, dict):
        return {_packed_key(key): _with_integer_keys(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_integer_keys(item) for item in value]
    return value


def _packed_key(key: object) -> object:
    return int(key) if isinstance(key, str) and _ALL_DIGITS.fullmatch(key) else key


def pack(payload: object) -> bytes:
    """Return the site's MessagePack of a payload, byte for byte (§3.6).

    The old specification: no str8, no bin. Keys that are all digits become integers again.
    """
    packed: bytes | None = msgpack.packb(_with_integer_keys(payload), use_bin_type=False)
    return packed or b""


def encode_entry(payload: object) -> str:
    """Return a payload as the text of ``data[i].data``: base64 of ``pack``."""
    return base64.b64encode(pack(payload)).decode("ascii")
