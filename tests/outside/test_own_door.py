"""The door of the real server: its TLS, whom it believes about addresses, and how much it reads before it refuses."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from benchmarks.processes import PASSWORD, ServerProcess, soon
from support.network.certificates import certificate

pytestmark = [pytest.mark.outside, pytest.mark.timeout(600)]
NOWHERE = "http://127.0.0.1:9"


def renewed(directory: Path) -> ssl.SSLContext:
    """A certificate for ``localhost`` in ``localhost.pem``; the context of a client who trusts just this one."""
    _, client = certificate(directory, "localhost")
    (directory / "localhost.pem").chmod(0o600)
    return client


async def believed(client: httpx.AsyncClient, forwarded: str) -> str:
    """The address that the server writes down for a sign-in that fails."""
    said = {"X-Forwarded-For": forwarded, "X-Forwarded-Proto": "https"}
    await client.post("/login", json={"username": "admin", "password": f"wrong {forwarded}"}, headers=said)
    log = await client.get("/security-log?kind=sign_in&limit=1")
    return str(log.json()["items"][0]["origin"]).split()[-1]


async def test_tls_of_our_own_serves_a_renewed_certificate_after_sighup_and_forwards_are_believed_of_proxies_only(
    tmp_path: Path,
) -> None:
    first = renewed(tmp_path)
    pem = str(tmp_path / "localhost.pem")
    server = ServerProcess(
        tmp_path / "data",
        NOWHERE,
        SHOAL_TLS_CERT=pem,
        SHOAL_TLS_KEY=pem,
        SHOAL_TRUSTED_PROXIES="192.0.2.9",
        SHOAL_CLIENT_SILENCE_SECONDS="300",
    )
    await server.http.aclose()
    url = f"https://localhost:{server.port}"
    server.http = httpx.AsyncClient(base_url=url, verify=first, timeout=60)
    try:
        await server.start()
        answer = await server.http.get("/health/live")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert await believed(server.http, "203.0.113.5") == "127.0.0.1"  # no trusted proxy says so
        reader, writer = await asyncio.open_connection("localhost", server.port, ssl=first)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n")  # an idle line would be closed after a while
        second = renewed(tmp_path)
        server.child.send_signal(signal.SIGHUP)

        async def is_new() -> bool:
            try:
                async with httpx.AsyncClient(base_url=url, verify=second, timeout=60) as fresh:
                    return (await fresh.get("/health/live")).status_code == 200
            except httpx.ConnectError:
                return False

        await soon(is_new)
        with pytest.raises(httpx.ConnectError):
            async with httpx.AsyncClient(base_url=url, verify=first, timeout=60) as old:
                await old.get("/health/live")
        writer.write(b"Connection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200")  # a line that was open goes on
        writer.close()
        spoil(tmp_path)
        server.child.send_signal(signal.SIGHUP)
        await soon(lambda: said_in(server.log_file, "was not read again"))
        assert await is_new()
    finally:
        await server.close()


def spoil(directory: Path) -> None:
    (directory / "localhost.pem").write_text("half a certificate")


def read(file: Path) -> str:
    return file.read_text()


async def said_in(log_file: Path, words: str) -> bool:
    return words in read(log_file)


async def answer_to(port: int, *parts: bytes) -> bytes:
    """What comes back, until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(60):
            return await reader.read()
    except ConnectionError:  # it hung up while we were still writing
        return b"hung up"
    finally:
        writer.close()


async def closed_after_a_large_frame(server: ServerProcess) -> int | None:
    """The code by which the console's socket is closed when the page says more than it ever needs to."""
    own = {"Origin": server.url}
    async with httpx.AsyncClient(base_url=server.url, timeout=60, headers=own) as page:
        signed_in = await page.post("/console/session", json={"name": "admin", "password": PASSWORD})
        assert signed_in.status_code == 200, signed_in.text
        cookie = f"shoal_session={page.cookies['shoal_session']}"
    address = f"{server.url.replace('http', 'ws')}/console/live"
    async with connect(
        address, additional_headers={**own, "Cookie": cookie}, compression=None, open_timeout=60
    ) as socket:
        assert json.loads(await socket.recv())["type"] == "snapshot"
        await socket.send("x" * 100_000)
        await socket.wait_closed()
        return socket.close_code


async def test_what_comes_before_a_body_has_an_end_and_forwards_are_believed_of_the_loopback(tmp_path: Path) -> None:
    server = await ServerProcess(tmp_path / "data", NOWHERE).start()
    try:
        assert await believed(server.http, "203.0.113.5") == "203.0.113.5"
        assert await believed(server.http, "198.51.100.7, 203.0.113.6") == "203.0.113.6"  # what the proxy itself saw
        start = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
        assert (await answer_to(server.port, start, b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200")
        one_mebibyte = b"x" * (1 << 20)
        chunked = (
            b"POST /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
            b"2\r\n{}\r\n0\r\n"
        )
        assert b" 200 " in await answer_to(server.port, chunked + b"X-Short: y\r\n\r\n")
        for flood in (
            (b"GET /" + one_mebibyte, one_mebibyte),
            (start, b"X-Long: " + one_mebibyte, one_mebibyte),
            (start, *(b"X-%d: y\r\n" % number * 100 for number in range(2_000))),
            (chunked, *(b"X-%d: y\r\n" % number * 100 for number in range(2_000))),
            (chunked, b"X-Long: ", *[b"y" * (1 << 16)] * 16),
        ):
            said = await answer_to(server.port, *flood)
            assert said.startswith((b"HTTP/1.1 431", b"HTTP/1.1 400", b"hung up")) or not said, said[:100]
        long_but_fine = start + b"X-Long: " + b"y" * 30_000 + b"\r\nConnection: close\r\n\r\n"
        assert (await answer_to(server.port, long_but_fine)).startswith(b"HTTP/1.1 200")
        large = {"username": "admin", "password": PASSWORD, "more": "z" * 1_500_000}
        assert (await server.http.post("/login", json=large)).status_code != 413
        assert (await server.http.post("/login", json={**large, "more": "z" * 3_000_000})).status_code == 413
        assert await closed_after_a_large_frame(server) == 1009
    finally:
        await server.close()
