"""Says since when the orders of an account that moved in are read once: another system may have served them, or not."""

from __future__ import annotations

from shoal.accounts.account import Account
from shoal.clock import now_ms
from shoal.orders.order_status import TAKE_UP_MS
from shoal.storage.sync_cursors import Position


def first_orders_ms(account: Account, position: Position | None) -> int | None:
    """Return the time a day before the account's first start, while what was paid since is not read.

    ``None``: it was read, the account did not move in, or it was first started two days ago or earlier.
    """
    since_ms = account.orders_since_ms - TAKE_UP_MS
    if account.orders_since_ms <= 0 or (position is not None and position.has_first_orders):
        return None
    return since_ms if now_ms() - account.orders_since_ms < 2 * TAKE_UP_MS else None
