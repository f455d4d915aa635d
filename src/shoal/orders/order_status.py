"""How an order stands: its stages, where news leads it, and what stands in its owner's way. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from shoal.orders.order_actions import Action, ActionState, OrderAction, Why


class OrderStatus(StrEnum):
    """The stages of an order. The last three lead out of the way."""

    UNKNOWN = ""
    PROCESSING = "processing"
    """Taken and not paid."""
    GROUP_PENDING = "group_pending"
    """Taken at a group price (小刀) that is not complete."""
    PENDING_SHIP = "pending_ship"
    """Paid."""
    SHIPPED = "shipped"
    COMPLETED = "completed"
    REFUNDING = "refunding"
    """The buyer wants the money back: nothing is handed out or confirmed meanwhile."""
    CANCELLED = "cancelled"


REFUND_CANCELLED = "refund_cancelled"
"""News, and no status: the buyer no longer wants the money back."""

ENDS = frozenset({OrderStatus.COMPLETED, OrderStatus.CANCELLED})
BLOCKED = ENDS | {OrderStatus.REFUNDING}
"""While an order stands so, no irreversible act begins."""
NOTHING_DUE = BLOCKED | {OrderStatus.SHIPPED}
"""While an order stands so, nobody need do anything for it, or must not."""
_STAGES = (
    OrderStatus.UNKNOWN,
    OrderStatus.PROCESSING,
    OrderStatus.GROUP_PENDING,
    OrderStatus.PENDING_SHIP,
    OrderStatus.SHIPPED,
)
"""An order's way up to its end. An old card that comes again does not lead back."""


def status_after(before: str, update: str, told: Iterable[str] = ()) -> OrderStatus:
    """Where news lead an order. ``told`` is every status of its time line: there a withdrawn refund leads back to."""
    now = OrderStatus(before)
    if update == REFUND_CANCELLED:
        return max(map(_stage, told), default=now, key=_STAGES.index) if now is OrderStatus.REFUNDING else now
    received = OrderStatus(update)
    if now in ENDS or received is OrderStatus.UNKNOWN:
        return now
    if received in BLOCKED:
        return received
    if now is OrderStatus.REFUNDING:
        return now
    return max(now, received, key=_STAGES.index)


def _stage(told: str) -> OrderStatus:
    return OrderStatus(told) if told in _STAGES else OrderStatus.UNKNOWN


class OrderProblem(StrEnum):
    """What keeps an order from being served until its owner does something."""

    REFUND_ASKED = "refund_asked"
    FREE_SHIPPING_REFUSED = "free_shipping_refused"
    FREE_SHIPPING_UNCERTAIN = "free_shipping_uncertain"
    PAID_WITHOUT_CARD = "paid_without_card"
    """A mark or the order's page says that it was paid; the card by which it would be served never came."""
    UNPAID_ON_SITE = "unpaid_on_site"
    """A card says that it was paid, and the order's page that it was not, or that there is no such order."""
    NO_PAID_MESSAGE = "no_paid_message"
    UNKNOWN_ITEM = "unknown_item"
    INCOMPLETE_CARD = "incomplete_card"
    NOT_SERVED_IN_TIME = "not_served_in_time"
    MESSAGE_REFUSED = "message_refused"
    MESSAGE_UNCERTAIN = "message_uncertain"
    CONFIRM_REFUSED = "confirm_refused"
    CONFIRM_UNCERTAIN = "confirm_uncertain"


_BY_DETAIL = {
    Why.NOT_PAID.value: OrderProblem.UNPAID_ON_SITE,
    Why.NO_PAID_MESSAGE.value: OrderProblem.NO_PAID_MESSAGE,
    Why.UNKNOWN_ITEM.value: OrderProblem.UNKNOWN_ITEM,
    Why.INCOMPLETE.value: OrderProblem.INCOMPLETE_CARD,
    Why.TOO_LATE.value: OrderProblem.NOT_SERVED_IN_TIME,
}
_REFUSED = {
    Action.FREE_SHIPPING: OrderProblem.FREE_SHIPPING_REFUSED,
    Action.PAID_MESSAGE: OrderProblem.MESSAGE_REFUSED,
    Action.CONFIRM: OrderProblem.CONFIRM_REFUSED,
}
_UNCERTAIN = {
    Action.FREE_SHIPPING: OrderProblem.FREE_SHIPPING_UNCERTAIN,
    Action.PAID_MESSAGE: OrderProblem.MESSAGE_UNCERTAIN,
    Action.CONFIRM: OrderProblem.CONFIRM_UNCERTAIN,
}


def problem_of(status: str, order_actions: Mapping[str, OrderAction]) -> OrderProblem | None:
    """What the owner of an order must look at, by its status and its intents (by action)."""
    if status in ENDS or status == OrderStatus.SHIPPED:
        return None  # a shipped order is settled with its buyer, whoever did it
    if status == OrderStatus.REFUNDING:
        return OrderProblem.REFUND_ASKED
    completion = order_actions.get(Action.FREE_SHIPPING)
    is_completing = completion is not None and completion.state is ActionState.UNCERTAIN
    if status == OrderStatus.PENDING_SHIP and Action.PAID_MESSAGE not in order_actions and not is_completing:
        return OrderProblem.PAID_WITHOUT_CARD
    for action in Action:
        order_action = order_actions.get(action)
        if order_action is None:
            continue
        if order_action.state is ActionState.UNCERTAIN:
            return _UNCERTAIN[action]
        if order_action.state is ActionState.FAILED:
            return _BY_DETAIL.get(order_action.detail, _REFUSED[action])
    return None
