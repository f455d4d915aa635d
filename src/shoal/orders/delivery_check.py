"""Whether each item on sale would be delivered: what stands in the way, beyond what ``explain_order`` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from shoal.accounts.account import Account, Observation
from shoal.accounts.delivery_rule import CODES
from shoal.goods.goods import Stock
from shoal.orders.explain_order import Explained, Obstacle, Purchase, explain_order, rules_for


class ShopObstacle(StrEnum):
    """What stands in the way of all orders of a shop, or will soon stand in the way."""

    SHOP_OFF = "shop_off"
    SHOP_PARKED = "shop_parked"
    AUTO_CONFIRM_OFF = "auto_confirm_off"
    """The rule confirms, and the shop's switch is off."""
    STOCK_LOW = "stock_low"


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemOnSale:
    """One item, with the specs that are known of it (folded)."""

    item_id: str
    title: str | None = None
    specs: frozenset[str] = frozenset()


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One item and spec: what its buyers get, and the first thing that stands in the way."""

    item: ItemOnSale
    spec: str
    explained: Explained
    obstacle: Obstacle | ShopObstacle | None


def check_items(
    account: Account, observed: Observation, stock: Mapping[int, Stock], items: Iterable[ItemOnSale]
) -> list[Checked]:
    """Return a line for each item and spec. Specs are those of the item, and those that its rules name."""
    return [
        check_purchase(account, observed, stock, item, spec)
        for item in items
        for spec in sorted(item.specs | specs_of_rules(account, item)) or [""]
    ]


def check_purchase(
    account: Account, observed: Observation, stock: Mapping[int, Stock], item: ItemOnSale, spec: str, quantity: int = 1
) -> Checked:
    """Return what a buyer of one item and spec would get, without a parcel."""
    purchase = Purchase(item_id=item.item_id, title=item.title, spec=spec, quantity=quantity)
    explained = explain_order(account, stock, purchase)
    obstacle = _of_shop(account, observed) or explained.obstacle or _of_rule(account, stock, explained)
    return Checked(item=item, spec=spec, explained=explained, obstacle=obstacle)


def specs_of_rules(account: Account, item: ItemOnSale) -> frozenset[str]:
    """Return the specs that the rules for the item name."""
    found = rules_for(account.deliveries, item.item_id, item.title)
    return frozenset() if isinstance(found, Obstacle) else frozenset(rule.spec for rule in found if rule.spec)


def stock_ids(account: Account) -> Sequence[int]:
    """Return the goods that the account's rules name."""
    return [rule.goods_id for rule in account.deliveries if rule.goods_id is not None]


def _of_shop(account: Account, observed: Observation) -> ShopObstacle | None:
    if not account.enabled:
        return ShopObstacle.SHOP_OFF
    return ShopObstacle.SHOP_PARKED if observed.state.needs_owner else None


def _of_rule(account: Account, stock: Mapping[int, Stock], explained: Explained) -> Obstacle | ShopObstacle | None:
    rule = explained.rule
    if rule is None:
        return None
    if rule.goods_id is None and not rule.nothing_to_send and any(CODES in part.text for part in rule.parts):
        return Obstacle.CODES_WITHOUT_GOODS
    if rule.confirm not in {None, "no"} and not account.auto_confirm:
        return ShopObstacle.AUTO_CONFIRM_OFF
    goods = stock.get(rule.goods_id) if rule.goods_id is not None else None
    return ShopObstacle.STOCK_LOW if goods is not None and goods.is_low and explained.wanted else None
