"""A login by a QR code that the seller scans with the app (docs/protocol.md §2.9).

No exception, message or ``repr`` of this file contains a cookie, or the secret values that identify the code to the
site.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp

from shoal.errors import ActionRequired, TemporaryFailure
from shoal.xianyu.browser import Browser
from shoal.xianyu.cookie_string import format_cookie
from shoal.xianyu.mtop_reply import is_risk_url, require_good, risk_in_page
from shoal.xianyu.proxied_session import ProxyFailed
from shoal.xianyu.site_answer import bounded_body, cookies_set_by
from shoal.xianyu.site_session import require_no_cookie_jar
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

DEFAULT_PASSPORT_URL = "https://passport.goofish.com"
_VIEW_DATA = re.compile(rb"window\.viewData\s*=\s*")
_MAX_CONTENT_CHARACTERS = 1_000
"""A longer code could not be scanned from a screen."""
_FIRST_PAGE = {
    "lang": "zh_cn",
    "appName": "xianyu",
    "appEntrance": "web",
    "styleType": "vertical",
    "bizParams": "",
    "notLoadSsoView": "false",
    "notKeepLogin": "false",
    "isMobile": "false",
    "qrCodeFirst": "false",
    "stie": "77",
}
"""``stie`` is the site's spelling."""


class QrStatus(StrEnum):
    """The steps of the login."""

    NEW = "new"
    """The code has not been scanned yet."""
    SCANNED = "scanned"
    """Scanned; the app asks for a confirmation."""
    CONFIRMED = "confirmed"
    """Logged in."""
    EXPIRED = "expired"
    """The site does not know the code any more."""
    CANCELLED = "cancelled"
    """The seller declined."""


_STATUSES = {
    "NEW": QrStatus.NEW,
    "SCANED": QrStatus.SCANNED,  # the site's spelling
    "SCANNED": QrStatus.SCANNED,
    "CONFIRMED": QrStatus.CONFIRMED,
    "EXPIRED": QrStatus.EXPIRED,
    "CANCELED": QrStatus.CANCELLED,
    "CANCELLED": QrStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    location: str = field(repr=False)
    body: bytes | None = field(repr=False)


class QrLogin:
    """One login, from the code to the cookie, over a session without a cookie jar."""

    def __init__(
        self, session: aiohttp.ClientSession, base_url: str, *, browser: Browser, timeout_seconds: float = 20.0
    ) -> None:
        require_no_cookie_jar(session)
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._browser = browser
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._cookies: dict[str, str] = {}
        self._form: dict[str, str] = {}

    async def begin(self) -> str:
        """Request a code and return its content. Show it to the owner only: the user who scans it logs in *here*.

        Raises as ``ask``.
        """
        page = await self._call("GET", "/mini_login.htm", params={**_FIRST_PAGE, "rnd": str(random.random())})  # noqa: S311
        self._form = {**_login_form(page), "umidTag": "SERVER"}
        content = _content(await self._call("GET", "/newlogin/qrcode/generate.do", params=self._form))
        data = content.get("data")
        names = ("t", "ck", "codeContent")
        found = {name: str(data.get(name) or "") for name in names} if isinstance(data, dict) else {}
        code = found.get("codeContent", "")
        if not all(found.values()) or not found or len(code) > _MAX_CONTENT_CHARACTERS or not code.isprintable():
            raise _failed("the site gives no code")
        self._form |= {"t": found["t"], "ck": found["ck"]}
        return code

    async def ask(self) -> QrStatus:
        """Ask for the status of the login. After ``CONFIRMED`` ``cookie`` is the login.

        Raises ``ActionRequired`` (``risk_control`` with the address to open, if the site gave one) when the site wants
        more than a scan from the seller, or ``TemporaryFailure`` (``qr_login_failed``, or a proxy's reason).
        """
        content = _content(await self._call("POST", "/newlogin/qrcode/query.do", form=self._form))
        data = content.get("data")
        if not isinstance(data, dict):
            raise _failed("the answer has no status")
        if data.get("iframeRedirect") is True:
            raise _risk(data.get("iframeRedirectUrl"))
        status = _STATUSES.get(str(data.get("qrCodeStatus")))
        if status is None:
            raise _failed("the answer has an unknown status")
        return status

    @property
    def is_logged_in(self) -> bool:
        """Whether the site has set a login: its cookies may have arrived although its answer was lost."""
        return bool(self._cookies.get("unb") and self._cookies.get("cookie2"))

    @property
    def cookie(self) -> str:
        """Every cookie that the site has set, as one header line. A secret."""
        return format_cookie(self._cookies)

    async def _call(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> _Answer:
        accept = "application/json, text/plain, */*"
        headers = self._browser.call_headers(accept, site="same-origin", referer=f"{self._base_url}/")
        if self._cookies:
            headers["Cookie"] = self.cookie
        try:
            async with self._session.request(
                method, self._base_url + path, params=params, data=form, headers=headers,
                allow_redirects=False, timeout=self._timeout,
            ) as response:  # fmt: skip
                self._take(cookies_set_by(response))
                answer = _Answer(response.status, response.headers.get("Location", ""), await bounded_body(response))
        except ProxyFailed as failure:
            raise TemporaryFailure(f"QR login: {failure}", code=failure.code) from None
        except (aiohttp.ClientError, OSError) as failure:
            # "from None": aiohttp's errors refer to the request, and so to the cookie.
            raise _failed(f"no answer ({type(failure).__name__})") from None
        if 300 <= answer.status < 400 and is_risk_url(answer.location):
            raise _risk(answer.location)
        if answer.status != 200 or answer.body is None:
            raise _failed(f"HTTP {answer.status}")
        return answer

    def _take(self, changed: Mapping[str, str]) -> None:
        for name, value in changed.items():
            if value:
                self._cookies[name] = value
            else:
                self._cookies.pop(name, None)


def _login_form(page: _Answer) -> dict[str, str]:
    """Return the form in the page's ``window.viewData``."""
    found = _VIEW_DATA.search(page.body or b"")
    try:
        text = (page.body or b"")[found.end() :].decode() if found else ""
        view, _ = json.JSONDecoder().raw_decode(text)
        form = view["loginFormData"]
        return {str(name): _field(value) for name, value in form.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _failed("the site's page has no form") from None


def _field(value: object) -> str:
    """Return a value as a browser puts it into a form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise TypeError("not a field")
    return str(value)


def _content(answer: _Answer) -> dict[str, object]:
    try:
        reply = parse_json_object(answer.body or b"")
    except UndecodableFrame:
        url = risk_in_page(answer.body or b"")
        if url is not None:
            raise _risk(url) from None
        raise _failed("the answer is not JSON") from None
    require_good(reply, "QR login")
    content = reply.get("content")
    if not isinstance(content, dict) or content.get("success") is not True:
        raise _failed("the site says no")
    return content


def _risk(url: object) -> ActionRequired:
    """Return the error for a verification by the seller; it contains only an address that can be opened."""
    usable = isinstance(url, str) and url.startswith(("https://", "http://")) and len(url) <= 8192 and url.isprintable()
    return ActionRequired("risk_control", action_url=str(url) if usable else "")


def _failed(why: str) -> TemporaryFailure:
    return TemporaryFailure(f"QR login: {why}", code="qr_login_failed", why=why)
