"""Uploads a picture to the site, so that a message can show it (docs/protocol.md §2.8)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import aiohttp
import msgspec

from shoal.errors import ActionRequired, ShoalError, TemporaryFailure
from shoal.xianyu.browser import Browser
from shoal.xianyu.cookie_jar import UPLOADS, cookies_set_by
from shoal.xianyu.mtop import CookieSource
from shoal.xianyu.mtop_reply import require_good, risk_in_page, stop_in
from shoal.xianyu.site_answer import bounded_body, without_secrets
from shoal.xianyu.site_session import ProxyFailed
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

_PATH = "/api/upload.api"
_QUERY = {"floderId": "0", "appkey": "xy_chat", "_input_charset": "utf-8"}
"""``floderId`` is the site's spelling."""
PICTURE_DOMAINS = ("alicdn.com", "goofish.com")
"""The domains of the site's pictures, with all their subdomains. The site may refuse a message with any other."""
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_MAX_URL_CHARACTERS = 2_048


def is_on_site(url: str) -> bool:
    """Return whether an address is that of a picture on the site."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    known = any(host == domain or host.endswith(f".{domain}") for domain in PICTURE_DOMAINS)
    return known and parts.scheme in {"https", "http"} and url.isprintable() and " " not in url


class UploadedPicture(msgspec.Struct, frozen=True):
    """The address of a picture on the site. Width and height in pixels are 0 when the site did not report them."""

    url: str
    width: int = 0
    height: int = 0


class UploadRefused(ShoalError):
    """The site does not accept the picture and would refuse it again. ``reason`` is the site's."""

    code = "upload_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the site does not take the picture: {reason}", reason=reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    location: str = field(repr=False)
    body: bytes | None = field(repr=False)


async def upload_picture(
    session: aiohttp.ClientSession,
    base_url: str,
    cookies: CookieSource,
    data: bytes,
    *,
    media_type: str,
    extension: str,
    browser: Browser,
    timeout_seconds: float = 20.0,
) -> UploadedPicture:
    """Upload a picture; pass cookies that the answer sets to ``cookies.rotated``.

    Raises ``ActionRequired`` (``risk_control`` with the address to open), ``UploadRefused``, or ``TemporaryFailure``
    (``upload_failed``, or a proxy's reason). A failed upload has no other effect, so it may be tried again.
    """
    header = cookies.header(UPLOADS)
    form = aiohttp.FormData()
    form.add_field("file", data, filename=f"picture.{extension}", content_type=media_type)
    changed: dict[str, str] = {}
    try:
        async with session.post(
            base_url.rstrip("/") + _PATH,
            params=_QUERY,
            data=form,
            headers={
                **browser.call_headers("application/json, text/javascript, */*; q=0.01"),
                "Cookie": header,
                "X-Requested-With": "XMLHttpRequest",
            },
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        ) as response:
            changed = cookies_set_by(response)
            answer = _Answer(response.status, response.headers.get("Location", ""), await bounded_body(response))
    except ProxyFailed as failure:
        raise TemporaryFailure(f"upload: {failure}", code=failure.code) from None
    except (aiohttp.ClientError, OSError) as failure:
        # "from None": aiohttp's errors refer to the request, and so to the cookie.
        raise _failed(f"no answer ({type(failure).__name__})") from None
    finally:
        if changed:
            await cookies.rotated(changed)
    return _understood(answer, header)


def _understood(answer: _Answer, header: str) -> UploadedPicture:
    stop = stop_in(answer.status, answer.location, answer.body)
    if stop is not None:
        raise stop
    if answer.status == 413:
        raise UploadRefused("too large")
    if answer.status != 200 or answer.body is None:
        raise _failed(f"HTTP {answer.status}")
    try:
        reply = parse_json_object(answer.body)
    except UndecodableFrame:
        risk = risk_in_page(answer.body)
        if risk is not None:
            raise ActionRequired("risk_control", action_url=risk) from None
        raise _failed("the answer is not JSON") from None
    require_good(reply, "upload")
    lies = reply.get("object")
    url = lies.get("url") if isinstance(lies, dict) else None
    if not isinstance(lies, dict) or not isinstance(url, str) or reply.get("success") is False:
        why = " ".join(str(reply[name]) for name in ("errorCode", "errorMsg", "message") if reply.get(name))
        raise UploadRefused(without_secrets(why, header) or "no reason was given")
    url = f"https:{url}" if url.startswith("//") else url
    if not url.startswith(("https://", "http://")) or len(url) > _MAX_URL_CHARACTERS or not url.isprintable():
        raise _failed("the answer names no address")
    size = _SIZE.fullmatch(str(lies.get("pix")))
    return UploadedPicture(url, int(size[1]), int(size[2])) if size else UploadedPicture(url)


def _failed(why: str) -> TemporaryFailure:
    return TemporaryFailure(f"upload: {why}", code="upload_failed", why=why)
