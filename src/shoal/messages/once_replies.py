"""Which chats had the once-only default reply."""

from __future__ import annotations

from sqlalchemy import delete

from shoal.storage.database import Database
from shoal.storage.schema import once_replies


async def forget_once_replies(database: Database, account_id: str) -> int:
    """Let every chat of the account have it again. Returns how many had had it."""
    statement = delete(once_replies).where(once_replies.c.account_id == account_id)
    return await database.write(lambda connection: connection.execute(statement).rowcount)
