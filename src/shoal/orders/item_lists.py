"""The items that shops have on sale, asked of the site over their connections and kept for a short time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import structlog

from shoal.accounts.account import Account
from shoal.clock import steady_ms
from shoal.messages.live_connections import LiveConnections
from shoal.xianyu.items_on_sale import items_on_sale

log = structlog.get_logger("shoal.orders")

KEPT_MS = 60_000
"""How long a list counts as current."""


@dataclass(frozen=True, slots=True)
class _List:
    number: str
    titles: dict[str, str]
    read_at_ms: int


@dataclass(frozen=True, slots=True)
class ItemLists:
    """Asks for one list of an account at a time, and keeps the last one."""

    live_connections: LiveConnections
    _known: dict[str, _List] = field(default_factory=dict)
    _reading: set[asyncio.Task[dict[str, str] | None]] = field(default_factory=set)
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def of(self, account: Account) -> dict[str, str] | None:
        """Return the titles by item id; ``None`` when the account is not connected. Raise like ``items_on_sale``."""
        async with self._turns.setdefault(account.id, asyncio.Lock()):
            self._forget_old()
            known = self._known.get(account.id)
            if known is not None and known.number == account.unb:
                return known.titles
            site = self.live_connections.site(account.id)
            if site is None:
                return None
            titles = await items_on_sale(site, account.unb)
            self._known[account.id] = _List(account.unb, titles, steady_ms())
            return titles

    async def soon(self, account: Account, *, seconds: float) -> Mapping[str, str]:
        """Return the titles by item id; empty when they are not known after so many seconds.

        The list is read to its end all the same, for whoever asks next.
        """
        reading = asyncio.create_task(self.of(account), name=f"items:{account.id}")
        self._reading.add(reading)
        reading.add_done_callback(self._read)
        await asyncio.wait({reading}, timeout=seconds)
        is_read = reading.done() and not reading.cancelled() and reading.exception() is None
        return (reading.result() if is_read else None) or {}

    def _read(self, reading: asyncio.Task[dict[str, str] | None]) -> None:
        self._reading.discard(reading)
        if not reading.cancelled() and (error := reading.exception()) is not None:
            log.info("items on sale not read", why=getattr(error, "code", type(error).__name__))

    def _forget_old(self) -> None:
        """Drop the lists that are no longer current, also of accounts that are not asked about now."""
        since = steady_ms() - KEPT_MS
        for account_id in [name for name, known in self._known.items() if known.read_at_ms <= since]:
            del self._known[account_id]
