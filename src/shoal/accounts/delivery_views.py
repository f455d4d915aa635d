"""The old settings of shops and items (``paid_message``, ``nothing_to_send``) as views of delivery rules.

Both are values of a snapshot and always agree: a change of one changes the other (see ``agreeing``). The journal
has a simple rule as the old setting, so entries from before there were rules fold to the same account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from shoal.accounts.delivery_rule import Deliveries, DeliveryRule, in_order
from shoal.accounts.item_setting import ItemSetting
from shoal.rules.rule import Part

Items = tuple[ItemSetting, ...]
VIEWS = frozenset({"deliveries", "paid_message", "items"})
"""The fields of an account that must agree."""


def agreeing(deliveries: Deliveries, paid_message: str, items: Items, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of an account with these values, and what follows from them.

    Changed rules count more than changed settings. What does not differ stays the same object.
    """
    wanted: Items = changes.get("items", items)
    if "deliveries" in changes:
        rules = in_order(changes["deliveries"])
    else:
        rules = with_settings(deliveries, changes.get("paid_message", paid_message), wanted)
    rules = deliveries if rules == deliveries else rules
    shown = items_of(wanted, rules)
    shown = items if shown == items else shown
    return {**changes, "deliveries": rules, "paid_message": paid_message_of(rules), "items": shown}


def own_rules(rules: Iterable[DeliveryRule]) -> Iterable[DeliveryRule]:
    """Return the rules that no old setting shows."""
    return (rule for rule in rules if not rule.is_simple)


def with_settings(rules: Iterable[DeliveryRule], paid_message: str, items: Iterable[ItemSetting]) -> Deliveries:
    """Return the rules with the simple ones replaced by those of the settings.

    A text that is set takes the place of any rule for the same orders.
    """
    simple = {rule.place: rule for rule in settings_as_rules(paid_message, items)}
    return in_order([*simple.values(), *(rule for rule in own_rules(rules) if rule.place not in simple)])


def settings_as_rules(paid_message: str, items: Iterable[ItemSetting]) -> Iterable[DeliveryRule]:
    """Return the simple rules that old settings mean."""
    if paid_message:
        yield DeliveryRule(parts=(Part(text=paid_message),))
    for item in items:
        if item.has_delivery:
            parts = (Part(text=item.paid_message),) if item.paid_message else ()
            yield DeliveryRule(item_id=item.item_id, parts=parts, nothing_to_send=item.nothing_to_send)


def paid_message_of(rules: Iterable[DeliveryRule]) -> str:
    """Return the text of the simple rule for every item."""
    return next((rule.text for rule in rules if rule.is_simple and not rule.item_id), "")


def items_of(items: Items, rules: Iterable[DeliveryRule]) -> Items:
    """Return the settings of items with what the simple rules say. Items with nothing else go with their rule."""
    simple = {rule.item_id: rule for rule in rules if rule.is_simple and rule.item_id}
    shown: list[ItemSetting] = []
    for item in items:
        rule = simple.pop(item.item_id, None)
        if rule is not None:
            shown.append(_shown(item, rule))
        elif not item.has_delivery:
            shown.append(item)
        elif item.has_own:
            shown.append(replace(item, paid_message="", nothing_to_send=False))
    if simple:
        shown += [_shown(ItemSetting(item_id=item_id), rule) for item_id, rule in simple.items()]
        shown.sort(key=lambda item: item.item_id)
    return tuple(shown)


def _shown(item: ItemSetting, rule: DeliveryRule) -> ItemSetting:
    sends_nothing = rule.nothing_to_send
    if (item.paid_message, item.nothing_to_send) == (rule.text, sends_nothing):
        return item
    return replace(item, paid_message=rule.text, nothing_to_send=sends_nothing)
