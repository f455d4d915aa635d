"""Grams: short pieces of texts as numbers, and packed lists of the messages in which each occurs.

A gram is two characters that follow one another, or one character that is no Latin letter, digit or sign: so words of
one and two Chinese characters are found. Case does not count. A gram becomes a number of 24 bits: two grams may become
the same one, so what is found is compared with the text.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from zlib import crc32

SEGMENT_BITS = 12
SEGMENT = 1 << SEGMENT_BITS
"""How many ids of messages are indexed together. The place of a message in its segment has ``SEGMENT_BITS`` bits."""
SLOT_BITS = 8
SLOTS = 1 << SLOT_BITS
"""How many rows the grams of a segment are spread over."""
_REST_BITS = 16
_REST = (1 << _REST_BITS) - 1
_BITMAP_BYTES = SEGMENT // 8
_FIRST_ALONE = "\u2e80"
"""From here on (Chinese, Japanese, Korean, pictures) a single character is a gram too."""

Packed = dict[int, bytes]
"""The rows of a segment: packed lists by slot."""


def grams_of(*texts: str) -> set[int]:
    """Return the grams of texts that are searched."""
    found: set[int] = set()
    for text in texts:
        if text:
            plain = _plain(text)
            found.update(map(_gram, map(str.__add__, plain, plain[1:])))
            if not plain.isascii():
                found.update(_gram(letter) for letter in plain if letter >= _FIRST_ALONE)
    return found


def grams_wanted(query: str) -> list[int]:
    """Return the grams that a text with the query in it has; none when the index cannot help."""
    plain = _plain(query)
    if len(plain) == 1:
        return [_gram(plain)] if plain >= _FIRST_ALONE else []
    return list(dict.fromkeys(map(_gram, map(str.__add__, plain, plain[1:]))))


def _plain(text: str) -> str:
    """Return the text as all databases may see it: to some, the lower case of İ is i, to others i and a dot above."""
    return text.casefold().replace("\u0307", "")


@lru_cache(1 << 16)
def _gram(piece: str) -> int:
    return crc32(piece.encode("utf-8", "surrogatepass")) & 0xFFFFFF


def slot_of(gram: int) -> int:
    """Return the slot in which the list of a gram is kept."""
    return gram >> _REST_BITS


def pack(grams_by_place: Iterable[tuple[int, Iterable[int]]]) -> Packed:
    """Return the packed lists of a segment, from the grams of each of its messages; places must rise."""
    lists: defaultdict[int, list[int]] = defaultdict(list)
    for place, grams in grams_by_place:
        for gram in grams:
            lists[gram].append(place)
    by_slot: defaultdict[int, list[int]] = defaultdict(list)
    for gram in sorted(lists):
        by_slot[slot_of(gram)].append(gram)
    return {slot: _packed(grams, lists) for slot, grams in by_slot.items()}


def _packed(grams: Sequence[int], lists: Mapping[int, Sequence[int]]) -> bytes:
    """Lay out how many grams there are, what tells each from the others, the length of each list, and the lists."""
    coded = [_coded(lists[gram]) for gram in grams]
    head = _head(len(grams)).pack(len(grams), *(gram & _REST for gram in grams), *map(len, coded))
    return head + b"".join(coded)


@cache
def _head(count: int) -> struct.Struct:
    return struct.Struct(f"<{2 * count + 1}H")


def _coded(places: Sequence[int]) -> bytes:
    """Code rising places: the distance of each from the one before in one or two bytes, or all of them as a bitmap."""
    coded, last = bytearray(), -1
    for place in places:
        distance = place - last - 1
        last = place
        if distance < 0x80:
            coded.append(distance)
        else:
            coded += bytes((distance & 0x7F | 0x80, distance >> 7))
    if len(coded) < _BITMAP_BYTES:
        return bytes(coded)
    bits = 0
    for place in places:
        bits |= 1 << place
    return bits.to_bytes(_BITMAP_BYTES, "little")


def coded_places(packed: bytes, gram: int) -> bytes:
    """Return the coded list of a gram from the row of its slot; empty when no message has it."""
    (count,) = struct.unpack_from("<H", packed)
    rests = struct.unpack_from(f"<{count}H", packed, 2)
    try:
        number = rests.index(gram & _REST)
    except ValueError:
        return b""
    lengths = struct.unpack_from(f"<{number + 1}H", packed, 2 + 2 * count)
    end = 2 + 4 * count + sum(lengths)
    return packed[end - lengths[-1] : end]


def places_in_all(lists: Sequence[bytes]) -> set[int]:
    """Return the places that are in each of these coded lists."""
    shortest, *others = sorted(lists, key=len)
    places = _decoded(shortest)
    for coded in others:
        if not places:
            break
        if len(coded) == _BITMAP_BYTES:
            places = {place for place in places if coded[place >> 3] >> (place & 7) & 1}
        else:
            places &= _decoded(coded)
    return places


def _decoded(coded: bytes) -> set[int]:
    places, place, low = set[int](), -1, -1
    if len(coded) == _BITMAP_BYTES:
        digits = f"{int.from_bytes(coded, 'little'):b}"
        return {place for place, digit in enumerate(reversed(digits)) if digit == "1"}
    for byte in coded:
        if low >= 0:
            place += 1 + (low | byte << 7)
            places.add(place)
            low = -1
        elif byte & 0x80:
            low = byte & 0x7F
        else:
            place += 1 + byte
            places.add(place)
    return places
