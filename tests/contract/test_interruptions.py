"""What a connection left under way is settled whichever of its successors stays, on both databases."""

from __future__ import annotations

import asyncio
import threading

from shoal.messages.message_log import MessageLog
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from shoal.orders.interruptions import Interruptions
from shoal.orders.order_store import OrderStore
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from support.databases.store_steps import an_account, created
from support.site.standins import until_told


async def test_f1_what_a_connection_left_is_settled_although_the_next_is_stopped_as_it_begins(
    database: Database, manager: DBManager
) -> None:
    await created(manager, an_account("shop"))
    log, book, interruptions = MessageLog(database), OrderStore(database), Interruptions()
    (row_id,) = (await log.outbox.queue([OutboxRow(account_id="shop", chat_id="c", uuid="u", buyer_id="b")])).ids
    goes_on = threading.Event()
    standing = asyncio.create_task(database.write(lambda _: goes_on.wait(60)))
    await asyncio.sleep(0.05)
    interruptions.settle_soon(log, book, "shop")
    await asyncio.sleep(0.05)
    next_one = asyncio.create_task(interruptions.settle(log, book, "shop"))
    await asyncio.sleep(0)
    next_one.cancel()  # its shop is switched off in the very moment
    await asyncio.wait({next_one})
    goes_on.set()
    await standing

    async def outcome() -> SendOutcome:
        return (await log.outbox.get(row_id)).outcome

    await until_told(outcome, SendOutcome.UNCERTAIN)
