"""The items that are known of a shop: those on sale, those that its settings and rules name, and those it sold."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from shoal.accounts.account import Account
from shoal.language.folding import folded, folded_word
from shoal.storage.known_item_rows import UNKNOWN, ItemFacts, ItemKey


class KnownItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item. ``title`` is empty while the site has not sent it; ``price_fen`` is ``None`` when its list names none.

    ``has_specs``: rules or orders name a spec. ``picture`` is an address of this server, empty while there is none.
    """

    item_id: str
    title: str
    has_specs: bool
    price_fen: int | None = None
    picture: str = ""


def known_items(
    account: Account,
    titles: Mapping[str, str],
    prices: Mapping[str, int],
    sold: Mapping[str, Mapping[str, int]],
    known: Mapping[ItemKey, ItemFacts],
) -> list[KnownItem]:
    """Return the items on sale in the site's order, then the others by id.

    Args:
        titles: of the items on sale, by id; empty when they are not known.
        prices: in fen, of those whose price is known.
        sold: the specs in which each item was sold.
        known: what the site sent of items before, by account and item: their pictures, and the titles of those that are
            not on sale now.
    """
    others = sorted({*sold, *named_items(account)} - titles.keys())
    with_specs = {rule.item_id for rule in account.deliveries if rule.spec}
    found = []
    for item_id in (*titles, *others):
        facts = known.get((account.id, item_id), UNKNOWN)
        found.append(
            KnownItem(
                item_id=item_id,
                title=titles.get(item_id, "") or facts.title,
                has_specs=item_id in with_specs or bool(sold.get(item_id)),
                price_fen=prices.get(item_id),
                picture=facts.picture,
            )
        )
    return found


def named_items(account: Account) -> set[str]:
    """Return the ids of the items that the account's delivery rules and settings name."""
    return {rule.item_id for rule in account.deliveries if rule.item_id} | {item.item_id for item in account.items}


def may_have_specs(account: Account, item_id: str, title: str) -> bool:
    """Return whether a rule that names a spec may fit an item: then the one price of the list is not that of all."""
    name = folded(title)
    return any(
        rule.spec
        and (rule.item_id == item_id if rule.item_id else not title or folded_word(rule.title_contains) in name)
        for rule in account.deliveries
    )
