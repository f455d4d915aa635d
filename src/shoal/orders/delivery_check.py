"""Whether each item on sale would be delivered: what stands in the way, beyond what ``explain_order`` says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from shoal.accounts.account import Account, Observation
from shoal.accounts.delivery_rule import CODES, DeliveryRule
from shoal.accounts.item_specs import taken_for
from shoal.goods.goods import Stock
from shoal.orders.explain_order import (
    Explained,
    Obstacle,
    Purchase,
    depends_on_item_specs,
    explain_order,
    rules_for,
)


class ShopObstacle(StrEnum):
    """What stands in the way of all orders of a shop, or will soon stand in the way."""

    SHOP_OFF = "shop_off"
    SHOP_PARKED = "shop_parked"
    AUTO_CONFIRM_OFF = "auto_confirm_off"
    """The rule confirms, and the shop's switch is off."""
    STOCK_LOW = "stock_low"


class SpecObstacle(StrEnum):
    """Why a rule by spec may be for no order at all."""

    NO_SUCH_SPEC = "no_such_spec"
    """The item has no such spec."""
    NOT_COMPARED = "not_compared"
    """The item's page was not read, so whether the item has this spec is not known."""


AnyObstacle = Obstacle | ShopObstacle | SpecObstacle


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemOnSale:
    """One item, with the specs that are known of it (folded). ``is_read``: these are all."""

    item_id: str
    title: str | None = None
    specs: tuple[str, ...] = ()
    is_read: bool = False

    def has_spec(self, spec: str) -> bool:
        """Return whether the item is known to have a spec, where a value alone is taken for a property that has it."""
        return (taken_for(spec, self.specs) if self.is_read else spec) in self.specs


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """One item and spec: what its buyers get, and the first thing that stands in the way."""

    item: ItemOnSale
    spec: str
    explained: Explained
    obstacle: AnyObstacle | None


def check_items(
    account: Account, observed: Observation, stock: Mapping[int, Stock], items: Iterable[ItemOnSale]
) -> list[Checked]:
    """Return a line for each item and spec: of the specs that the item has, and of those that only its rules name."""
    return [
        check_purchase(account, observed, stock, item, spec)
        for item in items
        for spec in _specs_of(item, rules_by_spec(account, item))
    ]


def check_purchase(
    account: Account, observed: Observation, stock: Mapping[int, Stock], item: ItemOnSale, spec: str, quantity: int = 1
) -> Checked:
    """Return what a buyer of one item and spec would get, without a parcel."""
    purchase = Purchase(
        item_id=item.item_id,
        title=item.title,
        spec=spec,
        item_specs=item.specs if item.is_read else None,
        quantity=quantity,
    )
    explained = explain_order(account, stock, purchase)
    obstacle = _of_shop(account, observed) or _of_spec(account, item, purchase, explained.rule)
    return Checked(
        item=item,
        spec=spec,
        explained=explained,
        obstacle=obstacle or explained.obstacle or _of_rule(account, stock, explained),
    )


def rules_by_spec(account: Account, item: ItemOnSale) -> list[DeliveryRule]:
    """Return the rules for the item that name a spec."""
    found = rules_for(account.deliveries, item.item_id, item.title)
    return [] if isinstance(found, Obstacle) else [rule for rule in found if rule.spec]


def stock_ids(account: Account) -> Sequence[int]:
    """Return the goods that the account's rules name."""
    return [rule.goods_id for rule in account.deliveries if rule.goods_id is not None]


def _specs_of(item: ItemOnSale, by_spec: Sequence[DeliveryRule]) -> list[str]:
    """Return the specs of an item that have a line. Rules for several items name specs that some items have."""
    named = [rule.spec for rule in by_spec if not item.has_spec(rule.spec) and (rule.item_id or not item.is_read)]
    own = item.specs or ([""] if item.is_read or not named else [])
    return [*own, *sorted(named)]


def _of_shop(account: Account, observed: Observation) -> ShopObstacle | None:
    if not account.enabled:
        return ShopObstacle.SHOP_OFF
    return ShopObstacle.SHOP_PARKED if observed.state.needs_owner else None


def _of_spec(account: Account, item: ItemOnSale, purchase: Purchase, rule: DeliveryRule | None) -> SpecObstacle | None:
    """Return what is wrong with the spec that decides: the item lacks it, or it is not known whether it has it."""
    has_spec = item.has_spec(purchase.spec or "")
    if item.is_read:
        is_lacking = bool(purchase.spec) and not has_spec and (rule is None or bool(rule.spec))
        return SpecObstacle.NO_SUCH_SPEC if is_lacking else None
    is_unsure = depends_on_item_specs(account, purchase) if rule is None else bool(rule.spec) and not has_spec
    return SpecObstacle.NOT_COMPARED if is_unsure else None


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
