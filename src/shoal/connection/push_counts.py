"""Counts the pushes that each account's connection receives, by kind, so that a change of the site is seen early."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import structlog

from shoal.clock import now_ms
from shoal.measures import Tally
from shoal.xianyu.push_events import (
    CardUpdate,
    ChatMessage,
    Event,
    OrderContext,
    OrderMark,
    TradeCard,
    UnknownEvent,
)

log = structlog.get_logger("shoal.pushes")

HOUR_MS = 3600_000
MOST_FORMS = 5
"""How many forms of unreadable events are named: those received last. The others only count."""


class PushKind(StrEnum):
    """What an event is, for counting."""

    PERSON = "person"
    OWN = "own"
    CARD = "card"
    TIP = "tip"
    OFFICIAL = "official"
    GROUP = "group"
    SITE = "site"
    TRADE_CARD = "trade_card"
    CARD_UPDATE = "card_update"
    ORDER_MARK = "order_mark"
    ORDER_CONTEXT = "order_context"
    OTHER = "other"
    """Receipts, typing, suggestions: nothing to do."""
    UNREADABLE = "unreadable"
    """An event in a form that is not known."""


_LOGGED = frozenset(
    {PushKind.CARD, PushKind.TIP, PushKind.OFFICIAL, PushKind.GROUP, PushKind.SITE, PushKind.UNREADABLE}
)
_KINDS: dict[type[Event], PushKind] = {
    TradeCard: PushKind.TRADE_CARD,
    CardUpdate: PushKind.CARD_UPDATE,
    OrderMark: PushKind.ORDER_MARK,
    OrderContext: PushKind.ORDER_CONTEXT,
}


def push_kind(event: Event) -> PushKind:
    """Return what an event counts as."""
    if isinstance(event, ChatMessage):
        return PushKind(event.speaker.value)
    if isinstance(event, UnknownEvent):
        return PushKind.OTHER if event.is_expected else PushKind.UNREADABLE
    return _KINDS.get(type(event), PushKind.OTHER)


@dataclass(slots=True)
class Count:
    """How often one kind was received, and when last. ``logged_at_ms``: when its line was logged."""

    times: int = 0
    last_at_ms: int = 0
    logged_at_ms: int = 0


@dataclass(slots=True)
class AccountPushes:
    """What one account has received since this server started. ``forms``: how often each unreadable form came,
    the newest at the end."""

    counts: dict[PushKind, Count] = field(default_factory=dict)
    forms: dict[str, int] = field(default_factory=dict)

    def unreadable_since(self, moment_ms: int) -> int:
        """Return how many events could not be read, if one of them came since then; else 0."""
        count = self.counts.get(PushKind.UNREADABLE, Count())
        return count.times if count.last_at_ms >= moment_ms else 0


class PushCounts:
    """The counts of all accounts, in memory since this server started."""

    def __init__(self, now_ms: Callable[[], int] = now_ms) -> None:
        self._now_ms = now_ms
        self._by_account: defaultdict[str, AccountPushes] = defaultdict(AccountPushes)
        self.totals = Tally()
        """How many events of each kind all accounts received, also those that were deleted since."""

    def of(self, account_id: str) -> AccountPushes:
        """Return the counts of an account; without any when it received nothing."""
        return self._by_account.get(account_id) or AccountPushes()

    def forget(self, account_id: str) -> None:
        """Forget a deleted account: a new one of the same id may have another owner."""
        self._by_account.pop(account_id, None)

    def note(self, account_id: str, events: Sequence[Event]) -> bool:
        """Count the events of a push. Return whether one of them could not be read.

        What is left aside or not read is logged at most once per kind and hour.
        """
        unreadable = False
        for event in events:
            kind = push_kind(event)
            mine = self._by_account[account_id]
            count = mine.counts.setdefault(kind, Count())
            count.times += 1
            self.totals.add(kind.value)
            count.last_at_ms = self._now_ms()
            form = event.raw_kind if kind is PushKind.UNREADABLE and isinstance(event, UnknownEvent) else ""
            if form:
                mine.forms[form] = mine.forms.pop(form, 0) + 1
                if len(mine.forms) > MOST_FORMS:
                    del mine.forms[next(iter(mine.forms))]
            unreadable = unreadable or bool(form)
            self._log(account_id, kind, count, form)
        return unreadable

    def _log(self, account_id: str, kind: PushKind, count: Count, form: str) -> None:
        if kind not in _LOGGED or count.last_at_ms < count.logged_at_ms + HOUR_MS:
            return
        count.logged_at_ms = count.last_at_ms
        if kind is PushKind.UNREADABLE:
            log.warning("event not readable", account=account_id, form=form, times=count.times)
        else:
            log.info("message left aside", account=account_id, kind=kind.value, times=count.times)
