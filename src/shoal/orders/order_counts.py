"""What became of orders since the start, of all accounts."""

from __future__ import annotations

from typing import Final

from shoal.measures import Tally
from shoal.orders.order_actions import Action, ActionState
from shoal.orders.order_records import Order

_UNDER_WAY: Final = frozenset({ActionState.PENDING, ActionState.INTENDED})


class OrderCounts:
    """Counts statuses that orders came to, and results of actions."""

    def __init__(self) -> None:
        self.statuses = Tally()
        self.actions = Tally()

    def came_to(self, order: Order, is_new: bool) -> None:
        """Count the status of an order, if it has just come to it."""
        if is_new:
            self.statuses.add(order.status or "unknown")

    def settled(self, action: Action, state: ActionState, *, is_new: bool = True) -> bool:
        """Count the result of an action, if it is new, and return whether it is. What starts again has none."""
        if is_new and state not in _UNDER_WAY:
            self.actions.add(action.value, state.value)
        return is_new
