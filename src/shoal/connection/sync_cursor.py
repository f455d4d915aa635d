"""One connection's position in the site's feed of pushes, and its exchange with the site (docs/protocol.md §3.3)."""

from __future__ import annotations

import structlog

from shoal.clock import ALIKE_MS, SiteClock, now_ms
from shoal.errors import StoreError
from shoal.storage.sync_cursors import Position, SyncCursors
from shoal.xianyu import frames
from shoal.xianyu.live_socket import LiveSocket
from shoal.xianyu.socket_errors import ReplyTimeout

log = structlog.get_logger("shoal.position")


class SyncCursor:
    """One connection's position in the feed: agreed with the site, moved by stored pushes, kept over restarts.

    The stored position is never ahead of the stored messages. Until the history pull has finished for the time that the
    account was away, or that the site skipped, the stored position does not change.
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
        """``last``: the position when the account's last connection ended; ``None`` without one."""
        self._account_id = account_id
        self._socket = socket
        self._store = order_store
        self._site_clock = site_clock
        self._timeout_seconds = timeout_seconds
        self._pts = last.pts if last else None
        self._has_first_orders = last is not None and last.has_first_orders
        self._kept = (last.pts, last.ahead_ms, last.has_first_orders) if last else None
        self._caught_up = last is None

    async def agree(self) -> None:
        """Tell the site where to continue: at our position or at its own, whichever is older.

        Messages that come twice are recognised by their id; skipped ones would be lost. A site without a position is
        sent ours, or the current time. Raise what ``LiveSocket.request`` raises.
        """
        theirs = await self._asked()
        reply = await self._report(self._older(theirs))
        if theirs and frames.wants_position(reply):  # our position is too old for the site
            await self._report(theirs)
        await self._keep_first()

    async def follow(self) -> Position:
        """Adopt the site's position, because the site asked for it. Return the previous position.

        The site does not push what is between. Until ``caught_up`` reports that it was pulled, the stored position does
        not change. Raise what ``LiveSocket.request`` raises.
        """
        await self._keep_first()
        self._caught_up = False
        stood = Position(pts=self._pts or 0, known_at_ms=now_ms(), ahead_ms=self._site_clock.ahead_ms)
        theirs = await self._asked()
        await self._report(theirs or self._older({}))
        pts = theirs.get("pts")
        if isinstance(pts, int):
            self._pts = max(pts, self._pts or 0)
        return stood

    def passed(self, push: frames.Frame) -> None:
        """Record that a push, and everything before it, is stored and acknowledged."""
        pts = frames.place_of(push)
        if pts is not None and pts > (self._pts or 0):
            self._pts = pts

    def caught_up(self) -> None:
        """Record that a history pull has finished, so that the position may be stored again."""
        self._caught_up = True

    def first_orders_read(self) -> None:
        """Record that what was paid shortly before the account's first start was read."""
        self._has_first_orders = True

    async def keep(self) -> None:
        """Store the position if it moved or our time was set. Never raises: the next call retries."""
        pts = self._pts if self._caught_up or self._kept is None else self._kept[0]
        ahead_ms = self._site_clock.ahead_ms
        if self._kept is not None and abs(ahead_ms - self._kept[1]) < ALIKE_MS:
            ahead_ms = self._kept[1]
        now = (pts, ahead_ms, self._has_first_orders)
        if pts is None or now == self._kept:
            return
        try:
            await self._store.keep(self._account_id, pts, ahead_ms, has_first_orders=self._has_first_orders)
        except StoreError as error:
            log.warning("position not kept", account=self._account_id, why=error.code)
        else:
            self._kept = (pts, ahead_ms, self._has_first_orders)

    async def _keep_first(self) -> None:
        """Store a first position for a new account, whose past is not pulled."""
        if self._kept is None:
            await self.keep()

    def _older(self, theirs: dict[str, object]) -> dict[str, object]:
        pts = theirs.get("pts")
        if not isinstance(pts, int):
            position = frames.position_at(self._site_clock.now_ms())
            return position if self._pts is None else {**position, "pts": self._pts}
        if self._pts is None:
            self._pts = pts
        return {**theirs, "pts": min(pts, self._pts)}

    async def _report(self, position: dict[str, object]) -> frames.Frame:
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
