"""Calls an address that the operator chose while the server is ready: a server that is dead cannot report it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import aiohttp
import structlog
from yarl import URL

from shoal.network.outbound import GuardedConnector, Outbound
from shoal.xianyu.site_session import Redirected, open_session

log = structlog.get_logger("shoal.heartbeat")

EVERY_SECONDS: Final = 30.0
CALL_SECONDS: Final = 10.0


class HeartbeatCalls:
    """Owns one task, from ``start`` to ``close``. The address is a secret: who knows it can call it too."""

    def __init__(
        self,
        url: str,
        outbound: Outbound,
        is_ready: Callable[[], Awaitable[bool]],
        *,
        every_seconds: float = EVERY_SECONDS,
    ) -> None:
        self._url = URL(url)
        self._outbound = outbound
        self._is_ready = is_ready
        self._every_seconds = every_seconds
        self._was_answered: bool | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to call on the running loop."""
        self._task = asyncio.create_task(self._keep(), name="heartbeat calls")

    async def close(self) -> None:
        """Stop. A call under way is cut off."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep(self) -> None:
        async with open_session(GuardedConnector(self._outbound, force_close=True)) as session:
            while True:
                try:
                    if await self._is_ready():
                        self._note(await self._call(session))
                except Exception:  # a defect must not look like a dead server
                    log.exception("the heartbeat met a defect")
                await asyncio.sleep(self._every_seconds)

    async def _call(self, session: aiohttp.ClientSession) -> str:
        """Call once; return why it was not received, or an empty text."""
        try:
            async with session.get(self._url, timeout=aiohttp.ClientTimeout(total=CALL_SECONDS)) as response:
                return "" if response.status < 400 else f"HTTP {response.status}"
        except Redirected:
            return "redirect"
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return type(error).__name__

    def _note(self, why: str) -> None:
        """Write one line when it changes whether the address answers."""
        answered = not why
        if answered is not self._was_answered:
            if answered:
                log.info("the heartbeat is heard")
            else:
                log.warning("the heartbeat is not heard", why=why, host=self._url.host)
        self._was_answered = answered
