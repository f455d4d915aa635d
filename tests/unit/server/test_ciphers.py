"""TLS is spoken from 1.2 on, and only with forward secrecy."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from shoal.server.tls import Certificate
from shoal.xianyu.site_session import open_site_session
from support.network.certificates import certificate


async def _asks(context: ssl.SSLContext, client: ssl.SSLContext) -> list[bytes]:
    """What a site that speaks so is told by one of our sessions."""
    told: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        async with open_site_session() as session:
            with suppress(aiohttp.ClientConnectorError):
                await session.get(f"https://localhost:{port}/", ssl=client)
    finally:
        server.close()
    return told


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_a_site_that_speaks_nothing_newer_than_tls_11_is_told_nothing(tmp_path: Path) -> None:
    new, client = certificate(tmp_path, "localhost")
    assert len(await _asks(new, client)) == 1
    new.set_ciphers("ALL:@SECLEVEL=0")
    new.maximum_version = ssl.TLSVersion.TLSv1_2
    assert len(await _asks(new, client)) == 1
    new.minimum_version, new.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    assert await _asks(new, client) == []


def test_every_cipher_of_our_own_door_has_forward_secrecy_and_the_strong_ones_come_first(tmp_path: Path) -> None:
    certificate(tmp_path, "localhost")
    file = tmp_path / "localhost.pem"
    file.chmod(0o600)
    ciphers = Certificate(file, file).context().get_ciphers()
    assert len(ciphers) > 5
    assert all(cipher["name"].startswith(("TLS_", "ECDHE-", "DHE-")) for cipher in ciphers)
    assert all(cipher["strength_bits"] >= 128 for cipher in ciphers)
    assert [cipher["aead"] for cipher in ciphers[:5]] == [True] * 5
