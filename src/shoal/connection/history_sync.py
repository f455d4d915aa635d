"""What arrived while an account was away, or on a socket that only looks alive: pulled from the site's history."""

from __future__ import annotations

import structlog

from shoal.accounts.account import Account
from shoal.connection.incoming import Incoming
from shoal.errors import TemporaryFailure
from shoal.messages.message_log import MessageLog
from shoal.xianyu import frames
from shoal.xianyu.chat_history import ChatHead, ChatPage, read_chats, read_history
from shoal.xianyu.live_socket import LiveSocket
from shoal.xianyu.push_events import ChatMessage, Event
from shoal.xianyu.wire_bytes import UndecodableFrame

log = structlog.get_logger("shoal.catch_up")

PAGE = 20
MOST_CHATS = 100
"""Chats that one look goes through; what moved longer ago is left to the feed."""
MOST_PAGES = 5
"""Pages of one chat's history."""
LONGEST_AWAY_MS = 24 * 3600_000
"""What is older is not pulled: nobody waits for it any more."""


class HistorySync:
    """Asks one connection's site what was said. What is known already is known by its id, and not acted on again."""

    def __init__(
        self,
        account: Account,
        socket: LiveSocket,
        incoming: Incoming,
        message_log: MessageLog,
        *,
        timeout_seconds: float,
    ) -> None:
        self._account = account
        self._socket = socket
        self._incoming = incoming
        self._log = message_log
        self._timeout_seconds = timeout_seconds

    async def pull(self, since_ms: int) -> int:
        """Store and act on what was said since then (the site's time); returns how many events that were.

        Raises ``StoreError``, ``TemporaryFailure`` (``history_refused``) and what ``LiveSocket.request`` raises.
        """
        count = 0
        for head in await self._moved(since_ms):
            events = await self._said_in(head.chat_id, since_ms)
            self._incoming.action(await self._incoming.store(events, pulled=True))
            count += len(events)
        return count

    async def overlooked(self, since_ms: int) -> set[str]:
        """The ids of what buyers said last, since then, in any chat, that never arrived here. Raises as ``pull``."""
        last = {
            head.last.message_id
            for head in await self._moved(since_ms)
            if isinstance(head.last, ChatMessage) and not head.last.is_own and not head.last.is_system
        }
        return await self.unknown(last - {""})

    async def unknown(self, message_ids: set[str]) -> set[str]:
        """Which of these are not stored (yet). Raises ``StoreError``."""
        return message_ids - await self._log.known(self._account.id, message_ids) if message_ids else set()

    async def _moved(self, since_ms: int) -> list[ChatHead]:
        """The chats in which something happened since then; one that does not say when counts."""
        moved: dict[str, ChatHead] = {}
        cursor = frames.NEWEST_CURSOR
        while len(moved) < MOST_CHATS:
            page = await self._chats(cursor)
            young = [head for head in page.chats if not head.last_at_ms or head.last_at_ms >= since_ms]
            update = {head.chat_id: head for head in young if head.chat_id not in moved}
            moved |= update
            following = page.next_cursor
            if following is None or following >= cursor or not update or len(young) < len(page.chats):
                break
            cursor = following + 1  # chats of the same millisecond may stand on both sides of the page's end
        return list(moved.values())[:MOST_CHATS]

    async def _chats(self, cursor: int) -> ChatPage:
        reply = await self._socket.request(
            frames.list_chats(self._socket.names.mid(), cursor, PAGE), self._timeout_seconds
        )
        try:
            return read_chats(reply, self._account.unb)
        except UndecodableFrame as refusal:
            raise TemporaryFailure(str(refusal), code="history_refused") from None

    async def _said_in(self, chat_id: str, since_ms: int) -> list[Event]:
        """What was said in a chat since then, oldest first."""
        events: list[Event] = []
        cursor: int | None = frames.NEWEST_CURSOR
        for _ in range(MOST_PAGES):
            if cursor is None:
                break
            reply = await self._socket.request(
                frames.list_messages(self._socket.names.mid(), chat_id, cursor, PAGE), self._timeout_seconds
            )
            try:
                page = read_history(reply, self._account.unb)
            except UndecodableFrame as refusal:
                raise TemporaryFailure(str(refusal), code="history_refused") from None
            events += [event for at_ms, event in page.lines if not at_ms or at_ms >= since_ms]
            reached = any(at_ms and at_ms < since_ms for at_ms, _ in page.lines)
            cursor = None if reached or not page.lines else page.next_cursor
        events.reverse()
        return events
