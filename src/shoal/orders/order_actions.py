"""Order actions: irreversible steps for an order, each done at most once per order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """The irreversible actions, in the order in which they are done."""

    FREE_SHIPPING = "free_shipping"
    """Tell the site to complete a group price (小刀), so that the order counts as paid."""
    PAID_MESSAGE = "paid_message"
    """Send the message for a paid order."""
    CONFIRM = "confirm"
    """Tell the site that the order is shipped."""


class ActionState(StrEnum):
    """The state of an order action."""

    PENDING = "pending"
    """Due and not started: the only state from which it may start."""
    NOT_NEEDED = "not_needed"
    """The owner does not want it, or it is not needed."""
    INTENDED = "intended"
    """About to be done, or being done."""
    DONE = "done"
    FAILED = "failed"
    """It certainly was not done."""
    UNCERTAIN = "uncertain"
    """The result is not known. The site or the owner is asked; it is never repeated without an answer."""


class Why(StrEnum):
    """Details of an action that the program uses. Any other detail is the site's own reason."""

    ASKED = "asked_by_owner"
    """The owner asked for it: it is due regardless of settings and age."""
    BY_OWNER = "told_by_owner"
    """The owner says that it was done, or is not needed."""
    NOTHING_TO_SEND = "nothing_to_send"
    """The owner says that this item needs no message."""
    RULE_CONFIRMS_NOT = "rule_confirms_not"
    """The delivery rule of the order says that the shipment is not confirmed."""
    NO_PAID_MESSAGE = "no_paid_message"
    UNKNOWN_ITEM = "unknown_item"
    """The message depends on the item, and neither card nor site names it."""
    INCOMPLETE = "incomplete_card"
    """Neither card nor site names the buyer, or the item."""
    NEEDS_PARCEL = "needs_parcel"
    """The goods go in a parcel, or nothing says that they do not: only the owner may confirm."""
    NOT_READY = "not_ready"
    """The site confirms no shipment before the group price is complete."""
    PAGE_UNREAD = "page_unread"
    """It depends on what the order's page says, which could not be read yet."""
    CHAT_UNREAD = "chat_unread"
    """A message may have arrived, and the chat that would show it could not be read."""
    SUPPLIER_ASKED = "supplier_asked"
    """The supplier of its goods was asked for its units, and has not answered."""
    DELIVERY_PARTLY = "delivery_partly"
    """Some of the messages arrived, and the next one did not."""
    ORDER_ENDED = "order_ended"
    """The order was cancelled, or its refund asked for, before this message was sent."""
    NOT_PAID = "not_paid"
    """The order's page says, unlike its card, that it is unpaid; or the site has no such order of this seller."""
    DELIVERY_OFF = "delivery_off"
    """The shop's switch for deliveries is off: only the owner may serve the order."""
    TOO_LATE = "too_late"
    """It was due for so long that the owner must check it first."""
    BEFORE_ACCOUNT = "before_account"
    """The card is older than the account: the owner has handled it."""
    BEFORE_START = "before_start"
    """It was paid shortly before a shop that came from another system was first turned on here."""
    BEFORE_RESTORE = "before_restore"
    """A backup was restored since: it may have been done, and its owner must look."""
    OWN_PURCHASE = "own_purchase"
    """The order's page names this account as the buyer."""
    SERVED_BEFORE = "served_before"
    """It was done for this order under another account id."""
    UNCERTAIN_BEFORE = "uncertain_before"
    """It was begun for this order under another account id, and its result is unknown."""
    ALREADY_SHIPPED = "already_shipped"
    ORDER_COMPLETED = "order_completed"
    ORDER_CANCELLED = "order_cancelled"
    PAID_ALREADY = "paid_already"
    SEEN_SHIPPED = "seen_shipped"
    """The site's own card confirmed it; the answer was lost."""
    SEEN_COMPLETED = "seen_completed"
    """The order's page shows the group price as completed; the answer was lost."""
    INTERRUPTED = "interrupted"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderAction:
    """One irreversible action on one order. An order has each action at most once, permanently.

    One that is pending is due at once, or at ``due_at_ms``.
    """

    account_id: str
    order_id: str
    action: str
    state: ActionState
    detail: str
    created_at_ms: int
    settled_at_ms: int | None
    owner: str = ""
    epoch: int = 0
    due_at_ms: int | None = None

    @property
    def leads_on(self) -> bool:
        """Return whether the next action is due: this one was done, or its owner says that it is not needed."""
        if self.state is ActionState.DONE:
            return True
        return self.state is ActionState.NOT_NEEDED and self.detail in {Why.NOTHING_TO_SEND, Why.BY_OWNER}


def reason_of(order_actions: Sequence[OrderAction]) -> str:
    """Return the detail of the first action that failed or is uncertain."""
    in_the_way = (ActionState.FAILED, ActionState.UNCERTAIN)
    return next((order_action.detail for order_action in order_actions if order_action.state in in_the_way), "")
