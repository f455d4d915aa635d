"""Handles the site's pushes of one connection: read, store, acknowledge, and only then act."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

import structlog

from shoal.accounts.account import Account
from shoal.clock import SiteClock, now_ms
from shoal.connection.push_counts import PushCounts
from shoal.messages.conversations import Conversations
from shoal.messages.decisions import Decision
from shoal.messages.message_log import Direction, IncomingMessage, MessageLog
from shoal.messages.own_messages import OwnMessages
from shoal.orders.order_store import Order
from shoal.orders.order_updates import OrderUpdates
from shoal.orders.orders import Orders
from shoal.xianyu import frames
from shoal.xianyu.packets import read_event
from shoal.xianyu.push_events import Card, ChatMessage, Event, ReadReceipt, UnknownEvent
from shoal.xianyu.speakers import Speaker
from shoal.xianyu.trade_texts import GREETING_IN_OUR_NAME
from shoal.xianyu.wire_bytes import UndecodableFrame, decode_entry

log = structlog.get_logger("shoal.incoming")

_DAY_MS = 24 * 3600_000
_DIRECTIONS = {Speaker.PERSON: Direction.IN, Speaker.GROUP: Direction.IN, Speaker.OWN: Direction.OUT}
_LEFT_ASIDE = {
    Speaker.CARD: Decision.SITE_CARD,
    Speaker.TIP: Decision.SITE_TIP,
    Speaker.OFFICIAL: Decision.OFFICIAL,
    Speaker.GROUP: Decision.GROUP_CHAT,
    Speaker.SITE: Decision.SYSTEM_TEXT,
}
"""The decision about what no buyer asks."""


@dataclass(frozen=True, slots=True)
class Received:
    """Stored events: the new messages (by message id), and the orders that may be served, with the time of each."""

    new: Sequence[IncomingMessage]
    paid: Sequence[tuple[Order, int]]


class Incoming:
    """Handles the pushes of one connection: ``read``, ``store``, then acknowledge, then ``action``."""

    def __init__(
        self,
        account: Account,
        message_log: MessageLog,
        order_updates: OrderUpdates,
        conversations: Conversations,
        orders: Orders,
        *,
        own_messages: OwnMessages,
        push_counts: PushCounts,
        site_clock: SiteClock,
        official_senders: Set[str] = frozenset(),
    ) -> None:
        """``official_senders``: the ids of accounts of the site that nothing else distinguishes from buyers."""
        self.is_unreadable = False
        """Whether the last push had an event that could not be read."""
        self._own_messages = own_messages
        self._decoded: list[tuple[frames.Frame, list[Event]]] = []
        """The events of pushes whose frames were read, in their order."""
        self._push_counts = push_counts
        self._official_senders = official_senders
        self._account = account
        self._site_clock = site_clock
        self._log = message_log
        self._order_news = order_updates
        self._conversations = conversations
        self._orders = orders

    def hear(self, push: frames.Frame) -> None:
        """Decode a push as its frame is read: what the owner writes holds replies back from then on."""
        events = self._events_of(push)
        self._decoded.append((push, events))
        for event in events:
            if isinstance(event, ChatMessage) and _is_to_be_recognised(event):
                content = event.images[0].url if event.images else event.text
                self._own_messages.arrived(event.chat_id, event.message_id, content, self._sent_at_ms(event))

    def read(self, push: frames.Frame) -> list[Event]:
        """Return all events of a push, in order, and count them. What cannot be decoded is an unknown event."""
        is_decoded = self._decoded and self._decoded[0][0] is push
        events = self._decoded.pop(0)[1] if is_decoded else self._events_of(push)
        self.is_unreadable = self._push_counts.note(self._account.id, events)
        return events

    def _events_of(self, push: frames.Frame) -> list[Event]:
        events: list[Event] = []
        for entry in frames.entries_of(push):
            try:
                event = self._marked_official(read_event(decode_entry(entry), self._account.unb))
                events.append(_named(event) if isinstance(event, ChatMessage) else event)
            except UndecodableFrame as error:
                log.debug("undecodable push", account=self._account.id, push=frames.mid_of(push), why=str(error))
                events.append(UnknownEvent(raw_kind="undecodable"))
        return events

    async def store(self, events: Sequence[Event], *, pulled: bool = False) -> Received:
        """Store events. Acknowledge them only after this has returned. Raise ``StoreError``.

        ``pulled``: the events were pulled, so known ones are not counted as repeats.
        """
        events = [self._marked_official(event) for event in events]
        logged = [self._logged(_named(event)) for event in events if isinstance(event, ChatMessage)]
        new_ids = await self._log.store_incoming(self._account.id, logged, pulled=pulled)
        new = {message.message_id: message for message in logged if message.message_id in new_ids}
        known = (message.message_id for message in logged if message.message_id not in new)
        self._own_messages.passed_over(known)
        for receipt in events:
            if isinstance(receipt, ReadReceipt):
                read_at_ms = self._site_clock.ours(receipt.at_ms) if receipt.at_ms else now_ms()
                await self._log.mark_read(self._account.id, receipt.chat_id, read_at_ms)
        stored = await self._order_news.store(events, new=new_ids)
        without_order = [_without_order(card) for card in stored.without_order]
        await self._log.store_incoming(self._account.id, without_order, pulled=pulled)
        return Received(list(new.values()), stored.due)

    def _marked_official(self, event: Event) -> Event:
        """Return an event as the site's own when a listed account of the site sent it: it asks and sells nothing."""
        if isinstance(event, ChatMessage) and event.sender_id in self._official_senders:
            return replace(event, speaker=Speaker.OFFICIAL) if event.speaker is Speaker.PERSON else event
        if isinstance(event, Card) and event.buyer_id in self._official_senders:
            return replace(event, we_sell=False)
        return event

    def action(self, received: Received) -> None:
        """Answer new messages and serve paid orders. After a crash the next connection continues."""
        for message in received.new:
            if message.direction is Direction.OUT and not message.handled:
                self._conversations.sent_by_us(message)
        self._conversations.received(
            [message for message in received.new if message.direction is Direction.IN and not message.handled]
        )
        for order, paid_at_ms in received.paid:
            self._orders.due(order, paid_at_ms)

    async def own_action(self, chat_id: str) -> None:
        """Check the own messages of a chat for echoes that were stored and not checked yet."""
        await self._conversations.handle_own(chat_id)

    def _logged(self, message: ChatMessage) -> IncomingMessage:
        decision = _decision_at_once(message)
        return IncomingMessage(
            message_id=message.message_id,
            chat_id=message.chat_id,
            item_id=message.item_id,
            sender_id=message.sender_id,
            sender_name=message.sender_name,
            direction=_DIRECTIONS.get(message.speaker, Direction.SITE),
            content_type=str(message.content_type),
            text=message.text,
            created_at_ms=self._sent_at_ms(message),
            handled=decision.is_final,
            decision=decision,
        )

    def _sent_at_ms(self, message: ChatMessage) -> int:
        """Return when the message was sent, by our clock; a time more than a day ahead becomes now."""
        now = now_ms()
        sent_at = self._site_clock.ours(message.created_at_ms) if message.created_at_ms else now
        return sent_at if sent_at < now + _DAY_MS else now


def _without_order(card: Card) -> IncomingMessage:
    """Return the entry of the chat that shows its owner a payment without an order."""
    return IncomingMessage(
        message_id=f"paid-{card.message_id or card.chat_id}",
        chat_id=card.chat_id,
        item_id=card.item_id,
        sender_id=card.buyer_id or "",
        direction=Direction.SITE,
        content_type=str(card.content_type or ""),
        text=card.title or card.reminder,
        created_at_ms=now_ms(),
        handled=False,
        decision=Decision.PAID_UNKNOWN,
    )


def _named(message: ChatMessage) -> ChatMessage:
    """Return the message with an id: without one from the site, an id is made from the content.

    Without a time from the site too, the same text counts as the same message within one minute.
    """
    if message.message_id:
        return message
    moment = message.created_at_ms or now_ms() // 60_000
    content = "\x00".join((message.chat_id, message.sender_id, message.text, str(moment)))
    return replace(message, message_id=f"unnamed-{hashlib.sha256(content.encode()).hexdigest()[:32]}")


def _is_to_be_recognised(message: ChatMessage) -> bool:
    return message.speaker is Speaker.OWN and not _decision_at_once(message).is_final


def _decision_at_once(message: ChatMessage) -> Decision:
    """Return the decision that needs no rule; own messages are checked for echoes first."""
    if message.speaker is Speaker.OWN and message.text == GREETING_IN_OUR_NAME:
        return Decision.SYSTEM_TEXT
    decision = _LEFT_ASIDE.get(message.speaker, Decision.PENDING)
    is_empty = message.speaker is Speaker.PERSON and not message.text
    return Decision.NOTHING_SAID if is_empty else decision
