"""A reply that is sent once: by the chat that had it, and by a buyer who had it in another system."""

from __future__ import annotations

from sqlalchemy import Connection, insert, select

from shoal.messages.decisions import first_once
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.schema import once_replies
from support.databases.store_steps import an_account, created


async def test_g1_a_reply_that_is_sent_once_counts_by_chat_and_by_a_buyer_who_had_it_elsewhere(
    manager: DBManager, database: Database
) -> None:
    await created(manager, an_account("shop"), an_account("other"))
    moved_in = {"account_id": "shop", "chat_id": "2209990000001", "at_ms": 1}
    await database.write(lambda connection: connection.execute(insert(once_replies), [moved_in]))

    async def first(chat_id: str, buyer_id: str, account_id: str = "shop") -> bool:
        def job(connection: Connection) -> bool:
            return first_once(connection, account_id, chat_id, 1_800_000_000_000, buyer_id=buyer_id)

        return await database.write(job)

    assert not await first("77", "2209990000001"), "the buyer had it there"
    assert await first("78", "2209990000002")
    assert not await first("78", "2209990000002"), "the chat had it here"
    assert not await first("78", "")
    assert await first("79", "")
    assert await first("77", "2209990000001", "other"), "another shop"
    query = select(once_replies.c.chat_id).where(once_replies.c.account_id == "shop").order_by(once_replies.c.chat_id)
    stored = await database.read(lambda connection: list(connection.scalars(query)))
    assert stored == ["2209990000001", "78", "79"]
