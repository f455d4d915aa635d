"""The identity of the browser that a cookie came from, as requests to the site name it (docs/protocol.md §1.1).

It is taken from what the owner pasted, or it is the default browser; it is never mixed of both.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from urllib.parse import parse_qs, urlsplit

from shoal.errors import StoreError
from shoal.xianyu.pasted_text import request_in

SITE = "https://www.goofish.com"
DEFAULT_LANGUAGE = "zh-CN,zh;q=0.9"
OWN = "{}"
"""The stored form that stands for the default browser: the cookie came by a code that was scanned."""
_MOST_CHARACTERS = 400
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_ORIGIN_WORD = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CHROMIUM = re.compile(r"(?:Chrome|Edg)/([0-9]+)")
_PRODUCTS = (("Edge", "Edg"), ("Chrome", "Chrome"), ("Firefox", "Firefox"), ("Safari", "Version"))
"""Names of browsers, with the word before the version in a user agent, the most specific first."""
_GREASE = " (:-./);=?_"
_GREASE_VERSIONS = ("8", "99", "24")
_ORDERS = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser says of itself. The client hints are empty for one that sends none (Firefox, Safari).

    ``spm_pre`` and ``log_id`` are where its user came from, if the pasted call carried them.
    """

    user_agent: str
    brands: str = ""
    mobile: str = ""
    platform: str = ""
    language: str = DEFAULT_LANGUAGE
    spm_pre: str = ""
    log_id: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are the same in every request."""
        headers = {"Accept-Language": self.language, "User-Agent": self.user_agent}
        if self.brands:
            headers |= {
                "sec-ch-ua": self.brands,
                "sec-ch-ua-mobile": self.mobile,
                "sec-ch-ua-platform": self.platform,
            }
        return headers

    def call_headers(self, accept: str, *, site: str = "same-site", referer: str = f"{SITE}/") -> dict[str, str]:
        """Return the headers of a call that a script of a page of the site makes."""
        headers = {
            "Accept": accept,
            "Origin": "/".join(referer.split("/")[:3]),
            "Referer": referer,
            "Sec-Fetch-Dest": "empty",
            "Sec-Fetch-Mode": "cors",
            "Sec-Fetch-Site": site,
            **self.headers,
        }
        return headers | {"priority": "u=1, i"} if self.brands else headers  # the value is Chromium's

    @property
    def product(self) -> str:
        """Its name and version, such as ``Chrome/151.0.0.0``."""
        for name, word in _PRODUCTS:
            found = re.search(rf"\b{word}/([0-9.]+)", self.user_agent)
            if found:
                return f"{name}/{found[1]}"
        return "Other/0"

    @property
    def system(self) -> str:
        """Its operating system, as the message socket names it."""
        if "Windows" in self.user_agent:
            return "Windows/10"
        return "Mac OS/10.15.7" if "Mac OS X" in self.user_agent else "Linux/other"

    @property
    def navigator_platform(self) -> str:
        """Its operating system, as a script of a page reads it."""
        return {"Windows/10": "Win32", "Mac OS/10.15.7": "MacIntel"}.get(self.system, "Linux x86_64")

    @property
    def name(self) -> str:
        """Its name for people, such as ``Chrome 151, Windows``."""
        product, _, version = self.product.partition("/")
        return f"{product} {version.partition('.')[0]}, {self.system.partition('/')[0]}"


def chrome(version: int) -> Browser:
    """Return a Chrome of that version on Windows, with the client hints that it sends.

    Chromium derives the order of the brands and the name and version of the third one from its version.
    """
    grease = f"Not{_GREASE[version % 11]}A{_GREASE[(version + 1) % 11]}Brand"
    order = _ORDERS[version % 6]
    brands = [""] * 3
    brands[order[0]] = f'"{grease}";v="{_GREASE_VERSIONS[version % 3]}"'
    brands[order[1]] = f'"Chromium";v="{version}"'
    brands[order[2]] = f'"Google Chrome";v="{version}"'
    return Browser(
        user_agent="Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{version}.0.0.0 Safari/537.36",
        brands=", ".join(brands),
        mobile="?0",
        platform='"Windows"',
    )


def browser_in(text: str) -> Browser | None:
    """Return the browser of a pasted text, or ``None`` when the text does not hold all of it.

    A request that was copied in any way holds it (``pasted_text``); so does an export in JSON with ``userAgent`` and,
    for a browser that has them, its client hints under the names of their headers. A Chromium without its client hints
    is not known whole, and another browser with them is mixed of two: they are never made up.
    """
    text = text.strip().removeprefix("\ufeff")
    try:
        request = None if text.startswith("{") else request_in(text)
    except ValueError:
        return None
    headers = dict(request.headers) if request else _exported(text)
    address = request.address if request else ""
    user_agent = _value(headers, "user-agent")
    version = _CHROMIUM.search(user_agent)
    brands, platform = _value(headers, "sec-ch-ua"), _value(headers, "sec-ch-ua-platform")
    is_whole = f'v="{version[1]}"' in brands and bool(platform) if version is not None else not brands
    if not user_agent or not is_whole:
        return None
    query = parse_qs(urlsplit(address).query)
    return Browser(
        user_agent=user_agent,
        brands=brands,
        mobile=_value(headers, "sec-ch-ua-mobile") or ("?0" if brands else ""),
        platform=platform,
        language=_value(headers, "accept-language") or DEFAULT_LANGUAGE,
        spm_pre=_origin_word(query, "spm_pre"),
        log_id=_origin_word(query, "log_id"),
    )


def stored_form(browser: Browser) -> str:
    """Return the browser as JSON, without what is empty; ``read_browser`` reads it."""
    return json.dumps({name: value for name, value in asdict(browser).items() if value}, separators=(",", ":"))


def read_browser(text: str) -> Browser:
    """Return the browser that ``stored_form`` wrote. Raises ``StoreError`` for any other text."""
    try:
        return Browser(**json.loads(text))
    except (TypeError, ValueError):
        raise StoreError("the browser of an account cannot be read", code="unreadable_account") from None


def browser_of(stored: str | None, default: Browser) -> Browser:
    """Return the browser that an account presents: its own, if it is known. Raises as ``read_browser``."""
    return read_browser(stored) if stored and stored != OWN else default


def _exported(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    named = found.get("headers") if isinstance(found, dict) else None
    fields = {**(named if isinstance(named, dict) else {}), **(found if isinstance(found, dict) else {})}
    values = {str(name).lower(): value for name, value in fields.items() if isinstance(value, str)}
    return {"user-agent": values.get("useragent", ""), **values}


def _value(headers: dict[str, str], name: str) -> str:
    """Return a header's value if a browser can have sent it: text that may stand in a header, of a sane length."""
    value = headers.get(name, "").strip()
    return value if len(value) <= _MOST_CHARACTERS and _PRINTABLE.fullmatch(value) else ""


def _origin_word(query: dict[str, list[str]], name: str) -> str:
    value = query.get(name, [""])[0]
    return value if _ORIGIN_WORD.fullmatch(value) else ""
