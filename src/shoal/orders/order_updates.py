"""Stores what pushes say about orders: trade cards, their updates and the marks of chats."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from shoal.accounts.account import Account
from shoal.clock import SiteClock, now_ms
from shoal.orders.order_status import REFUND_CANCELLED
from shoal.orders.order_store import Order, OrderStore, OrderUpdate, Why
from shoal.xianyu.push_events import CardUpdate, Event, OrderMark, TradeCard
from shoal.xianyu.trade_texts import status_named

log = structlog.get_logger("shoal.order_news")

TAKE_UP_MS = 24 * 3600_000
"""How long after the payment an order is still served automatically."""
LONGEST_WORDS = 200
"""How many characters of a card's text the timeline keeps."""
CLOCKS_DIFFER_MS = 5 * 60_000
"""How much the site's clock may differ from ours."""


class OrderUpdates:
    """Stores order updates from one account's pushes."""

    def __init__(self, account: Account, order_store: OrderStore, *, site_clock: SiteClock) -> None:
        self._account = account
        self._store = order_store
        self._site_clock = site_clock

    async def store(self, events: Iterable[Event]) -> list[Order]:
        """Store the order updates of events, in their order. Return the orders that may be served now.

        Raise ``StoreError``.
        """
        due: dict[str, Order] = {}
        for event in events:
            if isinstance(event, OrderMark):
                await self._mark(event)
            elif isinstance(event, TradeCard | CardUpdate) and event.is_sale and event.order_id is not None:
                update = self._news(event, event.order_id)
                order, _ = await self._store.receive(self._account.id, update)
                if update.paid or update.group_price or update.status == REFUND_CANCELLED:
                    due[order.order_id] = order
        return list(due.values())

    def _news(self, card: TradeCard | CardUpdate, order_id: str) -> OrderUpdate:
        status = "pending_ship" if card.paid else "group_pending" if card.group_price else ""
        words = (card.title or card.reminder)[:LONGEST_WORDS]
        return OrderUpdate(
            order_id=order_id,
            status=status or status_named(card.reminder, card.title),
            source="card" if isinstance(card, TradeCard) else "card_update",
            item_id=card.item_id,
            buyer_id=card.buyer_id or "",
            chat_id=card.chat_id,
            paid=card.paid,
            group_price=card.group_price,
            withheld=self._withheld(card),
            message_id=card.message_id,
            site_at_ms=card.created_at_ms or None,
            words=words,
        )

    def _withheld(self, card: TradeCard | CardUpdate) -> str:
        """Return why an old card must not start automatic service; empty when it may."""
        if not card.created_at_ms:
            return ""
        at, now = self._site_clock.ours(card.created_at_ms), now_ms()
        added_at = min(self._account.created_at_ms, now)  # unless this machine's clock was set back since
        if at < added_at - CLOCKS_DIFFER_MS:
            return Why.BEFORE_ACCOUNT
        return Why.TOO_LATE if at < now - TAKE_UP_MS else ""

    async def _mark(self, mark: OrderMark) -> None:
        status = status_named(mark.mark)
        if status and await self._store.receive_mark(
            self._account.id, mark.chat_id, status, words=mark.mark[:LONGEST_WORDS], site_at_ms=mark.at_ms
        ):
            log.info("order moved by mark", account=self._account.id, chat=mark.chat_id, status=status)
