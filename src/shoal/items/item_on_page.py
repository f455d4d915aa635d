"""What of an item's stored page a language model may know, and until when. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from shoal.accounts.account import Account
from shoal.assistant.contexts import Item
from shoal.assistant.spec_prices import priced
from shoal.items.item_page_rows import StoredPage
from shoal.items.item_pages import PRICES_MS, WORDS_MS
from shoal.items.known_items import may_have_specs
from shoal.xianyu.item_page import ItemStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemOnPage:
    """An item as its page says. ``is_whole``: the list can add nothing; ``has_specs``: no price of the list counts."""

    item: Item = field(default_factory=Item)
    is_whole: bool = False
    has_specs: bool = False


def item_on_page(account: Account, stored: StoredPage | None, *, now_ms: int) -> ItemOnPage:
    """Return what holds of a stored page: its words for a day; prices, and that the item is gone, for an hour.

    A page without specs says no price of an item of which delivery rules name specs: one of both is outdated.
    """
    if stored is None or not stored.is_younger(WORDS_MS, now_ms):
        return ItemOnPage()
    page, is_fresh = stored.page, stored.is_younger(PRICES_MS, now_ms)
    has_specs = page.has_specs or may_have_specs(account, stored.item_id, page.title)
    is_gone = is_fresh and page.status is ItemStatus.GONE
    price = page.price_fen if is_fresh and has_specs == page.has_specs else None
    specs = priced(page.specs) if is_fresh else ()
    item = Item(
        title=page.title,
        price_fen=price,
        description=page.description,
        specs=specs,
        is_gone=is_gone,
        read_at_ms=stored.read_at_ms,
    )
    return ItemOnPage(item=item, is_whole=is_gone or price is not None or bool(specs), has_specs=has_specs)
