"""What the site calls the items of shops, read and written beside what else is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from shoal.errors import StoreError
from shoal.storage.database import Database
from shoal.storage.known_item_rows import (
    SeenItem,
    item_facts,
    note_items,
    note_picture,
    shown_pictures,
    without_picture,
)
from shoal.xianyu.items_on_sale import ListedItem

log = structlog.get_logger("shoal.orders")


class KnownItemStore:
    """The known items of all accounts. Methods raise ``StoreError`` unless they say otherwise."""

    def __init__(self, database: Database, now_ms: Callable[[], int]) -> None:
        self._database = database
        self._now_ms = now_ms

    async def is_titled(self, account_id: str, item_id: str) -> bool:
        """Return whether an item's title is known."""
        key = (account_id, item_id)
        found = await self._database.read(lambda connection: item_facts(connection, [key]))
        return key in found and bool(found[key].title)

    async def note_from_chat(self, account_id: str, item: SeenItem) -> None:
        """Store what a chat holds of its item, if no title is known yet. A failure is logged: it ends no connection."""
        try:
            if item.title and not await self.is_titled(account_id, item.item_id):
                await self._note(account_id, [item], is_current=False)
        except StoreError as error:
            log.warning("item of a chat not stored", account=account_id, why=error.code)

    async def note_from_list(self, account_id: str, items: Mapping[str, ListedItem]) -> None:
        """Store what is new in a list of the items on sale. A failure is logged: the list is of use without it."""
        seen_items = [
            SeenItem(item_id=item_id, title=one.title, price_fen=one.price_fen, site_picture=one.picture)
            for item_id, one in items.items()
        ]
        try:
            await self._note(account_id, seen_items, is_current=True)
        except StoreError as error:
            log.warning("items on sale not stored", account=account_id, why=error.code)

    async def without_picture(self, account_id: str, limit: int) -> dict[str, str]:
        """Return items of the latest orders and chats without a picture here, with its address on the site."""
        return await self._database.read(lambda connection: without_picture(connection, account_id, limit))

    async def has_picture(self, account_id: str, item_id: str, site_picture: str, picture: str) -> None:
        """Store the address here of an item's picture."""
        await self._database.write(
            lambda connection: note_picture(connection, account_id, item_id, site_picture, picture)
        )

    async def shown_pictures(self) -> list[str]:
        """Return the addresses here of the pictures of all items."""
        return await self._database.read(shown_pictures)

    async def _note(self, account_id: str, seen_items: list[SeenItem], *, is_current: bool) -> None:
        now_ms = self._now_ms()
        await self._database.write(
            lambda connection: note_items(connection, account_id, seen_items, now_ms=now_ms, is_current=is_current)
        )
