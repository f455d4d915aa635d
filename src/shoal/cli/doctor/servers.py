"""Looks whether this machine reaches the other servers of its database as servers call each other: through no proxy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import aiohttp

from shoal.cli.doctor.findings import Finding, Look, failure, fine

_SECONDS = 5.0


async def examine_servers(servers: Sequence[tuple[str, str]]) -> list[Finding]:
    """Connect to each server. Any answer shows that the way is open, and nothing secret is sent.

    ``servers``: names and addresses. Of none there is no finding.
    """
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session:
        found = await asyncio.gather(*(_why_not(session, address) for _, address in servers))
    failing = [
        failure(Look.OTHER_SERVERS, why, name=name, url=address)
        for (name, address), why in zip(servers, found, strict=True)
        if why
    ]
    reached = len(servers) - len(failing)
    return [*([fine(Look.OTHER_SERVERS, "other_servers", count=reached)] if reached else []), *failing]


async def _why_not(session: aiohttp.ClientSession, address: str) -> str:
    """Return the code of why a server is not reached; the empty text when it is."""
    if not address:
        return "server_without_address"
    try:
        async with session.get(f"{address.rstrip('/')}/health/live", allow_redirects=False):
            return ""
    except aiohttp.ClientConnectorCertificateError:
        return "server_untrusted"
    except TimeoutError:
        return "server_timeout"
    except aiohttp.ClientConnectorDNSError:
        return "server_unknown_host"
    except (aiohttp.ClientError, OSError):
        return "server_unreachable"
