"""The identity of a browser as its requests tell it, and what no browser would say of itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_BROWSERS: Final = re.compile(r"^Mozilla/5\.0 \([^)]+\) .*(Chrome|Firefox|Version)/\d+")
_CHROMIUM: Final = re.compile(r"Chrome/(\d+)\.")
_BRAND: Final = re.compile(r'"([^"]*)";v="(\d+)"')
_REAL_BRANDS: Final = ("Chromium", "Google Chrome", "Microsoft Edge")
_PLATFORMS: Final = {"Windows": '"Windows"', "Macintosh": '"macOS"', "Android": '"Android"', "Linux": '"Linux"'}


@dataclass(frozen=True, slots=True)
class Browser:
    """What a browser says of itself at every door; the client hints are empty where it sends none."""

    agent: str
    brands: str = ""
    mobile: str = ""
    platform: str = ""
    language: str = ""

    @property
    def version(self) -> int:
        """Return the version of a Chromium, 0 for another browser."""
        found = _CHROMIUM.search(self.agent)
        return int(found[1]) if found else 0

    @property
    def without_version(self) -> tuple[str, ...]:
        """Return what stays the same when the browser renews itself."""
        return _CHROMIUM.sub("Chrome/", self.agent), self.mobile, self.platform, self.language


def browser_of(headers: Mapping[str, str]) -> Browser:
    """Return the identity in the headers of a request."""
    return Browser(
        agent=headers.get("user-agent", ""),
        brands=headers.get("sec-ch-ua", ""),
        mobile=headers.get("sec-ch-ua-mobile", ""),
        platform=headers.get("sec-ch-ua-platform", ""),
        language=headers.get("accept-language", ""),
    )


def oddities(browser: Browser, oldest_chrome: int) -> Iterator[tuple[str, str]]:
    """Yield the rules that an identity breaks by itself, with the reason."""
    if not _BROWSERS.search(browser.agent):
        yield "browser_agent", f"User-Agent {browser.agent[:60]!r}"
        return
    hints = (browser.brands, browser.mobile, browser.platform)
    if not browser.version:
        if any(hints):
            yield "client_hints", "this browser sends no client hints"
        return
    if browser.version < oldest_chrome:
        yield "stale_agent", f"Chrome {browser.version} is older than {oldest_chrome}"
    if not all(hints):
        yield "client_hints", "sec-ch-ua, sec-ch-ua-mobile or sec-ch-ua-platform is missing"
        return
    versions = {int(version) for name, version in _BRAND.findall(browser.brands) if name in _REAL_BRANDS}
    if versions != {browser.version}:
        yield "hints_match", f"sec-ch-ua says {sorted(versions)}, User-Agent {browser.version}"
    named = next((platform for word, platform in _PLATFORMS.items() if word in browser.agent), "")
    if browser.platform != named:
        yield "hints_match", f"sec-ch-ua-platform says {browser.platform}, User-Agent {named or 'nothing known'}"


def differs(known: Browser, seen: Browser) -> str:
    """Return how an identity differs from the known one of a login; empty when it is the same, or newer."""
    if seen == known or (seen.version > known.version and seen.without_version == known.without_version):
        return ""
    names = [name for name in ("agent", "brands", "mobile", "platform", "language") if _other(name, known, seen)]
    return f"{', '.join(names)} differ from those of the login"


def _other(name: str, known: Browser, seen: Browser) -> bool:
    return bool(getattr(known, name) != getattr(seen, name))
