"""The message socket: register, ask, send, acknowledge, and read what is pushed (docs/protocol.md §3, §4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from shoal.errors import ShoalError, TemporaryFailure

DEFAULT_URL = "wss://wss-goofish.dingtalk.com/"
DEFAULT_MAX_FRAME_BYTES = 4 * 1024 * 1024


class TokenRefused(TemporaryFailure):
    """The access token does not fit any more: ask for a new one, then connect again."""

    code = "token_refused"


class SocketClosed(TemporaryFailure):
    """The link has ended. ``close_code`` is the closing code, if one came; ``clean`` tells a proper farewell."""

    code = "socket_closed"

    def __init__(self, close_code: int | None = None, *, clean: bool = False) -> None:
        super().__init__(f"the message socket has ended (close code {close_code})", close_code=close_code, clean=clean)
        self.close_code = close_code
        self.clean = clean


class ReplyTimeout(TemporaryFailure):
    """No reply came in time."""

    code = "reply_timeout"


class GateClosed(ShoalError):
    """The gate said no: the frame was not sent."""

    code = "gate_closed"


class SendRefused(ShoalError):
    """The site refused a message; it was not delivered."""

    code = "send_refused"

    def __init__(self, reason: str, site_code: str = "", message: str = "") -> None:
        super().__init__(f"the site refused the message: {reason}", reason=reason, site_code=site_code, detail=message)
        self.reason = reason
        self.site_code = site_code
        self.message = message


class SendUncertain(TemporaryFailure):
    """The frame went out but no reply came: send again only with the same ``uuid``, and watch for the echo."""

    code = "send_uncertain"

    def __init__(self, uuid: str) -> None:
        super().__init__("no reply says whether the message was delivered", uuid=uuid)
        self.uuid = uuid


@dataclass(frozen=True, slots=True)
class Registration:
    """The site's answer to ``/reg``."""

    session_id: str
    user_id: str
    server_time_ms: int


@dataclass(frozen=True, slots=True)
class SendReceipt:
    """The site took a message under this id."""

    message_id: str
    uuid: str


def _always() -> bool:
    return True


@asynccontextmanager
async def connect(
    session: aiohttp.ClientSession,
    url: str,
    cookie_header: str,
    user_agent: str,
    *,
    gate: Callable[[], bool] = _always,
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
    connect_timeout_seconds: float = 20.0,
) -> AsyncIterator[LiveSocket]:
    """Open the socket for the length of an ``async with``."""
    yield LiveSocket()


class LiveSocket:
    """One open message socket. Made by ``connect``."""

    async def register(self, token: str, device_id: str, *, timeout_seconds: float = 10.0) -> Registration:
        """Log in to the socket."""
        raise NotImplementedError

    async def request(self, frame: dict[str, object], timeout_seconds: float = 10.0) -> dict[str, object]:
        """Send a frame and return the reply with the same mid, whatever its code."""
        raise NotImplementedError

    async def heartbeat(self, timeout_seconds: float = 5.0) -> None:
        """Send one heartbeat and wait for its answer."""
        raise NotImplementedError

    async def ack(self, push: dict[str, object]) -> None:
        """Acknowledge a push, once its content is safe."""
        raise NotImplementedError

    async def send_text(
        self, chat_id: str, to_id: str, my_id: str, text: str, *, uuid: str | None = None, timeout_seconds: float = 10.0
    ) -> SendReceipt:
        """Send a text message."""
        raise NotImplementedError

    async def send_image(
        self,
        chat_id: str,
        to_id: str,
        my_id: str,
        image_url: str,
        *,
        width: int,
        height: int,
        uuid: str | None = None,
        timeout_seconds: float = 10.0,
    ) -> SendReceipt:
        """Send an uploaded image."""
        raise NotImplementedError

    def pushes(self) -> AsyncIterator[dict[str, object]]:
        """Yield push frames until the socket ends, then raise the reason."""
        raise NotImplementedError
