"""Pulls from the site's history what arrived while an account was away, or was not pushed."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from shoal.accounts.account import Account
from shoal.connection.incoming import Incoming
from shoal.errors import TemporaryFailure
from shoal.messages.message_log import Direction, MessageLog
from shoal.xianyu import frames
from shoal.xianyu.chat_history import ChatHead, ChatPage, read_chats, read_history
from shoal.xianyu.live_socket import LiveSocket
from shoal.xianyu.push_events import Card, ChatMessage, Event
from shoal.xianyu.speakers import Speaker
from shoal.xianyu.wire_bytes import UndecodableFrame

log = structlog.get_logger("shoal.catch_up")

PAGE = 20
MOST_CHATS = 2_000
"""How many chats one pull checks. Chats that changed earlier are left to the feed."""
QUICK_CHATS = 100
"""How many chats one pull reads at once. Before each further one it waits ``PAUSE_SECONDS``, to spare the site."""
PAUSE_SECONDS = 0.05
MOST_PAGES = 5
"""How many pages of one chat's history a pull reads."""
LONGEST_AWAY_MS = 24 * 3600_000
"""Older messages are not pulled: no buyer waits for their answer any more."""


class HistorySync:
    """Asks the site for past messages over one connection. Known messages, by their id, are not handled again."""

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

    async def pull(self, since_ms: int, *, only_cards: bool = False) -> int:
        """Store and handle what was sent since then (the site's time). Return the number of events.

        ``only_cards``: store and handle what the cards say about orders, and no message. Raise ``StoreError``,
        ``TemporaryFailure`` (``history_refused``) and what ``LiveSocket.request`` raises.
        """
        count = 0
        for number, head in enumerate(reversed(await self._moved(since_ms))):  # who waits longest comes first
            if number >= QUICK_CHATS:
                await asyncio.sleep(PAUSE_SECONDS)
            events = await self._events_in(head.chat_id, since_ms)
            if only_cards:
                events = [event for event in events if isinstance(event, Card)]
            self._incoming.action(await self._incoming.store(events, pulled=True))
            count += len(events)
        return count

    async def pull_chat(self, chat_id: str, since_ms: int) -> None:
        """Store and handle what was sent in one chat since then, its echoes first. Raise like ``pull``."""
        events = await self._events_in(chat_id, since_ms)
        received = await self._incoming.store(events, pulled=True)
        await self._incoming.own_action(chat_id)
        self._incoming.action(replace(received, new=[one for one in received.new if one.direction is Direction.IN]))

    async def overlooked(self, since_ms: int) -> set[str]:
        """Return the ids of the chats' last buyer messages since then that never arrived here. Raise like ``pull``."""
        last = {
            head.last.message_id
            for head in await self._moved(since_ms)
            if isinstance(head.last, ChatMessage) and head.last.speaker is Speaker.PERSON
        }
        return await self.unknown(last - {""})

    async def unknown(self, message_ids: set[str]) -> set[str]:
        """Return which of these messages are not stored (yet). Raise ``StoreError``."""
        return message_ids - await self._log.known(self._account.id, message_ids) if message_ids else set()

    async def _moved(self, since_ms: int) -> list[ChatHead]:
        """Return the chats with activity since then; a chat without a time counts."""
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
            cursor = following + 1  # chats of one millisecond may be on both sides of a page's end
        if len(moved) >= MOST_CHATS:
            log.warning("more chats changed than one pull checks", account=self._account.id, most=MOST_CHATS)
        return list(moved.values())[:MOST_CHATS]

    async def _chats(self, cursor: int) -> ChatPage:
        reply = await self._socket.request(
            frames.list_chats(self._socket.names.mid(), cursor, PAGE), self._timeout_seconds
        )
        try:
            return read_chats(reply, self._account.unb)
        except UndecodableFrame as refusal:
            raise TemporaryFailure(str(refusal), code="history_refused") from None

    async def _events_in(self, chat_id: str, since_ms: int) -> list[Event]:
        """Return the events of a chat since then, oldest first."""
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
