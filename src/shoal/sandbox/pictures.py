"""Uploads of pictures to the site, and their addresses (docs/protocol.md §2)."""

from __future__ import annotations

import hashlib
from email.parser import BytesParser
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from shoal.sandbox.mtop_site import broken_answer, log_call, parse_cookies, set_cookies
from shoal.sandbox.site import Site
from shoal.sandbox.strict.checks import at_risk
from shoal.sandbox.strict.http import look

MAX_BODY_BYTES: Final = 8 << 20
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"BM")
"""how files of pictures begin"""
MAX_IMAGES: Final = 200
"""how many pictures the site keeps"""


async def upload_endpoint(request: Request) -> Response:
    """Store a picture and return its address (docs/protocol.md §2.3)."""
    site: Site = request.app.state.site
    cookies = parse_cookies(request.headers.get("cookie", ""))
    broken = broken_answer(site, cookies.get("unb", ""), "upload")
    if broken:
        return broken
    look(request, "upload.api", cookies)
    if at_risk(site, cookies.get("unb", ""), "upload", cookies, request.headers.get("user-agent", "")):
        log_call(site, "upload.api", cookies, "RISK")
        await site.faults.detain(cookies.get("unb", ""), "upload")
        return RedirectResponse(f"{request.base_url}_____tmd_____/punish?x5secdata={site.world.hex(32)}&x5step=2", 302)
    session = site.world.session_of(cookies)
    if session is None:
        log_call(site, "upload.api", cookies, "FAIL")
        return JSONResponse({"success": False, "errorCode": "NOT_LOGIN", "errorMsg": "未登录"})
    refusal = site.faults.take("upload_refused", session.unb, "upload")
    if refusal:
        log_call(site, "upload.api", cookies, "FAIL")
        reason = str(refusal.options.get("reason") or "图片违规")
        return JSONResponse({"success": False, "errorCode": "IMAGE_FORBIDDEN", "errorMsg": reason})
    body = await request.body()
    picture = _file_part(request.headers.get("content-type", ""), body)
    if picture and site.strict.has("picture_file") and not picture[1].startswith(_PICTURES):
        site.strict.add("picture_file", "upload.api", session.unb, f"begins with {picture[1][:8]!r}", refused=True)
        picture = None
    if picture is None or len(body) > MAX_BODY_BYTES:
        log_call(site, "upload.api", cookies, "FAIL")
        return JSONResponse({"success": False, "errorCode": "PARAM_ERROR", "errorMsg": "文件错误"})
    media_type, data = picture
    name = hashlib.sha256(data).hexdigest()[:32]
    site.images[name] = (media_type, data)
    while len(site.images) > MAX_IMAGES:
        del site.images[next(iter(site.images))]
    log_call(site, "upload.api", cookies, "SUCCESS")
    await site.faults.detain(cookies.get("unb", ""), "upload")
    width, height = _size(data)
    url = f"{request.base_url}_sandbox/images/{name}"
    response = JSONResponse(
        {"success": True, "object": {"url": url, "pix": f"{width}x{height}", "size": str(len(data))}}
    )
    rotation = site.faults.take("rotate_cookie", session.unb, "upload")
    if rotation:
        name, value = str(rotation.options.get("name") or "cookie2"), rotation.options.get("value")
        set_cookies(request, response, site.world.rotate_cookie(session, name, value, drop_old=False))
    return response


async def image_endpoint(request: Request) -> Response:
    """Return an uploaded picture."""
    site: Site = request.app.state.site
    found = site.images.get(request.path_params["name"])
    if found is None:
        return Response("no such picture", 404)
    return Response(found[1], media_type=found[0])


def _file_part(content_type: str, body: bytes) -> tuple[str, bytes] | None:
    """Return type and bytes of the multipart field ``file``."""
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    if not message.is_multipart():
        return None
    for part in message.walk():
        if part.get_param("name", header="content-disposition") == "file":
            data = part.get_payload(decode=True)
            return (part.get_content_type(), data) if isinstance(data, bytes) and data else None
    return None


def _size(data: bytes) -> tuple[int, int]:
    """Return width and height in pixels of a PNG or JPEG; 800 by 600 for anything else."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) >= 24:
        return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 2 + length
    return 800, 600
