"""Pictures for replies: upload and display."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, File, Path, Response, UploadFile
from pydantic import BaseModel

from shoal.api.http.caller import TheServer, who_replies
from shoal.api.http.openapi_errors import problems
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission, permission_missing
from shoal.pictures.picture_formats import measure
from shoal.pictures.pictures import URL_PREFIX

routes = Routes(tags=["rules"])

_HEADERS = {
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of a picture: it never changes, and browsers must not treat it as anything else."""


class PictureKept(BaseModel):
    """The stored picture: its address for a rule part or a message, and its size in pixels."""

    model_config = example(
        image_url="/static/uploads/images/9b1c0d5e7f2a4b6c8d0e1f2a3b4c5d6e.png", width=800, height=600
    )
    image_url: str
    width: int
    height: int


class PictureUploaded(BaseModel):
    """The address of the stored picture."""

    model_config = example(
        message="图片上传成功", image_url="/static/uploads/images/9b1c0d5e7f2a4b6c8d0e1f2a3b4c5d6e.png"
    )
    message: str = "图片上传成功"
    image_url: str


@routes.post("/pictures", summary="Upload a picture", responses=problems(400, 401, 403, 409, 413, 422, 429, 503))
async def keep_picture(
    server: TheServer,
    who: Annotated[Principal, Depends(who_replies)],
    image: Annotated[UploadFile, File(description="A JPEG, PNG, WebP or GIF file.")],
) -> PictureKept:
    """Store a picture for replies. A picture that no rule uses is deleted after a week; at most 300 a day."""
    if not who.owns_shops and not server.authorization.accounts_of(who, Permission.REPLY):
        raise permission_missing(Permission.REPLY, Permission.READ)  # no account to reply for: no need for a picture
    await server.rate_limits.count_picture(who.id)
    data = await image.read()
    size = measure(data)
    return PictureKept(image_url=await server.pictures.keep(data), width=size.width, height=size.height)


@routes.post(
    "/upload-image",
    summary="Upload a picture (older system)",
    responses=problems(400, 401, 403, 409, 413, 422, 429, 503),
)
async def upload_image(
    server: TheServer,
    who: Annotated[Principal, Depends(who_replies)],
    image: Annotated[UploadFile, File(description="A JPEG, PNG, WebP or GIF file.")],
) -> PictureUploaded:
    """Store a picture as `POST /pictures`."""
    return PictureUploaded(image_url=(await keep_picture(server, who, image)).image_url)


@routes.get(URL_PREFIX + "{name}", dependencies=[ANYBODY], include_in_schema=False)
async def show_picture(name: Annotated[str, Path()], server: TheServer) -> Response:
    """Return a stored picture.

    Its random name is the only protection: pages cannot send a token with their pictures.
    """
    picture = await server.pictures.read(URL_PREFIX + name)
    return Response(picture.data, media_type=picture.measured.format.media_type, headers=_HEADERS)
