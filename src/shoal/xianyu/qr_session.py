"""The requests of one QR login, and the cookies that their answers set: one jar through all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

import aiohttp

from shoal.errors import ActionRequired, TemporaryFailure
from shoal.xianyu.browser import SITE, Browser
from shoal.xianyu.cookie_jar import GATEWAY, PAGES, PASSPORT, add, cookies_set_by, pairs_for
from shoal.xianyu.cookie_string import SITE_DOMAIN, format_cookie
from shoal.xianyu.mtop_reply import require_good, stop_in
from shoal.xianyu.site_answer import bounded_body
from shoal.xianyu.site_session import ProxyFailed, require_no_cookie_jar
from shoal.xianyu.site_time import SiteTime
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

_MOST_HOPS = 6
_LONGEST_URL = 8192


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer before it is interpreted; ``url`` is what was asked, ``location`` where it leads."""

    status: int
    url: str = field(repr=False)
    location: str = field(repr=False)
    body: bytes | None = field(repr=False)


class QrSession:
    """Asks the passport and the pages of the site as one browser. It is a ``CookieSource`` too."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, browser: Browser, timeout_seconds: float) -> None:
        """``base_url`` is that of the passport."""
        require_no_cookie_jar(session)
        self.session = session
        self.base_url = base_url.rstrip("/")
        self.browser = browser
        self.timeout_seconds = timeout_seconds
        self.site_time = SiteTime()
        self.jar: dict[str, str] = {}
        """The cookies, by the keys of ``cookie_jar``. Secret."""

    def header(self, host: str = SITE_DOMAIN) -> str:
        """Return the cookies for a host of the site as one header line."""
        return format_cookie(pairs_for(self.jar, host))

    async def rotated(self, updates: dict[str, str]) -> None:
        """Keep cookies that the site set."""
        add(self.jar, updates)

    def cookie(self, name: str) -> str:
        """Return a cookie that the passport gets, empty when there is none."""
        return pairs_for(self.jar, PASSPORT).get(name, "")

    def is_ours(self, url: str) -> bool:
        """Return whether an address is a page of the site, so that its cookies may be sent there.

        Where a sandbox stands for the site, only its own pages are.
        """
        parts, own = urlsplit(url), urlsplit(self.base_url)
        if (parts.scheme, parts.netloc) == (own.scheme, own.netloc):
            return True
        return parts.scheme == "https" and all(host.endswith(f".{SITE_DOMAIN}") for host in (parts.netloc, own.netloc))

    async def call(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, form: Mapping[str, str] | None = None
    ) -> Answer:
        """Call the passport as its own page does.

        Raises ``ActionRequired`` (``risk_control``) when the answer leads to the site's verification page, and
        ``TemporaryFailure`` for every other answer than 200.
        """
        accept, referer = "application/json, text/plain, */*", f"{self.base_url}/"
        headers = self.browser.call_headers(accept, site="same-origin", referer=referer)
        return _good(await self._send(method, self.base_url + path, PASSPORT, headers, params=params, form=form))

    async def frame(self, path: str, params: Mapping[str, str]) -> Answer:
        """Load a page of the passport as a frame of the site's page. Raises as ``call``."""
        headers = self._page_headers("iframe", "same-site") | {"Referer": f"{SITE}/"}
        return _good(await self._send("GET", self.base_url + path, PASSPORT, headers, params=params))

    async def visit(self, url: str, *, dest: str = "document") -> Answer:
        """Load a page and follow its redirects within the site.

        Raises ``ActionRequired`` (``risk_control``) when one leads to the site's verification page, and
        ``TemporaryFailure`` when it leads away.
        """
        for _ in range(_MOST_HOPS):
            if len(url) > _LONGEST_URL or not self.is_ours(url):
                raise failed("a page leads away from the site")
            host = urlsplit(url).hostname or ""
            referer = f"{SITE}/" if dest == "document" else f"{self.base_url}/"
            headers = self._page_headers(dest, "same-origin") | {"Referer": referer}
            answer = await self._send("GET", url, host if host.endswith(SITE_DOMAIN) else PAGES, headers)
            if not 300 <= answer.status < 400:
                return answer
            stop = stop_in(answer.status, answer.location, None)
            if stop is not None and not self.is_ours(urljoin(url, answer.location)):
                raise stop
            url = urljoin(url, answer.location)
        raise failed("a page leads on and on")

    async def get_json(self, url: str) -> None:
        """Ask the gateway without a signature: it refuses, and sets the cookies that a signature needs.

        Raises ``ActionRequired`` (``risk_control``), or ``TemporaryFailure`` without a readable answer.
        """
        answer = await self._send("GET", url, GATEWAY, self.browser.call_headers("application/json"))
        stop = stop_in(answer.status, answer.location, answer.body)
        if stop is not None:
            raise stop
        try:
            require_good(parse_json_object(answer.body or b""), "home page")
        except TemporaryFailure as expected:
            if expected.code != "token_rejected":
                raise
        except UndecodableFrame:
            raise failed("the answer is not JSON") from None

    async def ask_json(self, path: str, params: Mapping[str, str], referer: str) -> Mapping[str, object]:
        """Ask the passport as a script of the page at ``referer`` does; return its object. Raises as ``call``."""
        accept = "application/json, text/javascript, */*; q=0.01"
        headers = self.browser.call_headers(accept, site="same-origin", referer=referer)
        headers["X-Requested-With"] = "XMLHttpRequest"
        answer = _good(await self._send("GET", self.base_url + path, PASSPORT, headers, params=params))
        try:
            return parse_json_object(answer.body or b"")
        except UndecodableFrame:
            raise failed("the answer is not JSON") from None

    def _page_headers(self, dest: str, site: str) -> dict[str, str]:
        return {
            "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "Sec-Fetch-Dest": dest,
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Site": site,
            "Upgrade-Insecure-Requests": "1",
            **self.browser.headers,
        }

    async def _send(
        self,
        method: str,
        url: str,
        host: str,
        headers: Mapping[str, str],
        *,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        cookie = self.header(host)
        try:
            async with self.session.request(
                method, url, params=params, data=form, headers={**headers, **({"Cookie": cookie} if cookie else {})},
                allow_redirects=False, timeout=aiohttp.ClientTimeout(total=self.timeout_seconds),
            ) as response:  # fmt: skip
                add(self.jar, cookies_set_by(response))
                self.site_time.note_answer(response.headers)
                location = response.headers.get("Location", "")
                return Answer(response.status, url, location, await bounded_body(response))
        except ProxyFailed as failure:
            raise TemporaryFailure(f"QR login: {failure}", code=failure.code) from None
        except (aiohttp.ClientError, OSError) as failure:
            # "from None": aiohttp's errors refer to the request, and so to the cookie.
            raise failed(f"no answer ({type(failure).__name__})") from None


def risk(url: object) -> ActionRequired:
    """Return the error for a verification by the seller; it contains only an address that can be opened."""
    usable = isinstance(url, str) and url.startswith(("https://", "http://")) and len(url) <= _LONGEST_URL
    return ActionRequired("risk_control", action_url=str(url) if usable and str(url).isprintable() else "")


def failed(why: str) -> TemporaryFailure:
    """Return the error for a step that did not work and may be tried again."""
    return TemporaryFailure(f"QR login: {why}", code="qr_login_failed", why=why)


def _good(answer: Answer) -> Answer:
    stop = stop_in(answer.status, answer.location, answer.body)
    if stop is not None:
        raise stop
    if answer.status != 200 or answer.body is None:
        raise failed(f"HTTP {answer.status}")
    return answer
