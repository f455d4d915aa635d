"""The message socket: registers, requests, sends, acknowledges, and reads pushes (docs/protocol.md §3, §4).

One reader task, owned by ``connect``, takes every incoming frame: a reply goes to the caller that waits for its mid, a
push to a bounded queue. Anything else is dropped and never answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import msgspec

from shoal.concurrency.small_event import SmallEvent
from shoal.errors import ActionRequired, ComeBackLater, SendUnknown, ShoalError, TemporaryFailure
from shoal.xianyu import frames
from shoal.xianyu.browser import Browser
from shoal.xianyu.frames import Frame
from shoal.xianyu.handshake import open_socket
from shoal.xianyu.identity import FrameNames, mid_key, strip_address
from shoal.xianyu.site_session import require_no_cookie_jar
from shoal.xianyu.site_time import note_site
from shoal.xianyu.socket_errors import (
    GateClosed,
    ReplyTimeout,
    SocketClosed,
    refusal,
    risk_url,
    send_refusal,
    text_of,
)
from shoal.xianyu.stop_switch import StopSwitch
from shoal.xianyu.wire_bytes import UndecodableFrame, parse_json_object

DEFAULT_MAX_FRAME_BYTES = 4 * 1024 * 1024
MAX_WAITING_PUSHES = 4_096
MAX_WAITING_BYTES = 8 * 1024 * 1024
WRITE_LIMIT_SECONDS = 10.0
"""How long one write may wait for a site that does not read; after that the connection counts as dead."""

_ROUNDS = 4
"""From bytes that the machine has to a frame that is taken: the loop looks, the bytes are parsed, the reader wakes."""
_CLEAN_CLOSE_CODES = frozenset({1000, 1001})


class Registration(msgspec.Struct, frozen=True):
    """The site's answer to ``/reg``: our user id without suffix, and the site's clock in ms (0 when not given)."""

    session_id: str
    user_id: str
    server_time_ms: int


class SendReceipt(msgspec.Struct, frozen=True):
    """The site accepted a message. ``message_id`` is empty when the reply has none; the echo will have it."""

    message_id: str
    uuid: str


def _always() -> bool:
    return True


@asynccontextmanager
async def connect(
    session: aiohttp.ClientSession,
    url: str,
    cookie_header: str,
    browser: Browser,
    *,
    gate: Callable[[], bool] = _always,
    stop_switch: StopSwitch | None = None,
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    connect_timeout_seconds: float = 20.0,
) -> AsyncIterator[LiveSocket]:
    """Open the socket for an ``async with``; leaving it ends the reader and closes the connection.

    ``gate`` is called before every outgoing frame, ``/reg`` included: ``False`` holds it back (``GateClosed``). So is
    ``stop_switch``, which raises ``ActionRequired``; an answer that requires the owner's action turns it on.

    Raises as ``open_socket``.
    """
    require_no_cookie_jar(session)
    stop_switch = stop_switch or StopSwitch()
    with stop_switch.guarding():
        link = await open_socket(
            session, url, cookie_header, browser,
            max_frame_bytes=max_frame_bytes, timeout_seconds=connect_timeout_seconds,
        )  # fmt: skip
    socket = LiveSocket(link, gate, stop_switch, browser)
    socket.start()
    try:
        yield socket
    finally:
        await socket.close()


class LiveSocket:
    """One open message socket. Made and ended by ``connect``."""

    __slots__ = (
        "_arrived",
        "_browser",
        "_cutting",
        "_ending",
        "_gate",
        "_is_taking",
        "_link",
        "_listener",
        "_pushes",
        "_reader",
        "_stop_switch",
        "_waiting",
        "_waiting_bytes",
        "names",
    )

    def __init__(
        self, link: aiohttp.ClientWebSocketResponse, gate: Callable[[], bool], stop_switch: StopSwitch, browser: Browser
    ) -> None:
        self.names = FrameNames()
        """Makes the mids and uuids of this connection."""
        self._browser = browser
        self._link: aiohttp.ClientWebSocketResponse | None = link
        self._gate = gate
        self._stop_switch = stop_switch
        self._reader: asyncio.Task[None] | None = None
        self._cutting: asyncio.Task[None] | None = None
        self._ending: Callable[[], ShoalError] | None = None
        self._waiting: dict[str, asyncio.Future[Frame | None]] = {}
        self._pushes: list[tuple[int, Frame]] = []
        self._waiting_bytes = 0
        self._arrived = SmallEvent()
        self._is_taking = False
        self._listener: Callable[[Frame], None] | None = None

    # ── life ──────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Start the reader."""
        if self._link is not None:
            self._reader = asyncio.create_task(self._read(self._link), name="live socket reader")

    async def close(self) -> None:
        """End the reader and close the connection, within ``handshake.CLOSE_LIMIT_SECONDS``.

        All waiting calls fail at once. What was connected is let go: a TLS connection takes 80 KiB, and whose it was is
        freed by the collector only, or never when that has set it apart.
        """
        self._end(lambda: SocketClosed(1000, clean=True))
        reader, link = self._reader, self._link
        try:
            if reader is not None:
                reader.cancel()
                await asyncio.wait({reader})
        finally:
            if link is not None:
                await link.close()
            self._link = self._reader = self._listener = None
        if reader is not None and not reader.cancelled():
            reader.result()

    def cut(self) -> None:
        """Begin to close now, before what goes on over the socket has ended. Returns at once."""
        if self._cutting is None:
            self._cutting = asyncio.create_task(self.close(), name="live socket cut")

    @property
    def is_open(self) -> bool:
        """Whether frames can still be sent and received."""
        return self._ending is None

    @property
    def has_untaken(self) -> bool:
        """Whether there are pushes that the caller of ``pushes`` has not finished."""
        return self._is_taking or bool(self._pushes)

    # ── requests ──────────────────────────────────────────────────────────────────────────────────────────

    async def register(self, token: str, device_id: str, *, timeout_seconds: float = 10.0) -> Registration:
        """Log in to the socket (§3.2).

        Raises ``TokenRefused`` (get a new token), ``ComeBackLater`` (``connect_limit``), ``TemporaryFailure``
        (``register_refused``: another reason), ``ActionRequired`` (``kicked_out``, ``risk_control``), and as
        ``request``.
        """
        asked = frames.registration(self.names.mid(), token, device_id, self._browser)
        reply = await self.request(asked, timeout_seconds)
        if reply.get("code") != 200:
            raise self._refused(reply, "register_refused")
        headers, body = frames.headers_of(reply), frames.body_of(reply)
        timestamp = body.get("timestamp")
        registration = Registration(
            session_id=text_of(headers.get("sid")),
            user_id=strip_address(text_of(headers.get("reg-uid"))),
            server_time_ms=timestamp if isinstance(timestamp, int) else 0,
        )
        note_site(registration.server_time_ms)
        return registration

    async def request(self, frame: Frame, timeout_seconds: float = 10.0) -> Frame:
        """Send a frame and return the reply with the same mid, whatever its code.

        Raises ``ReplyTimeout``, ``GateClosed``, or the error that ended the socket (``SocketClosed``, …). A reply that
        means risk control is returned too, and ends the socket.
        """
        key = mid_key(frames.mid_of(frame))
        if not key or key in self._waiting:
            raise ValueError("a request needs a mid of its own")
        waiter: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        self._waiting[key] = waiter
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._write(frame)
                reply = await waiter
        except TimeoutError:
            raise ReplyTimeout(f"no reply within {timeout_seconds:g} s", lwp=frame.get("lwp")) from None
        finally:
            del self._waiting[key]
        if reply is None:
            raise self._ended()
        return reply

    async def heartbeat(self, timeout_seconds: float = 5.0) -> None:
        """Send one heartbeat and wait for its answer (§3.4). Raises as ``register`` and ``request``."""
        reply = await self.request(frames.heartbeat(self.names.mid()), timeout_seconds)
        if reply.get("code") != 200:
            raise self._refused(reply, "heartbeat_refused")

    async def ack(self, push: Frame) -> None:
        """Acknowledge a push after its content is stored. Raises ``GateClosed`` or the error that ended the socket."""
        await self._write(frames.ack_of(push))

    async def send(self, frame: Frame, uuid: str, timeout_seconds: float = 10.0) -> SendReceipt:
        """Send a message (``frames.send_text``, ``frames.send_image``) and wait until the site accepts it (§4).

        Raises ``GateClosed`` or the error that ended the socket when nothing was sent, ``SendRefused`` when the site
        refused, and ``SendUnknown`` when the outcome is unknown. Send that message again only with the same ``uuid``.
        """
        if self._ending is not None:
            raise self._ended()
        self._stop_switch.check()  # at this point certainly nothing was sent
        try:
            reply = await self.request(frame, timeout_seconds)
        except (TemporaryFailure, ActionRequired):
            raise SendUnknown(uuid) from None
        body = frames.body_of(reply)
        if reply.get("code") != 200 or "reason" in body:
            raise send_refusal(reply)
        return SendReceipt(message_id=text_of(body.get("messageId")), uuid=uuid)

    def hear(self, listener: Callable[[Frame], None]) -> None:
        """Call ``listener`` with each push as its frame is read, and now with those that wait, in order."""
        for _, push in self._pushes:
            listener(push)
        self._listener = listener

    async def caught_up(self) -> None:
        """Return once what the machine has received by now is read: a loop needs some rounds for that."""
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)

    async def pushes(self) -> AsyncIterator[Frame]:
        """Yield pushes in order of arrival. When the socket ends, yield what has arrived, then raise why it ended.

        Raises ``SocketClosed``, ``ActionRequired`` (``kicked_out``, ``risk_control``), ``ComeBackLater``
        (``session_removed``) or ``TemporaryFailure`` (``push_overflow``: the caller takes pushes more slowly than they
        arrive). For one caller at a time.
        """
        while True:
            while self._pushes:
                size, push = self._pushes.pop(0)
                self._waiting_bytes -= size
                self._is_taking = True
                yield push
                self._is_taking = False
            if self._ending is not None:
                raise self._ended()
            self._arrived.clear()
            await self._arrived.wait()

    # ── inside ────────────────────────────────────────────────────────────────────────────────────────────

    async def _write(self, frame: Frame) -> None:
        """Write one frame if the gate allows it.

        No other code runs between the gate's answer and the write: without compression, aiohttp passes the bytes to the
        transport before it first yields to the loop.
        """
        link = self._link
        if self._ending is not None or link is None:
            raise self._ended()
        text = frames.encode(frame)
        self._stop_switch.check()
        if not self._gate():
            raise GateClosed("the account may not send at the moment", lwp=frame.get("lwp", "ack"))
        try:
            async with asyncio.timeout(WRITE_LIMIT_SECONDS):
                await link.send_str(text)
        except (aiohttp.ClientError, OSError):
            self._end(SocketClosed)
            raise self._ended() from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # In aiohttp all writers that wait share one future: a write that gave up after the limit cancelled it.
            self._end(SocketClosed)
            raise self._ended() from None

    async def _read(self, link: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while self._ending is None:
                message = await link.receive()
                if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                    break
                self._take(message.data)
        finally:
            code = link.close_code
            self._end(lambda: SocketClosed(code, clean=code in _CLEAN_CLOSE_CODES))

    def _take(self, data: str | bytes) -> None:
        try:
            frame = parse_json_object(data)
        except UndecodableFrame:
            return
        if frames.is_push(frame):
            self._take_push(frame, len(data))
        elif frames.is_reply(frame):
            self._take_reply(frame)

    def _take_reply(self, frame: Frame) -> None:
        waiter = self._waiting.get(mid_key(frames.mid_of(frame)))
        if waiter is not None and not waiter.done():
            waiter.set_result(frame)
        url = risk_url(frame)
        if url is not None:
            self._stop_switch.pull(ActionRequired("risk_control", action_url=url))
            self._end(lambda: ActionRequired("risk_control", action_url=url))

    def _take_push(self, frame: Frame, size: int) -> None:
        match frame["lwp"]:
            case frames.KICKOUT:
                self._stop_switch.pull(ActionRequired("kicked_out"))
                self._end(lambda: ActionRequired("kicked_out"))
            case frames.SESSION_REMOVED:
                self._end(lambda: ComeBackLater("the site has ended the session", code="session_removed"))
            case _ if len(self._pushes) >= MAX_WAITING_PUSHES or self._waiting_bytes + size > MAX_WAITING_BYTES:
                self._end(lambda: TemporaryFailure("pushes come faster than they are taken", code="push_overflow"))
            case _:
                self._pushes.append((size, frame))
                self._waiting_bytes += size
                self._arrived.set()
                if self._listener is not None:
                    self._listener(frame)

    def _refused(self, reply: Frame, otherwise: str) -> ShoalError:
        error = refusal(reply, otherwise)
        if isinstance(error, ActionRequired):
            self._stop_switch.pull(error)
        return error

    def _end(self, why: Callable[[], ShoalError]) -> None:
        """Keep the first reason why the socket ended, and wake all waiting calls."""
        if self._ending is not None:
            return
        self._ending = why
        for waiter in self._waiting.values():
            if not waiter.done():
                waiter.set_result(None)
        self._arrived.set()

    def _ended(self) -> ShoalError:
        return self._ending() if self._ending is not None else SocketClosed()
