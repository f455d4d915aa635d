"""The sandbox speaks TLS with a certificate of its own, which no client trusts by default."""

from __future__ import annotations

import asyncio
import ssl
import stat
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509

from shoal.sandbox import Clock, World, build_sandbox, serve_sandbox
from shoal.sandbox.certificate import make_certificate
from support.site.sandbox_driver import START_MS, Box


async def test_sockets_and_calls_go_over_tls_and_only_for_who_trusts_the_authority(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "tls")
    app = build_sandbox(World(shops=1, clock=Clock(START_MS)))
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve_sandbox(app=app, ready=ready, certificate=certificate))
    try:
        url = await asyncio.wait_for(ready, 60)
        assert url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(certificate.authority))
        trust.verify_flags |= ssl.VERIFY_X509_STRICT
        connector = aiohttp.TCPConnector(limit=0, ssl=trust)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as http:
            box = Box(url, app.state.site, http)
            async with box.shop().online() as im:
                assert (await box.get("sockets"))[im.shop.unb]["now"] == 1
                await box.post("say", account=im.shop.unb, buyer="豆豆妈", text="在吗")
                assert await im.payload()
        async with aiohttp.ClientSession() as stranger:
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await stranger.get(f"{url}/_sandbox/state")
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def test_the_authority_signed_nothing_else_and_its_key_is_nowhere(tmp_path: Path) -> None:
    first, second = make_certificate(tmp_path), make_certificate(tmp_path)
    assert first == second
    assert stat.S_IMODE(second.site.stat().st_mode) == 0o600
    assert b"PRIVATE" not in second.authority.read_bytes()
    authority = x509.load_pem_x509_certificate(second.authority.read_bytes())
    pem = second.site.read_bytes()
    site = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])
    site.verify_directly_issued_by(authority)
    assert pem.count(b"PRIVATE KEY") == 2, "one key: the site's own"
    assert {file.name for file in tmp_path.iterdir()} == {"authority.pem", "site.pem"}
