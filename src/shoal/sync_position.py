"""Where one connection stands in the site's feed of pushes, and how the site is told (docs/protocol.md §3.3)."""

from __future__ import annotations

import structlog

from shoal.clock import now_ms
from shoal.xianyu import frames
from shoal.xianyu.live_socket import LiveSocket, ReplyTimeout

log = structlog.get_logger("shoal.position")


class SyncPosition:
    """Asks the site where we were and tells it so; where the site does not know, begins now."""

    def __init__(self, account_id: str, socket: LiveSocket, *, timeout_seconds: float) -> None:
        self._account_id = account_id
        self._socket = socket
        self._timeout_seconds = timeout_seconds

    async def say(self) -> None:
        """Agree on the position. Raises what ``LiveSocket.request`` raises."""
        position = await self._asked()
        said = position if "pts" in position else frames.position_at(now_ms())
        await self._socket.request(frames.ack_diff(self._socket.names.mid(), said), self._timeout_seconds)

    async def _asked(self) -> dict[str, object]:
        try:
            reply = await self._socket.request(frames.get_state(self._socket.names.mid()), self._timeout_seconds)
        except ReplyTimeout:
            log.info("site gave no position", account=self._account_id)
            return {}
        return frames.body_of(reply) if reply.get("code") == 200 else {}
