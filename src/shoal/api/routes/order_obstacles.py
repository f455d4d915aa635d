"""What stands in the way of orders now, where rules, goods or stock stood in the way when they were due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from shoal.accounts.account import Account
from shoal.api.http.rule_goods import stock_of_rules
from shoal.api.schemas.orders import ObstaclesNow
from shoal.api.server import Server
from shoal.orders.explain_order import Obstacle, Purchase, depends_on_item_specs, explain_order, purchase_of, rule_of
from shoal.orders.order_lists import ListedOrder
from shoal.orders.order_status import OF_THE_SHOP


async def obstacles_now(server: Server, found: Sequence[ListedOrder]) -> ObstaclesNow:
    """Return the obstacle of each such order, should its owner have it served now; ``None``: there is none any more."""
    purchases: defaultdict[str, dict[str, Purchase]] = defaultdict(dict)
    for one in found:
        if one.order.problem in OF_THE_SHOP:
            purchases[one.order.account_id][one.order.order_id] = purchase_of(one.order, title=one.item_title or None)
    now: dict[tuple[str, str], Obstacle | None] = {}
    for account_id, of_account in purchases.items():
        account = server.manager.accounts.get(account_id)
        if account is not None:
            obstacles = await _obstacles(server, account, of_account)
            now |= {(account_id, order_id): obstacle for order_id, obstacle in obstacles.items()}
    return now


async def with_specs(server: Server, account: Account, purchase: Purchase) -> Purchase:
    """Return a purchase with the specs of its item, where the rule depends on them and they are known."""
    if not depends_on_item_specs(account, purchase):
        return purchase
    stored = await server.item_pages.stored(account, purchase.item_id or "")
    return purchase if stored is None else replace(purchase, item_specs=stored.item_specs)


async def _obstacles(server: Server, account: Account, purchases: Mapping[str, Purchase]) -> dict[str, Obstacle | None]:
    whole = {order_id: await with_specs(server, account, one) for order_id, one in purchases.items()}
    rules = [rule for one in whole.values() if (rule := rule_of(account, one)) is not None]
    stock = await stock_of_rules(server, rules)
    return {
        order_id: explain_order(account, stock, one, asked_by_owner=True).obstacle for order_id, one in whole.items()
    }
