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
SHOWN_MS = 86_400_000
"""How long a list is shown to those who do not want the site to be asked."""
MOST_KEPT = 100
"""How many lists are kept in memory."""


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
            known = self._known.get(account.id)
            if known is not None and known.number == account.unb and known.read_at_ms > steady_ms() - KEPT_MS:
                return known.titles
            site = self.live_connections.site(account.id)
            if site is None:
                return None
            titles = await items_on_sale(site, account.unb)
            self._known[account.id] = _List(account.unb, titles, steady_ms())
            self._forget_old()
            return titles

    def kept(self, account: Account) -> Mapping[str, str]:
        """Return the titles by item id of the last list, without asking the site; empty when there is none."""
        known = self._known.get(account.id)
        is_shown = known is not None and known.number == account.unb and known.read_at_ms > steady_ms() - SHOWN_MS
        return known.titles if known is not None and is_shown else {}

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
        """Drop the lists that are not shown any more, and the oldest ones of too many."""
        since = steady_ms() - SHOWN_MS
        newest = sorted(self._known.items(), key=lambda known: -known[1].read_at_ms)[:MOST_KEPT]
        kept = {account_id: known for account_id, known in newest if known.read_at_ms > since}
        for account_id in self._known.keys() - kept.keys():
            del self._known[account_id]
