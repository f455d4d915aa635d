"""Where a person's word finds the connection that is up: one outbox per account, as long as its socket lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shoal.messages.sender import Sender


class LiveConnections:
    """The outboxes of the accounts that are connected now."""

    def __init__(self) -> None:
        self._senders: dict[str, Sender] = {}

    @asynccontextmanager
    async def connected(self, account_id: str, sender: Sender) -> AsyncIterator[None]:
        """Offer an outbox until the block ends. One that ends late does not take away that of its successor."""
        self._senders[account_id] = sender
        try:
            yield
        finally:
            if self._senders.get(account_id) is sender:
                del self._senders[account_id]

    def sender(self, account_id: str) -> Sender | None:
        """The outbox of an account that is connected."""
        return self._senders.get(account_id)
