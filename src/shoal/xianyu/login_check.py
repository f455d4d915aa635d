"""Asks the passport whether the login is valid, which also keeps it alive (docs/protocol.md §2.7)."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp

from shoal.errors import ActionRequired, TemporaryFailure
from shoal.xianyu.browser import Browser
from shoal.xianyu.cookie_string import parse_cookie
from shoal.xianyu.mtop import CookieSource
from shoal.xianyu.mtop_reply import is_risk_url, require_good, risk_in_page
from shoal.xianyu.site_answer import bounded_body, cookies_set_by
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

DEFAULT_PASSPORT_URL = "https://passport.goofish.com"
_PATH = "/newlogin/hasLogin.do"


async def has_login(
    session: aiohttp.ClientSession,
    base_url: str,
    cookies: CookieSource,
    *,
    browser: Browser,
    timeout_seconds: float = 20.0,
) -> bool:
    """Ask whether the login is valid; pass cookies that the answer renews to ``cookies.rotated``.

    ``False`` is only the passport's opinion: confirm it with ``MtopClient.login_user``. Raises ``ActionRequired``
    (``risk_control`` with the address to open), or ``TemporaryFailure`` when there is no readable answer.
    """
    header = cookies.header()
    pairs = parse_cookie(header) if header.strip() else {}
    changed: dict[str, str] = {}
    try:
        async with session.post(
            base_url.rstrip("/") + _PATH,
            params={"appName": "xianyu", "fromSite": "77"},
            data=_form(pairs),
            headers={**browser.call_headers("application/json, text/plain, */*"), "Cookie": header},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        ) as response:
            changed = cookies_set_by(response)
            status, location = response.status, response.headers.get("Location", "")
            body = await bounded_body(response)
    except (aiohttp.ClientError, OSError) as failure:
        # "from None": aiohttp's errors refer to the request, and so to the cookie.
        raise _no_answer(f"no answer ({type(failure).__name__})") from None
    finally:
        updates = {name: value for name, value in changed.items() if pairs.get(name, "") != value}
        if updates:
            await cookies.rotated(updates)
    return _verdict(status, location, body)


def _form(pairs: Mapping[str, str]) -> dict[str, str]:
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


def _verdict(status: int, location: str, body: bytes | None) -> bool:
    if 300 <= status < 400 and is_risk_url(location):
        raise ActionRequired("risk_control", action_url=location)
    if status != 200 or body is None:
        raise _no_answer(f"HTTP {status}")
    try:
        answer = parse_json_object(body)
    except UndecodableFrame:
        url = risk_in_page(body)
        if url is not None:
            raise ActionRequired("risk_control", action_url=url) from None
        raise _no_answer("the answer is not JSON") from None
    try:
        require_good(answer, "login check")
    except ActionRequired as why:
        if why.reason == "risk_control":
            raise
        return False
    content = answer.get("content")
    success = content.get("success") if isinstance(content, dict) else None
    if not isinstance(success, bool):
        raise _no_answer("the answer has no verdict")
    return success


def _no_answer(why: str) -> TemporaryFailure:
    return TemporaryFailure(f"login check: {why}", code="login_check_failed", why=why)
