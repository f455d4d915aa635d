"""Stores what pushes say about orders: trade cards, their updates and the marks of chats."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec
import structlog

from shoal.accounts.account import Account
from shoal.clock import SiteClock, now_ms
from shoal.orders.order_records import Received
from shoal.orders.order_status import REFUND_CANCELLED, TAKE_UP_MS, OrderStatus
from shoal.orders.order_store import Order, OrderStore, OrderUpdate, Why
from shoal.storage.known_item_rows import SeenItem
from shoal.xianyu.push_events import Card, ChatMessage, Event, OrderContext, OrderMark, SessionArouse, TradeCard
from shoal.xianyu.speakers import Speaker
from shoal.xianyu.trade_texts import status_named, status_on_card

log = structlog.get_logger("shoal.order_news")

LONGEST_WORDS = 200
"""How many characters of a card's text the timeline keeps."""
CLOCKS_DIFFER_MS = 5 * 60_000
"""How much the site's clock may differ from the server's."""


class Stored(msgspec.Struct, frozen=True):
    """The orders that may be served now, and the cards that say "paid" and name no order that is known.

    Each order has the time by which it is served: that of its payment by our clock, or when it was first seen.
    """

    due: Sequence[tuple[Order, int]]
    without_order: Sequence[Card]


class OrderUpdates:
    """Stores order updates from one account's pushes."""

    def __init__(
        self, account: Account, order_store: OrderStore, *, site_clock: SiteClock, restored_at_ms: int = 0
    ) -> None:
        """``restored_at_ms``: when a backup was restored. What was paid before may have been served since it."""
        self._restored_at_ms = restored_at_ms
        self._account = account
        self._store = order_store
        self._site_clock = site_clock

    async def store(self, events: Iterable[Event], *, new: Collection[str] = ()) -> Stored:
        """Store the order updates of events, in their order. ``new``: the messages that were not known.

        Raise ``StoreError``.
        """
        due: dict[str, tuple[Order, int]] = {}
        without_order: list[Card] = []
        from_chats: list[SeenItem] = []
        for event in events:
            if isinstance(event, OrderMark):
                due |= _by_first_seen(await self._mark(event))
            elif isinstance(event, ChatMessage):
                if event.speaker is Speaker.CARD and event.message_id in new:  # a card that names no order
                    found = await self._store.refunds.in_chat(self._account.id, event.chat_id)
                    due |= _by_first_seen(found)
            elif isinstance(event, OrderContext):
                await self._context(event)
            elif isinstance(event, SessionArouse) and event.item_id and event.we_sell:
                from_chats.append(SeenItem(item_id=event.item_id, title=event.item_title))
            elif isinstance(event, Card) and event.we_sell:
                order_id = event.order_id or await self._looked_up(event)
                if order_id is not None:
                    update = self._update(event, order_id)
                    received = await self._store.receive(self._account.id, update)
                    if _leads_on(update, received):
                        due[order_id] = (received.order, update.paid_at_ms or received.order.created_at_ms)
                elif event.has_paid_text:
                    without_order.append(event)
        await self._store.items.note_from_chats(self._account.id, from_chats)
        return Stored(list(due.values()), without_order)

    async def _looked_up(self, card: Card) -> str | None:
        """Return the order that a card without an order id can only mean; ``None`` without one, or with several.

        An update has the id of the card that it changes, and a repeat that of the first: its order is known by it. A
        closed order is paid no more: unless the card reported it before, its owner must look.
        """
        if not card.has_paid_text:
            return None
        if card.message_id and (
            order := await self._store.order_named_by(self._account.id, card.chat_id, card.message_id)
        ):
            is_news = order.status == OrderStatus.CANCELLED and not await self._is_repeated(order, card)
            return None if is_news else order.order_id
        found = await self._store.unserved_in(self._account.id, card.chat_id)
        if len(found) == 1:
            return found[0].order_id
        log.warning("paid card names no order", account=self._account.id, chat=card.chat_id, open_orders=len(found))
        return None

    async def _is_repeated(self, order: Order, card: Card) -> bool:
        events = await self._store.events(self._account.id, order.order_id)
        return any((line.message_id, line.words) == (card.message_id, _words_of(card)) for line in events)

    async def _context(self, context: OrderContext) -> None:
        if context.we_sell:
            update = OrderUpdate(
                order_id=context.order_id,
                source="context",
                item_id=context.item_id,
                buyer_id=context.buyer_id,
                chat_id=context.chat_id,
                site_at_ms=context.at_ms or None,
                item=SeenItem(
                    item_id=context.item_id or "", title=context.item_title, site_picture=context.item_picture
                ),
            )
            await self._store.receive(self._account.id, update)

    def _update(self, card: Card, order_id: str) -> OrderUpdate:
        status = "pending_ship" if card.has_paid_text else "group_pending" if card.has_group_price_text else ""
        return OrderUpdate(
            order_id=order_id,
            status=status or status_on_card(card.reminder, card.title, card.button),
            source="card" if isinstance(card, TradeCard) else "card_update",
            item_id=card.item_id,
            buyer_id=card.buyer_id or "",
            buyer_name=card.buyer_name,
            chat_id=card.chat_id,
            parcel=card.parcel.value,
            paid=card.has_paid_text,
            paid_at_ms=self._paid_at_ms(card),
            group_price=card.has_group_price_text,
            withheld=self._withheld(card),
            message_id=card.message_id,
            site_at_ms=card.created_at_ms or None,
            words=_words_of(card),
        )

    def _paid_at_ms(self, card: Card) -> int:
        """Return when an order was paid by our clock: a card of its own is sent then, an update of one has no time."""
        if not card.has_paid_text:
            return 0
        is_timed = isinstance(card, TradeCard) and card.created_at_ms
        return min(self._site_clock.ours(card.created_at_ms), now_ms()) if is_timed else now_ms()

    def _withheld(self, card: Card) -> str:
        """Return why an old card must not start automatic service; empty when it may."""
        if not card.created_at_ms:
            return ""
        at, now = self._site_clock.ours(card.created_at_ms), now_ms()
        if at < self._account.orders_since_ms:  # another system may have served it
            return Why.BEFORE_START if at >= self._account.orders_since_ms - TAKE_UP_MS else Why.BEFORE_ACCOUNT
        added_at = min(self._account.created_at_ms, now)  # unless this machine's clock was set back since
        if at < added_at - CLOCKS_DIFFER_MS:
            return Why.BEFORE_ACCOUNT
        if at < (self._restored_at_ms if self._restored_at_ms <= now else now - CLOCKS_DIFFER_MS):
            return Why.BEFORE_RESTORE
        return Why.TOO_LATE if at < now - TAKE_UP_MS else ""

    async def _mark(self, mark: OrderMark) -> list[Order]:
        """Store a mark's status. Return the orders that may be served after it, or whose refund may have ended."""
        status = status_named(mark.mark)
        if not status:
            return await self._store.refunds.in_chat(self._account.id, mark.chat_id)
        order = await self._store.receive_mark(
            self._account.id, mark.chat_id, status, words=mark.mark[:LONGEST_WORDS], site_at_ms=mark.at_ms
        )
        if order is None:
            return []
        log.info("order moved by mark", account=self._account.id, chat=mark.chat_id, status=status)
        is_asked = status != order.status == OrderStatus.REFUNDING
        return [order] if is_asked or order.status == OrderStatus.GROUP_PENDING else []


def _by_first_seen(orders: Iterable[Order]) -> dict[str, tuple[Order, int]]:
    return {order.order_id: (order, order.created_at_ms) for order in orders}


def _leads_on(update: OrderUpdate, received: Received) -> bool:
    """Return whether something may be done for an order after a card: for an open refund, its page be asked."""
    order = received.order
    if order.status == OrderStatus.REFUNDING:
        return received.is_new and not received.has_changed
    is_group = update.group_price or order.status == OrderStatus.GROUP_PENDING
    return bool(update.paid or is_group or update.parcel or update.status == REFUND_CANCELLED)


def _words_of(card: Card) -> str:
    """Return a card's words as the timeline keeps them: of a refund's request with those on its button."""
    words = card.title or card.reminder
    is_request = status_named(words) == OrderStatus.REFUNDING
    return (f"{words}（{card.button}）" if is_request and card.button else words)[:LONGEST_WORDS]
