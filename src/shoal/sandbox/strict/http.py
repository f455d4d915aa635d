"""The strict rules of every HTTP door: page headers, identity, fetch metadata."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from shoal.sandbox.site import Site
from shoal.sandbox.strict.browser import Browser, browser_of, differs, oddities
from shoal.sandbox.things import Session

_METADATA: Final = ("sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site")


def look(request: Request, door: str, cookies: Mapping[str, str], *, refuses: bool = False) -> str:
    """Apply the rules to a request and record each that it breaks; return the first, or an empty string.

    ``refuses`` says whether the caller refuses the request then.
    """
    site: Site = request.app.state.site
    if not site.world.policy.rules:
        return ""
    broken = ""
    for rule, why in _broken(request, site, cookies):
        if site.strict.has(rule):
            refused = refuses and rule != "fetch_metadata"
            site.strict.add(rule, door, cookies.get("unb", ""), why, refused=refused)
            broken = broken or (rule if refused else "")
    return broken


def _broken(request: Request, site: Site, cookies: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    headers = request.headers
    own_host = headers.get("host", "")
    is_typed = headers.get("sec-fetch-mode") == "navigate" and "referer" not in headers
    if not is_typed and not is_of_the_site(headers.get("referer", ""), own_host):
        yield "page_headers", f"Referer {headers.get('referer', '')!r}"
    if request.method == "POST" and not is_of_the_site(headers.get("origin", ""), own_host):
        yield "page_headers", f"Origin {headers.get('origin', '')!r}"
    missing = [name for name in _METADATA if name not in headers]
    if missing:
        yield "fetch_metadata", f"{', '.join(missing)} missing"
    browser = browser_of(headers)
    odd = list(oddities(browser, site.world.policy.oldest_chrome))
    yield from odd
    session = site.world.browser_session(cookies)
    if session is None or odd:
        return
    if why := compare(session, browser):
        yield "one_browser", why


def compare(session: Session, browser: Browser) -> str:
    """Return how a browser differs from the one of a login, which is the first that used it or a newer version."""
    if session.browser is None:
        session.browser = browser
        return ""
    if why := differs(session.browser, browser):
        return why
    session.browser = browser
    return ""


def is_of_the_site(address: str, own_host: str = "") -> bool:
    """Return whether an address is of a page of the site, or of this sandbox."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    of_goofish = parts.scheme == "https" and (host == "goofish.com" or host.endswith(".goofish.com"))
    return of_goofish or (bool(own_host) and parts.netloc == own_host)
