"""What an order gets, and what stands in the way: one pure function, asked by all who serve, show or rehearse it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import CODES, DeliveryRule, folded_spec
from shoal.accounts.item_specs import taken_for
from shoal.goods.goods import GoodsKind, Stock
from shoal.language.folding import folded, folded_word
from shoal.orders.order_records import Order, spec_of
from shoal.orders.order_rows import NO_PARCEL
from shoal.orders.planned_messages import MAX_CHARACTERS, length_with_units, planned
from shoal.rules.rule import Part

MAX_UNITS, MAX_MESSAGES = 200, 20
"""The most units and messages of one order."""
_COUNTED = frozenset({GoodsKind.STOCK, GoodsKind.REUSABLE, GoodsKind.SUPPLIER})


class Obstacle(StrEnum):
    """Why an order is not served by itself. The first that applies is named."""

    DELIVERY_OFF = "delivery_off"
    """The shop's switch for deliveries is off."""
    UNKNOWN_ITEM = "unknown_item"
    """The rules depend on the item, and nothing names it."""
    UNKNOWN_TITLE = "unknown_title"
    """The rules depend on the item's title, and it is not known."""
    NO_RULE = "no_rule"
    UNKNOWN_SPEC = "unknown_spec"
    """There are rules by spec, and none for this one; or the spec is not known."""
    AMBIGUOUS_RULE = "ambiguous_rule"
    """Two rules fit equally."""
    UNKNOWN_GOODS = "unknown_goods"
    """The rule's goods do not exist, or belong to another owner."""
    GOODS_OFF = "goods_off"
    NO_CODES_IN_TEXT = "no_codes_in_text"
    """The goods have units or a text, and no text of the rule has ``{codes}``: the buyer would get none of it."""
    CODES_WITHOUT_GOODS = "codes_without_goods"
    """A text has ``{codes}``, and the rule has no goods: the buyer would get the word."""
    NEEDS_PARCEL = "needs_parcel"
    """Counted goods go to no order with a parcel, or of which nothing says that it has none."""
    QUANTITY_UNKNOWN = "quantity_unknown"
    TOO_MANY_UNITS = "too_many_units"
    TOO_MANY_MESSAGES = "too_many_messages"
    MESSAGE_TOO_LONG = "message_too_long"
    """The units that stand in one message make it longer than a message may be."""
    OUT_OF_STOCK = "out_of_stock"


@dataclass(frozen=True, kw_only=True, slots=True)
class Purchase:
    """What was bought. ``title``, ``spec`` (folded; empty: the item has none) and ``quantity``: ``None`` is unknown.

    ``item_specs``: all specs of the item (folded). Only with them a value alone is taken for a property that has it.
    """

    item_id: str | None
    title: str | None = None
    spec: str | None = ""
    item_specs: Collection[str] | None = None
    quantity: int | None = 1
    parcel: str = NO_PARCEL


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """What an order gets. ``parts`` are templates; with ``wanted`` units, ``{codes}`` in them stands for the units."""

    obstacle: Obstacle | None = None
    rule: DeliveryRule | None = None
    parts: tuple[Part, ...] = ()
    wanted: int = 0
    per_message: int = 1
    supplied: bool = False
    """Whether the units come from a supplier."""

    @property
    def sends_nothing(self) -> bool:
        """Whether it is served without any message, because its owner says so."""
        return self.obstacle is None and self.rule is not None and self.rule.nothing_to_send


def purchase_of(order: Order, *, title: str | None = None, item_specs: Collection[str] | None = None) -> Purchase:
    """Return what an order says was bought. Without its page, quantity and spec are unknown."""
    return Purchase(
        item_id=order.item_id,
        title=title,
        spec=_spec_of(order),
        item_specs=item_specs,
        quantity=int(order.quantity) if order.quantity.isdigit() and int(order.quantity) > 0 else None,
        parcel=order.parcel,
    )


def _spec_of(order: Order) -> str | None:
    if not order.spec_value:
        return "" if order.quantity else None
    return folded_pairs(order.spec_name, order.spec_value)


def folded_pairs(spec_name: str, spec_value: str) -> str | None:
    """Return the spec of an order's names and values; ``None`` when it is not known which name has which value."""
    spec = spec_of(spec_name, spec_value)
    return None if spec is None else folded_spec(spec)


def rule_of(account: Account, purchase: Purchase) -> DeliveryRule | None:
    """Return the rule that decides what the order gets; ``None`` when no single one does."""
    found = _chosen(account.deliveries, purchase)
    return found if isinstance(found, DeliveryRule) else None


def explain_order(
    account: Account, stock: Mapping[int, Stock], purchase: Purchase, *, asked_by_owner: bool = False
) -> Explained:
    """Return what the order gets by the account's rules, and the first obstacle.

    ``stock`` has the goods of the rules. ``asked_by_owner``: the switch ``delivery`` does not count, and neither does
    what is known of a parcel: its owner has looked.
    """
    if asked_by_owner:
        purchase = replace(purchase, parcel=NO_PARCEL)
    found = _chosen(account.deliveries, purchase)
    given = Explained(obstacle=found) if isinstance(found, Obstacle) else _given(account, found, stock, purchase)
    is_off = not account.delivery and not asked_by_owner
    return replace(given, obstacle=Obstacle.DELIVERY_OFF) if is_off else given


# ── which rule ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _chosen(rules: Sequence[DeliveryRule], purchase: Purchase) -> DeliveryRule | Obstacle:
    found = rules_for(rules, purchase.item_id, purchase.title)
    return found if isinstance(found, Obstacle) else _of_spec(found, purchase)


def rules_for(
    rules: Sequence[DeliveryRule], item_id: str | None, title: str | None
) -> Sequence[DeliveryRule] | Obstacle:
    """Return the rules of the item's id; else those that its title fits; else those for every item."""
    if item_id is None and any(rule.item_id or rule.title_contains for rule in rules):
        return Obstacle.UNKNOWN_ITEM
    if of_item := [rule for rule in rules if rule.item_id and rule.item_id == item_id]:
        return of_item
    by_title = [rule for rule in rules if rule.title_contains]
    if by_title and title is None:
        return Obstacle.UNKNOWN_TITLE
    searched = folded(title or "")
    fitting = [rule for rule in by_title if folded_word(rule.title_contains) in searched]
    return fitting or [rule for rule in rules if not rule.item_id and not rule.title_contains] or Obstacle.NO_RULE


def _of_spec(rules: Sequence[DeliveryRule], purchase: Purchase) -> DeliveryRule | Obstacle:
    """Return the rule of exactly that spec. Where there are rules by spec, no other one stands in for it.

    Without such a rule, one that is for the same spec of the item counts, where a value alone is taken for a property.
    """
    spec, item_specs = purchase.spec, purchase.item_specs
    exact = [rule for rule in rules if rule.spec == spec]
    if not exact and spec and item_specs is not None:
        bought = taken_for(spec, item_specs)
        exact = [rule for rule in rules if rule.spec and taken_for(rule.spec, [*item_specs, bought]) == bought]
    if not exact and any(rule.spec for rule in rules):
        return Obstacle.UNKNOWN_SPEC
    fitting = exact or list(rules)
    return fitting[0] if len(fitting) == 1 else Obstacle.AMBIGUOUS_RULE


def depends_on_title(account: Account, purchase: Purchase) -> bool:
    """Return whether only the title of the item says which rule the order gets."""
    return purchase.item_id is not None and _chosen(account.deliveries, purchase) == Obstacle.UNKNOWN_TITLE


def depends_on_item_specs(account: Account, purchase: Purchase) -> bool:
    """Return whether a rule or the order names a value alone, so that only the item's specs say if they fit."""
    spec = purchase.spec
    if not spec or purchase.item_specs is not None or _chosen(account.deliveries, purchase) != Obstacle.UNKNOWN_SPEC:
        return False
    found = rules_for(account.deliveries, purchase.item_id, purchase.title)
    named = [] if isinstance(found, Obstacle) else [rule.spec for rule in found if rule.spec]
    return any(spec == taken_for(one, [spec]) or one == taken_for(spec, [one]) for one in named)


# ── what it gives ───────────────────────────────────────────────────────────────────────────────────────────────────


def _given(account: Account, rule: DeliveryRule, stock: Mapping[int, Stock], purchase: Purchase) -> Explained:
    if rule.nothing_to_send:
        return Explained(rule=rule)
    if rule.goods_id is None:
        obstacle = Obstacle.CODES_WITHOUT_GOODS if _has_codes(rule.parts) and not rule.is_simple else None
        return Explained(rule=rule, parts=rule.parts, obstacle=obstacle)
    goods = stock.get(rule.goods_id)
    if goods is None or goods.owner_id != account.owner_id:
        return Explained(rule=rule, obstacle=Obstacle.UNKNOWN_GOODS)
    if goods.kind not in _COUNTED:
        parts = _fixed_parts(rule, goods)
        obstacle = None if parts else Obstacle.OUT_OF_STOCK
        if rule.parts and goods.text and not _has_codes(rule.parts):
            obstacle = Obstacle.NO_CODES_IN_TEXT
        return Explained(rule=rule, parts=parts, obstacle=obstacle if goods.active else Obstacle.GOODS_OFF)
    return _counted(rule, goods, purchase)


def _fixed_parts(rule: DeliveryRule, goods: Stock) -> tuple[Part, ...]:
    """Return the rule's parts with the goods' text for ``{codes}``, and after them the goods' picture."""
    parts = rule.parts or (Part(text=CODES),)
    texts = ((part, part.text.replace(CODES, goods.text)) for part in parts)
    filled = tuple(part if part.image_url else Part(text=text) for part, text in texts if part.image_url or text)
    return (*filled, Part(image_url=goods.image_url)) if goods.image_url else filled


def _counted(rule: DeliveryRule, goods: Stock, purchase: Purchase) -> Explained:
    parts = rule.parts or (Part(text=CODES),)
    wanted = (purchase.quantity or 1) * rule.count
    messages = sum(_times(part, wanted, goods.per_message) for part in parts)
    obstacles = (
        (not goods.active, Obstacle.GOODS_OFF),
        (not _has_codes(parts), Obstacle.NO_CODES_IN_TEXT),
        (purchase.parcel != NO_PARCEL, Obstacle.NEEDS_PARCEL),
        (purchase.quantity is None, Obstacle.QUANTITY_UNKNOWN),
        (wanted > MAX_UNITS, Obstacle.TOO_MANY_UNITS),
        (messages > MAX_MESSAGES, Obstacle.TOO_MANY_MESSAGES),
        (_longest(parts, wanted, goods) > MAX_CHARACTERS, Obstacle.MESSAGE_TOO_LONG),
        (goods.kind is not GoodsKind.SUPPLIER and goods.free < wanted, Obstacle.OUT_OF_STOCK),
    )
    obstacle = next((obstacle for applies, obstacle in obstacles if applies), None)
    is_supplied = goods.kind is GoodsKind.SUPPLIER
    given = Explained(rule=rule, parts=parts, wanted=wanted, per_message=goods.per_message, supplied=is_supplied)
    return replace(given, obstacle=obstacle)


def _longest(parts: Iterable[Part], wanted: int, goods: Stock) -> int:
    """Return how many characters the longest message with units may have."""
    units = min(wanted, goods.per_message)
    return max((length_with_units(part.text, units, goods.longest) for part in parts if CODES in part.text), default=0)


def _has_codes(parts: Iterable[Part]) -> bool:
    return any(CODES in part.text for part in parts)


# ── the very messages ───────────────────────────────────────────────────────────────────────────────────────────────


def messages_of(explained: Explained, codes: Sequence[str], values: Mapping[str, str]) -> list[Part]:
    """Return the messages that a buyer gets, with these units and the values of the other variables.

    A text with ``{codes}`` comes once for every ``per_message`` units.
    """
    wanted = min(explained.wanted, MAX_UNITS)
    messages = planned(explained.parts, values, wanted=wanted, per_message=explained.per_message)
    return [message.with_codes(codes) for message in messages]


def _times(part: Part, wanted: int, per_message: int) -> int:
    return -(-wanted // per_message) if CODES in part.text else 1
