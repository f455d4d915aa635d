"""Invented pictures of sellers and items: the same for the same number, and different enough to tell them apart."""

from __future__ import annotations

import colorsys
import hashlib
import struct
import zlib
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from shoal.sandbox.mtop_site import parse_cookies
from shoal.sandbox.site import Site
from shoal.sandbox.strict.http import look

_FIELDS: Final = 5
_PIXELS: Final = 16
"""of a field"""


async def seller_picture_endpoint(request: Request) -> Response:
    """Return the picture of a seller; no login is needed."""
    site: Site = request.app.state.site
    unb = request.path_params["unb"]
    if unb not in site.world.sellers:
        return Response("no such picture", 404)
    look(request, "seller picture", parse_cookies(request.headers.get("cookie", "")))
    return Response(picture_of(unb), media_type="image/png")


async def item_picture_endpoint(request: Request) -> Response:
    """Return the picture of an item; no login is needed."""
    site: Site = request.app.state.site
    item_id = request.path_params["item"]
    if item_id not in site.world.items:
        return Response("no such picture", 404)
    look(request, "item picture", parse_cookies(request.headers.get("cookie", "")))
    return Response(picture_of(item_id), media_type="image/png")


def picture_of(number: str) -> bytes:
    """Return a PNG with a pattern of fields, alike on its left and right."""
    bits = hashlib.sha256(number.encode()).digest()
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(bits[0] / 255, 0.45, 0.6))
    ink, paper = bytes((red, green, blue)), b"\xf2\xf3\xf5"
    rows = b""
    for y in range(_FIELDS):
        half = [bits[1 + y * 3 + x] & 1 for x in range(3)]
        row = b"".join((ink if on else paper) * _PIXELS for on in (*half, half[1], half[0]))
        rows += (b"\x00" + row) * _PIXELS
    side = _FIELDS * _PIXELS
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
