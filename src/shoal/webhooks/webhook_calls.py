"""Posts one event to a receiver: signed, guarded, bounded. By the Standard Webhooks specification."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import aiohttp
import msgspec
from standardwebhooks import Webhook as Signer
from yarl import URL

from shoal.clock import now_ms
from shoal.language.storable_texts import storable
from shoal.measures import Tally
from shoal.network.answer_secrets import without_secrets
from shoal.network.outbound import GuardedConnector, InsideError, Outbound
from shoal.webhooks.webhooks import Attempt, Target
from shoal.xianyu.site_session import Redirected, open_session

CALL_SECONDS: Final = 15.0
CONNECT_SECONDS: Final = 10.0
KEPT_SECONDS: Final = 3.0
"""How long an idle connection is kept: shorter than receivers do, so that none is used that they close just now."""
MOST_READ: Final = 2_048
"""How many bytes of an answer are read; the rest is dropped with the connection."""
MOST_SHOWN: Final = 300
LONGEST_WAIT: Final = 3_600.0
"""How long a receiver may ask for no more, in seconds."""


class Called(msgspec.Struct, frozen=True):
    """One call, and for how many seconds the receiver wants no more."""

    attempt: Attempt
    retry_after: float | None = None


class WebhookCalls:
    """Posts over a session of its own: no cookies, no redirects, and each connection is asked of the guard."""

    def __init__(self, outbound: Outbound, *, now_ms: Callable[[], int] = now_ms) -> None:
        self._outbound = outbound
        self._now_ms = now_ms
        self._session: aiohttp.ClientSession | None = None
        self.outcomes = Tally()
        """How often a call ended how: `arrived`, `refused` by the receiver, or `unanswered`."""

    async def close(self) -> None:
        """Close the session."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(self, target: Target, event_id: str, kind: str, body: bytes) -> Called:
        """Post one event. Does not raise for what the receiver did."""
        at_ms, began = self._now_ms(), time.perf_counter()
        status: int | None = None
        error = answer = ""
        wait = None
        try:
            async with self._opened().post(
                URL(target.url),
                data=body,
                headers=_headers(target, event_id, at_ms, body),
                timeout=aiohttp.ClientTimeout(total=CALL_SECONDS, sock_connect=CONNECT_SECONDS),
            ) as response:
                status, wait = response.status, _wait_of(response.headers.get("Retry-After", ""))
                answer = without_secrets(await _first_part(response), (target.url, target.secret))[:MOST_SHOWN]
        except Redirected as redirect:
            status, error = redirect.status, "redirect"
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as failure:
            error = _why(failure)
        took_ms = round((time.perf_counter() - began) * 1000)
        attempt = Attempt(
            event_id=event_id, type=kind, at_ms=at_ms, status=status, took_ms=took_ms, error=error, answer=answer
        )
        self.outcomes.add("arrived" if attempt.arrived else "unanswered" if status is None else "refused")
        return Called(attempt, None if attempt.arrived else wait)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = open_session(GuardedConnector(self._outbound, limit=0, keepalive_timeout=KEPT_SECONDS))
        return self._session


async def _first_part(response: aiohttp.ClientResponse) -> str:
    """Return the beginning of an answer. The rest of a long one is not read: its connection is closed."""
    data = bytearray()
    while len(data) <= MOST_READ and (part := await response.content.read(MOST_READ)):
        data += part
    if len(data) > MOST_READ:
        response.close()
    return storable(data.decode("utf-8", "replace"))


def _headers(target: Target, event_id: str, at_ms: int, body: bytes) -> dict[str, str]:
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(at_ms // 1000),
        "webhook-signature": Signer(target.secret).sign(event_id, at, body.decode()),
        "Content-Type": "application/json",
        "User-Agent": "Shoal-Webhooks",
    }


def _wait_of(text: str) -> float | None:
    return min(float(text), LONGEST_WAIT) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _why(failure: Exception) -> str:
    if isinstance(failure, aiohttp.ConnectionTimeoutError):
        return "connect_timeout"
    if isinstance(failure, TimeoutError):
        return "timeout"
    if isinstance(failure, aiohttp.ClientConnectorError) and isinstance(failure.os_error, InsideError):
        return "private_target"
    if isinstance(failure, aiohttp.ClientConnectorDNSError):
        return "unknown_host"
    if isinstance(failure, aiohttp.ClientSSLError):
        return "certificate"
    return "no_connection" if isinstance(failure, aiohttp.ClientConnectorError) else "no_answer"
