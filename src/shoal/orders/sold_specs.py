"""The items and specs that an account has sold, by its orders."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection, func, select

from shoal.orders.explain_order import folded_pairs
from shoal.storage.order_tables import orders

MOST_SPECS = 2_000


def sold_specs(connection: Connection, account_id: str) -> dict[str, frozenset[str]]:
    """Return the specs (folded) in which each item was bought, the newest 2,000; items without one have none."""
    columns = (orders.c.item_id, orders.c.spec_name, orders.c.spec_value)
    bought = (
        select(*columns)
        .where(orders.c.account_id == account_id, orders.c.item_id.is_not(None))
        .group_by(*columns)
        .order_by(func.max(orders.c.created_at_ms).desc())
        .limit(MOST_SPECS)
    )
    found: defaultdict[str, set[str]] = defaultdict(set)
    for item_id, name, value in connection.execute(bought):
        spec = folded_pairs(name, value)
        found[item_id].update({spec} if spec else ())
    return {item_id: frozenset(specs) for item_id, specs in found.items()}
