"""Intents: what is done for an order that nobody can take back, each act at most once per order, for ever."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """The irreversible acts on an order, in the order in which they are done."""

    FREE_SHIPPING = "free_shipping"
    """Tell the site to complete a group price (小刀), so that the order counts as paid."""
    PAID_MESSAGE = "paid_message"
    """Send the shop's word for a paid order."""
    CONFIRM = "confirm"
    """Tell the site that the order is shipped."""


class ActionState(StrEnum):
    """What became of an irreversible act."""

    PENDING = "pending"
    """Due, and not begun: the only state from which it may begin."""
    NOT_NEEDED = "not_needed"
    """The owner wants it not done, or it need not be."""
    INTENDED = "intended"
    """About to be done, or being done."""
    DONE = "done"
    FAILED = "failed"
    """It certainly did not happen."""
    UNCERTAIN = "uncertain"
    """Nobody knows. The site or the owner is asked; it is never repeated blindly."""


class Why(StrEnum):
    """Details of an intent that mean something to the program. Any other detail is the site's own reason."""

    ASKED = "asked_by_owner"
    """The owner asked for it: it is due whatever the switches say and however old it is."""
    TOLD = "told_by_owner"
    """The owner says that it happened, or need not."""
    NOTHING_TO_SEND = "nothing_to_send"
    """The owner says that this item needs no message."""
    NO_PAID_MESSAGE = "no_paid_message"
    UNKNOWN_ITEM = "unknown_item"
    """What to send depends on the item, and neither card nor site says which one it is."""
    INCOMPLETE = "incomplete_card"
    """Neither card nor site says who bought, or what."""
    NOT_PAID = "not_paid"
    """The order's page says, against its card, that nobody has paid it, or the site knows no such order of ours."""
    TOO_LATE = "too_late"
    """It was due for so long that a person must look first."""
    BEFORE_ACCOUNT = "before_account"
    """The card is older than the account is here: its owner has dealt with it."""
    SERVED_BEFORE = "served_before"
    """It was done for this order under another account id."""
    ALREADY_SHIPPED = "already_shipped"
    ORDER_COMPLETED = "order_completed"
    ORDER_CANCELLED = "order_cancelled"
    PAID_ALREADY = "paid_already"
    SEEN_SHIPPED = "seen_shipped"
    """The site's own card told what the answer should have told."""
    SEEN_COMPLETED = "seen_completed"
    """The order's page shows the group price as completed, which the answer should have told."""
    INTERRUPTED = "interrupted"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderAction:
    """One irreversible act on one order: it exists once, for ever."""

    account_id: str
    order_id: str
    action: str
    state: ActionState
    detail: str
    created_at_ms: int
    settled_at_ms: int | None
    owner: str = ""
    epoch: int = 0

    @property
    def leads_on(self) -> bool:
        """Whether the next act is due after it: it was done, or its owner says that it need not be."""
        if self.state is ActionState.DONE:
            return True
        return self.state is ActionState.NOT_NEEDED and self.detail in {Why.NOTHING_TO_SEND, Why.TOLD}
