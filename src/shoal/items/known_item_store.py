"""What the site calls the items of shops, read and written beside what else is done."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from shoal.errors import StoreError
from shoal.storage.database import Database
from shoal.storage.known_item_rows import (
    SeenItem,
    note_items,
    note_picture,
    shown_pictures,
    titled_among,
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
        return bool(await self._titled(account_id, [item_id]))

    async def note_from_chats(self, account_id: str, items: Iterable[SeenItem]) -> None:
        """Store what chats hold of the items whose title is not known yet. A failure is logged: it ends no connection.

        A connection begins with a push that names an item more than ten times: what is known is asked once for all.
        """
        named = {item.item_id: item for item in items if item.title}
        if not named:
            return
        try:
            titled = await self._titled(account_id, named)
            if new := [item for item_id, item in named.items() if item_id not in titled]:
                await self._note(account_id, new, is_current=False)
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

    async def _titled(self, account_id: str, item_ids: Collection[str]) -> set[str]:
        return await self._database.read(lambda connection: titled_among(connection, account_id, item_ids))

    async def _note(self, account_id: str, seen_items: list[SeenItem], *, is_current: bool) -> None:
        now_ms = self._now_ms()
        await self._database.write(
            lambda connection: note_items(connection, account_id, seen_items, now_ms=now_ms, is_current=is_current)
        )
