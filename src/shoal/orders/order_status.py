"""An order's status: its stages, the effect of an order update, and problems for the owner. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from shoal.orders.order_actions import Action, ActionState, OrderAction, Why


class OrderStatus(StrEnum):
    """The stages of an order. The last three are outside the normal sequence."""

    UNKNOWN = ""
    PROCESSING = "processing"
    """Placed and not paid."""
    GROUP_PENDING = "group_pending"
    """Placed at a group price (小刀) that is not complete."""
    PENDING_SHIP = "pending_ship"
    """Paid."""
    SHIPPED = "shipped"
    COMPLETED = "completed"
    REFUNDING = "refunding"
    """The buyer asks for a refund: nothing is delivered or confirmed until that is settled."""
    CANCELLED = "cancelled"


REFUND_CANCELLED = "refund_cancelled"
"""An order update that is no status: the buyer withdrew the refund request, or the seller refused it."""

ENDS = frozenset({OrderStatus.COMPLETED, OrderStatus.CANCELLED})
BLOCKED = ENDS | {OrderStatus.REFUNDING}
"""No irreversible action starts in these states."""
PAID = frozenset({OrderStatus.PENDING_SHIP, OrderStatus.SHIPPED})
NOTHING_DUE = BLOCKED | {OrderStatus.SHIPPED}
"""In these states nothing needs to be done for the order, or nothing may be done."""
_STAGES = (
    OrderStatus.UNKNOWN,
    OrderStatus.PROCESSING,
    OrderStatus.GROUP_PENDING,
    OrderStatus.PENDING_SHIP,
    OrderStatus.SHIPPED,
)
"""The normal sequence of an order. A repeated old card does not lead back."""


def status_after(before: str, update: str) -> OrderStatus:
    """Return the status after an order update that ends no refund."""
    now = OrderStatus(before)
    if update == REFUND_CANCELLED:
        return now
    received = OrderStatus(update)
    if now in ENDS or received is OrderStatus.UNKNOWN:
        return now
    if received in BLOCKED:
        return received
    if now is OrderStatus.REFUNDING:
        return now
    return max(now, received, key=_STAGES.index)


def status_before_refund(statuses: Iterable[str]) -> OrderStatus:
    """Return the furthest stage among statuses of an order: there it is again once its refund has ended."""
    return max(map(_stage, statuses), key=_STAGES.index)


def _stage(status: str) -> OrderStatus:
    return OrderStatus(status) if status in _STAGES else OrderStatus.UNKNOWN


class OrderProblem(StrEnum):
    """The reason why an order is not served until its owner does something."""

    REFUND_ASKED = "refund_asked"
    FREE_SHIPPING_REFUSED = "free_shipping_refused"
    FREE_SHIPPING_UNCERTAIN = "free_shipping_uncertain"
    PAID_WITHOUT_CARD = "paid_without_card"
    """A mark or the order's page says that it is paid, but the card that starts its service never came."""
    UNPAID_ON_SITE = "unpaid_on_site"
    """A card says that it is paid, but the order's page says unpaid, or there is no such order."""
    NO_PAID_MESSAGE = "no_paid_message"
    UNKNOWN_ITEM = "unknown_item"
    INCOMPLETE_CARD = "incomplete_card"
    DELIVERY_OFF = "delivery_off"
    """The shop's switch for deliveries was off when something was due."""
    NOT_SERVED_IN_TIME = "not_served_in_time"
    BEFORE_START = "before_start"
    """It was paid in the last day before the shop, which came from another system, was first turned on here."""
    BEFORE_RESTORE = "before_restore"
    """It was paid before a backup was restored, and may have been served in between."""
    MESSAGE_REFUSED = "message_refused"
    MESSAGE_UNCERTAIN = "message_uncertain"
    UNCERTAIN_BEFORE = "uncertain_before"
    """Under another id of the account the message was begun, and its result is unknown."""
    CONFIRM_REFUSED = "confirm_refused"
    CONFIRM_UNCERTAIN = "confirm_uncertain"
    NEEDS_PARCEL = "needs_parcel"
    """The goods go in a parcel, or nothing says that they do not: Shoal confirms only what needs none."""
    GROUP_WAITING = "group_waiting"
    """A group price (小刀) waits for its seller, and the shop does not complete it automatically."""
    GROUP_WITHOUT_CARD = "group_without_card"
    """Only a mark of its chat says that it waits at a group price (小刀). A mark names no order: nothing follows it."""
    GROUP_NOT_READY = "group_not_ready"
    """A group price was completed, and the site has not reported since that the order may be served."""
    UNKNOWN_TITLE = "unknown_title"
    UNKNOWN_SPEC = "unknown_spec"
    AMBIGUOUS_RULE = "ambiguous_rule"
    UNKNOWN_GOODS = "unknown_goods"
    GOODS_OFF = "goods_off"
    NO_CODES_IN_TEXT = "no_codes_in_text"
    CODES_WITHOUT_GOODS = "codes_without_goods"
    QUANTITY_UNKNOWN = "quantity_unknown"
    TOO_MANY_UNITS = "too_many_units"
    TOO_MANY_MESSAGES = "too_many_messages"
    MESSAGE_TOO_LONG = "message_too_long"
    OUT_OF_STOCK = "out_of_stock"
    SUPPLIER_REFUSED = "supplier_refused"
    SUPPLIER_UNREACHABLE = "supplier_unreachable"
    SUPPLIER_UNCERTAIN = "supplier_uncertain"
    """The supplier of its goods may have sold a unit for it, and did not say so."""
    UNIT_LOST = "unit_lost"
    """A unit that is to be sent is gone, or cannot be opened."""
    DELIVERY_PARTLY = "delivery_partly"
    """Some of the order's messages arrived, and the next one did not."""
    ONE_TEXT = "one_text"
    """One text was sent for several pieces, or for an item that is sold in several specs."""


TAKE_UP_MS = 24 * 3600_000
"""How long after the payment an order is still served automatically."""
GROUP_PATIENCE_MS = 5 * 60_000
"""How long a group price may wait, or take to be ready, before its owner is notified."""
FREE_SHIPPING_OFF, AUTO_CONFIRM_OFF = "free_shipping_off", "auto_confirm_off"
"""The detail of an action that a switch of the shop leaves undone."""


OF_THE_RULES = frozenset(map(OrderProblem, (
    "unknown_title", "unknown_spec", "ambiguous_rule", "unknown_goods", "goods_off", "no_codes_in_text",
    "codes_without_goods", "quantity_unknown", "too_many_units", "too_many_messages",
    "message_too_long", "out_of_stock",
)))  # fmt: skip
"""The problems that are obstacles of ``explain_order`` and have its names and sentences."""

OF_THE_SHOP = OF_THE_RULES | {OrderProblem.NO_PAID_MESSAGE}
"""The problems that rules, goods or stock of now may have ended."""


def sentence_of(obstacle: str, spec: str) -> str:
    """Return which sentence names an obstacle. ``spec``: what was bought, empty when it is not named."""
    return "spec_unnamed" if obstacle == OrderProblem.UNKNOWN_SPEC and not spec else obstacle


_OF_SUPPLIERS = (OrderProblem.SUPPLIER_REFUSED, OrderProblem.SUPPLIER_UNREACHABLE, OrderProblem.SUPPLIER_UNCERTAIN)
_BY_DETAIL = {
    **{problem.value: problem for problem in OF_THE_RULES},
    **{problem.value: problem for problem in _OF_SUPPLIERS},
    Why.NOT_PAID.value: OrderProblem.UNPAID_ON_SITE,
    Why.NO_PAID_MESSAGE.value: OrderProblem.NO_PAID_MESSAGE,
    Why.UNKNOWN_ITEM.value: OrderProblem.UNKNOWN_ITEM,
    Why.INCOMPLETE.value: OrderProblem.INCOMPLETE_CARD,
    Why.DELIVERY_OFF.value: OrderProblem.DELIVERY_OFF,
    Why.TOO_LATE.value: OrderProblem.NOT_SERVED_IN_TIME,
    Why.BEFORE_START.value: OrderProblem.BEFORE_START,
    Why.BEFORE_RESTORE.value: OrderProblem.BEFORE_RESTORE,
    OrderProblem.UNIT_LOST.value: OrderProblem.UNIT_LOST,
    Why.DELIVERY_PARTLY.value: OrderProblem.DELIVERY_PARTLY,
    Why.NEEDS_PARCEL.value: OrderProblem.NEEDS_PARCEL,
    Why.NOT_READY.value: OrderProblem.GROUP_NOT_READY,
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


def problem_of(
    status: str,
    order_actions: Mapping[str, OrderAction],
    *,
    now_ms: int = 0,
    one_text: str = "",
    has_units: bool = False,
    group_since_ms: int | None = None,
) -> OrderProblem | None:
    """Return what the owner must look at, by the order's status and its actions (by name).

    ``one_text``: why the text that was sent may be too little, while the owner has not seen that. ``group_since_ms``:
    since when the order is known to be at a group price that waits. ``has_units``: units of goods are bound to it.
    """
    paid = order_actions.get(Action.PAID_MESSAGE)
    is_partly = paid is not None and paid.state is ActionState.FAILED and paid.detail == Why.DELIVERY_PARTLY
    if status == OrderStatus.CANCELLED:
        is_uncertain = has_units and paid is not None and paid.state is ActionState.UNCERTAIN
        return OrderProblem.DELIVERY_PARTLY if is_partly else OrderProblem.MESSAGE_UNCERTAIN if is_uncertain else None
    seen_later = OrderProblem.ONE_TEXT if one_text else None
    if status in {OrderStatus.SHIPPED, OrderStatus.COMPLETED}:
        # a shipped order is settled with its buyer, regardless of who shipped it, unless he has only some of it
        return OrderProblem.DELIVERY_PARTLY if is_partly else seen_later
    if status == OrderStatus.REFUNDING:
        return OrderProblem.REFUND_ASKED
    completion = order_actions.get(Action.FREE_SHIPPING)
    if Action.PAID_MESSAGE not in order_actions and (completion is not None or status == OrderStatus.PENDING_SHIP):
        return _problem_before_message(status, completion, now_ms)
    if not order_actions and status == OrderStatus.GROUP_PENDING and _is_over(group_since_ms, now_ms):
        return OrderProblem.GROUP_WITHOUT_CARD
    stuck = (_problem_of_action(order_actions[action], now_ms) for action in Action if action in order_actions)
    return next((problem for problem in stuck if problem is not None), seen_later)


def _problem_of_action(order_action: OrderAction, now_ms: int) -> OrderProblem | None:
    action = Action(order_action.action)
    if order_action.state is ActionState.UNCERTAIN:
        is_before = action is Action.PAID_MESSAGE and order_action.detail == Why.UNCERTAIN_BEFORE
        return OrderProblem.UNCERTAIN_BEFORE if is_before else _UNCERTAIN[action]
    if order_action.state is not ActionState.FAILED:
        return None
    if order_action.detail == Why.NOT_READY and now_ms - order_action.created_at_ms < GROUP_PATIENCE_MS:
        return None  # since it was due: a second refusal does not begin the wait again
    return _BY_DETAIL.get(order_action.detail, _REFUSED[action])


def _problem_before_message(status: str, completion: OrderAction | None, now_ms: int) -> OrderProblem | None:
    """Return the problem of an order whose message was never due: only its group price can be in the way."""
    is_paid = status == OrderStatus.PENDING_SHIP
    if completion is not None and completion.state is ActionState.DONE:
        return OrderProblem.GROUP_NOT_READY if _has_waited(completion, now_ms) else None
    if completion is not None and (not is_paid or completion.state is ActionState.UNCERTAIN):
        is_left = completion.state is ActionState.NOT_NEEDED and completion.detail == FREE_SHIPPING_OFF
        is_late = is_left and status == OrderStatus.GROUP_PENDING and _has_waited(completion, now_ms)
        return OrderProblem.GROUP_WAITING if is_late else _problem_of_action(completion, now_ms)
    return OrderProblem.PAID_WITHOUT_CARD if is_paid else None


def _has_waited(order_action: OrderAction, now_ms: int) -> bool:
    return _is_over(order_action.settled_at_ms, now_ms)


def _is_over(since_ms: int | None, now_ms: int) -> bool:
    return since_ms is not None and now_ms - since_ms >= GROUP_PATIENCE_MS
