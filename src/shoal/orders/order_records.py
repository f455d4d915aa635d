"""Orders, the lines of their timelines and updates of them, as values."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from sqlalchemy import RowMapping

from shoal.accounts.events import MessageEvent
from shoal.orders.order_actions import ActionState, OrderAction
from shoal.storage.known_item_rows import SeenItem


def spec_of(names: str, values: str) -> str | None:
    """Return an order's spec as ``name:value`` pairs; ``None`` when it is not known which name has which value."""
    if not names:
        return values
    pairs = [names.split(";"), values.split(";")]
    if len(pairs[0]) != len(pairs[1]):  # some groups have no name: which, is not known
        return None
    return ";".join(f"{name.strip()}:{value.strip()}" for name, value in zip(*pairs, strict=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One order as last known. ``amount`` is in yuan and, like ``quantity``, the site's own text.

    ``one_text`` says why the one text that was sent may be too little, until its owner has seen it.
    """

    account_id: str
    order_id: str
    item_id: str | None = None
    buyer_id: str = ""
    chat_id: str = ""
    status: str = ""
    amount: str = ""
    quantity: str = ""
    spec_name: str = ""
    spec_value: str = ""
    group_price: bool = False
    parcel: str = ""
    one_text: str = ""
    problem: str = ""
    created_at_ms: int = 0
    updated_at_ms: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Return the account and the id."""
        return (self.account_id, self.order_id)

    @property
    def cursor(self) -> tuple[int, str, str]:
        """Return this order's place in a list, newest first."""
        return (self.created_at_ms, self.account_id, self.order_id)

    @property
    def spec(self) -> str:
        """Return the spec as ``name:value``, several joined by ``;``; only values when their names are not known."""
        return spec_of(self.spec_name, self.spec_value) or self.spec_value


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderEvent:
    """One line of an order's timeline: an order update (``status``, in the site's ``words``), or an action's outcome.

    ``site_at_ms`` is the site's own time, if it sent one; ``at_ms`` is when this server received it.
    """

    account_id: str
    order_id: str
    status: str
    source: str
    action: str = ""
    outcome: str = ""
    words: str = ""
    message_id: str = ""
    site_at_ms: int | None = None
    at_ms: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderUpdate:
    """An update of one order from the site. Empty values mean unknown.

    ``item``: what the site sent of the order's item beside. ``paid`` and ``group_price`` make the first action due
    unless it was due before; ``withheld`` says why it must not be done (``Why.BEFORE_ACCOUNT``, ``Why.TOO_LATE``).
    ``paid_at_ms``: when the order was paid, by our clock, as far as the update says it; otherwise 0.
    ``refund``: the id of the refund that was open when the page was asked for (``refund_store.Refund``): no other one
    ends by the page.
    """

    order_id: str
    status: str = ""
    source: str
    item_id: str | None = None
    buyer_id: str = ""
    buyer_name: str = ""
    chat_id: str = ""
    amount: str = ""
    quantity: str = ""
    spec_name: str = ""
    spec_value: str = ""
    parcel: str = ""
    paid: bool = False
    paid_at_ms: int = 0
    group_price: bool = False
    withheld: str = ""
    message_id: str = ""
    site_at_ms: int | None = None
    words: str = ""
    item: SeenItem | None = None
    refund: int = 0


class Received(NamedTuple):
    """An order after an update, whether its status changed, and whether the update is a card that was not known."""

    order: Order
    has_changed: bool
    is_new: bool


def order_of(row: RowMapping | dict[str, Any]) -> Order:
    """Return a row as an order."""
    return Order(**{entry.name: row[entry.name] for entry in fields(Order)})


def order_action_of(row: RowMapping) -> OrderAction:
    """Return a row as an action."""
    values = {entry.name: row[entry.name] for entry in fields(OrderAction)}
    return OrderAction(**{**values, "state": ActionState(row["state"])})


def order_event(order: Order) -> MessageEvent:
    """Return the event of a changed order: its status and problem. Readers fetch the rest of the order."""
    facts = {
        "order_id": order.order_id,
        "chat_id": order.chat_id,
        "status": order.status or "unknown",
        "problem": order.problem,
        "created_at_ms": order.created_at_ms,
    }
    return MessageEvent(
        account_id=order.account_id, kind="order", key=order.order_id, facts=facts, at_ms=order.updated_at_ms
    )
