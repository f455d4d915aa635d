"""Cookies that the site sets: each has a domain and a path, and is sent by them (docs/protocol.md §2.2).

A jar is a mapping of keys to values; an empty value deletes. The key of a cookie of the whole site is its name, which
is what jars of older versions hold; any other has its domain and path in the key.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import aiohttp

from shoal.clock import now_ms
from shoal.xianyu.cookie_string import SITE_DOMAIN, is_pair

GATEWAY, PASSPORT = f"h5api.m.{SITE_DOMAIN}", f"passport.{SITE_DOMAIN}"
PAGES, UPLOADS = f"www.{SITE_DOMAIN}", f"stream-upload.{SITE_DOMAIN}"
"""The hosts of the site, to which cookies are sent by their domains. A sandbox stands for all of them."""
_MARK = ";"


def cookies_set_by(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return the cookies that a reply sets, by their keys; a deleted one with an empty value."""
    host = response.url.host or ""
    changed: dict[str, str] = {}
    for line in response.headers.getall("Set-Cookie", ()):
        pair, *attributes = line.split(";")
        name, _, value = (part.strip() for part in pair.partition("="))
        named = dict(_attribute(text) for text in attributes)
        key = _key(name, named.get("domain", ""), named.get("path") or "/", host)
        if key and is_pair(name, value):
            changed[key] = "" if _is_deleted(named) else value
    return changed


def pairs_for(jar: Mapping[str, str], host: str) -> dict[str, str]:
    """Return names and values of the cookies that a request to a host of the site carries, deleted ones included.

    Of two with the same name, the one of the narrower domain is sent.
    """
    fitting = [(name, domain, value) for name, domain, value in _entries(jar) if _covers(domain, host)]
    return {name: value for name, _, value in sorted(fitting, key=lambda entry: len(entry[1]))}


def all_pairs(jar: Mapping[str, str]) -> dict[str, str]:
    """Return the cookies as one line can hold them: those of the whole site, and of others each name once."""
    found: dict[str, str] = {}
    for name, _, value in sorted(_entries(jar), key=lambda entry: len(entry[1])):
        if value and not found.get(name):
            found[name] = value
    return found


def add(jar: dict[str, str], changed: Mapping[str, str]) -> None:
    """Put cookies into a jar that holds what a browser holds: a deleted one is gone."""
    for key, value in changed.items():
        if value:
            jar[key] = value
        else:
            jar.pop(key, None)


def take_over(jar: dict[str, str], changed: Mapping[str, str], pasted: Mapping[str, str]) -> None:
    """Do the same for a jar beside what an owner pasted: a deleted cookie that stands there stays, with an empty value.

    What is as it was pasted, and what is deleted without having been there, adds nothing.
    """
    for key, value in changed.items():
        if value or key in pasted:
            if jar.get(key, pasted.get(key)) != value:
                jar[key] = value
        else:
            jar.pop(key, None)


def _entries(jar: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    for key, value in jar.items():
        name, _, place = key.partition(_MARK)
        yield name, place.partition(_MARK)[0] or SITE_DOMAIN, value


def _key(name: str, domain: str, path: str, host: str) -> str:
    """Return the key of a cookie; empty for one that this host may not set."""
    domain = domain.lower().lstrip(".")
    ours = _covers(SITE_DOMAIN, host)
    if domain and ours and not _covers(domain, host):
        return ""
    domain = domain or (host if ours else SITE_DOMAIN)
    if not _covers(SITE_DOMAIN, domain):
        return ""
    return name if (domain, path) == (SITE_DOMAIN, "/") else _MARK.join((name, domain, path))


def _covers(domain: str, host: str) -> bool:
    return host == domain or host.endswith(f".{domain}")


def _attribute(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip()


def _is_deleted(attributes: Mapping[str, str]) -> bool:
    age = attributes.get("max-age")
    if age is not None:
        return age.lstrip("-").isdigit() and int(age) <= 0
    try:
        expires = parsedate_to_datetime(attributes.get("expires", "").replace("-", " "))
    except (ValueError, TypeError):
        return False
    return expires.replace(tzinfo=expires.tzinfo or UTC).timestamp() * 1000 <= now_ms()
