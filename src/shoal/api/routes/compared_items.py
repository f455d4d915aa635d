"""The items of a shop with their specs: as their own pages show them, and as they were bought since."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from shoal.accounts.account import Account
from shoal.accounts.item_specs import taken_for
from shoal.api.server import Server
from shoal.concurrency.fair_threads import beside
from shoal.items.item_page_rows import StoredPage
from shoal.items.item_pages import AGAIN_MS, PRICES_MS
from shoal.orders.delivery_check import ItemOnSale, rules_by_spec

Sold = Mapping[str, Mapping[str, int]]
_NONE: Final[Mapping[str, int]] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """Items, and how many pages of items are still to be read."""

    items: Collection[ItemOnSale]
    reading: int


async def compared(
    server: Server, account: Account, titles: Mapping[str, str], sold: Sold, *, seconds: float
) -> Compared:
    """Return items with their specs. Pages that say what rules by spec depend on are read before, for so long.

    Args:
        titles: of the items, by id; empty when they are not known.
        sold: the specs in which items were bought, and when.
        seconds: how long to wait for the pages.
    """
    items = _items(titles, sold, await server.spec_pages.known(account, titles))
    if not any(rule.spec for rule in account.deliveries):
        return Compared(items=items, reading=0)
    ages = await beside(lambda: _ages(account, items))
    reading = await server.spec_pages.read(account, ages, seconds=seconds)
    return Compared(items=_items(titles, sold, await server.spec_pages.known(account, titles)), reading=reading)


def _ages(account: Account, items: Collection[ItemOnSale]) -> dict[str, int]:
    """Return within which time the pages of items with rules by spec must have been read.

    One that shows all specs of the rules is read again after an hour, any other after a minute.
    """
    ages = {}
    for item in items:
        if by_spec := rules_by_spec(account, item):
            is_whole = item.is_read and all(item.has_spec(rule.spec) for rule in by_spec)
            ages[item.item_id] = PRICES_MS if is_whole else AGAIN_MS
    return ages


def _items(titles: Mapping[str, str], sold: Sold, pages: Mapping[str, StoredPage]) -> list[ItemOnSale]:
    return [_item(item_id, title, sold.get(item_id, _NONE), pages.get(item_id)) for item_id, title in titles.items()]


def _item(item_id: str, title: str, sold: Mapping[str, int], stored: StoredPage | None) -> ItemOnSale:
    """Return an item. In what was bought before its page was read, it may not be sold any more."""
    specs = None if stored is None else stored.item_specs
    if specs is None or stored is None or stored.read_at_ms is None:
        return ItemOnSale(item_id=item_id, title=title or None, specs=tuple(sold))
    since = {taken_for(spec, specs) for spec, at_ms in sold.items() if at_ms > stored.read_at_ms}
    return ItemOnSale(
        item_id=item_id, title=title or None, specs=(*specs, *sorted(since.difference(specs))), is_read=True
    )
