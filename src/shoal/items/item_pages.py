"""The site's pages of items, read over the connection of their shop, stored, and read again when they have aged.

Questions to a language model, trials, owners, and orders of rules by title or spec ask for one: no answer of a rule
waits for it.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from weakref import WeakValueDictionary

import structlog

from shoal.accounts.account import Account
from shoal.accounts.ownership import Fence, carrying
from shoal.clock import now_ms, steady_ms
from shoal.errors import ActionRequired, ShoalError, StoreError
from shoal.items.item_lists import ItemLists
from shoal.items.item_page_rows import StoredPage, read_stored_page, store_page
from shoal.messages.manual_sending import NotConnected
from shoal.storage.database import Database
from shoal.xianyu.item_page import ItemPage, ItemStatus
from shoal.xianyu.items_on_sale import PAGE_SECONDS
from shoal.xianyu.mtop import MtopClient, MtopRefused

log = structlog.get_logger("shoal.orders")

PRICES_MS: Final = 3_600_000
"""How long the prices of a page are known, and that the item is gone: as long as those of the list."""
AGED_MS: Final = 900_000
"""From which age on a page is read again beside, when it is used; and so long it is not read again for a question."""
WORDS_MS: Final = 86_400_000
"""How long the description is known: it says what hardly changes within a day."""
AGAIN_MS: Final = 60_000
"""How long an owner who wants it read again gets what is known, without a call."""
HOUR_MS: Final = 3_600_000
MOST_STRANGE: Final = 60
"""How many pages of strange items of one shop are read in an hour for questions: a buyer can name ever new ids, and
each call may be the one that the site wants checked, which parks the shop. A shop's own items stop being strange."""
MOST_REMEMBERED: Final = 10_000
"""Of how many items it is remembered in memory when they were asked about, should the database store nothing."""
_ID: Final = re.compile(r"[0-9]{1,32}", re.ASCII)
OTHER_SELLER: Final = "other_seller"
"""Why a page is not used: it says that the item is another seller's."""
NO_PAGE: Final = "bad_reply"
"""Why a page is not used: the answer is none of that item."""

Key = TypeVar("Key", str, tuple[str, str])
AskOwner = Callable[[Account, str, bool], Awaitable[None]]
"""Lets the server that runs the account read a page, and waits for it. The flag: an owner wants it."""


class ItemPages:
    """Reads one page of an account at a time, at most once for each item and age limit."""

    def __init__(
        self,
        database: Database,
        lists: ItemLists,
        fence_of: Callable[[str], Fence | None] | None = None,
        *,
        now_ms: Callable[[], int] = now_ms,
    ) -> None:
        """``lists``: of the same connections.

        ``fence_of``: behind which fence this server writes what an account's connection reads, as one of several.
        """
        self._database = database
        self.lists = lists
        self._live_connections = lists.live_connections
        self._fence_of = fence_of
        self.now_ms = now_ms
        self._reading: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._asked_at_ms: dict[tuple[str, str], int] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._called_at_ms: dict[str, int] = {}
        self._strange_at_ms: dict[str, deque[int]] = {}
        self.ask_owner: AskOwner | None = None
        """Asks another server for an account that does not run here; set where several serve one database."""

    async def stored(self, account: Account, item_id: str) -> StoredPage | None:
        """Return what is known of an item's page, without asking the site. Raise ``StoreError``."""
        return await self._database.read(lambda connection: read_stored_page(connection, account, item_id))

    async def of(self, account: Account, item_id: str, *, seconds: float) -> StoredPage | None:
        """Return what is known of an item's page, never raising; the site is asked when it is not known or has aged.

        An aged page is returned at once, and read again beside. Without a page whose prices hold, the reading is waited
        for so long.
        """
        if not _ID.fullmatch(item_id):
            return None
        try:
            known = await self.stored(account, item_id)
            now = self.now_ms()
            if known is not None and known.is_younger(AGED_MS, now):
                return known
            reading = self._begin(account, item_id, known, AGED_MS)
            if known is not None and known.is_younger(PRICES_MS, now):
                return known
            if reading is not None:
                await asyncio.wait({reading}, timeout=seconds)
            return await self.stored(account, item_id)  # another caller's reading may have ended since the first look
        except StoreError as error:
            log.warning("item page not looked up", account=account.id, why=error.code)
            return None

    async def read_again(self, account: Account, item_id: str) -> StoredPage | None:
        """Read an item's page for its owner, at most once a minute, and return what is known then.

        Raise ``NotConnected`` when the account is not connected, ``StoreError``, and what ``ask_owner`` raises.
        """
        known = await self.stored(account, item_id)
        if self._live_connections.site(account.id) is None and self.ask_owner is None:
            raise NotConnected("the account is not connected", code="not_connected/items")
        reading = self._begin(account, item_id, known, AGAIN_MS, by_owner=True)
        if reading is not None:
            await asyncio.wait({reading})
            if not reading.cancelled() and (error := reading.exception()) is not None:
                raise error
        return await self.stored(account, item_id)

    async def read_within(self, account: Account, item_id: str, age_ms: int) -> StoredPage | None:
        """Return what is known of an item's page, read before if it was not read within ``age_ms``.

        A page that cannot be read leaves what was known. Raise ``StoreError``.
        """
        known = await self.stored(account, item_id)
        if not _ID.fullmatch(item_id) or (known is not None and known.is_younger(age_ms, self.now_ms())):
            return known
        reading = self._begin(account, item_id, known, 0, by_owner=True)
        if reading is None:
            return known
        await asyncio.wait({reading})
        return await self.stored(account, item_id)

    async def close(self) -> None:
        """End the readings that are under way."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(
        self, account: Account, item_id: str, known: StoredPage | None, rest_ms: int, *, by_owner: bool = False
    ) -> asyncio.Task[None] | None:
        """Return the reading that is under way for an item, or begin one; ``None`` when it was asked about recently."""
        key = (account.id, item_id)
        if key in self._reading:
            return self._reading[key]
        is_here = self._live_connections.site(account.id) is not None
        if not is_here and self.ask_owner is None:
            return None
        now = self.now_ms()
        if known is not None and 0 <= now - known.asked_at_ms < rest_ms:
            return None
        if self._asked_at_ms.get(key, steady_ms() - rest_ms) > steady_ms() - rest_ms:
            return None
        if is_here and not by_owner and not _is_own(known) and not self._may_read_strange(account.id):
            return None
        _remember(self._asked_at_ms, key)
        work = self._read(account, item_id) if is_here else self._read_there(account, item_id, by_owner=by_owner)
        fence = self._fence_of(account.id) if self._fence_of is not None and is_here else None
        with carrying([fence] if fence is not None else []):
            reading = asyncio.create_task(work, name=f"item:{account.id}:{item_id}")
        self._reading[key] = reading
        reading.add_done_callback(lambda ended: self._read_to_end(key, ended))
        return reading

    def _may_read_strange(self, account_id: str) -> bool:
        """Return whether one more strange item may be read of that account in this hour, and count it."""
        times = self._strange_at_ms.setdefault(account_id, deque())
        now = steady_ms()
        while times and times[0] <= now - HOUR_MS:
            times.popleft()
        if len(times) >= MOST_STRANGE:
            log.info("page of a strange item not read", account=account_id, why="too many in an hour")
            return False
        times.append(now)
        return True

    async def _read(self, account: Account, item_id: str) -> None:
        """Read a page and store it, or why it could not be read. Only one page of an account is read at a time."""
        async with self._turns.setdefault(account.id, asyncio.Lock()):
            site = self._live_connections.site(account.id)
            if site is None:
                return
            last = self._called_at_ms.get(account.id)
            if last is not None:  # half a second lies between two pages, as between two of the list
                await asyncio.sleep(PAGE_SECONDS - (steady_ms() - last) / 1000)
            try:
                page, why = await _asked(site, account, item_id)
            finally:
                _remember(self._called_at_ms, account.id)
            now = self.now_ms()
            await self._database.write(
                lambda connection: store_page(connection, account, item_id, page, why, now_ms=now)
            )

    async def _read_there(self, account: Account, item_id: str, *, by_owner: bool) -> None:
        if self.ask_owner is not None:
            await self.ask_owner(account, item_id, by_owner)

    def _read_to_end(self, key: tuple[str, str], reading: asyncio.Task[None]) -> None:
        del self._reading[key]
        if not reading.cancelled() and (error := reading.exception()) is not None:
            log.info("item page not read", account=key[0], why=getattr(error, "code", type(error).__name__))


def _is_own(known: StoredPage | None) -> bool:
    """Return whether a page was read as that of an item of the shop."""
    return known is not None and known.read_at_ms is not None and bool(known.page.title)


def _remember(times: dict[Key, int], key: Key) -> None:
    """Note the time, and forget the oldest of too many."""
    times.pop(key, None)
    while len(times) >= MOST_REMEMBERED:
        del times[next(iter(times))]
    times[key] = steady_ms()


async def _asked(site: MtopClient, account: Account, item_id: str) -> tuple[ItemPage | None, str]:
    """Return an item's page, or why it is not known. An answer that parks the account parks it, as of any call."""
    try:
        page = await site.item_page(item_id)
    except MtopRefused as refusal:
        return (ItemPage(status=ItemStatus.GONE), "") if refusal.denies_existence else (None, refusal.code)
    except ActionRequired as stop:
        return None, stop.reason
    except ShoalError as error:
        return None, error.code
    if page is None:
        return None, NO_PAGE
    if page.seller_id and account.unb and page.seller_id != account.unb:
        return ItemPage(), OTHER_SELLER
    return page, ""
