"""Looks whether the site can be reached, directly and through each proxy, and compares the clocks. Nothing signs in."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from shoal.cli.doctor.findings import Finding, Look, failure, fine, warning
from shoal.cli.doctor.machine import clock_is_kept
from shoal.cli.words import words
from shoal.config import Settings
from shoal.network.outbound import Outbound
from shoal.xianyu.proxied_session import session_through
from shoal.xianyu.proxy import shown_proxy
from shoal.xianyu.site_session import ProxyFailed

_SECONDS = 15.0
_AT_ONCE = 8
_NAMED = 20
"""How many proxies that fail are named; the others are counted."""
_FAILURES = {
    "untrusted": "site_untrusted",
    "timeout": "site_timeout",
    "unknown_host": "site_unknown_host",
    "unreachable": "site_unreachable",
}
"""What is reported of a host that is not reached directly, by the reason."""
_CLOCK_WARN_SECONDS, _CLOCK_FAIL_SECONDS = 60, 3600


@dataclass(frozen=True, slots=True)
class Reached:
    """What a look at one host brought: nothing but the site's time, or why it failed."""

    host: str
    why: str = ""
    ahead_seconds: float | None = None
    """How far this machine's clock is ahead of the site's."""


async def examine_site(settings: Settings, proxies: Counter[str]) -> list[Finding]:
    """Connect to each host of the site directly, unless every account has a proxy, and through each proxy."""
    turns = asyncio.Semaphore(_AT_ONCE)
    hosts = list(dict.fromkeys(_origin(url) for url in _site_urls(settings)))
    findings: list[Finding] = []
    if not proxies or proxies[""]:
        direct = await asyncio.gather(*(_reach(settings, turns, "", host) for host in hosts))
        findings += [_host_finding(one) for one in direct]
        findings.append(_clock_finding(direct))
    through = [url for url in proxies if url]
    if through:
        asked = [(proxy, host) for proxy in through for host in hosts]
        found = await asyncio.gather(*(_reach(settings, turns, proxy, host) for proxy, host in asked))
        findings += _proxy_findings(proxies, [(proxy, one) for (proxy, _), one in zip(asked, found, strict=True)])
        if not proxies[""]:
            findings.append(_clock_finding(found))
    return findings


def _site_urls(settings: Settings) -> tuple[str, ...]:
    return (settings.site_mtop_url, settings.site_passport_url, settings.site_upload_url, settings.site_ws_url)


def _origin(url: str) -> str:
    """Return the address of a host as HTTP asks for it: a socket begins with HTTP too."""
    origin = URL(url).origin()
    return str(origin.with_scheme({"ws": "http", "wss": "https"}.get(origin.scheme, origin.scheme)))


async def _reach(settings: Settings, turns: asyncio.Semaphore, proxy: str, origin: str) -> Reached:
    """Connect to a host and send one request without a cookie. Any answer shows that the way is open."""
    timeout = aiohttp.ClientTimeout(total=_SECONDS, sock_connect=_SECONDS)
    outbound = Outbound.of(settings.allow_private_targets)
    host = URL(origin).host or origin
    async with turns:
        try:
            async with (
                aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout) as direct,
                session_through(proxy, direct, connect_timeout_seconds=_SECONDS, outbound=outbound) as session,
                session.head(origin, allow_redirects=False, timeout=timeout) as response,
            ):
                return Reached(host, ahead_seconds=_ahead(response.headers.get("Date")))
        except ProxyFailed as error:
            return Reached(host, error.code)
        except aiohttp.ClientSSLError:
            return Reached(host, "untrusted")
        except TimeoutError:
            return Reached(host, "timeout")
        except aiohttp.ClientConnectorDNSError:
            return Reached(host, "unknown_host")
        except (aiohttp.ClientError, OSError):
            return Reached(host, "unreachable")


def _ahead(date: str | None) -> float | None:
    if date is None:
        return None
    try:
        return (datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError):
        return None


def _host_finding(one: Reached) -> Finding:
    if one.why:
        return failure(Look.SITE, _FAILURES[one.why], host=one.host)
    return fine(Look.SITE, "site", host=one.host)


def _proxy_findings(proxies: Counter[str], found: Sequence[tuple[str, Reached]]) -> list[Finding]:
    """Return a finding for each proxy that fails, and one that counts those that work."""
    failing: dict[str, Reached] = {}
    for proxy, one in found:
        if one.why:
            failing.setdefault(proxy, one)
    findings = [
        failure(
            Look.PROXIES, "proxy", proxy=shown_proxy(proxy), accounts=proxies[proxy], host=one.host,
            why=words(f"doctor.proxy.{one.why}"),
        )
        for proxy, one in list(failing.items())[:_NAMED]
    ]  # fmt: skip
    used = [proxy for proxy in proxies if proxy]
    if len(failing) > _NAMED:
        findings.append(failure(Look.PROXIES, "proxies_more", count=len(failing) - _NAMED))
    if len(failing) < len(used):
        findings.append(fine(Look.PROXIES, "proxies", count=len(used) - len(failing)))
    return findings


def _clock_finding(found: Sequence[Reached]) -> Finding:
    """Compare this machine's clock with the site's: one answer that is about right is enough."""
    offsets = [one.ahead_seconds for one in found if one.ahead_seconds is not None]
    kept = clock_is_kept()
    if not offsets:
        return fine(Look.CLOCK, "clock_untold") if kept is not False else warning(Look.CLOCK, "clock_unkept")
    ahead = min((round(seconds) for seconds in offsets), key=abs)
    if abs(ahead) >= _CLOCK_FAIL_SECONDS:
        return failure(Look.CLOCK, "clock_wrong", seconds=ahead)
    if abs(ahead) >= _CLOCK_WARN_SECONDS:
        return warning(Look.CLOCK, "clock_wrong", seconds=ahead)
    return warning(Look.CLOCK, "clock_unkept") if kept is False else fine(Look.CLOCK, "clock", seconds=ahead)
