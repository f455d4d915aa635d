"""The items and specs that an account has sold, by its orders."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection, func, select

from shoal.orders.explain_order import folded_pairs
from shoal.storage.order_tables import orders

MOST_SPECS = 2_000


def sold_specs(connection: Connection, account_id: str) -> dict[str, dict[str, int]]:
    """Return the specs (folded) in which each item was bought, the newest 2,000, and when that was known last.

    Items without one have none.
    """
    columns = (orders.c.item_id, orders.c.spec_name, orders.c.spec_value)
    last_ms = func.max(orders.c.created_at_ms)
    bought = (
        select(*columns, last_ms)
        .where(orders.c.account_id == account_id, orders.c.item_id.is_not(None))
        .group_by(*columns)
        .order_by(last_ms.desc())
        .limit(MOST_SPECS)
    )
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for item_id, name, value, at_ms in connection.execute(bought):
        specs = found[item_id]
        if spec := folded_pairs(name, value):
            specs[spec] = max(at_ms, specs.get(spec, 0))
    return dict(found)
