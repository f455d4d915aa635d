"""Cookie strings: what owners paste, the one header line that is stored, and what is missing (docs/protocol.md §1)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shoal.errors import InvalidInput
from shoal.xianyu.browser import Browser, browser_in
from shoal.xianyu.pasted_text import Headers, request_in

MAX_COOKIE_BYTES = 64 * 1024
"""The longest text that is parsed, in bytes of UTF-8."""

REQUIRED = ("unb", "cookie2")
"""A cookie without these has no login."""

RENEWABLE = ("_m_h5_tk", "_m_h5_tk_enc")
"""The site sends these again by itself when they are missing or stale (§2.2)."""

SITE_DOMAIN = "goofish.com"

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_REFUSED_IN_VALUE = re.compile(r"[;\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LOGIN_ENDS = re.compile(r"(?:^|; )havana_lgc_exp=([0-9]{13})(?:;|$)")
_DIGITS = re.compile(r"[0-9]{1,32}")
_HEADER_PREFIX = re.compile(r"cookie\s*:", re.IGNORECASE)
_NETSCAPE_FIELDS = 7


class Flaw(StrEnum):
    """Why a text is not a cookie: the ``reason`` of ``malformed_cookie``."""

    TOO_LONG = "too_long"
    NO_PAIR = "no_pair"
    NO_EQUALS_SIGN = "no_equals_sign"
    BAD_NAME = "bad_name"
    BAD_VALUE = "bad_value"
    UNB_NO_NUMBER = "unb_no_number"
    TWO_SELLERS = "two_sellers"
    NOT_JSON = "not_json"
    JSON_SHAPE = "json_shape"
    JSON_NO_TEXT = "json_no_text"
    OPEN_QUOTE = "open_quote"
    CURL_WITHOUT_COOKIE = "curl_without_cookie"


@dataclass(frozen=True, slots=True)
class CookieCheck:
    """The contents of a cookie string. ``header`` is the normal form and secret; the rest may be shown."""

    header: str = field(repr=False)
    unb: str
    missing_required: tuple[str, ...]
    missing_renewable: tuple[str, ...]
    fingerprint: str
    browser: Browser | None = None
    """The browser that the cookie came from, when the text names it."""


@dataclass(frozen=True, slots=True)
class _Found:
    """One pair of the text; ``domain`` is empty when the text names none."""

    name: str
    value: str = field(repr=False)
    domain: str = ""


def parse_cookie(text: str) -> dict[str, str]:
    """Read the pairs of a cookie in any form that browsers and their extensions export.

    Accepted: a header line with or without ``Cookie:``, a block of request headers, a copied request (cURL for bash and
    Windows cmd, PowerShell, fetch for Node.js), the JSON of the usual extensions (a list of ``{name, value}``,
    ``{"cookies": […]}`` or an object of names) and a Netscape cookie file. When there are several domains, only the
    site's own count. Of two equal names that of the wider domain wins, else the last, but two different ``unb`` mean
    two sellers.

    Raises ``InvalidInput`` with code ``malformed_cookie`` and a ``reason`` (a ``Flaw``) for anything else.
    """
    if len(text) > MAX_COOKIE_BYTES or len(text.encode(errors="surrogatepass")) > MAX_COOKIE_BYTES:
        raise _malformed(Flaw.TOO_LONG)
    found = _read(text.strip().removeprefix("\ufeff"))
    items = _of_the_site(found)
    for item in items:
        _check_pair(item.name, item.value)
    if len({item.value for item in items if item.name == "unb"}) > 1:
        raise _malformed(Flaw.TWO_SELLERS)
    if not items:
        raise _malformed(Flaw.NO_PAIR)
    values = {item.name: item.value for item in sorted(items, key=lambda item: -len(item.domain.lstrip(".")))}
    return {item.name: values[item.name] for item in items}


def format_cookie(pairs: Mapping[str, str]) -> str:
    """Return the header line of ``pairs``, in their order."""
    return "; ".join(f"{name}={value}" for name, value in pairs.items())


def missing_names(pairs: Mapping[str, str]) -> tuple[str, ...]:
    """Return the needed names that are absent or empty, the required ones first."""
    return tuple(name for name in REQUIRED + RENEWABLE if not pairs.get(name))


def check_cookie(text: str) -> CookieCheck:
    """Read a cookie and list what is missing. Raises as ``parse_cookie``, and for a ``unb`` that is not a number."""
    pairs = parse_cookie(text)
    unb = pairs.get("unb", "")
    if unb and not _DIGITS.fullmatch(unb):
        raise _malformed(Flaw.UNB_NO_NUMBER)
    header = format_cookie(pairs)
    missing = missing_names(pairs)
    return CookieCheck(
        header=header,
        unb=unb,
        missing_required=tuple(name for name in missing if name in REQUIRED),
        missing_renewable=tuple(name for name in missing if name in RENEWABLE),
        fingerprint=fingerprint(header),
        browser=browser_in(text),
    )


def require_cookie(text: str) -> CookieCheck:
    """Read a cookie that can log in.

    Raises ``InvalidInput`` with code ``cookie_incomplete`` and ``missing`` (a list of names), otherwise as
    ``check_cookie``.
    """
    check = check_cookie(text)
    if check.missing_required:
        missing = list(check.missing_required)
        raise InvalidInput(f"the cookie lacks {', '.join(missing)}", code="cookie_incomplete", missing=missing)
    return check


def merge(header: str, updates: Mapping[str, str]) -> str:
    """Return ``header`` with the site's new values: order kept, new names last, empty values dropped.

    Raises ``InvalidInput`` (``malformed_cookie``) when a pair of the header or an update is not allowed in a header
    line.
    """
    pairs = parse_cookie(header) if header.strip() else {}
    for name, value in updates.items():
        _check_pair(name, value)
        if value and value != "deleted":
            pairs[name] = value
        else:
            pairs.pop(name, None)
    return format_cookie(pairs)


def is_pair(name: str, value: str) -> bool:
    """Return whether a name and value are allowed in a header line."""
    return bool(_NAME.fullmatch(name)) and not _REFUSED_IN_VALUE.search(value)


def fingerprint(header: str) -> str:
    """Return 8 hex digits of the header's SHA-256, to compare cookies without showing them."""
    return hashlib.sha256(header.encode(errors="surrogatepass")).hexdigest()[:8]


def login_ends_at_ms(header: str) -> int | None:
    """Return when the login ends by the cookie's ``havana_lgc_exp``, in epoch milliseconds.

    It is a guess: the site may end the login at any time. ``None`` when the cookie does not contain it. In public
    examples of cookies it is a month later than their other dates.
    """
    found = _LOGIN_ENDS.search(header)
    return int(found[1]) if found else None


def _malformed(flaw: Flaw) -> InvalidInput:
    why = flaw.value.replace("_", " ")
    return InvalidInput(f"the cookie cannot be read: {why}", code="malformed_cookie", reason=flaw.value)


def _check_pair(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise _malformed(Flaw.BAD_NAME)
    if _REFUSED_IN_VALUE.search(value):
        raise _malformed(Flaw.BAD_VALUE)


def _read(text: str) -> Iterable[_Found]:
    if text.startswith(("{", "[")):
        return _read_json(text)
    if text.startswith(("# Netscape", "# HTTP Cookie File")) or _netscape_lines(text):
        return _read_netscape(text)
    try:
        request = request_in(text)
    except ValueError:
        raise _malformed(Flaw.OPEN_QUOTE) from None
    if request is None:
        return _read_header(text)
    found = [_Found(*cookie) for cookie in request.cookies] or _read_cookie_headers(request.headers)
    if not found:
        raise _malformed(Flaw.CURL_WITHOUT_COOKIE)
    return found


def _of_the_site(found: Iterable[_Found]) -> list[_Found]:
    items = list(found)
    ours = [item for item in items if _is_site_domain(item.domain)]
    return ours or items


def _is_site_domain(domain: str) -> bool:
    bare = domain.lower().lstrip(".")
    return bare == SITE_DOMAIN or bare.endswith("." + SITE_DOMAIN)


def _read_header(text: str) -> list[_Found]:
    prefix = _HEADER_PREFIX.match(text)
    body = text[prefix.end() :].strip() if prefix else text
    if len(body) > 1 and body[0] == body[-1] and body[0] in "\"'":
        body = body[1:-1]
    found = []
    for part in body.split(";"):
        if not part.strip():
            continue
        name, equals, value = part.partition("=")
        if not equals:
            raise _malformed(Flaw.NO_EQUALS_SIGN)
        found.append(_Found(name.strip(), value.strip()))
    return found


def _read_json(text: str) -> list[_Found]:
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed(Flaw.NOT_JSON) from None
    if isinstance(parsed, dict) and isinstance(parsed.get("cookies"), list):
        parsed = parsed["cookies"]
    if isinstance(parsed, dict):
        return [_json_pair(name, value, "") for name, value in parsed.items()]
    if isinstance(parsed, list):
        return [_json_entry(entry) for entry in parsed]
    raise _malformed(Flaw.JSON_SHAPE)


def _json_entry(entry: object) -> _Found:
    if not isinstance(entry, dict):
        raise _malformed(Flaw.JSON_SHAPE)
    domain = entry.get("domain", "")
    return _json_pair(entry.get("name"), entry.get("value"), domain if isinstance(domain, str) else "")


def _json_pair(name: object, value: object, domain: str) -> _Found:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(name, str) or not isinstance(value, str):
        raise _malformed(Flaw.JSON_NO_TEXT)
    return _Found(name, value, domain)


def _netscape_lines(text: str) -> list[list[str]]:
    lines = (line.removeprefix("#HttpOnly_") for line in text.splitlines())
    rows = (line.split("\t") for line in lines if line and not line.startswith("#"))
    return [row for row in rows if len(row) == _NETSCAPE_FIELDS]


def _read_netscape(text: str) -> list[_Found]:
    return [_Found(name=row[5], value=row[6].strip(" "), domain=row[0]) for row in _netscape_lines(text)]


def _read_cookie_headers(headers: Headers) -> list[_Found]:
    return [pair for name, value in headers if name == "cookie" for pair in _read_header(value)]
