"""What a network can do to the message socket, over real TCP and TLS: it ends in time, and by a name."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import resource
import socket as sockets
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from shoal.errors import ActionRequired, ShoalError, TemporaryFailure
from shoal.network.outbound import Outbound
from shoal.xianyu import frames
from shoal.xianyu.browser import Browser
from shoal.xianyu.live_socket import LiveSocket, connect
from shoal.xianyu.mtop import MtopClient
from shoal.xianyu.proxied_session import session_through
from shoal.xianyu.site_session import open_site_session
from shoal.xianyu.socket_errors import ReplyTimeout, SocketClosed
from support.network.certificates import certificate
from support.network.proxies import small_proxy

COOKIE = "unb=2200000000002; cookie2=secretcookie2"
LOOPBACK = Outbound.of("127.0.0.1")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
Serve = Callable[[Reader, Writer], Awaitable[None]]


@asynccontextmanager
async def peer(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A peer of raw bytes on the loopback; the port."""
    running: set[asyncio.Task[Any]] = set()

    async def one(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            await serve(reader, writer)
            writer.close()
        except (asyncio.CancelledError, OSError, asyncio.IncompleteReadError):
            writer.transport.abort()

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def shake_hands(reader: Reader, writer: Writer) -> None:
    """The site's side of the WebSocket handshake."""
    head = await reader.readuntil(b"\r\n\r\n")
    (key,) = [line.split(b": ", 1)[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key")]
    accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    await writer.drain()


async def read_frame(reader: Reader) -> dict[str, Any]:
    """One masked text frame of the client."""
    _, second = await reader.readexactly(2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", await reader.readexactly(2))
    mask = await reader.readexactly(4)
    data = await reader.readexactly(length)
    frame: dict[str, Any] = json.loads(bytes(byte ^ mask[place % 4] for place, byte in enumerate(data)))
    return frame


def text_frame(frame: object) -> bytes:
    """A text frame of the site's."""
    data = json.dumps(frame).encode()
    return (bytes([0x81, len(data)]) if len(data) < 126 else b"\x81\x7e" + struct.pack("!H", len(data))) + data


def reply_to(asked: dict[str, Any], mid: str = "") -> dict[str, Any]:
    return {"code": 200, "headers": {"mid": mid or asked["headers"]["mid"], "sid": "s1"}}


PUSH = {"lwp": "/s/sync", "headers": {"mid": "p1 0", "sid": "s1"}, "body": {"say": "在吗" * 40}}


@asynccontextmanager
async def online(port: int, **values: Any) -> AsyncIterator[LiveSocket]:
    async with (
        open_site_session() as session,
        connect(session, f"ws://127.0.0.1:{port}/", COOKIE, Browser("Shoal-Test/1"), **values) as socket,
    ):
        yield socket


async def fate_of(socket: LiveSocket) -> ShoalError:
    """How the socket ends."""
    async with asyncio.timeout(60):
        with pytest.raises(ShoalError) as caught:
            await anext(socket.pushes())
    return caught.value


async def forever(*_: object) -> None:
    await asyncio.Event().wait()


async def test_frames_that_come_byte_by_byte_are_whole_frames() -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        await shake_hands(reader, writer)
        asked = await read_frame(reader)
        for byte in text_frame(PUSH) + text_frame(reply_to(asked)):
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await forever()

    async with peer(serve) as port, online(port) as socket:
        await socket.heartbeat(timeout_seconds=60)
        assert await anext(socket.pushes()) == PUSH


async def test_a_message_in_many_fragments_with_pings_between_is_one_message() -> None:
    data = json.dumps(PUSH).encode()

    async def serve(reader: Reader, writer: Writer) -> None:
        await shake_hands(reader, writer)
        for place, byte in enumerate(data):
            first = (0x01 if place == 0 else 0x00) | (0x80 if place == len(data) - 1 else 0)
            writer.write(bytes([first, 1, byte]) + (b"\x89\x00" if place % 50 == 0 else b""))
        await forever()

    async with peer(serve) as port, online(port) as socket:
        async with asyncio.timeout(60):
            assert await anext(socket.pushes()) == PUSH


async def test_a_reset_in_the_middle_of_a_frame_ends_it_uncleanly_and_the_half_is_nothing() -> None:
    first_is_read = asyncio.Event()  # a reset takes away what was not read before it

    async def serve(reader: Reader, writer: Writer) -> None:
        await shake_hands(reader, writer)
        writer.write(text_frame(PUSH) + text_frame(PUSH)[:60])
        await writer.drain()
        await first_is_read.wait()
        raw = writer.get_extra_info("socket")
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with peer(serve) as port, online(port) as socket:
        pushes = socket.pushes()
        assert await anext(pushes) == PUSH
        first_is_read.set()
        with pytest.raises(SocketClosed) as caught:
            await anext(pushes)
        assert not caught.value.clean


async def test_a_half_open_line_is_found_by_the_heartbeat_and_leaving_it_takes_no_longer_than_the_farewell() -> None:
    """The peer is there, takes every byte, and says nothing any more: what a dropped route looks like from here."""

    async def serve(reader: Reader, writer: Writer) -> None:
        await shake_hands(reader, writer)
        await forever()

    loop = asyncio.get_running_loop()
    async with peer(serve) as port:
        async with online(port) as socket:
            with pytest.raises(ReplyTimeout):
                await socket.heartbeat(timeout_seconds=0.3)
            left_at = loop.time()
        assert loop.time() - left_at < 60, "the farewell is not answered either"


async def test_a_peer_that_reads_nothing_ends_the_line_for_all_who_write(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shoal.xianyu.live_socket.WRITE_LIMIT_SECONDS", 0.5)

    async def serve(reader: Reader, writer: Writer) -> None:
        await shake_hands(reader, writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await forever()

    async with peer(serve) as port, online(port) as socket:

        async def ask() -> None:
            frame = frames.send_text(socket.names.mid(), "-1", "1", "2", "3", "长" * 200_000)
            with contextlib.suppress(ReplyTimeout, SocketClosed):
                await socket.request(frame, 60)

        await asyncio.gather(*(ask() for _ in range(50)))  # 30 MB: more than all buffers on the way take
        assert not socket.is_open


async def test_a_frame_of_100_mb_is_refused_before_it_is_read() -> None:
    sent = 0

    async def serve(reader: Reader, writer: Writer) -> None:
        nonlocal sent
        await shake_hands(reader, writer)
        writer.write(b"\x81\x7f" + struct.pack("!Q", 100_000_000))
        for _ in range(100):
            writer.write(b"x" * 1_000_000)
            await writer.drain()
            sent += 1

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with peer(serve) as port, online(port) as socket:
        end = await fate_of(socket)
    assert isinstance(end, SocketClosed)
    assert sent < 50, "most of it was never taken"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000


async def test_answers_to_other_questions_answer_none_and_do_no_harm() -> None:
    async def serve(reader: Reader, writer: Writer) -> None:
        await shake_hands(reader, writer)
        asked = await read_frame(reader)
        for odd in ("9999999999999 0", "", "0", "1" + asked["headers"]["mid"]):
            writer.write(text_frame(reply_to(asked, odd or "-")))
        shapes: tuple[object, ...] = (
            None,
            [],
            {"code": 200},
            {"code": 200, "headers": []},
            {"code": 200, "headers": {"mid": 7}},
        )
        for shape in shapes:
            writer.write(text_frame(shape))
        again = await read_frame(reader)
        for _ in range(3):
            writer.write(text_frame(reply_to(again)))
        await forever()

    async with peer(serve) as port, online(port) as socket:
        with pytest.raises(ReplyTimeout):
            await socket.heartbeat(timeout_seconds=0.5)
        await socket.heartbeat(timeout_seconds=60)
        assert socket.is_open


async def test_a_peer_that_never_finishes_the_tls_handshake_is_given_up_in_time() -> None:
    async with peer(forever) as port, open_site_session() as session:
        started = asyncio.get_running_loop().time()
        with pytest.raises(TemporaryFailure) as caught:
            async with connect(session, f"wss://127.0.0.1:{port}/", COOKIE, Browser("T"), connect_timeout_seconds=0.5):
                pass
        assert caught.value.code == "unreachable"
        assert asyncio.get_running_loop().time() - started < 60


async def test_who_stands_in_for_the_site_is_told_nothing_and_named(tmp_path: Path) -> None:
    """A captive portal, a firewall that looks into TLS, a wrong clock."""
    heard = bytearray()

    async def serve(reader: Reader, writer: Writer) -> None:
        heard.extend(await reader.read(65_536))

    tls, _ = certificate(tmp_path, "hotel.test")
    async with peer(serve, tls) as port, open_site_session() as session:
        with pytest.raises(TemporaryFailure) as caught:
            async with connect(session, f"wss://127.0.0.1:{port}/", COOKIE, Browser("T")):
                pass
        assert caught.value.code == "site_untrusted"
        with pytest.raises(TemporaryFailure) as caught:
            await MtopClient(session, f"https://127.0.0.1:{port}", _Cookies(), browser=Browser("T")).login_user()
        assert caught.value.code == "site_untrusted"
    assert not heard


class _Cookies:
    def header(self, host: str = "") -> str:
        return COOKIE

    async def rotated(self, updates: dict[str, str]) -> None:
        raise AssertionError(updates)


def answering(head: bytes, body: bytes = b"") -> Serve:
    async def serve(reader: Reader, writer: Writer) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.replace(b"\n", b"\r\n") + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    return serve


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_of_the_handshake_is_followed(status: int) -> None:
    came: list[bytes] = []

    async def elsewhere(reader: Reader, writer: Writer) -> None:
        came.append(await reader.read(65_536))

    async with peer(elsewhere) as other:
        head = b"HTTP/1.1 %d Moved\nLocation: http://127.0.0.1:%d/\n" % (status, other)
        async with peer(answering(head)) as port:
            with pytest.raises(TemporaryFailure) as caught:
                async with online(port):
                    pass
    assert (caught.value.code, caught.value.params.get("status")) == ("handshake_refused", status)
    assert not came, "neither cookie nor token goes where a redirect leads"


async def test_a_redirect_of_the_handshake_to_the_check_needs_the_owner() -> None:
    head = b"HTTP/1.1 302 Found\nLocation: https://h5api.m.goofish.com/_____tmd_____/punish?x5secdata=a\n"
    async with peer(answering(head)) as port:
        with pytest.raises(ActionRequired) as caught:
            async with online(port):
                pass
    assert "punish?x5secdata" in caught.value.action_url


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\nContent-Type: text/html\n",
        b"HTTP/1.1 503 Service Unavailable\n",
        b"HTTP/1.1 101 Switching Protocols\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: wrong\n",
        b"HTTP/1.1 101 Switching Protocols\n",
        b"SSH-2.0-OpenSSH_9.6\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ],
)
async def test_what_is_no_handshake_is_a_passing_failure_without_secrets(head: bytes) -> None:
    async with peer(answering(head, b"<html>login to the hotel</html>")) as port:
        with pytest.raises(TemporaryFailure) as caught:
            async with online(port, connect_timeout_seconds=60):
                pass
    assert caught.value.code in {"handshake_refused", "unreachable"}
    assert "secretcookie2" not in repr(caught.value)


async def test_a_name_that_is_not_found_is_a_passing_failure() -> None:
    async with open_site_session() as session:
        with pytest.raises(TemporaryFailure) as caught:
            async with connect(session, "wss://nowhere.invalid/", COOKIE, Browser("T")):
                pass
        assert caught.value.code == "unreachable"
        with pytest.raises(TemporaryFailure) as caught:
            await MtopClient(session, "https://nowhere.invalid", _Cookies(), browser=Browser("T")).login_user()
        assert caught.value.code == "unreachable"


async def test_no_compression_is_offered_and_none_is_taken() -> None:
    heads: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))

    async with peer(serve) as port:
        with pytest.raises(TemporaryFailure):
            async with online(port):
                pass
    assert b"sec-websocket-extensions" not in heads[0].lower()


async def test_all_accounts_share_one_tls_context_those_behind_proxies_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What OpenSSL keeps of the authorities of the world, half a megabyte, is there once."""
    made = 0
    original = ssl.create_default_context

    def counting(*arguments: Any, **values: Any) -> ssl.SSLContext:
        nonlocal made
        made += 1
        return original(*arguments, **values)

    monkeypatch.setattr(ssl, "create_default_context", counting)
    heard: list[bytes] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        heard.append(await reader.read(5))

    async with peer(serve) as port, open_site_session() as direct, small_proxy("http") as proxy:
        for way in ("", "", proxy.url, proxy.url):
            async with session_through(way, direct, connect_timeout_seconds=60, outbound=LOOPBACK) as session:
                with pytest.raises(TemporaryFailure):
                    async with connect(
                        session, f"wss://127.0.0.1:{port}/", COOKIE, Browser("T"), connect_timeout_seconds=60
                    ):
                        pass
    assert [said[:2] for said in heard] == [b"\x16\x03"] * 4, "each began to speak TLS"
    assert made == 0, "with the one that was there from the start"
