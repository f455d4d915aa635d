"""Maps each account to the sender of its live connection, and to its access to the site."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

from shoal.messages.sender import Sender
from shoal.xianyu.live_socket import LiveSocket
from shoal.xianyu.mtop import MtopClient


class LiveConnections:
    """The sockets and senders of the accounts that are connected now, and their access to the site."""

    def __init__(self) -> None:
        self._senders: dict[str, Sender] = {}
        self._sites: dict[str, MtopClient] = {}
        self._open: set[tuple[str, LiveSocket]] = set()

    @contextmanager
    def socket(self, account_id: str, socket: LiveSocket) -> Iterator[None]:
        """Register an open socket until the block ends, with all that goes on over it and parts from it."""
        self._open.add((account_id, socket))
        try:
            yield
        finally:
            self._open.discard((account_id, socket))

    @asynccontextmanager
    async def connected(self, account_id: str, sender: Sender, site: MtopClient) -> AsyncIterator[None]:
        """Register a connection until the block ends. A late end does not remove its successor."""
        self._senders[account_id], self._sites[account_id] = sender, site
        try:
            yield
        finally:
            if self._senders.get(account_id) is sender:
                del self._senders[account_id], self._sites[account_id]

    def sender(self, account_id: str) -> Sender | None:
        """Return the sender of a connected account, else ``None``."""
        return self._senders.get(account_id)

    def cut_lost(self, is_ours: Callable[[str], bool]) -> None:
        """Close the sockets of accounts that are not ours any more, before their work has parted.

        Another server may connect them at any moment, and to part may take as long as the database.
        """
        for account_id, socket in self._open:
            if not is_ours(account_id):
                socket.cut()

    def site(self, account_id: str) -> MtopClient | None:
        """Return the access to the site of a connected account, else ``None``."""
        return self._sites.get(account_id)
