"""Small pictures of every kind, made here."""

from __future__ import annotations

import struct
import zlib


def a_png(width: int = 3, height: int = 2, *, tail: bytes = b"") -> bytes:
    """A whole PNG; ``tail`` makes another file of the same picture."""
    rows = b"".join(b"\x00" + b"\x40\x80\xc0" * width for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks) + tail


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def a_gif(width: int = 3, height: int = 2) -> bytes:
    """The head of a GIF and its end."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0, 0, 0) + b";"


def a_jpeg(width: int = 3, height: int = 2, *, before: bytes = b"") -> bytes:
    """The segments of a JPEG up to its frame header; ``before`` stands between them."""
    app0 = b"\xff\xe0" + struct.pack(">H", 16) + b"JFIF\x00" + bytes(9)
    tables = b"\xff\xc4" + struct.pack(">H", 5) + bytes(3)
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, height, width, 1) + bytes(3)
    return b"\xff\xd8" + app0 + before + tables + frame + b"\xff\xd9"


def a_webp(kind: bytes, width: int = 3, height: int = 2) -> bytes:
    """The head of a WebP: ``VP8 `` (lossy), ``VP8L`` (lossless) or ``VP8X`` (extended)."""
    bodies = {
        b"VP8 ": bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width | 0x4000, height | 0x8000),
        b"VP8L": b"\x2f" + struct.pack("<I", width - 1 | (height - 1) << 14 | 1 << 28),
        b"VP8X": bytes(4) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3],
    }
    body = bodies[kind].ljust(10, b"\x00")
    chunk = kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk
