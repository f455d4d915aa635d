"""The goods that delivery rules name: of the account's own owner, in messages of an allowed length; else refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.accounts.delivery_edits import goods_unknown
from shoal.accounts.delivery_rule import CODES, Deliveries, DeliveryRule
from shoal.api.server import Server
from shoal.errors import InvalidInput
from shoal.goods.goods import GoodsKind, Stock
from shoal.goods.unit_texts import MAX_CHARACTERS as MAX_UNIT
from shoal.orders.planned_messages import MAX_CHARACTERS, length_with_units


async def is_done(server: Server, caller: Caller, part: str = "") -> bool:
    """Return whether an earlier try of the request made its change (or that ``part`` of it).

    Then the goods are not looked at again: they may be gone since. That there was an earlier try does not say that it
    looked at them.
    """
    return caller.repeats and await server.store.op(f"{caller.op_id}{part}") is not None


async def require_own_goods(server: Server, account: Account, after: Deliveries, caller: Caller) -> None:
    """Raise ``InvalidInput`` (``delivery_goods_unknown``) that names the first new or changed rule with other goods;
    ``delivery_goods_not_shared`` for goods that this caller may not bind; or ``message_too_long`` for one whose
    messages would be.

    Rules that stay as they are do not count: otherwise goods that are gone would keep all others from being changed.
    """
    caller.require_goods(account, after)
    before = {rule.key: rule for rule in account.deliveries}
    fresh = [rule for rule in after if rule.goods_id is not None and before.get(rule.key) != rule]
    stock = await stock_of_rules(server, fresh)
    for rule in fresh:
        goods = stock.get(rule.goods_id or 0)
        if goods is None or goods.owner_id != account.owner_id:
            raise goods_unknown(rule)
        for part in rule.parts:
            require_length(part.text, goods.per_message, goods.longest)


async def stock_of_rules(server: Server, rules: Iterable[DeliveryRule]) -> dict[int, Stock]:
    """Return the goods that rules name, with the length of their longest unit where that counts."""
    texts: dict[int, int] = {}
    for rule in rules:
        if rule.goods_id is not None:
            longest = max((len(part.text) for part in rule.parts), default=0)
            texts[rule.goods_id] = max(longest, texts.get(rule.goods_id, 0))
    stock = await server.goods.store.stock(texts)
    looked_at = [one for one, text in texts.items() if one in stock and _may_be_long(stock[one], text)]
    longest_of = await server.goods.units.longest_next(looked_at)
    return {one: replace(goods, longest=longest_of.get(one, 0)) for one, goods in stock.items()}


def _may_be_long(goods: Stock, text: int) -> bool:
    return goods.kind is not GoodsKind.FIXED and text + goods.per_message * (MAX_UNIT + 1) > MAX_CHARACTERS


def require_length(text: str, per_message: int, longest: int) -> None:
    """Raise ``InvalidInput`` (``message_too_long``) for a text that the units in stock make too long."""
    if CODES in text and length_with_units(text, per_message, longest) > MAX_CHARACTERS:
        raise InvalidInput(
            "a message is too long", code="message_too_long", limit=MAX_CHARACTERS, units=per_message, longest=longest
        )
