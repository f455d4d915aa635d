"""Looks at everything, in the order in which a server needs it."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509

from shoal.cli.api_client import server_url
from shoal.cli.doctor import machine
from shoal.cli.doctor.data import Examined, examine_data
from shoal.cli.doctor.findings import Finding, Level, Look, failure, fine, refusal, warning
from shoal.cli.doctor.servers import examine_servers
from shoal.cli.doctor.site import examine_site
from shoal.config import Settings
from shoal.errors import ConfigError
from shoal.network.addresses import reachable_url
from shoal.storage.data_directory import LOCK_FILE

_ANSWER_SECONDS = 5.0
_EXPIRES_SOON_DAYS = 14


async def examine(settings: Settings, *, offline: bool, url: str = "") -> AsyncIterator[Finding]:
    """Yield each finding as soon as it is known. Nothing is changed, and no request signs in.

    ``url``: where commands look for the server, when that is given; else it is where the settings let it listen.
    """
    yield fine(Look.SETTINGS, "settings")
    yield machine.versions()
    directory = machine.data_directory(settings.data_dir)
    yield directory
    yield machine.disk(settings.data_dir)
    for finding in await _address(settings, url):
        yield finding
    if settings.tls_cert is not None:
        yield await asyncio.to_thread(_certificate, settings.tls_cert)
    data = Examined()
    if directory.level is not Level.FAIL:
        data = await asyncio.to_thread(examine_data, settings)
    for finding in data.findings:
        yield finding
    for finding in await examine_servers(data.servers):
        yield finding
    yield machine.open_files(data.accounts)
    yield machine.time_zone()
    if not offline:
        for finding in await examine_site(settings, data.proxies):
            yield finding


async def _address(settings: Settings, given: str) -> list[Finding]:
    """Look whether a server runs, and whether one could listen at its address."""
    holder = machine.holder_of(settings.data_dir / LOCK_FILE)
    if given:
        return await _given_address(given, holder)
    url = reachable_url(settings.host, settings.port, scheme="https" if settings.tls_cert else "http")
    is_shoal = settings.port != 0 and await _is_shoal(url)
    if holder is not None:
        if is_shoal or settings.port == 0:
            return [fine(Look.SERVER, "server_runs", process=holder, url=url)]
        return [warning(Look.SERVER, "server_elsewhere", process=holder, url=url)]
    error = machine.can_listen(settings)
    if is_shoal:
        return [warning(Look.SERVER, "server_of_other", url=url)]
    if error is None:
        return [fine(Look.SERVER, "server_stopped", url=url)]
    return [refusal(Look.SERVER, _why_not(settings, error))]


async def _given_address(given: str, holder: str | None) -> list[Finding]:
    """Look whether a server answers where commands are set to look for it."""
    try:
        url = server_url(given)
    except ConfigError as error:
        return [refusal(Look.SERVER, error)]
    if not await _is_shoal(url):
        return [warning(Look.SERVER, "server_not_at_url", url=url)]
    if holder is None:
        return [warning(Look.SERVER, "server_of_other", url=url)]
    return [fine(Look.SERVER, "server_runs", process=holder, url=url)]


async def _is_shoal(url: str) -> bool:
    """Return whether a Shoal server answers there. Its certificate does not matter: nothing secret is sent."""
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"{url}/health/live", ssl=False, allow_redirects=False) as response,
        ):
            answer: Any = await response.json()
            return isinstance(answer, dict) and answer.get("status") == "alive"
    return False


def _why_not(settings: Settings, error: OSError) -> ConfigError:
    host, port = settings.host, settings.port
    if error.errno == errno.EADDRINUSE:
        return ConfigError("startup.port_in_use", host=host, port=port)
    if error.errno == errno.EACCES:
        return ConfigError("startup.port_needs_rights", port=port)
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError("startup.not_our_address", host=host)
    return ConfigError("startup.port_unusable", host=host, port=port, why=error.strerror)


def _certificate(path: Path) -> Finding:
    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        return refusal(Look.CERTIFICATE, ConfigError("startup.tls_cert_unreadable", cert=path, why=why))
    days = (ends - datetime.now(UTC)).days
    if days < 0:
        return failure(Look.CERTIFICATE, "certificate_over", path=path, day=f"{ends:%Y-%m-%d}")
    if days < _EXPIRES_SOON_DAYS:
        return warning(Look.CERTIFICATE, "certificate_soon", path=path, day=f"{ends:%Y-%m-%d}")
    return fine(Look.CERTIFICATE, "certificate", day=f"{ends:%Y-%m-%d}")
