"""Detects a picture's format and size by its content, never by its name."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from shoal.errors import InvalidInput

MAX_PICTURE_BYTES = 5 * 1024 * 1024
MAX_SIDE_PIXELS = 16_384
_MAX_SEGMENTS = 1_000

_Measure = Callable[[bytes], tuple[int, int] | None]


class PictureFormat(msgspec.Struct, frozen=True):
    """A picture format that the site accepts. ``extension`` is the file name's ending."""

    media_type: str
    extension: str


class Measured(msgspec.Struct, frozen=True):
    """A picture's format and size; width and height are in pixels, both at least 1."""

    format: PictureFormat
    width: int
    height: int


def measure(data: bytes) -> Measured:
    """Return the picture's format and size.

    Raise ``InvalidInput``: ``picture_too_large``; or ``bad_picture`` for an unknown format, data that ends before the
    size, or a side longer than ``MAX_SIDE_PIXELS``.
    """
    if len(data) > MAX_PICTURE_BYTES:
        raise InvalidInput("the picture is too large", code="picture_too_large", limit=MAX_PICTURE_BYTES)
    for kind, size_of in _KINDS:
        size = size_of(data)
        if size is not None and all(1 <= side <= MAX_SIDE_PIXELS for side in size):
            return Measured(kind, *size)
    raise InvalidInput("this is no picture that can be used", code="bad_picture")


def _png(data: bytes) -> tuple[int, int] | None:
    if len(data) < 24 or not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR":
        return None
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def _gif(data: bytes) -> tuple[int, int] | None:
    if len(data) < 10 or data[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Read the segments up to the frame header; pictures have few, so their number is limited."""
    at = 2
    for _ in range(_MAX_SEGMENTS):
        if not data.startswith(b"\xff\xd8") or at + 9 > len(data) or data[at] != 0xFF:
            break
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if marker == 0xFF:
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        else:
            at += 2 + length
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    if len(data) < 30 or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    match data[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        case b"VP8L" if data[20] == 0x2F:
            bits = int.from_bytes(data[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
            sides = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
            return next(sides), next(sides)
        case _:
            return None


_KINDS: tuple[tuple[PictureFormat, _Measure], ...] = (
    (PictureFormat("image/jpeg", "jpg"), _jpeg),
    (PictureFormat("image/png", "png"), _png),
    (PictureFormat("image/webp", "webp"), _webp),
    (PictureFormat("image/gif", "gif"), _gif),
)
FORMATS = tuple(kind for kind, _ in _KINDS)
"""The accepted formats."""
