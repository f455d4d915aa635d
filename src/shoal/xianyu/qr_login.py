"""A login by a QR code that the seller scans with the app (docs/protocol.md §2.9).

No exception, message or ``repr`` of this file contains a cookie, or the secret values that identify the code to the
site.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Mapping
from enum import StrEnum

import aiohttp

from shoal.errors import ActionRequired, TemporaryFailure
from shoal.xianyu.browser import SITE, Browser
from shoal.xianyu.cookie_jar import all_pairs
from shoal.xianyu.cookie_string import format_cookie
from shoal.xianyu.mtop import MtopClient, MtopRefused
from shoal.xianyu.mtop_reply import require_good, risk_in_page
from shoal.xianyu.passport import Passport
from shoal.xianyu.qr_session import Answer, QrSession, failed, risk
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

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
_HOME_CALL = "mtop.gaia.nodejs.gaia.idle.data.gw.v2.index.get"
"""What the home page asks before anything else; its answers bring ``cookie2`` and the signing token."""
_BIZ_PARAMS = f"taobaoBizLoginFrom=web&renderRefer={SITE}/"


class QrStatus(StrEnum):
    """The steps of the login."""

    NEW = "new"
    """The code has not been scanned yet."""
    SCANNED = "scanned"
    """Scanned; the app asks for a confirmation."""
    CONFIRMED = "confirmed"
    """Logged in."""
    FACE = "face"
    """Confirmed, and the site wants to see the seller's face: see ``FaceCheck``."""
    EXPIRED = "expired"
    """The site does not know the code any more."""
    CANCELLED = "cancelled"
    """The seller declined."""
    ERROR = "error"
    """The site gave the login up."""


_STATUSES = {
    "NEW": QrStatus.NEW,
    "SCANED": QrStatus.SCANNED,  # the site's spelling
    "SCANNED": QrStatus.SCANNED,
    "CONFIRMED": QrStatus.CONFIRMED,
    "EXPIRED": QrStatus.EXPIRED,
    "CANCELED": QrStatus.CANCELLED,
    "CANCELLED": QrStatus.CANCELLED,
    "ERROR": QrStatus.ERROR,
}


class QrLogin:
    """One login, from the code to the cookie, over a session without a cookie jar."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        *,
        mtop_url: str,
        page_url: str,
        browser: Browser,
        timeout_seconds: float = 20.0,
    ) -> None:
        """``base_url`` is that of the passport, ``page_url`` that of the site's own pages."""
        self.site = QrSession(session, base_url, browser, timeout_seconds)
        """The requests of this login, and the cookies that they set."""
        self._page_url = page_url.rstrip("/")
        self._mtop_url = mtop_url.rstrip("/")
        self._form: dict[str, str] = {}
        self._token = ""
        self.face_url = ""
        """Where the site's check of the face begins, after ``QrStatus.FACE``."""

    async def begin(self) -> str:
        """Request a code and return its content. Show it to the owner only: the user who scans it logs in *here*.

        Raises as ``ask``.
        """
        await self._visit_home()
        page = await self.site.frame("/mini_login.htm", {**_FIRST_PAGE, "rnd": str(random.random())})  # noqa: S311
        self._form = {"bizParams": _BIZ_PARAMS, **_login_form(page), "umidTag": "SERVER"}
        if visitor := self.site.cookie("cookie2"):
            self._form["hsiz"] = visitor
        content = _content(await self.site.call("GET", "/newlogin/qrcode/generate.do", params=self._form))
        data = content.get("data")
        names = ("t", "ck", "codeContent")
        found = {name: str(data.get(name) or "") for name in names} if isinstance(data, dict) else {}
        code = found.get("codeContent", "")
        if not all(found.values()) or not found or len(code) > _MAX_CONTENT_CHARACTERS or not code.isprintable():
            raise failed("the site gives no code")
        self._form |= {"t": found["t"], "ck": found["ck"], **self._as_a_frame()}
        return code

    async def ask(self) -> QrStatus:
        """Ask for the status of the login. After ``CONFIRMED`` call ``finish``, and ``cookie`` is the login.

        Raises ``ActionRequired`` (``risk_control`` with the address to open, if the site gave one) when the site wants
        more than a scan from the seller, or ``TemporaryFailure`` (``qr_login_failed``, or a proxy's reason).
        """
        query = {"appName": "xianyu", "fromSite": "77"}
        content = _content(await self.site.call("POST", "/newlogin/qrcode/query.do", params=query, form=self._form))
        data = content.get("data")
        if not isinstance(data, dict):
            raise failed("the answer has no status")
        if data.get("iframeRedirect") is True:
            url = data.get("iframeRedirectUrl")
            if not isinstance(url, str) or not self.site.is_ours(url):
                raise risk(url)
            self.face_url = url
            return QrStatus.FACE
        status = _STATUSES.get(str(data.get("qrCodeStatus")))
        if status is None:
            raise failed("the answer has an unknown status")
        if status is QrStatus.CONFIRMED:
            self._token = str(data.get("token") or data.get("lgToken") or "")
        return status

    async def finish(self, *, keep_signed_in: bool = False) -> None:
        """Make what was confirmed a login that lasts: trade in its token, visit the message page.

        Raises as ``ask`` when the token brings no login; it may be called again. Whatever else fails leaves the login
        as it is. ``keep_signed_in`` is the owner's wish.
        """
        if self._token and not self.site.cookie("unb"):
            query = {
                "token": self._token, "subFlow": "DIALOG_CHECK_LOGIN_RPC", "nextCode": "0018", "bizScene": "qrcode",
                "confirm": "true",
            }  # fmt: skip
            form = {"deviceId": self.site.cookie("cna")}
            try:
                _content(await self.site.call("POST", "/login_token/login.do", params=query, form=form))
            except TemporaryFailure:
                if not self.site.cookie("unb"):
                    raise
        with contextlib.suppress(TemporaryFailure, ActionRequired):
            await self.site.visit(f"{self._page_url}/im")
        if keep_signed_in:
            with contextlib.suppress(TemporaryFailure, ActionRequired):
                site = self.site
                await Passport(site.session, site.base_url, site, site.browser, site.timeout_seconds).keep_signed_in()

    @property
    def is_logged_in(self) -> bool:
        """Whether the site has set a login: its cookies may have arrived although its answer was lost."""
        return bool(self.site.cookie("unb") and self.site.cookie("cookie2"))

    @property
    def cookie(self) -> str:
        """Every cookie that the site has set, as one header line. A secret."""
        return format_cookie(all_pairs(self.site.jar))

    async def _visit_home(self) -> None:
        """Make the calls of the home page: ``cookie2`` comes with them, not with the confirmation.

        The first one is unsigned and brings the token that signs the second. Without an answer the login goes on: what
        is missing then is reported at its end.
        """
        mtop = MtopClient(
            self.site.session,
            self._mtop_url,
            self.site,
            browser=self.site.browser,
            timeout_seconds=self.site.timeout_seconds,
            site_time=self.site.site_time,
        )
        with contextlib.suppress(MtopRefused):
            try:
                await self.site.get_json(f"{self._mtop_url}/h5/{_HOME_CALL}/1.0/")
                await mtop.call(_HOME_CALL, '{"bizScene":"home"}', extra_query={"spm_cnt": "a21ybx.home.0.0"})
            except TemporaryFailure as failure:
                if failure.code.startswith("proxy_"):
                    raise

    def _as_a_frame(self) -> dict[str, str]:
        """Return what the login frame of a browser reports about itself with each question."""
        return {
            "isIframe": "true",
            "documentReferer": f"{SITE}/",
            "defaultView": "sms",
            "deviceId": self.site.cookie("cna"),
            "navlanguage": self.site.browser.language.partition(",")[0],
            "navUserAgent": self.site.browser.user_agent,
            "navPlatform": self.site.browser.navigator_platform,
        }


def _login_form(page: Answer) -> dict[str, str]:
    """Return the form in the page's ``window.viewData``."""
    found = _VIEW_DATA.search(page.body or b"")
    try:
        text = (page.body or b"")[found.end() :].decode() if found else ""
        view, _ = json.JSONDecoder().raw_decode(text)
        form = view["loginFormData"]
        return {str(name): _field(value) for name, value in form.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        url = risk_in_page(page.body or b"")
        raise (failed("the site's page has no form") if url is None else risk(url)) from None


def _field(value: object) -> str:
    """Return a value as a browser puts it into a form."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise TypeError("not a field")
    return str(value)


def _content(answer: Answer) -> Mapping[str, object]:
    try:
        reply = parse_json_object(answer.body or b"")
    except UndecodableFrame:
        url = risk_in_page(answer.body or b"")
        if url is not None:
            raise risk(url) from None
        raise failed("the answer is not JSON") from None
    require_good(reply, "QR login")
    content = reply.get("content")
    if not isinstance(content, dict) or content.get("success") is not True or reply.get("hasError") is True:
        raise failed("the site says no")
    return content
