"""Looks for a message that may have arrived, in the chat on the site, before it is sent again for its owner."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from shoal.clock import now_ms
from shoal.concurrency.fair_limiter import FairLimiter
from shoal.errors import StoreError, TemporaryFailure
from shoal.orders.order_store import Action, ActionState, Order, OrderStore, Why
from shoal.xianyu.socket_errors import GateClosed

log = structlog.get_logger("shoal.orders")

AGAIN_MS = (3_000, 30_000, 300_000)
"""The waits before a chat that could not be read is read again; after the last one it is its owner's turn."""

ReadChat = Callable[[str, int], Awaitable[None]]
"""Reads what was sent in a chat since a time by our clock, and settles the messages whose echoes are there."""


async def _unread(_chat_id: str, _since_ms: int) -> None:
    raise TemporaryFailure("the chat cannot be read here", code="history_refused")


class UncertainMessages:
    """The uncertain messages of one connection's orders."""

    def __init__(
        self, order_store: OrderStore, put_off: Callable[[int], None], *, account_id: str, pace: FairLimiter
    ) -> None:
        """``put_off`` is called with the time of each action that is due later. ``pace`` limits calls to the site."""
        self.read_chat: ReadChat = _unread
        """Set by the connection before it serves orders."""
        self._store = order_store
        self._put_off = put_off
        self._account_id = account_id
        self._pace = pace
        self._failures: dict[str, int] = {}

    async def looked_up(self, order: Order) -> bool:
        """Read the chat of an order with an uncertain message. Return ``False`` if it could not be read.

        Then the order waits and is served later, or it is uncertain again. Raise ``ActionRequired`` when the owner
        must act on the site.
        """
        since_ms = await self._store.deliveries.doubted_since(self._account_id, order.order_id)
        if since_ms is None:
            return True
        await self._pace.acquire()
        try:
            await self.read_chat(order.chat_id, since_ms)
        except GateClosed:
            return False
        except (TemporaryFailure, StoreError) as failure:
            await self._wait(order, failure.code)
            return False
        self._failures.pop(order.order_id, None)
        return True

    async def _wait(self, order: Order, why: str) -> None:
        failures = self._failures.pop(order.order_id, 0)
        log.warning("chat of an order not read", account=self._account_id, order=order.order_id, why=why)
        if failures == len(AGAIN_MS):
            await self._store.settle_action(
                self._account_id, order.order_id, Action.PAID_MESSAGE, ActionState.UNCERTAIN, Why.CHAT_UNREAD
            )
            return
        self._failures[order.order_id] = failures + 1
        at = now_ms() + AGAIN_MS[failures]
        await self._store.put_off(self._account_id, order.order_id, Action.PAID_MESSAGE, at, Why.ASKED)
        self._put_off(at)
