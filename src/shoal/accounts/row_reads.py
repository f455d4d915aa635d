"""Reads the row of an account once before a caller is refused for what this node may not know yet."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from shoal.accounts.callers import Caller
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.store import AccountStore, Tombstone
from shoal.errors import StoreError

log = structlog.get_logger("shoal.changes")

MOST_PER_SECOND: Final = 50.0
"""How many rows a node reads for that; what is asked beyond is decided on what is published."""


class RowReads:
    """Publishes rows of which the follower has not read yet. A single server publishes all of its own."""

    def __init__(self, store: AccountStore, published: PublishedAccounts) -> None:
        self._store = store
        self._published = published
        self._room, self._counted_at = MOST_PER_SECOND, 0.0

    async def read(self, account_id: str) -> None:
        """Publish the row, if it is newer than the snapshot. A failure to read leaves what is published."""
        if not self._published.several_nodes or not self._has_room():
            return
        try:
            found = await self._store.stored(account_id)
        except StoreError as error:
            log.debug("a row could not be read again", account=account_id, why=error.code)
            return
        if isinstance(found, Tombstone):
            self._published.follow(account_id, None, found.generation)
        elif found is not None:
            self._published.follow(account_id, found, found.generation)

    async def read_if_behind(self, account_id: str, caller: Caller) -> None:
        """Publish the row when the account is unknown here, or the caller has seen a later generation."""
        account = self._published.accounts.get(account_id)
        if account is None or caller.has_seen_after(account):
            await self.read(account_id)

    def _has_room(self) -> bool:
        now = asyncio.get_running_loop().time()
        self._room = min(MOST_PER_SECOND, self._room + (now - self._counted_at) * MOST_PER_SECOND)
        self._counted_at = now
        if self._room < 1:
            return False
        self._room -= 1
        return True
