"""Calls of the passport: is the login valid, renew it silently, keep it (docs/protocol.md §2.7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from shoal.clock import now_ms
from shoal.errors import ActionRequired, TemporaryFailure
from shoal.xianyu.browser import SITE, Browser
from shoal.xianyu.cookie_jar import PASSPORT, cookies_set_by
from shoal.xianyu.cookie_string import parse_cookie
from shoal.xianyu.mtop import CookieSource
from shoal.xianyu.mtop_reply import require_good, risk_in_page, stop_in
from shoal.xianyu.site_answer import bounded_body
from shoal.xianyu.site_session import ProxyFailed
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

_LONG_LOGIN: Final = {"ltl": "true"}
_BACKED_UP: Final = {"skipSessionFilter": "true", "c2r": "true"}
_DONE: Final = 100
_MOST_DIGITS = 15


@dataclass(frozen=True, slots=True)
class Passport:
    """Where the passport is and how it is asked, for one account."""

    session: aiohttp.ClientSession
    base_url: str
    cookies: CookieSource
    browser: Browser = field(repr=False)
    timeout_seconds: float = 20.0

    async def has_login(self) -> bool:
        """Ask whether the login is valid; pass cookies that the answer renews to ``cookies.rotated``.

        ``False`` is only the passport's opinion: confirm it with ``MtopClient.login_user``. Raises ``ActionRequired``
        (``risk_control`` with the address to open), or ``TemporaryFailure`` when there is no readable answer.
        """
        pairs = self._pairs()
        query = {"appName": "xianyu", "fromSite": "77"}
        try:
            content = await self._ask("/newlogin/hasLogin.do", query, _has_login_form(pairs))
        except ActionRequired as why:
            if why.reason == "risk_control":
                raise
            return False
        success = content.get("success")
        if not isinstance(success, bool):
            raise _no_answer("the answer has no verdict")
        return success

    async def renew_login(self) -> bool:
        """Ask the site to renew a login that has ended, as its pages do; return whether it did.

        It is not asked when the cookie shows that the login cannot be renewed. What the answer sets is kept, whatever
        else it says. Raises as ``has_login``.
        """
        pairs = self._pairs()
        if _is_ahead(pairs.get("havana_lgc_exp")):
            way = _LONG_LOGIN
        elif _is_ahead(pairs.get("cookie3_bak_exp")):
            way = _BACKED_UP
        else:
            return False
        query = {
            "documentReferer": f"{SITE}/im",
            "appName": "xianyu",
            "appEntrance": "xianyu_sdkSilent",
            "fromSite": "0",
            **way,
        }
        try:
            content = await self._ask("/newlogin/silentHasLogin.do", query, None)
        except ActionRequired as why:
            if why.reason == "risk_control":
                raise
            return False
        except TemporaryFailure as failure:
            if not str(failure.params.get("why", "")).startswith("HTTP 3"):
                raise
            return False
        data = content.get("data")
        finished = isinstance(data, dict) and data.get("processFinished") is True and data.get("resultCode") == _DONE
        return finished or (content.get("success") is True and not isinstance(data, dict))

    async def keep_signed_in(self) -> bool:
        """Ask the site to keep the login for long, as its owner wants; return whether it will. Raises as above."""
        query = {"fromSite": "77", "appName": "xianyu", "bizEntrance": "web"}
        return (await self._ask("/ac/account/setLoginSettings.do", query, {"status": "0"})).get("success") is True

    def _pairs(self) -> dict[str, str]:
        header = self.cookies.header(PASSPORT)
        return parse_cookie(header) if header.strip() else {}

    async def _ask(self, path: str, query: Mapping[str, str], form: Mapping[str, str] | None) -> dict[str, object]:
        """Return the ``content`` of the answer."""
        changed: dict[str, str] = {}
        accept = "*/*" if form is None else "application/json, text/plain, */*"
        headers = {**self.browser.call_headers(accept), "Cookie": self.cookies.header(PASSPORT)}
        try:
            async with self.session.post(
                self.base_url.rstrip("/") + path, params=query, data=form, headers=headers,
                allow_redirects=False, timeout=aiohttp.ClientTimeout(total=self.timeout_seconds),
            ) as response:  # fmt: skip
                changed = cookies_set_by(response)
                status, location = response.status, response.headers.get("Location", "")
                body = await bounded_body(response)
        except ProxyFailed as failure:
            raise TemporaryFailure(f"passport: {failure}", code=failure.code) from None
        except (aiohttp.ClientError, OSError) as failure:
            # "from None": aiohttp's errors refer to the request, and so to the cookie.
            raise _no_answer(f"no answer ({type(failure).__name__})") from None
        finally:
            if changed:
                await self.cookies.rotated(changed)
        return _content(status, location, body)


def _has_login_form(pairs: Mapping[str, str]) -> dict[str, str]:
    """Return the form as a browser fills it in; ids and tokens come from the cookie."""
    return {
        "hid": pairs.get("unb", ""),
        "ltl": "true",
        "appName": "xianyu",
        "appEntrance": "web",
        "_csrf_token": pairs.get("XSRF-TOKEN", ""),
        "umidToken": "",
        "hsiz": pairs.get("cookie2", ""),
        "bizParams": "taobaoBizLoginFrom=web",
        "mainPage": "false",
        "isMobile": "false",
        "lang": "zh_CN",
        "returnUrl": "",
        "fromSite": "77",
        "isIframe": "true",
        "documentReferer": "https://www.goofish.com/",
        "defaultView": "hasLogin",
        "umidTag": "SERVER",
        "deviceId": pairs.get("cna", ""),
    }


def _content(status: int, location: str, body: bytes | None) -> dict[str, object]:
    stop = stop_in(status, location, body)
    if stop is not None:
        raise stop
    if status != 200 or body is None:
        raise _no_answer(f"HTTP {status}")
    try:
        answer = parse_json_object(body)
    except UndecodableFrame:
        url = risk_in_page(body)
        if url is not None:
            raise ActionRequired("risk_control", action_url=url) from None
        raise _no_answer("the answer is not JSON") from None
    require_good(answer, "login check")
    content = answer.get("content")
    return content if isinstance(content, dict) else {}


def _is_ahead(milliseconds: str | None) -> bool:
    text = milliseconds or ""
    return text.isdigit() and len(text) <= _MOST_DIGITS and int(text) > now_ms()


def _no_answer(why: str) -> TemporaryFailure:
    return TemporaryFailure(f"login check: {why}", code="login_check_failed", why=why)
