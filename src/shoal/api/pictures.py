"""The pictures that owners brought for their replies, to be looked at."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from shoal.api.caller import TheServer
from shoal.pictures import URL_PREFIX

routes = APIRouter()

_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""A picture never changes, and is never anything but a picture."""


@routes.get(URL_PREFIX + "{name}", include_in_schema=False)
async def show_picture(name: Annotated[str, Path()], server: TheServer) -> Response:
    """A kept picture. Its random name is what one must know: pages cannot send a token with their pictures."""
    picture = await server.pictures.read(URL_PREFIX + name)
    return Response(picture.data, media_type=picture.measured.format.media_type, headers=_HEADERS)
