"""Connections that say nothing, or too little, at the door of the real server; and names that lead there."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from benchmarks.processes import PASSWORD, ServerProcess, soon
from outside.node_pair import SELDOM
from support.network.certificates import certificate
from support.site.small_live_site import COOKIE

pytestmark = pytest.mark.outside
NOWHERE = "http://127.0.0.1:9"
FEW_FILES = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
runpy.run_module("shoal", run_name="__main__")
"""
"""A server that may open 400 files."""
LONG_ANSWER = "/keywords/shop"
_SOCKETS = Path("/proc/net/tcp")
_TAKEN = ("01", "08")
"""Established, or closed by the other end alone."""


@asynccontextmanager
async def running(data: Path, **settings: str) -> AsyncIterator[ServerProcess]:
    server = ServerProcess(data, NOWHERE, **settings)
    try:
        yield await server.start()
    finally:
        await server.close()


def silent(port: int, number: int, *, say: bytes = b"") -> list[socket.socket]:
    """So many connections that say no more than that."""
    opened = []
    for _ in range(number):
        one = socket.socket()
        one.setblocking(False)
        with suppress(BlockingIOError):
            one.connect(("127.0.0.1", port))
        opened.append(one)
    if say:
        for one in opened:
            one.setblocking(True)
            one.send(say)
            one.setblocking(False)
    return opened


async def still_open(sockets: list[socket.socket]) -> int:
    """How many the server has not closed."""
    await asyncio.sleep(0)
    return sum(not is_closed(one) for one in sockets)


def is_closed(one: socket.socket) -> bool:
    try:
        while said := one.recv(4096):
            assert said.startswith((b"HTTP/1.1 408", b"HTTP/1.1 503")), said
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


async def all_closed(sockets: list[socket.socket], within: float) -> float:
    """After how many seconds each was closed."""
    began = time.monotonic()
    async with asyncio.timeout(within):
        while await still_open(sockets):
            await asyncio.sleep(SELDOM)
    return time.monotonic() - began


async def owner_works(server: ServerProcess) -> None:
    """A new connection each: a page, a sign-in, a change."""
    async with httpx.AsyncClient(base_url=server.http.base_url, timeout=60, verify=False) as fresh:  # noqa: S501
        assert (await fresh.get("/console/")).status_code in {200, 503}  # without the console's build it says so
        answer = await fresh.post("/login", json={"username": "admin", "password": PASSWORD})
        assert answer.status_code == 200, answer.text


async def test_f13_3000_silent_connections_are_gone_within_the_limit_while_the_owner_works_and_names_are_checked(
    tmp_path: Path,
) -> None:
    wanted = min(3_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2 - 200)
    async with running(
        tmp_path / "data",
        SHOAL_CLIENT_SILENCE_SECONDS="2",
        SHOAL_ALLOWED_HOSTS="shop.example.org, *.lan",
        SHOAL_CONNECTIONS_PER_ADDRESS="4",
        SHOAL_STREAMS_PER_USER="6",
    ) as server:
        quiet = silent(server.port, wanted - 200)
        begun = silent(server.port, 100, say=b"GET /console/ HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        bodies = silent(
            server.port,
            100,
            say=b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{",
        )
        try:
            closing = asyncio.create_task(all_closed([*quiet, *begun, *bodies], within=120))
            while not closing.done():
                await owner_works(server)
            await closing
        finally:
            for one in (*quiet, *begun, *bodies):
                one.close()
        names_are_checked(server)
        await streams_are_bounded(server)


async def streams_are_bounded(server: ServerProcess) -> None:
    """Four at once of an address behind the proxy, six of a person; what was closed makes room."""
    refused: list[tuple[int, str]] = []
    async with AsyncExitStack() as held:

        async def follow(address: str) -> int:
            from_there = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
            answer = await held.enter_async_context(server.http.stream("GET", "/events", headers=from_there))
            if answer.status_code != 200:
                assert answer.headers["retry-after"]
                refused.append((answer.status_code, json.loads(await answer.aread())["code"]))
            return answer.status_code

        assert [await follow("203.0.113.5") for _ in range(5)] == [200] * 4 + [429]
        assert [await follow("203.0.113.6") for _ in range(3)] == [200] * 2 + [429]
        assert refused == [(429, "too_many_requests"), (429, "too_many_streams")]
        assert (await server.http.get("/cookies")).status_code == 200
    async with asyncio.timeout(60):
        while True:
            from_there = {"X-Forwarded-For": "203.0.113.5", "X-Forwarded-Proto": "https"}
            async with server.http.stream("GET", "/events", headers=from_there) as answer:
                if answer.status_code == 200:
                    return
                await answer.aread()


async def test_g8_a_plain_start_takes_addresses_and_names_of_this_machine_only_and_says_what_to_set(
    tmp_path: Path,
) -> None:
    async with running(tmp_path / "data", SHOAL_PUBLIC_URL="https://shop.example.com/console") as server:
        port = server.port
        for name in ("shop.example.com", f"Shop.Example.com:{port}", f"127.0.0.1:{port}", "192.168.7.7", "[::1]",
                     f"localhost:{port}", "x.localhost"):  # fmt: skip
            assert asked(server, f"Host: {name}", path="/login.html").startswith(b"HTTP/1.1 307"), name
        for name in ("evil.example", "nas.local", "nas", "shop.example.com.evil.example", "a.shop.example.com"):
            for path in ("/login.html", "/console/", "/health/live", "/openapi.json"):
                said = asked(server, f"Host: {name}:{port}", "Accept-Language: en", path=path)
                assert said.startswith(b"HTTP/1.1 421"), (name, path)
                assert f"SHOAL_ALLOWED_HOSTS={name}".encode() in said
        for path in ("/console/", "/console/help/"):
            page = asked(server, "Host: nas.local", "Accept: text/html", path=path).decode()
            assert "SHOAL_ALLOWED_HOSTS=nas.local" in page
        # A proxy of this machine that changes the name passes on the visitor's, which counts.
        assert asked(server, "Host: 127.0.0.1", "X-Forwarded-Host: shop.example.com").startswith(b"HTTP/1.1 200")
        assert asked(server, "Host: 127.0.0.1", "X-Forwarded-Host: evil.example").startswith(b"HTTP/1.1 421")


def names_are_checked(server: ServerProcess) -> None:
    port = server.port
    for name in ("shop.example.org", f"SHOP.example.org.:{port}", "a.lan", f"127.0.0.1:{port}", "192.168.7.7",
                 f"[::1]:{port}", f"localhost:{port}", "x.localhost"):  # fmt: skip
        assert asked(server, f"Host: {name}").startswith(b"HTTP/1.1 200"), name
    for name in ("evil.example", "shop.example.org.evil.example", "lan", "127.0.0.1.evil.example", "evil.lan.co"):
        said = asked(server, f"Host: {name}", "Accept-Language: en")
        assert said.startswith(b"HTTP/1.1 421"), name
        assert b"SHOAL_ALLOWED_HOSTS" in said
        assert b"unknown_host" in said
    page = asked(server, "Host: evil.example", "Accept: text/html", path="/console/").decode()
    assert "SHOAL_ALLOWED_HOSTS" in page
    assert "这个域名" in page
    assert "x-frame-options: DENY" in page
    # A name that a proxy passes on counts beside its own, not in its place.
    assert asked(server, "Host: 127.0.0.1", "X-Forwarded-Host: shop.example.org").startswith(b"HTTP/1.1 200")
    assert asked(server, "Host: 127.0.0.1", "X-Forwarded-Host: evil.example").startswith(b"HTTP/1.1 421")
    assert asked(server, "Host: evil.example", "X-Forwarded-Host: shop.example.org").startswith(b"HTTP/1.1 421")
    upgrade = (
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    for path in ("/console/live", "/events"):
        said = asked(server, "Host: evil.example", "Origin: http://evil.example", *upgrade, path=path)
        assert said.startswith((b"HTTP/1.1 403", b"HTTP/1.1 421"))
    log = server.log_file.read_text()
    assert log.count("evil.example ") + log.count("evil.example\n") >= 1
    assert "SHOAL_ALLOWED_HOSTS" in log


def asked(server: ServerProcess, *headers: str, path: str = "/health/live") -> bytes:
    """What a request with just those headers is answered."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as one:
        one.sendall("\r\n".join([f"GET {path} HTTP/1.1", *headers, "Connection: close", "", ""]).encode())
        return b"".join(iter(lambda: one.recv(65536), b""))


def ports_of_clients(port: int) -> list[int]:
    """The other ends of the server's connections. Its files in ``/proc`` are for root alone: it allows no core."""
    if not _SOCKETS.exists():
        taken = (psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT)
        both = [(one.laddr, one.raddr) for one in psutil.net_connections("tcp") if one.status in taken]
        return [theirs.port for ours, theirs in both if ours and theirs and ours.port == port]
    ours = f":{port:04X}"  # psutil asks every process of the machine whose each socket is
    rows = [line.split(maxsplit=4) for line in _SOCKETS.read_text().splitlines()]
    return [int(row[2][-4:], 16) for row in rows if row[1].endswith(ours) and row[3] in _TAKEN]


async def test_f13_600_silent_tls_handshakes_at_a_limit_of_400_files_do_not_shut_the_owner_out(tmp_path: Path) -> None:
    _, trusting = certificate(tmp_path, "localhost")
    (tmp_path / "localhost.pem").chmod(0o600)
    pem = str(tmp_path / "localhost.pem")
    (tmp_path / "few_files.py").write_text(FEW_FILES)
    server = ServerProcess(
        tmp_path / "data", NOWHERE, SHOAL_TLS_CERT=pem, SHOAL_TLS_KEY=pem, SHOAL_CLIENT_SILENCE_SECONDS="3"
    )
    server.command = (str(tmp_path / "few_files.py"),)
    await server.http.aclose()
    server.http = httpx.AsyncClient(base_url=f"https://localhost:{server.port}", verify=trusting, timeout=60)
    quiet: list[socket.socket] = []
    try:
        await server.start()
        assert "SHOAL_ALLOWED_HOSTS" in server.log_file.read_text()
        for _ in range(3):
            quiet += silent(server.port, 180) + silent(server.port, 20, say=b"\x16\x03\x01\x02\x00")
            await owner_works(server)
            assert len(ports_of_clients(server.port)) < 250
        assert "could not be accepted" not in server.log_file.read_text()
        await an_answer_that_is_not_read_ends(server, trusting, quiet)

        async def are_gone() -> bool:
            return len(ports_of_clients(server.port)) <= 2

        await soon(are_gone, every_seconds=SELDOM)
    finally:
        for one in quiet:
            one.close()
        await server.close()


async def an_answer_that_is_not_read_ends(
    server: ServerProcess, trusting: ssl.SSLContext, quiet: list[socket.socket]
) -> None:
    await server.add("shop", COOKIE, wait=0)
    await server.ok("POST", LONG_ANSWER, {"keywords": {f"word {number}": "x" * 2_000 for number in range(400)}})
    assert len((await server.http.get(LONG_ANSWER)).content) > 800_000
    reader, writer = await asyncio.open_connection("localhost", server.port, ssl=trusting, limit=1024)
    try:
        allowed = f"Host: localhost\r\nAuthorization: {server.http.headers['Authorization']}\r\n\r\n"
        writer.write(f"GET {LONG_ANSWER} HTTP/1.1\r\n{allowed}".encode() * 40)
        await all_closed(quiet, within=120)
        await owner_works(server)
        mine = writer.get_extra_info("sockname")[1]

        async def is_ended() -> bool:
            return mine not in ports_of_clients(server.port)

        await soon(is_ended, every_seconds=SELDOM)
        async with asyncio.timeout(60):
            with suppress(OSError):
                while await reader.read(1 << 16):  # what had left already, then the end
                    pass
    finally:
        writer.transport.abort()
