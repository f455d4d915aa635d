"""Edits of an account's delivery rules: each takes the current rules and returns the new ones.

``values`` are fields of a rule by name, as plain values; ``spec`` is as its owner writes it. Every refusal is an
``InvalidInput`` whose code has a sentence that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec

from shoal.accounts.delivery_rule import CODES, Confirm, Deliveries, DeliveryRule, folded_spec, in_order
from shoal.errors import InvalidInput, checked_fields
from shoal.language.folding import is_blank
from shoal.rules.rule_edits import parts_of

MAX_DELIVERY_RULES = 1_000
MAX_COUNT = 200
MAX_DELAY_SECONDS = 24 * 3600
MAX_CONFIRM_HOURS = 240
MAX_TITLE_CHARACTERS = 100
MAX_SPEC_CHARACTERS = 200

_ITEM_ID = re.compile(r"[0-9A-Za-z]{0,64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

Values = Mapping[str, Any]


def replaced(rules: Deliveries, wanted: Sequence[Values]) -> Deliveries:
    """Replace all rules by these. A rule that does not differ stays the same object."""
    return _kept(rules, check_together(in_order(map(_made, wanted))))


def merged(rules: Deliveries, wanted: Sequence[Values]) -> Deliveries:
    """Add these rules; one for the same orders as another takes its place."""
    new = check_together(in_order(map(_made, wanted)))
    taken = {rule.place for rule in new}
    return _kept(rules, check_together(in_order([*new, *(rule for rule in rules if rule.place not in taken)])))


def joined(rules: Deliveries, wanted: Sequence[Values]) -> Deliveries:
    """Add these rules. Raises ``InvalidInput`` for one that is for the same orders as another."""
    return check_together(in_order([*map(_made, wanted), *rules]))


def values_of(rule: DeliveryRule) -> dict[str, Any]:
    """Return a rule as the values that make it."""
    values: dict[str, Any] = msgspec.to_builtins(rule)
    return values


def check_together(rules: Deliveries) -> Deliveries:
    """Return the rules if they are valid together. Raises ``InvalidInput``."""
    if len(rules) > MAX_DELIVERY_RULES:
        raise InvalidInput("too many rules", code="too_many_deliveries", limit=MAX_DELIVERY_RULES)
    places: set[tuple[str, str, str]] = set()
    for rule in rules:
        if rule.place in places:
            raise InvalidInput(
                "two rules are for the same orders",
                code="delivery_twice",
                item=rule.item_id or rule.title_contains,
                spec=rule.spec,
                field="item_id",
            )
        places.add(rule.place)
    return rules


def require_bound_goods(before: Deliveries, after: Deliveries) -> None:
    """Raise ``InvalidInput`` (``delivery_goods_not_shared``) for goods that no earlier rule names."""
    bound = {rule.goods_id for rule in before} | {None}
    for rule in after:
        if rule.goods_id not in bound:
            raise InvalidInput(
                f"the owner has not bound goods {rule.goods_id} to this shop",
                code="delivery_goods_not_shared",
                item=rule.item_id or rule.title_contains or "*",
                spec=rule.spec or "–",
                goods=rule.goods_id,
                field="goods_id",
            )


def goods_unknown(rule: DeliveryRule) -> InvalidInput:
    """Return the refusal of a rule whose goods do not belong to the shop's owner."""
    return InvalidInput(
        f"goods {rule.goods_id} are not of the account's owner",
        code="delivery_goods_unknown",
        item=rule.item_id or rule.title_contains or "*",
        spec=rule.spec or "–",
        goods=rule.goods_id,
        field="goods_id",
    )


def _kept(before: Deliveries, after: Deliveries) -> Deliveries:
    known = {rule.key: rule for rule in before}
    return tuple(old if (old := known.get(rule.key)) == rule else rule for rule in after)


def _made(values: Values) -> DeliveryRule:
    rule = DeliveryRule(**checked_fields(values, _CHECKS))
    if rule.item_id and rule.title_contains:
        raise InvalidInput("an item or a title", code="delivery_item_or_title", field="item_id")
    counted = rule.goods_id is not None
    if rule.count != 1 and not counted:
        raise InvalidInput("a count needs goods", code="delivery_count_without_goods", field="count")
    if not counted and any(CODES in part.text for part in rule.parts):
        raise InvalidInput("codes need goods", code="delivery_codes_without_goods", field="goods_id")
    return rule


def _item_id(given: str) -> str:
    if (given and not given.strip()) or not _ITEM_ID.fullmatch(given := given.strip()):  # blank is not "every item"
        raise InvalidInput("an item id has 1 to 64 letters or digits", code="bad_item_id")
    return given


def _title(given: str) -> str:
    fits_all = bool(given) and is_blank(given)
    given = given.strip()
    if len(given) > MAX_TITLE_CHARACTERS or _CONTROL.search(given) or fits_all:
        raise InvalidInput("a title is too long, or blank", code="bad_delivery_title", limit=MAX_TITLE_CHARACTERS)
    return given


def _spec(given: str) -> str:
    if len(given) > MAX_SPEC_CHARACTERS or _CONTROL.search(given):
        raise InvalidInput("a spec is too long", code="bad_delivery_spec", limit=MAX_SPEC_CHARACTERS)
    spec = folded_spec(given)
    if given and not spec:
        raise InvalidInput("a spec has a value", code="bad_delivery_spec", limit=MAX_SPEC_CHARACTERS)
    return spec


def _within(least: int, most: int, code: str) -> Callable[[Any], int]:
    def check(given: Any) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            raise InvalidInput(f"a number from {least} to {most}", code=code, limit=most)
        return given

    return check


def _goods(given: int | None) -> int | None:
    return None if given is None else _within(1, 2**62, "bad_delivery_goods")(given)


def _confirm(given: Any) -> Confirm:
    if given in {None, "yes", "no"}:
        return cast("Confirm", given)
    return _within(1, MAX_CONFIRM_HOURS, "bad_delivery_confirm")(given)


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "item_id": _item_id,
    "title_contains": _title,
    "spec": _spec,
    "goods_id": _goods,
    "count": _within(1, MAX_COUNT, "bad_delivery_count"),
    "parts": parts_of,
    "nothing_to_send": bool,
    "delay_seconds": _within(0, MAX_DELAY_SECONDS, "bad_delivery_delay"),
    "confirm": _confirm,
}
