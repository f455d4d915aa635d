"""What was under way when a connection or the program ended: settled as far as anything is known of it."""

from __future__ import annotations

import asyncio

import structlog

from shoal.errors import StoreError
from shoal.messages.message_log import MessageLog
from shoal.orders.order_store import OrderStore

log = structlog.get_logger("shoal.interruptions")


AGAIN_SECONDS = (1.0, 60.0)
"""First and longest wait before what could not be settled is tried again."""


class Interruptions:
    """Settles what connections leave under way when they end, behind what is still to be written, and beside them.

    So an ended connection is called so at once, however slow the database is, and a shop that stays off hides nothing.
    """

    def __init__(self) -> None:
        self._settling: dict[str, asyncio.Task[None]] = {}

    async def settle(self, message_log: MessageLog, order_store: OrderStore, account_id: str) -> None:
        """Settle all that the last connection left, before the next one reads. Raises ``StoreError``."""
        before = self._settling.get(account_id)
        try:
            if before is not None:
                before.cancel()  # what it has sent to be written is waited for too
                await asyncio.wait({before})
            await note_interrupted(message_log, order_store, account_id)
        except BaseException:
            self.settle_soon(message_log, order_store, account_id)  # this connection will not: its shop may be off now
            raise

    def settle_soon(self, message_log: MessageLog, order_store: OrderStore, account_id: str) -> None:
        """Settle it as soon as the database lets us, unless the next connection does so first."""
        task = asyncio.create_task(
            self._until_settled(message_log, order_store, account_id), name=f"interrupted:{account_id}"
        )
        self._settling[account_id] = task
        task.add_done_callback(lambda done: self._forget(account_id, done))

    def _forget(self, account_id: str, done: asyncio.Task[None]) -> None:
        if self._settling.get(account_id) is done:
            del self._settling[account_id]

    async def _until_settled(self, message_log: MessageLog, order_store: OrderStore, account_id: str) -> None:
        """Try until it is settled, or the store is closed: then the next start does it."""
        wait, longest = AGAIN_SECONDS
        while True:
            try:
                await note_interrupted(message_log, order_store, account_id)
            except StoreError as error:
                if error.code == "store_closed":
                    return
                log.warning("what was under way is not settled", account=account_id, why=error.code, wait_seconds=wait)
            else:
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, longest)


async def note_interrupted(message_log: MessageLog, order_store: OrderStore, account_id: str | None) -> None:
    """Say of what was under way for an account that nobody carries it out any more (``None``: for any account).

    Call it only while the account has no connection. It waits for what is still to be written, so that nothing of the
    connection before comes to light after it. Raises ``StoreError``.
    """
    for sending in await message_log.outbox.interrupted(account_id):
        row = sending.row
        log.warning("message uncertain", account=row.account_id, chat=row.chat_id, order=row.order_id)
    for order_action in await order_store.interrupted(account_id):
        log.warning(
            "order uncertain", account=order_action.account_id, order=order_action.order_id, action=order_action.action
        )
