"""The items that shops have on sale, asked of the site over their connections and kept for a short time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import msgspec
import structlog

from shoal.accounts.account import Account
from shoal.clock import steady_ms
from shoal.messages.live_connections import LiveConnections
from shoal.xianyu.items_on_sale import ListedItem, items_on_sale

log = structlog.get_logger("shoal.orders")

KEPT_MS = 60_000
"""How long a list counts as current."""
SHOWN_MS = 86_400_000
"""How long a list is shown to those who do not want the site to be asked."""
PRICES_MS = 3_600_000
"""How long the prices of a list are known: one that changed on the site is used at most so long."""
AGED_MS = 900_000
"""From which age on a list is read again beside, when a price of it is used."""
RETRY_MS = 600_000
"""How long no price is asked of the site after a list that could not be read."""
TITLES_MS = 3_600_000
"""How long no list is read for a title after one that was."""
MOST_KEPT = 1_000
"""How many lists are kept in memory."""


Note = Callable[[Account, Mapping[str, ListedItem]], Awaitable[None]]
"""Stores what a list says. It raises nothing."""


async def _nothing(account: Account, items: Mapping[str, ListedItem]) -> None:
    pass


class _List(msgspec.Struct, frozen=True):
    number: str
    titles: dict[str, str]
    prices: dict[str, int]
    read_at_ms: int
    words: int
    """The hash of all that it says."""

    @property
    def age_ms(self) -> int:
        """How long ago it was read."""
        return steady_ms() - self.read_at_ms


@dataclass(frozen=True, slots=True)
class ItemLists:
    """Asks for one list of an account at a time, and keeps the last one. ``note`` learns what is new in it."""

    live_connections: LiveConnections
    note: Note = _nothing
    _known: dict[str, _List] = field(default_factory=dict)
    _reading: set[asyncio.Task[dict[str, str] | None]] = field(default_factory=set)
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _for_prices: dict[str, asyncio.Task[dict[str, str] | None]] = field(default_factory=dict)
    _failed_at_ms: dict[str, int] = field(default_factory=dict)
    _titles_at_ms: dict[str, int] = field(default_factory=dict)

    async def of(self, account: Account) -> dict[str, str] | None:
        """Return the titles by item id; ``None`` when the account is not connected. Raise like ``items_on_sale``."""
        async with self._turns.setdefault(account.id, asyncio.Lock()):
            known = self._list(account, younger_than_ms=KEPT_MS)
            if known is not None:
                return known.titles
            site = self.live_connections.site(account.id)
            if site is None:
                return None
            began_at_ms, items = steady_ms(), await items_on_sale(site, account.unb)
            titles = {item_id: item.title for item_id, item in items.items()}
            prices = {item_id: item.price_fen for item_id, item in items.items() if item.price_fen is not None}
            before, words = self._known.get(account.id), hash((account.unb, *items.items()))
            self._known[account.id] = _List(account.unb, titles, prices, began_at_ms, words)
            self._forget_old()
            if before is None or before.words != words:
                await self.note(account, items)
            return titles

    def kept(self, account: Account) -> Mapping[str, str]:
        """Return the titles by item id of the last list, without asking the site; empty when there is none."""
        known = self._list(account, younger_than_ms=SHOWN_MS)
        return known.titles if known is not None else {}

    def prices(self, account: Account) -> Mapping[str, int]:
        """Return the prices in fen by item id, without asking the site; empty when none was read within an hour."""
        known = self._list(account, younger_than_ms=PRICES_MS)
        return known.prices if known is not None else {}

    async def item(self, account: Account, item_id: str, *, seconds: float) -> ListedItem:
        """Return what is known of an item, never raising; the site is asked for a price that is not known or has aged.

        An aged price is returned at once, and the list is read beside. One that is not known is waited for so long.
        """
        known = self._list(account, younger_than_ms=PRICES_MS)
        if known is None or known.age_ms >= AGED_MS:
            reading = self._reading_for_prices(account)
            if known is None and reading is not None:
                await asyncio.wait({reading}, timeout=seconds)
        return ListedItem(self.kept(account).get(item_id, ""), self.prices(account).get(item_id))

    async def soon(self, account: Account, *, seconds: float) -> Mapping[str, str]:
        """Return the titles by item id; empty when they are not known after so many seconds.

        The list is read to its end all the same, for the next question.
        """
        reading = self._begin(account)
        await asyncio.wait({reading}, timeout=seconds)
        is_read = reading.done() and not reading.cancelled() and reading.exception() is None
        return (reading.result() if is_read else None) or {}

    def may_read_for_titles(self, account_id: str) -> bool:
        """Return whether no list of the account was read for a title within the hour."""
        return self._titles_at_ms.get(account_id, -TITLES_MS) <= steady_ms() - TITLES_MS

    def read_for_titles(self, account: Account) -> None:
        """Begin to read the list, so that titles are known later, unless that was done within the hour."""
        if self.may_read_for_titles(account.id):
            self._titles_at_ms[account.id] = steady_ms()
            self._begin(account)

    def _list(self, account: Account, *, younger_than_ms: int) -> _List | None:
        """Return the last list of an account's seller, if it is younger."""
        known = self._known.get(account.id)
        return known if known and known.number == account.unb and known.age_ms < younger_than_ms else None

    def _begin(self, account: Account) -> asyncio.Task[dict[str, str] | None]:
        reading = asyncio.create_task(self.of(account), name=f"items:{account.id}")
        self._reading.add(reading)
        reading.add_done_callback(self._read)
        return reading

    def _reading_for_prices(self, account: Account) -> asyncio.Task[dict[str, str] | None] | None:
        """Return the reading that is under way for an account, or begin one; ``None`` soon after one that failed."""
        reading = self._for_prices.get(account.id)
        if reading is not None:
            return reading
        if self._failed_at_ms.get(account.id, -RETRY_MS) > steady_ms() - RETRY_MS:
            return None
        reading = self._for_prices[account.id] = self._begin(account)
        reading.add_done_callback(lambda ended: self._read_for_prices(account.id, ended))
        return reading

    def _read_for_prices(self, account_id: str, reading: asyncio.Task[dict[str, str] | None]) -> None:
        del self._for_prices[account_id]
        self._failed_at_ms.pop(account_id, None)
        if not reading.cancelled() and reading.exception() is not None:
            self._failed_at_ms[account_id] = steady_ms()

    def _read(self, reading: asyncio.Task[dict[str, str] | None]) -> None:
        self._reading.discard(reading)
        if not reading.cancelled() and (error := reading.exception()) is not None:
            log.info("items on sale not read", why=getattr(error, "code", type(error).__name__))

    def _forget_old(self) -> None:
        """Drop the lists that are not shown any more, and the oldest ones of too many."""
        now = steady_ms()
        for account_id in [one for one, at_ms in self._failed_at_ms.items() if at_ms <= now - RETRY_MS]:
            del self._failed_at_ms[account_id]
        for account_id in [one for one, at_ms in self._titles_at_ms.items() if at_ms <= now - TITLES_MS]:
            del self._titles_at_ms[account_id]
        since = now - SHOWN_MS
        newest = sorted(self._known.items(), key=lambda known: -known[1].read_at_ms)[:MOST_KEPT]
        kept = {account_id: known for account_id, known in newest if known.read_at_ms > since}
        for account_id in self._known.keys() - kept.keys():
            del self._known[account_id]
