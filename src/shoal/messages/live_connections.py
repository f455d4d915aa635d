"""Where a person's word finds the connection that is up: one outbox per account, as long as its socket lives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shoal.messages.sender import Outbox


class Switchboard:
    """The outboxes of the accounts that are connected now."""

    def __init__(self) -> None:
        self._outboxes: dict[str, Outbox] = {}

    @asynccontextmanager
    async def connected(self, account_id: str, outbox: Outbox) -> AsyncIterator[None]:
        """Offer an outbox until the block ends. One that ends late does not take away that of its successor."""
        self._outboxes[account_id] = outbox
        try:
            yield
        finally:
            if self._outboxes.get(account_id) is outbox:
                del self._outboxes[account_id]

    def outbox(self, account_id: str) -> Outbox | None:
        """The outbox of an account that is connected."""
        return self._outboxes.get(account_id)
