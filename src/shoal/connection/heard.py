"""Counts what each account's connection hears, by kind: a change of the site shows here before anyone complains."""

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

log = structlog.get_logger("shoal.heard")

HOUR_MS = 3600_000
MOST_FORMS = 5
"""How many forms of unreadable events are named: those heard last. The others only count."""


class Heard(StrEnum):
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


_LOGGED = frozenset({Heard.CARD, Heard.TIP, Heard.OFFICIAL, Heard.GROUP, Heard.SITE, Heard.UNREADABLE})
_KINDS: dict[type[Event], Heard] = {
    TradeCard: Heard.TRADE_CARD,
    CardUpdate: Heard.CARD_UPDATE,
    OrderMark: Heard.ORDER_MARK,
    OrderContext: Heard.ORDER_CONTEXT,
}


def heard_as(event: Event) -> Heard:
    """Return what an event counts as."""
    if isinstance(event, ChatMessage):
        return Heard(event.speaker.value)
    if isinstance(event, UnknownEvent):
        return Heard.OTHER if event.is_expected else Heard.UNREADABLE
    return _KINDS.get(type(event), Heard.OTHER)


@dataclass(slots=True)
class Count:
    """How often one kind was heard, and when last. ``logged_at_ms``: when its line was logged."""

    times: int = 0
    last_at_ms: int = 0
    logged_at_ms: int = 0


@dataclass(slots=True)
class HeardByAccount:
    """What one account has heard since this server started. ``forms``: how often each unreadable form came,
    the last heard at the end."""

    counts: dict[Heard, Count] = field(default_factory=dict)
    forms: dict[str, int] = field(default_factory=dict)

    def unreadable_since(self, moment_ms: int) -> int:
        """Return how many events could not be read, if one of them came since then; else 0."""
        count = self.counts.get(Heard.UNREADABLE, Count())
        return count.times if count.last_at_ms >= moment_ms else 0


class HeardCounts:
    """The counts of all accounts, in memory since this server started."""

    def __init__(self, now_ms: Callable[[], int] = now_ms) -> None:
        self._now_ms = now_ms
        self._by_account: defaultdict[str, HeardByAccount] = defaultdict(HeardByAccount)
        self.totals = Tally()
        """How many events of each kind all accounts heard, also those that were deleted since."""

    def of(self, account_id: str) -> HeardByAccount:
        """Return the counts of an account; without any when it heard nothing."""
        return self._by_account.get(account_id) or HeardByAccount()

    def forget(self, account_id: str) -> None:
        """Forget a deleted account: a new one of the same id may have another owner."""
        self._by_account.pop(account_id, None)

    def note(self, account_id: str, events: Sequence[Event]) -> bool:
        """Count the events of a push. Return whether one of them could not be read.

        What is left aside or not read is logged at most once per kind and hour.
        """
        unreadable = False
        for event in events:
            kind = heard_as(event)
            mine = self._by_account[account_id]
            count = mine.counts.setdefault(kind, Count())
            count.times += 1
            self.totals.add(kind.value)
            count.last_at_ms = self._now_ms()
            form = event.raw_kind if kind is Heard.UNREADABLE and isinstance(event, UnknownEvent) else ""
            if form:
                mine.forms[form] = mine.forms.pop(form, 0) + 1
                if len(mine.forms) > MOST_FORMS:
                    del mine.forms[next(iter(mine.forms))]
            unreadable = unreadable or bool(form)
            self._log(account_id, kind, count, form)
        return unreadable

    def _log(self, account_id: str, kind: Heard, count: Count, form: str) -> None:
        if kind not in _LOGGED or count.last_at_ms < count.logged_at_ms + HOUR_MS:
            return
        count.logged_at_ms = count.last_at_ms
        if kind is Heard.UNREADABLE:
            log.warning("event not readable", account=account_id, form=form, times=count.times)
        else:
            log.info("message left aside", account=account_id, kind=kind.value, times=count.times)
