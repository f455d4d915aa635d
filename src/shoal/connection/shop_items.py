"""Learns what the items of a shop are called and look like, where nothing that arrives anyway says it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from shoal.accounts.account_task import Link
from shoal.concurrency.fair_limiter import FairLimiter
from shoal.errors import InvalidInput, StoreError, TemporaryFailure
from shoal.items.known_item_store import KnownItemStore
from shoal.messages.task_drain import begin
from shoal.orders.order_records import Order
from shoal.orders.spec_pages import SpecPages
from shoal.pictures.pictures import Pictures
from shoal.xianyu.uploads import is_on_site

log = structlog.get_logger("shoal.live")

PICTURE_SECONDS: Final = 1.0
"""The wait between two pictures, so that a shop with many items makes no burst of calls."""
MOST_AT_ONCE: Final = 50
"""How many pictures are fetched after one look."""
_SMALL: Final = "_220x10000Q90.jpg_.webp"
"""Makes the address of a picture that of a small copy, as the site's pages show it (docs/protocol.md §2.5)."""
_WHOLE: Final = re.compile(r"[^?#]+\.(?:jpg|jpeg|png|webp|heic|gif)", re.IGNORECASE)


class ShopItems:
    """The items of one connection's shop. ``fetch`` returns the file at an address of the site."""

    def __init__(
        self,
        link: Link,
        spec_pages: SpecPages,
        items: KnownItemStore,
        pictures: Pictures,
        fetch: Callable[[str], Awaitable[bytes]],
        tasks: asyncio.TaskGroup,
        *,
        account_id: str,
        pace: FairLimiter,
    ) -> None:
        """``tasks`` are those of the connection. ``pace`` limits the calls about orders."""
        self._link = link
        self._lists = spec_pages.pages.lists
        self._spec_pages = spec_pages
        self._items = items
        self._pictures = pictures
        self._fetch = fetch
        self._tasks = tasks
        self._account_id = account_id
        self._pace = pace
        self._fetching = False
        self._failed: set[str] = set()
        """The addresses of pictures that could not be fetched over this connection."""

    def page_read(self, order: Order, is_titled: bool) -> None:
        """Look for what is not known of an order's item. ``is_titled``: the order's page named it."""
        if not order.item_id:
            return
        if not is_titled and self._lists.may_read_for_titles(self._account_id):
            begin(self._tasks, self._name(order.item_id), name=f"title:{self._account_id}:{order.order_id}")
        self.look()

    def connected(self) -> None:
        """Look for what is not known of the items of the latest orders and chats, and of those that rules name."""
        self.look()
        if (account := self._link.current()) is not None:
            self._spec_pages.look(account)

    def look(self) -> None:
        """Fetch the pictures of the items of the latest orders and chats, unless that is under way."""
        if not self._fetching:
            self._fetching = begin(self._tasks, self._fetch_pictures(), name=f"item pictures:{self._account_id}")

    async def _name(self, item_id: str) -> None:
        try:
            if await self._items.is_titled(self._account_id, item_id):
                return
        except StoreError as error:
            log.warning("title not looked up", account=self._account_id, why=error.code)
            return
        await self._pace.acquire()
        account = self._link.current()
        if account is not None and self._link.allows():
            self._lists.read_for_titles(account)

    async def _fetch_pictures(self) -> None:
        try:
            wanted = await self._items.without_picture(self._account_id, MOST_AT_ONCE)
            for item_id, address in wanted.items():
                if address in self._failed:
                    continue
                if not self._link.allows():
                    return
                if (picture := await self._kept(address)) is not None:
                    await self._items.has_picture(self._account_id, item_id, address, picture)
                await asyncio.sleep(PICTURE_SECONDS)
        except StoreError as error:
            log.warning("pictures of items not fetched", account=self._account_id, why=error.code)
        finally:
            self._fetching = False

    async def _kept(self, address: str) -> str | None:
        """Return the address here of a picture; ``None`` when it cannot be had over this connection."""
        try:
            return await self._pictures.keep(await self._fetch(small(address)))
        except (TemporaryFailure, InvalidInput) as failure:
            log.info("picture of an item not kept", account=self._account_id, why=failure.code)
            self._failed.add(address)
            return None


def small(address: str) -> str:
    """Return the address of a small copy of a picture of the site; other addresses stay."""
    return address + _SMALL if is_on_site(_absolute(address)) and _WHOLE.fullmatch(address) else address


def _absolute(address: str) -> str:
    return f"https:{address}" if address.startswith("//") else address
