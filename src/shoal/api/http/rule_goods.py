"""The goods that delivery rules name: of the account's own owner, or the rules are refused."""

from __future__ import annotations

from collections.abc import Iterable

from shoal.accounts.account import Account
from shoal.accounts.delivery_edits import goods_unknown
from shoal.accounts.delivery_rule import Deliveries, DeliveryRule
from shoal.api.server import Server


async def require_own_goods(server: Server, account: Account, after: Deliveries) -> None:
    """Raise ``InvalidInput`` (``delivery_goods_unknown``) that names the first new or changed rule with other goods.

    Rules that stay as they are do not count: otherwise goods that are gone would keep all others from being changed.
    """
    before = {rule.key: rule for rule in account.deliveries}
    fresh = [rule for rule in after if rule.goods_id is not None and before.get(rule.key) != rule]
    own = await _own(server, account, fresh)
    for rule in fresh:
        if rule.goods_id not in own:
            raise goods_unknown(rule)


async def _own(server: Server, account: Account, rules: Iterable[DeliveryRule]) -> set[int]:
    stock = await server.goods.store.stock(rule.goods_id for rule in rules if rule.goods_id is not None)
    return {goods_id for goods_id, one in stock.items() if one.owner_id == account.owner_id}
