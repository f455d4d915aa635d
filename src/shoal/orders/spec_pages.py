"""Reads the pages of the items of which delivery rules name specs, so that rules and items are compared."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Final

import structlog

from shoal.accounts.account import Account
from shoal.errors import StoreError
from shoal.items.item_page_rows import StoredPage, read_stored_pages
from shoal.items.item_pages import AGAIN_MS, WORDS_MS, ItemPages
from shoal.storage.database import Database

log = structlog.get_logger("shoal.orders")

MOST_AT_ONCE: Final = 20
"""How many pages of one account are read after one look: each call may be the one that the site wants checked."""
FRESH_MS: Final = 10_000
"""How old a page may be when a rule names a spec of its item for the first time: its owner may just have added it."""


class SpecPages:
    """Reads one page of an account after the other, so that an order waits for one of them at most."""

    def __init__(self, database: Database, pages: ItemPages) -> None:
        self._database = database
        self.pages = pages
        self._named: dict[str, frozenset[tuple[str, str]]] = {}
        """The items and specs that the rules of each account that is connected here named when it was looked at."""
        self._left: dict[str, list[str]] = {}
        self._last: dict[str, asyncio.Task[None]] = {}
        """The last reading of each account that was begun and has not ended."""
        self._readings: set[asyncio.Task[None]] = set()

    def look(self, account: Account) -> None:
        """Begin to read what was not read within a day, for an account that has just connected here."""
        named = self._named[account.id] = _named(account)
        self._begin(account, {item_id: WORDS_MS for item_id, _ in named})

    def rules_changed(self, account_id: str, account: Account | None) -> None:
        """Begin to read the pages of items of which a connected account's rules name a spec that they did not name."""
        before = self._named.get(account_id)
        if before is None:
            return
        if account is None or self.pages.lists.live_connections.site(account_id) is None:
            del self._named[account_id]
            return
        named = self._named[account_id] = _named(account)
        if fresh := named - before:
            self._begin(account, {item_id: FRESH_MS for item_id, _ in fresh})

    async def known(self, account: Account, item_ids: Collection[str]) -> dict[str, StoredPage]:
        """Return what is known of items' pages, without asking the site. Raise ``StoreError``."""
        return await self._database.read(lambda connection: read_stored_pages(connection, account, item_ids))

    async def read(self, account: Account, ages: Mapping[str, int], *, seconds: float) -> int:
        """Read the pages of items that were not read within their ages, and wait so long for it.

        Return how many are still to be read.
        """
        reading = self._begin(account, ages)
        if reading is None:
            return 0
        await asyncio.wait({reading}, timeout=seconds)
        return 0 if reading.done() else max(1, len(self._left.get(account.id, ())))

    async def close(self) -> None:
        """End the readings."""
        tasks = list(self._readings)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, account: Account, ages: Mapping[str, int]) -> asyncio.Task[None] | None:
        """Begin a reading behind the one of the account that is under way; ``None``: there is nothing to read."""
        before = self._last.get(account.id)
        if not ages or (self.pages.lists.live_connections.site(account.id) is None and self.pages.ask_owner is None):
            return before
        reading = asyncio.create_task(self._read(account, ages, before), name=f"specs:{account.id}")
        self._last[account.id] = reading
        self._readings.add(reading)
        reading.add_done_callback(lambda ended: self._ended(account.id, ended))
        return reading

    async def _read(self, account: Account, ages: Mapping[str, int], before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            known, now = await self.known(account, ages), self.pages.now_ms()
            due = [item_id for item_id, age in ages.items() if _is_due(known.get(item_id), age, now)]
            asked = {item_id: page.asked_at_ms for item_id, page in known.items()}
            left = self._left[account.id] = sorted(due, key=lambda item_id: asked.get(item_id, 0))[:MOST_AT_ONCE]
            while left:
                await self.pages.read_within(account, left[0], ages[left[0]])
                del left[0]
        except StoreError as error:
            log.warning("items not compared with rules", account=account.id, why=error.code)
        finally:
            self._left.pop(account.id, None)

    def _ended(self, account_id: str, reading: asyncio.Task[None]) -> None:
        self._readings.discard(reading)
        if self._last.get(account_id) is reading:
            del self._last[account_id]


def _named(account: Account) -> frozenset[tuple[str, str]]:
    return frozenset((rule.item_id, rule.spec) for rule in account.deliveries if rule.item_id and rule.spec)


def _is_due(known: StoredPage | None, age_ms: int, now_ms: int) -> bool:
    """Return whether a page is to be read: it is older, and the site was not asked a moment ago."""
    if known is None:
        return True
    is_asked = 0 <= now_ms - known.asked_at_ms < min(age_ms, AGAIN_MS)
    return not is_asked and not known.is_younger(age_ms, now_ms)
