"""What was under way when a connection or the program ended: settled as far as anything is known of it."""

from __future__ import annotations

import structlog

from shoal.message_log import MessageLog
from shoal.order_book import OrderBook

log = structlog.get_logger("shoal.interruptions")


async def note_interrupted(message_log: MessageLog, order_book: OrderBook, account_id: str | None) -> None:
    """Say of what was under way for an account that nobody carries it out any more (``None``: for any account).

    Call it only while the account has no connection. It waits for what is still to be written, so that nothing of the
    connection before comes to light after it. Raises ``StoreError``.
    """
    for sending in await message_log.sendings.interrupted(account_id):
        row = sending.row
        log.warning("message uncertain", account=row.account_id, chat=row.chat_id, order=row.order_id)
    for intent in await order_book.interrupted(account_id):
        log.warning("order uncertain", account=intent.account_id, order=intent.order_id, act=intent.action)
