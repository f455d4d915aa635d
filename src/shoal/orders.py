"""Paid orders: first the goods or the word the shop sends, then, and only then, the confirmation of the shipment.

Each act is an intent row before it is done, so that it is done at most once per order, for ever; what a crash cut in
two is ``uncertain`` and never repeated blindly.
"""

from __future__ import annotations

import asyncio

import structlog

from shoal.account import Account
from shoal.account_task import Link, now_ms
from shoal.errors import NeedsOwner, TemporaryFailure
from shoal.message_log import OutboxKind, SendOutcome
from shoal.order_book import Act, IntentState, Order, OrderBook
from shoal.outbox import Letter, Outbox
from shoal.replies import Asked, fill, variables
from shoal.xianyu.mtop import MtopClient, MtopRefused, OutcomeUncertain

log = structlog.get_logger("shoal.orders")

TAKE_UP_MS = 24 * 3600_000
"""How long after the payment an interrupted order is still taken up again."""


class Orders:
    """Serves the paid orders of one connection, one at a time."""

    def __init__(self, link: Link, outbox: Outbox, mtop: MtopClient, book: OrderBook, *, account_id: str) -> None:
        self._link = link
        self._outbox = outbox
        self._mtop = mtop
        self._book = book
        self._account_id = account_id
        self._turn = asyncio.Lock()

    async def take_up(self) -> None:
        """Go on with what the last connection left undone. Raises as ``serve``."""
        for order in await self._book.unfinished(self._account_id, newer_than_ms=now_ms() - TAKE_UP_MS):
            await self.serve(order)

    async def serve(self, order: Order) -> None:
        """Send the paid-order message, then confirm, each only if it is due now.

        Raises ``NeedsOwner`` when the site wants its owner, or what ended the socket.
        """
        async with self._turn:
            account = self._link.current()
            if account is None or not self._link.allows() or await self._has_ended(order):
                return
            if await self._message_settled(account, order):
                await self._confirm(order)

    async def _has_ended(self, order: Order) -> bool:
        """Whether the order was completed or cancelled meanwhile: what was not begun is then not needed any more."""
        now = await self._book.order(self._account_id, order.order_id)
        if now is None or not now.has_ended:
            return False
        detail = f"order_{now.status}"
        if await self._book.drop_intent(self._account_id, order.order_id, Act.PAID_MESSAGE, detail):
            log.warning("paid order ended before it was served", account=self._account_id, order=order.order_id)
        await self._book.decline_intent(self._account_id, order.order_id, Act.CONFIRM, detail)
        return True

    async def _message_settled(self, account: Account, order: Order) -> bool:
        """Whether the shop's side is done: the message was answered as sent, or the item needs none."""
        state = await self._book.intent_state(self._account_id, order.order_id, Act.PAID_MESSAGE)
        if state in {IntentState.DONE, IntentState.NOT_NEEDED}:
            return True
        if state is not IntentState.PENDING:
            return False
        item = account.item(order.item_id)
        text = (item.paid_message if item else "") or account.paid_message
        if item is not None and item.nothing_to_send:
            return await self._note(order, Act.PAID_MESSAGE, IntentState.NOT_NEEDED)
        if not text:
            log.warning("paid order has nothing to send", account=self._account_id, order=order.order_id)
            await self._note(order, Act.PAID_MESSAGE, IntentState.FAILED, "no_paid_message")
            return False
        return await self._send(order, text)

    async def _send(self, order: Order, text: str) -> bool:
        if not await self._book.begin_intent(self._account_id, order.order_id, Act.PAID_MESSAGE):
            return False
        asked = Asked(text="", chat_id=order.chat_id, buyer_id=order.buyer_id, buyer_name="", item_id=order.item_id)
        letter = Letter(
            chat_id=order.chat_id,
            buyer_id=order.buyer_id,
            text=fill(text, {**variables(asked), "order_id": order.order_id}),
            kind=OutboxKind.PAID,
            order_id=order.order_id,
        )
        try:
            sent = await self._outbox.send(letter)
        except (TemporaryFailure, NeedsOwner):
            await self._note(order, Act.PAID_MESSAGE, IntentState.PENDING)
            raise
        state = {
            SendOutcome.SENT: IntentState.DONE,
            SendOutcome.REFUSED: IntentState.FAILED,
            SendOutcome.UNCERTAIN: IntentState.UNCERTAIN,
            SendOutcome.DROPPED: IntentState.PENDING,
        }[sent.outcome]
        await self._note(order, Act.PAID_MESSAGE, state, sent.reason)
        return state is IntentState.DONE

    async def _confirm(self, order: Order) -> None:
        account = self._link.current()
        if account is None or not self._link.allows() or await self._has_ended(order):
            return
        if not account.auto_confirm:
            await self._book.decline_intent(self._account_id, order.order_id, Act.CONFIRM, "auto_confirm_off")
            return
        if not await self._book.begin_intent(self._account_id, order.order_id, Act.CONFIRM):
            return
        if not self._link.allows():
            await self._note(order, Act.CONFIRM, IntentState.PENDING)
            return
        state, detail = IntentState.DONE, ""
        try:
            await self._mtop.confirm_shipment(order.order_id)
        except MtopRefused as refusal:
            state, detail = IntentState.FAILED, refusal.ret_code
        except OutcomeUncertain:
            state, detail = IntentState.UNCERTAIN, "no_answer"
        except (TemporaryFailure, NeedsOwner):
            await self._note(order, Act.CONFIRM, IntentState.PENDING)
            raise
        await self._note(order, Act.CONFIRM, state, detail)
        if state is IntentState.DONE:
            await self._book.upsert(self._account_id, order.order_id, status="shipped", source="auto_confirm")
        log.info("shipment confirmed", account=self._account_id, order=order.order_id, outcome=state.value)

    async def _note(self, order: Order, act: Act, state: IntentState, detail: str = "") -> bool:
        await self._book.settle_intent(self._account_id, order.order_id, act, state, detail)
        return True
