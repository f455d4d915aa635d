"""Sends the buyers of one connection what they paid for: begun in one transaction, then message by message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Connection, select

from shoal.accounts.account import Account
from shoal.accounts.account_task import Link
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.clock import now_ms
from shoal.concurrency.fair_limiter import FairLimiter
from shoal.errors import ActionRequired, TemporaryFailure
from shoal.items.item_page_rows import StoredPage
from shoal.items.item_pages import WORDS_MS, ItemPages
from shoal.messages.outbox_rows import OutboxKind, OutboxRow, Sending
from shoal.messages.replies import Asked, variables
from shoal.messages.sender import OutgoingMessage, Sender
from shoal.orders.delivery_rows import Delivery, begun_again
from shoal.orders.delivery_store import Begun
from shoal.orders.explain_order import (
    Explained,
    Obstacle,
    Purchase,
    depends_on_item_specs,
    depends_on_title,
    explain_order,
    purchase_of,
    rule_of,
)
from shoal.orders.order_pages import OrderPages
from shoal.orders.order_status import BLOCKED, OrderProblem
from shoal.orders.order_store import Action, ActionState, Due, Order, OrderAction, OrderStore, Why
from shoal.orders.planned_messages import planned
from shoal.orders.supplied_units import SuppliedUnits
from shoal.orders.uncertain_messages import UncertainMessages
from shoal.storage.order_tables import orders

log = structlog.get_logger("shoal.orders")

ECHO_GRACE_SECONDS = 0.5
"""How long to wait for the echo of an unanswered message, which shows that it arrived."""
PAGE_WAITS_MS = (3_000, 30_000, 300_000)
"""The waits before the page of an order is read again that depends on it; the last one repeats."""
PAGE_PATIENCE_MS = 30 * 60_000
"""How long such an order waits for its page, before it is its owner's turn."""
TITLE_MS = 60_000
"""How long a title counts for rules by title: its owner may change it, and with it the rule."""
_KNOWN_BY_PAGE = frozenset({Obstacle.UNKNOWN_SPEC, Obstacle.QUANTITY_UNKNOWN})


class Deliveries:
    """Serves orders of one connection, one at a time: chooses what the buyer gets, and sends it."""

    def __init__(
        self,
        link: Link,
        sender: Sender,
        item_pages: ItemPages,
        order_store: OrderStore,
        pages: OrderPages,
        put_off: Callable[[int], None],
        *,
        account_id: str,
        pace: FairLimiter,
        supplied: SuppliedUnits,
        uncertain_messages: UncertainMessages,
    ) -> None:
        """``put_off`` is called with the time of each action that is due later. ``pace`` limits calls to the site.

        ``supplied`` fetches units from suppliers. ``uncertain_messages`` is asked before one is sent again.
        """
        self._link = link
        self._sender = sender
        self._item_pages = item_pages
        self._store = order_store
        self._pages = pages
        self._put_off = put_off
        self._account_id = account_id
        self._pace = pace
        self._supplied = supplied
        self._uncertain_messages = uncertain_messages
        self._unread_since_ms: dict[str, int] = {}
        """Since when this connection waits for the pages of orders that depend on them."""

    def waits_for_page(self, order_id: str) -> bool:
        """Return whether the order depends on its page, and that could not be read when it was due."""
        return order_id in self._unread_since_ms

    async def serve(self, account: Account, due: Due) -> bool:
        """Send an order what it gets, or decide why not. Return ``False`` if it stays due and nothing more should be
        tried now. Raise like ``Orders.serve``.
        """
        order, action, delivery = due
        if delivery is None or not delivery.state.goes_on:
            order = await self.filled_in(account, order)
            explained, why_not = await self.explained(account, order, action)
            if self._pages.is_unpaid(order.order_id) and action.detail != Why.ASKED:
                why_not = Why.NOT_PAID
            if why_not:
                return await self._hold_back(order, action, explained, why_not)
            if explained.sends_nothing:
                return await self._settle(order, ActionState.NOT_NEEDED, Why.NOTHING_TO_SEND)
            if await self._is_delayed(order, action, explained.rule):
                return True
            delivery = _delivery_of(account, order, explained)
            if not delivery.messages:  # all its texts are empty
                return await self._settle(order, ActionState.FAILED, Why.NO_PAID_MESSAGE)
            if explained.supplied and not self._supplied.are_there(order, explained, account.unb, self._may(action)):
                if action.detail not in {Why.ASKED, Why.SUPPLIER_ASKED}:
                    await self._store.put_off(
                        self._account_id, order.order_id, Action.PAID_MESSAGE, None, Why.SUPPLIER_ASKED
                    )
                return False
        return await self._send(order, begun_again(delivery), is_asked=action.detail == Why.ASKED)

    async def explained(self, account: Account, order: Order, action: OrderAction) -> tuple[Explained, str]:
        """Return what the order gets, and why it is not sent; empty if it is, or if nothing needs to be."""
        explained = await self._by_rules(account, order, is_asked=action.detail == Why.ASKED)
        if not order.buyer_id or not order.chat_id:
            return explained, Why.INCOMPLETE
        if explained.obstacle is Obstacle.NO_RULE:
            return explained, Why.NO_PAID_MESSAGE
        return explained, "" if explained.obstacle is None else explained.obstacle.value

    async def _by_rules(self, account: Account, order: Order, *, is_asked: bool) -> Explained:
        """Return what the order gets. The item's page is read only for rules that depend on its title or its specs."""
        purchase = purchase_of(order)
        if depends_on_title(account, purchase) and (page := await self._item_page(account, order, TITLE_MS)):
            is_fresh = page.is_younger(TITLE_MS, self._item_pages.now_ms())
            purchase = replace(purchase, title=page.page.title or None if is_fresh else None)
        if depends_on_item_specs(account, purchase) and (page := await self._item_page(account, order, WORDS_MS)):
            purchase = replace(purchase, item_specs=page.item_specs)
        return await self._by_purchase(account, purchase, is_asked=is_asked)

    async def _by_purchase(self, account: Account, purchase: Purchase, *, is_asked: bool) -> Explained:
        rule = rule_of(account, purchase)
        goods = [rule.goods_id] if rule is not None and rule.goods_id is not None else []
        stock = await self._store.goods.stock(goods)
        return explain_order(account, stock, purchase, asked_by_owner=is_asked)

    async def _item_page(self, account: Account, order: Order, age_ms: int) -> StoredPage | None:
        """Return what is known of the order's item, asked of the site when it was not read within that time."""
        await self._pace.acquire()
        if not self._link.allows():
            return None
        return await self._item_pages.read_within(account, order.item_id or "", age_ms)

    async def filled_in(self, account: Account, order: Order) -> Order:
        """Return the order, completed from the site if its card lacks facts. An item id is never invented."""
        knows_item = order.item_id is not None or (not order.group_price and not _depends_on_item(account))
        if order.buyer_id and knows_item:
            return order
        return await self._pages.look_up(order) or order

    # ── not now ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _hold_back(self, order: Order, action: OrderAction, explained: Explained, why_not: str) -> bool:
        """Leave an order to its owner; or wait for its page, when only that is in the way."""
        is_unread = why_not in _KNOWN_BY_PAGE and not order.quantity
        now = now_ms()
        if is_unread and action.detail != Why.ASKED:
            is_fresh = now - action.created_at_ms < PAGE_PATIENCE_MS
            since = self._unread_since_ms.setdefault(order.order_id, action.created_at_ms if is_fresh else now)
            at = _next_look_ms(since, now)
            if at is not None:
                log.info("order waits for its page", account=self._account_id, order=order.order_id, why=why_not)
                await self._until(order, Action.PAID_MESSAGE, at, Why.PAGE_UNREAD)
                return True
            why_not = OrderProblem.QUANTITY_UNKNOWN
        if not is_unread:
            self._unread_since_ms.pop(order.order_id, None)
        log.warning(
            "paid order cannot be served", account=self._account_id, order=order.order_id, why=why_not,
            rule=explained.rule.key if explained.rule else "",
        )  # fmt: skip
        return await self._settle(order, ActionState.FAILED, why_not)

    async def _is_delayed(self, order: Order, action: OrderAction, rule: DeliveryRule | None) -> bool:
        """Put an order off whose rule waits, unless its owner asks for it. Nothing is bound to it before."""
        self._unread_since_ms.pop(order.order_id, None)
        if rule is None or not rule.delay_seconds or action.detail == Why.ASKED:
            return False
        due_at_ms = action.created_at_ms + rule.delay_seconds * 1000
        if due_at_ms <= now_ms():
            return False
        await self._until(order, Action.PAID_MESSAGE, due_at_ms)
        return True

    async def is_confirmed_later(self, order: Order, action: OrderAction, confirm: str) -> bool:
        """Put a confirmation off that is due some hours after the messages. Return whether it was."""
        if not confirm.isdigit() or action.detail == Why.ASKED:
            return False
        sent_at_ms = action.created_at_ms  # it is made due by the last message
        due_at_ms = sent_at_ms + int(confirm) * 3600_000
        if due_at_ms <= now_ms():
            return False
        await self._until(order, Action.CONFIRM, due_at_ms)
        return True

    async def _until(self, order: Order, action: Action, due_at_ms: int, detail: str = "") -> None:
        await self._store.put_off(self._account_id, order.order_id, action, due_at_ms, detail)
        self._put_off(due_at_ms)

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _send(self, order: Order, delivery: Delivery, *, is_asked: bool) -> bool:
        messages = [
            OutgoingMessage(
                chat_id=order.chat_id, buyer_id=order.buyer_id, text=one.text, image_url=one.image_url,
                width=one.width, height=one.height, kind=OutboxKind.PAID, order_id=order.order_id, part=part,
            )
            for part, one in enumerate(delivery.messages)
            if part >= delivery.arrived
        ]  # fmt: skip
        if not messages:  # its texts went with their owner, or all of them arrived
            return await self._settle(order, ActionState.DONE, "")
        if is_asked and not await self._uncertain_messages.looked_up(order):
            return True
        begun = Begun()

        async def begin(rows: Sequence[OutboxRow]) -> Sequence[Sending]:
            nonlocal begun
            begun = await self._store.deliveries.begin(
                self._account_id, delivery, rows, lambda: is_asked or not self.is_off()
            )
            return begun.sendings

        def guard(connection: Connection) -> str | None:
            if self.is_off() and not is_asked:
                return Why.DELIVERY_OFF
            mine = (orders.c.account_id == self._account_id, orders.c.order_id == order.order_id)
            return Why.ORDER_ENDED if connection.scalar(select(orders.c.status).where(*mine)) in BLOCKED else None

        try:
            is_begun = await self._sender.serve(messages, begin, guard)
        except (TemporaryFailure, ActionRequired):
            await self._store.settle_messages(self._account_id, order.order_id)
            raise
        if not is_begun and not begun.have_arrived:
            return bool(begun.why_not) or (self.is_off() and not is_asked)
        state = await self._store.settle_messages(self._account_id, order.order_id)
        if state is ActionState.UNCERTAIN:
            await asyncio.sleep(ECHO_GRACE_SECONDS)
            await self._store.follow_outbox(self._account_id, order.order_id)
        return state is not ActionState.PENDING or (self.is_off() and not is_asked)

    def _may(self, action: OrderAction) -> Callable[[], bool]:
        is_asked = action.detail == Why.ASKED
        return lambda: self._link.allows() and (is_asked or not self.is_off())

    def is_off(self) -> bool:
        """Return whether the shop's switch for deliveries is off."""
        account = self._link.current()
        return account is not None and not account.delivery

    async def _settle(self, order: Order, state: ActionState, detail: str) -> bool:
        await self._store.settle_action(self._account_id, order.order_id, Action.PAID_MESSAGE, state, detail)
        return True


def _delivery_of(account: Account, order: Order, explained: Explained) -> Delivery:
    """Return what an order gets, with the texts as they are now."""
    rule = explained.rule
    asked = Asked(text="", chat_id=order.chat_id, buyer_id=order.buyer_id, buyer_name="", item_id=order.item_id)
    values = {**variables(asked), "order_id": order.order_id}
    return Delivery(
        unb=account.unb,
        order_id=order.order_id,
        owner_id=account.owner_id,
        goods_id=rule.goods_id if rule is not None else None,
        wanted=explained.wanted,
        messages=planned(explained.parts, values, wanted=explained.wanted, per_message=explained.per_message),
        confirm="" if rule is None or rule.confirm is None else str(rule.confirm),
    )


def _next_look_ms(since_ms: int, now: int) -> int | None:
    """Return when a page that cannot be read since then is read again; ``None``: no more."""
    ends_at_ms, at = since_ms + PAGE_PATIENCE_MS, since_ms
    if now >= ends_at_ms:
        return None
    for wait in (*PAGE_WAITS_MS, *(PAGE_WAITS_MS[-1],) * (PAGE_PATIENCE_MS // PAGE_WAITS_MS[-1])):
        at += wait
        if at > now:
            break
    return min(at, ends_at_ms)


def _depends_on_item(account: Account) -> bool:
    """Return whether it depends on the item what a buyer gets."""
    return any(rule.item_id or rule.title_contains for rule in account.deliveries)
