"""Where one connection stands in the site's feed of pushes, and how the site is told (docs/protocol.md §3.3)."""

from __future__ import annotations

import structlog

from shoal.clock import SiteClock, now_ms
from shoal.errors import StoreError
from shoal.storage.sync_cursors import Position, SyncCursors
from shoal.xianyu import frames
from shoal.xianyu.live_socket import LiveSocket
from shoal.xianyu.socket_errors import ReplyTimeout

log = structlog.get_logger("shoal.position")


class SyncCursor:
    """One connection's place in the feed: agreed with the site, moved on by what is stored, kept over restarts.

    What is kept never runs ahead of what is stored: until the connection has caught up with what came while the
    account was away, or with what the site passed over, the row stays as it was.
    """

    def __init__(
        self,
        account_id: str,
        socket: LiveSocket,
        order_store: SyncCursors,
        last: Position | None,
        *,
        site_clock: SiteClock,
        timeout_seconds: float,
    ) -> None:
        """``last``: where the account stood when its last connection ended; ``None`` when there was none."""
        self._account_id = account_id
        self._socket = socket
        self._store = order_store
        self._site_clock = site_clock
        self._timeout_seconds = timeout_seconds
        self._ahead_ms = site_clock.ahead_ms
        self._pts = last.pts if last else None
        self._kept = (last.pts, last.ahead_ms) if last else None
        self._caught_up = last is None

    async def agree(self) -> None:
        """Tell the site where to go on: at our place or at the one it remembers, whichever is older.

        What comes twice is known by its id; what is skipped is lost. A site that remembers nothing is told ours, or
        that we begin now. Raises what ``LiveSocket.request`` raises.
        """
        theirs = await self._asked()
        reply = await self._say(self._older(theirs))
        if theirs and frames.wants_position(reply):  # ours is too long ago for the site
            await self._say(theirs)
        await self._keep_first()

    async def follow(self) -> Position:
        """Take over the site's place: it asked for that. Returns where we stood until now.

        What lies between is not pushed any more: until ``caught_up`` says that it was pulled, the place that is kept
        stays where it is. Raises what ``LiveSocket.request`` raises.
        """
        await self._keep_first()
        self._caught_up = False
        stood = Position(pts=self._pts or 0, known_at_ms=now_ms(), ahead_ms=self._site_clock.ahead_ms)
        theirs = await self._asked()
        await self._say(theirs or self._older({}))
        pts = theirs.get("pts")
        if isinstance(pts, int):
            self._pts = max(pts, self._pts or 0)
        return stood

    def passed(self, push: frames.Frame) -> None:
        """A push is stored and acknowledged, and so is everything before it."""
        pts = frames.place_of(push)
        if pts is not None and pts > (self._pts or 0):
            self._pts = pts

    def caught_up(self) -> None:
        """What came while the account was away, or was passed over, is stored too: the place may be kept again."""
        self._caught_up = True

    async def keep(self) -> None:
        """Store the place if it has moved, or our clock was set. It never raises: the next time will do."""
        pts = self._pts if self._caught_up or self._kept is None else self._kept[0]
        if pts is None or (pts, self._ahead_ms) == self._kept:
            return
        try:
            await self._store.keep(self._account_id, pts, self._ahead_ms)
        except StoreError as error:
            log.warning("position not kept", account=self._account_id, why=error.code)
        else:
            self._kept = (pts, self._ahead_ms)

    async def _keep_first(self) -> None:
        """An account without any place is new, and its past is not looked at: so from the beginning it has one."""
        if self._kept is None:
            await self.keep()

    def _older(self, theirs: dict[str, object]) -> dict[str, object]:
        pts = theirs.get("pts")
        if not isinstance(pts, int):
            said = frames.position_at(self._site_clock.now_ms())
            return said if self._pts is None else {**said, "pts": self._pts}
        if self._pts is None:
            self._pts = pts
        return {**theirs, "pts": min(pts, self._pts)}

    async def _say(self, position: dict[str, object]) -> frames.Frame:
        pts = position["pts"]
        if self._pts is None and isinstance(pts, int):
            self._pts = pts
        return await self._socket.request(frames.ack_diff(self._socket.names.mid(), position), self._timeout_seconds)

    async def _asked(self) -> dict[str, object]:
        try:
            reply = await self._socket.request(frames.get_state(self._socket.names.mid()), self._timeout_seconds)
        except ReplyTimeout:
            log.info("site gave no position", account=self._account_id)
            return {}
        body = frames.body_of(reply)
        return body if reply.get("code") == 200 and isinstance(body.get("pts"), int) else {}
