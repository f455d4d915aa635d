"""Delivery rules by keyword, as the API of the older system lists them: one for all shops of a person."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

import msgspec

from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.language.folding import folded_word


class CardRule(msgspec.Struct, frozen=True, kw_only=True):
    """Goods for the items of a person's shops whose title contains a keyword."""

    id: int
    keyword: str
    goods_id: int
    count: int
    enabled: bool = True

    def has(self, rule: DeliveryRule) -> bool:
        """Whether a shop's delivery rule is part of this one."""
        return _id_of(rule) == self.id


def card_rules(accounts: Iterable[Account]) -> list[CardRule]:
    """Return the rules of these shops, each once, by their ids."""
    found: dict[int, CardRule] = {}
    for number, rule in _by_title(accounts):
        found.setdefault(
            number,
            CardRule(id=number, keyword=rule.title_contains, goods_id=rule.goods_id or 0, count=rule.count),
        )
    return sorted(found.values(), key=lambda one: (one.keyword, one.goods_id))


def rule_id(keyword: str, goods_id: int) -> int:
    """Return the id of the rule for a keyword and goods: the same on every shop, at every start."""
    return int.from_bytes(hashlib.sha256(f"{goods_id}\n{folded_word(keyword)}".encode()).digest()[:6])


def _by_title(accounts: Iterable[Account]) -> Iterator[tuple[int, DeliveryRule]]:
    for account in accounts:
        for rule in account.deliveries:
            if (number := _id_of(rule)) is not None:
                yield number, rule


def _id_of(rule: DeliveryRule) -> int | None:
    if not rule.title_contains or rule.goods_id is None:
        return None
    return rule_id(rule.title_contains, rule.goods_id)
