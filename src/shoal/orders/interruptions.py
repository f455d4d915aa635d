"""Settles messages and order actions that were in progress when a connection or the program ended."""

from __future__ import annotations

import asyncio

import structlog

from shoal.accounts.ownership import NOT_OWNER
from shoal.errors import StoreError
from shoal.messages.message_log import MessageLog
from shoal.orders.order_store import OrderStore

log = structlog.get_logger("shoal.interruptions")


AGAIN_SECONDS = (1.0, 60.0)
"""First and longest wait before another try to settle."""


class Interruptions:
    """Settles in the background what ended connections left in progress, after their pending writes.

    So a connection's end is reported at once, even with a slow database, and a disabled account's results are settled
    too.
    """

    def __init__(self) -> None:
        self._settling: dict[str, asyncio.Task[None]] = {}

    async def settle(self, message_log: MessageLog, order_store: OrderStore, account_id: str) -> None:
        """Settle all that the last connection left, before the next one reads. Raise ``StoreError``."""
        before = self._settling.get(account_id)
        try:
            if before is not None:
                before.cancel()  # ``note_interrupted`` also waits for its pending writes
                await asyncio.wait({before})
            await note_interrupted(message_log, order_store, account_id)
        except BaseException:
            self.settle_soon(message_log, order_store, account_id)  # this connection ends and may be the last one
            raise

    def settle_soon(self, message_log: MessageLog, order_store: OrderStore, account_id: str) -> None:
        """Settle it as soon as the database works, unless the next connection does so first."""
        task = asyncio.create_task(
            self._until_settled(message_log, order_store, account_id), name=f"interrupted:{account_id}"
        )
        self._settling[account_id] = task
        task.add_done_callback(lambda done: self._forget(account_id, done))

    def _forget(self, account_id: str, done: asyncio.Task[None]) -> None:
        if self._settling.get(account_id) is done:
            del self._settling[account_id]

    async def _until_settled(self, message_log: MessageLog, order_store: OrderStore, account_id: str) -> None:
        """Try until it is settled, or the store is closed: then the next start settles it."""
        wait, longest = AGAIN_SECONDS
        while True:
            try:
                await note_interrupted(message_log, order_store, account_id)
            except StoreError as error:
                if error.code in {"store_closed", NOT_OWNER}:  # then the new owner settles it
                    return
                log.warning("what was under way is not settled", account=account_id, why=error.code, wait_seconds=wait)
            else:
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)


async def note_interrupted(message_log: MessageLog, order_store: OrderStore, account_id: str | None) -> None:
    """Mark what was in progress for an account as interrupted (``None``: for all accounts).

    Call it only while the account has no connection. It waits for pending writes, so that no write of the earlier
    connection follows. Raise ``StoreError``.
    """
    for sending in await message_log.outbox.interrupted(account_id):
        row = sending.row
        log.warning("message uncertain", account=row.account_id, chat=row.chat_id, order=row.order_id)
    for order_action in await order_store.interrupted(account_id):
        log.warning(
            "order uncertain", account=order_action.account_id, order=order_action.order_id, action=order_action.action
        )
