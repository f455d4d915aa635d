"""What Hypothesis makes of a well-formed input: bytes flipped, cut, doubled; values of another type at any place."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgpack  # type: ignore[import-untyped]  # ships neither stubs nor a marker
from hypothesis import strategies as st

from fuzz.corpus import corpus

PACKED = [seed for seed in corpus()["entry"] if seed[:1] not in b"{/"]
"""Entries that are neither plain JSON nor broken."""

_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 2**53, 2**63, 2**64 - 1, 1e308]),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["@goofish", ".PNM", "{", "[" * 3000, '{"contentType":26}', "9" * 5000, "\ud800", "\0"]),
)
VALUES = st.recursive(
    _ODD,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("0123456789datosyn", max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def garbled(draw: st.DrawFn, door: str) -> bytes:
    """The bytes of a well-formed input after up to six small accidents."""
    data = bytearray(draw(st.sampled_from(corpus()[door])))
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["flip", "cut", "double", "put", "drop"])):
            case "flip" if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[place:]
            case "double":
                data[place:place] = data[place : place + draw(st.integers(1, 64))]
            case "put":
                data[place:place] = draw(st.binary(min_size=1, max_size=16))
            case "drop":
                del data[place : place + draw(st.integers(1, 16))]
    return bytes(data)


@st.composite
def odd_values(draw: st.DrawFn, door: str) -> bytes:
    """A well-formed JSON input in which up to three values are something else, also inside texts that are JSON."""
    value = json.loads(draw(st.sampled_from(corpus()[door])))
    for _ in range(draw(st.integers(1, 3))):
        value = exchanged(value, draw(st.sampled_from(places(value))), draw(VALUES))
    return json.dumps(value).encode()


@st.composite
def odd_entries(draw: st.DrawFn) -> bytes:
    """A well-formed entry of a push in which up to three values are something else, packed again."""
    value = unpacked(draw(st.sampled_from(PACKED)))
    for _ in range(draw(st.integers(1, 3))):
        value = exchanged(value, draw(st.sampled_from(places(value))), draw(VALUES))
    return packed_again(value)


def unpacked(entry: bytes) -> Any:
    """What an entry holds."""
    raw = base64.b64decode(entry)
    try:
        return json.loads(raw)
    except ValueError:
        return msgpack.unpackb(raw, strict_map_key=False)


def packed_again(value: Any) -> bytes:
    """A value as an entry: MessagePack, or JSON where that cannot hold it."""
    try:
        return base64.b64encode(msgpack.packb(value, use_bin_type=False, unicode_errors="surrogatepass"))
    except (OverflowError, ValueError):
        return base64.b64encode(json.dumps(value).encode())


Place = tuple[Any, ...]
INSIDE = object()
"""A step of a place: into the JSON that a text holds."""


def places(value: Any) -> list[Place]:
    """The way to every value inside a value, the whole one first."""
    found: list[Place] = [()]
    for step, part in _parts(value):
        found += [(step, *rest) for rest in places(part)]
    return found


def _parts(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, dict):
        return list(value.items())
    if isinstance(value, list):
        return list(enumerate(value))
    inside = _inside(value)
    return [] if inside is None else [(INSIDE, inside)]


def _inside(value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def exchanged(value: Any, place: Place, new: Any) -> Any:
    """The same value with another part at a place."""
    if not place:
        return new
    step, *rest = place
    if step is INSIDE:
        return json.dumps(exchanged(_inside(value), tuple(rest), new), ensure_ascii=False)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[step] = exchanged(value[step], tuple(rest), new)
    return copy
