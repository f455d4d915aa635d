"""The kinds of incidents: how pressing each is, and after which time its beginning and its end are reported."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

_SECOND_MS: Final = 1_000
_MINUTE_MS: Final = 60_000


class Level(StrEnum):
    """How pressing a notice is; a channel may ask for those of a level and above. In rising order."""

    INFO = "info"
    WARNING = "warning"
    URGENT = "urgent"

    @property
    def rank(self) -> int:
        """The place in the order."""
        return list(Level).index(self)


class IncidentKind(StrEnum):
    """What happened. The subject is an account unless another is named."""

    PARKED = "parked"
    RETRYING = "retrying"
    CRASH_LOOP = "crash_loop"
    ORDER_PROBLEM = "order_problem"
    """An order needs its owner. The subject is the order."""
    REFUND_ASKED = "refund_asked"
    """The subject is the order."""
    ORDERS_WAIT = "orders_wait"
    """Paid orders of a shop wait for their page, their turn, a supplier or the site for longer than the setting."""
    OUT_OF_STOCK = "out_of_stock"
    """No unit is free. The subject is the goods."""
    LOW_STOCK = "low_stock"
    """The subject is the goods."""
    NO_SUCH_SPEC = "no_such_spec"
    """Delivery rules name specs that their items do not have."""
    BUYER_WAITS = "buyer_waits"
    """A question got no automatic answer. The subject is the chat."""
    WANTS_PERSON = "wants_person"
    """A buyer asked for a person. The subject is the chat."""
    MODEL_BUDGET = "model_budget"
    """The tokens or the money of a day are used up, so the model is not asked. The subject is the shop and its day."""
    MODEL_RESTING = "model_resting"
    """A provider of a model fails, so it is not asked for a while. The subject is the provider."""
    STORE_DEGRADED = "store_degraded"
    """The subject is the server."""
    DISK_LOW = "disk_low"
    """The subject is the server."""
    BACKUP_FAILED = "backup_failed"
    """The subject is the server."""
    CLOCK_WRONG = "clock_wrong"
    """The machine's clock differs by more than an hour from the site's, or from what is stored. The subject is the
    server."""
    CHANNEL_ENDED = "channel_ended"
    """A browser takes no notices any more. The subject is the channel."""
    WEBHOOK_OFF = "webhook_off"
    """The server switched a webhook off. The subject is the webhook."""
    DAY = "day"
    """The summary of a day. The subject is the user."""
    NEW_ADDRESS = "new_address"
    """A user signed in from an address for the first time. The subject is the user and the address."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """When a kind is reported.

    ``hold_ms``: what ends sooner is never reported. ``end_hold_ms``: how long it must be over before its end is
    reported; until then it goes on when it happens again. ``None``: its end is not reported. ``heals``: it ends by
    itself, so that one that keeps coming back is held longer each time. ``is_event``: it has no end. ``rest_ms``: how
    long its subject is not reported again. ``is_asked_for``: only channels that name the kind are notified.
    """

    level: Level
    hold_ms: int = 0
    end_hold_ms: int | None = None
    heals: bool = False
    is_event: bool = False
    rest_ms: int = 0
    is_asked_for: bool = False

    @property
    def has_end(self) -> bool:
        """Whether its end is reported."""
        return self.end_hold_ms is not None


POLICIES: Final = {
    IncidentKind.PARKED: Policy(level=Level.URGENT, end_hold_ms=_MINUTE_MS),
    IncidentKind.RETRYING: Policy(level=Level.WARNING, hold_ms=10 * _MINUTE_MS, end_hold_ms=5 * _MINUTE_MS, heals=True),
    IncidentKind.CRASH_LOOP: Policy(
        level=Level.WARNING, hold_ms=10 * _MINUTE_MS, end_hold_ms=5 * _MINUTE_MS, heals=True
    ),
    IncidentKind.ORDER_PROBLEM: Policy(level=Level.WARNING, hold_ms=15 * _SECOND_MS),
    IncidentKind.REFUND_ASKED: Policy(level=Level.WARNING),
    IncidentKind.ORDERS_WAIT: Policy(level=Level.WARNING, hold_ms=30 * _SECOND_MS, end_hold_ms=_MINUTE_MS, heals=True),
    IncidentKind.OUT_OF_STOCK: Policy(level=Level.WARNING),
    IncidentKind.LOW_STOCK: Policy(level=Level.INFO, hold_ms=_MINUTE_MS),
    IncidentKind.NO_SUCH_SPEC: Policy(level=Level.WARNING, hold_ms=_MINUTE_MS),
    IncidentKind.BUYER_WAITS: Policy(
        level=Level.INFO, hold_ms=30 * _SECOND_MS, is_event=True, rest_ms=60 * _MINUTE_MS, is_asked_for=True
    ),
    IncidentKind.WANTS_PERSON: Policy(level=Level.WARNING),
    IncidentKind.MODEL_BUDGET: Policy(level=Level.INFO, is_event=True),
    IncidentKind.MODEL_RESTING: Policy(level=Level.WARNING, end_hold_ms=_MINUTE_MS, heals=True),
    IncidentKind.STORE_DEGRADED: Policy(
        level=Level.URGENT, hold_ms=30 * _SECOND_MS, end_hold_ms=_MINUTE_MS, heals=True
    ),
    IncidentKind.DISK_LOW: Policy(level=Level.URGENT, end_hold_ms=10 * _MINUTE_MS, heals=True),
    IncidentKind.BACKUP_FAILED: Policy(level=Level.WARNING),
    IncidentKind.CLOCK_WRONG: Policy(level=Level.WARNING, hold_ms=_MINUTE_MS, end_hold_ms=5 * _MINUTE_MS, heals=True),
    IncidentKind.CHANNEL_ENDED: Policy(level=Level.WARNING),
    IncidentKind.WEBHOOK_OFF: Policy(level=Level.WARNING),
    IncidentKind.DAY: Policy(level=Level.INFO, is_event=True, is_asked_for=True),
    IncidentKind.NEW_ADDRESS: Policy(level=Level.WARNING, is_event=True),
}
