"""The account's own messages, from the moment their frames are read: until one is recognised, no reply leaves.

An own message is the echo of one that was sent here, or one that the owner wrote. Which one, the outbox knows: it is
asked after the message is stored. What is sent over this connection explains its echo at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec

from shoal.clock import steady_ms
from shoal.concurrency.small_event import SmallEvent
from shoal.errors import SendUnknown
from shoal.messages.decisions import Decision
from shoal.messages.logged_message import IncomingMessage
from shoal.xianyu.socket_errors import GateClosed

ECHO_MS = 60_000
"""How long the echo of a sent message is expected. One that comes later is recognised like any own message."""
MOST_CHATS = 1_000
"""How many chats in which the owner wrote are kept."""


class Unrecognised(GateClosed):
    """An own message of the chat is not recognised yet: its owner may have written."""

    code = "own_message_unrecognised"


class _Arrived(msgspec.Struct, frozen=True):
    chat_id: str
    place: int
    sent_at_ms: int


class OwnMessages:
    """The own messages of one connection."""

    def __init__(self) -> None:
        self._place = 0
        self._open: dict[str, _Arrived] = {}
        """Those that arrived and are not recognised yet, by their ids."""
        self._taken: set[str] = set()
        self._by_owner: dict[str, _Arrived] = {}
        """The last message that the owner wrote in each chat."""
        self._expected: list[tuple[int, str, int]] = []  # an empty deque takes 700 bytes
        self._changed = SmallEvent()

    @property
    def place(self) -> int:
        """How many have arrived: what arrives later has a higher place."""
        return self._place

    # ── what arrives ────────────────────────────────────────────────────────────────────────────────────────────

    def arrived(self, chat_id: str, message_id: str, content: str, sent_at_ms: int) -> None:
        """Note an own message whose frame was just read. ``content``: its text, or the address of its picture."""
        if message_id in self._open or self._explains(chat_id, content):
            return
        self._place += 1
        self._open[message_id] = _Arrived(chat_id, self._place, sent_at_ms)

    def taken(self, message_id: str) -> None:
        """Note that a message is being checked: ``recognised`` follows."""
        self._taken.add(message_id)

    def passed_over(self, message_ids: Iterable[str]) -> None:
        """Note messages that need no check: they were known, and checked before."""
        for message_id in set(message_ids) - self._taken:
            self._close(message_id)

    def recognised(self, message: IncomingMessage, *, by_owner: bool) -> None:
        """Note what a message is: one that the owner wrote, or an echo."""
        arrived = self._close(message.message_id)
        if not by_owner:
            return
        if arrived is None:
            self._place += 1
            arrived = _Arrived(message.chat_id, self._place, message.created_at_ms)
        self._by_owner.pop(message.chat_id, None)
        self._by_owner[message.chat_id] = arrived
        if len(self._by_owner) > MOST_CHATS:
            del self._by_owner[next(iter(self._by_owner))]

    def _close(self, message_id: str) -> _Arrived | None:
        self._taken.discard(message_id)
        arrived = self._open.pop(message_id, None)
        if arrived is not None:
            self._changed.set()
        return arrived

    # ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def expecting(self, chat_id: str, content: str) -> Iterator[None]:
        """Expect the echo of what the block sends, also after it, unless the block fails."""
        entry = (steady_ms(), chat_id, hash(content))
        self._expected.append(entry)
        try:
            yield
        except SendUnknown:
            raise
        except BaseException:
            if entry in self._expected:
                self._expected.remove(entry)
            raise

    def _explains(self, chat_id: str, content: str) -> bool:
        """Return whether a message is the echo of what was sent; one sending explains one message."""
        while self._expected and self._expected[0][0] < steady_ms() - ECHO_MS:
            del self._expected[0]
        for entry in self._expected:
            if entry[1:] == (chat_id, hash(content)):
                self._expected.remove(entry)
                return True
        return False

    # ── what may leave ──────────────────────────────────────────────────────────────────────────────────────────

    def is_open(self, chat_id: str) -> bool:
        """Return whether an own message of the chat is not recognised yet."""
        return any(arrived.chat_id == chat_id for arrived in self._open.values())

    async def until_recognised(self, chat_id: str) -> None:
        """Wait until all own messages of a chat are recognised."""
        while self.is_open(chat_id):
            self._changed.clear()
            await self._changed.wait()

    def check(self, chat_id: str, since: int, asked_at_ms: int) -> None:
        """Raise ``GateClosed`` if a reply must not leave now that was begun at the place ``since``.

        That is so when an own message is not recognised (``Unrecognised``), or when the owner wrote since then, and not
        before ``asked_at_ms``.
        """
        if self.is_open(chat_id):
            raise Unrecognised("an own message is not recognised yet")
        last = self._by_owner.get(chat_id)
        if last is not None and last.place > since and last.sent_at_ms >= asked_at_ms:
            raise GateClosed("the owner has written", code=Decision.HUMAN_ANSWERED.value)
