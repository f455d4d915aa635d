"""Maps each account to the sender of its live connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shoal.messages.sender import Sender


class LiveConnections:
    """The senders of the accounts that are connected now."""

    def __init__(self) -> None:
        self._senders: dict[str, Sender] = {}

    @asynccontextmanager
    async def connected(self, account_id: str, sender: Sender) -> AsyncIterator[None]:
        """Register a sender until the block ends. A late end does not remove its successor."""
        self._senders[account_id] = sender
        try:
            yield
        finally:
            if self._senders.get(account_id) is sender:
                del self._senders[account_id]

    def sender(self, account_id: str) -> Sender | None:
        """Return the sender of a connected account, else ``None``."""
        return self._senders.get(account_id)
