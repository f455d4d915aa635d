"""Every figure of the server, read at a scrape from the counts that each part keeps."""

from __future__ import annotations

import asyncio
import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from shoal import __version__
from shoal.accounts.account import AccountState, ParkReason
from shoal.api.metrics.families import counter, counters, gauge, gauges, histogram, info, summary
from shoal.api.metrics.loop_lag import LoopLag
from shoal.api.metrics.stored_figures import StoredFigures
from shoal.api.server import Server
from shoal.assistant.model_calls import ANSWERED, WhyFailed
from shoal.assistant.rail_facts import Rail
from shoal.clock import present_clock
from shoal.connection.push_counts import PushKind
from shoal.goods.goods import GoodsKind
from shoal.messages.decisions import Decision
from shoal.messages.outbox_rows import SendOutcome
from shoal.notices.plans import NoticeState
from shoal.orders.order_status import OrderStatus
from shoal.storage.incident_kinds import IncidentKind

_SWITCHES: Final = {True: "on", False: "off"}
_SETTLED: Final = (SendOutcome.SENT, SendOutcome.REFUSED, SendOutcome.UNCERTAIN, SendOutcome.DROPPED)
_OPEN: Final = (SendOutcome.WAITING, SendOutcome.SENDING, SendOutcome.UNCERTAIN)
_NOTICE_STATES: Final = (NoticeState.SENT, NoticeState.FAILED, NoticeState.UNCERTAIN, NoticeState.GIVEN_UP)
_WEBHOOKS: Final = ("on", "failing", "off")


class ServerCollector(Collector):
    """Collects the figures of one server. Call it on the server's loop only."""

    def __init__(self, server: Server, lag: LoopLag) -> None:
        self._server = server
        self._lag = lag
        self.stored: StoredFigures | None = None
        """The figures of the database that the next scrape shows."""
        self.disk_free: int | None = None
        """The free bytes on the disk of the data directory, if it tells."""

    def collect(self) -> Iterable[Metric]:
        """Return all families, one after another."""
        yield from self._process()
        yield from self._accounts()
        yield from self._changes()
        yield from self._database()
        yield from self._messages()
        yield from self._orders()
        yield from self._models()
        if self.stored is not None:
            yield from _stored(self.stored)

    def _process(self) -> Iterator[Metric]:
        server = self._server
        kind = "sqlite" if server.database.is_sqlite else "postgresql"
        facts = {"version": __version__, "python": platform.python_version(), "database": kind}
        yield info("build", "The program that runs.", facts)
        yield gauge("start_time_seconds", "When the server started, in seconds since 1970.", server.started_at_ms / 1e3)
        yield gauge("tasks", "Tasks on the event loop.", len(asyncio.all_tasks()))
        yield histogram(
            "event_loop_lag_seconds", "How late the event loop is; looked at once a second.", self._lag.seconds
        )
        yield gauge("streams", "Open console pages and event streams.", server.live_streams.open)
        clock = present_clock()
        if clock.witness is not None:
            description = "How far the machine's clock is ahead of the site's time, or of the last known moment."
            yield gauge("clock_skew_seconds", description, clock.skew_ms / 1000)
        if self.disk_free is not None:
            yield gauge("disk_free_bytes", "Free space on the disk of the data directory.", self.disk_free)

    def _accounts(self) -> Iterator[Metric]:
        manager = self._server.manager
        tasks, states, parked = manager.tasks, Counter[tuple[bool, AccountState]](), Counter[str]()
        for account_id, account in manager.accounts.items():
            if (task := tasks.get(account_id)) is not None:
                seen = task.observation
                states[account.enabled, seen.state] += 1
                if seen.state is AccountState.PARKED:
                    parked[seen.reason] += 1
        yield gauges(
            "accounts", "Shops by what was asked for (on or off) and what is so.", ("enabled", "state"),
            {(word, state): states[on, state] for on, word in _SWITCHES.items() for state in AccountState},
        )  # fmt: skip
        yield gauges(
            "accounts_parked", "Shops that wait for their owner, by reason.", ("reason",),
            {(reason,): parked[reason] for reason in ParkReason},
        )  # fmt: skip
        yield counters(
            "account_moves", "How often a shop came into a state, by reason; `retrying`: a lost or failed connection.",
            ("state", "reason"), manager.moves, [(state, "") for state in AccountState],
        )  # fmt: skip

    def _changes(self) -> Iterator[Metric]:
        manager, locks = self._server.manager, self._server.manager.locks
        figures = locks.figures()
        yield counters(
            "changes", "Changes of shops that reached the database, by kind and outcome.", ("kind", "outcome"),
            manager.changes,
        )  # fmt: skip
        yield gauge("locks_held", "Account locks that are held.", figures.held)
        yield gauge("locks_waiting", "Changes that wait for a lock.", figures.waiting)
        yield gauge(
            "lock_oldest_hold_seconds", "For how long the oldest lock has been held.", figures.oldest_held_seconds
        )
        yield counter("lock_timeouts", "Changes refused because a lock was not free in time.", figures.timeouts_total)
        yield summary(
            "lock_wait_seconds", "How long changes waited for their lock.", figures.acquired_total,
            figures.wait_seconds_total,
        )  # fmt: skip
        if (follower := self._server.follower) is not None:
            yield gauge(
                "journal_lag_seconds", "How long the next change has waited for an older transaction.",
                follower.lag_seconds,
            )  # fmt: skip
            yield gauge("journal_age_seconds", "How long ago other nodes' changes were read.", follower.age_seconds)
        if (links := self._server.event_links) is not None:
            description = "Other nodes whose events are received; none while this node has no readers."
            yield gauge("nodes_linked", description, len(links.linked))
        yield counter("lock_hold_seconds", "For how long locks were held, all together.", figures.hold_seconds_total)

    def _database(self) -> Iterator[Metric]:
        database = self._server.database
        writer = database.group_writer
        yield gauge(
            "database_degraded",
            "1 while nothing is written, because the outcome of a commit is unknown.",
            database.degraded,
        )
        yield gauge(
            "database_checking", "1 while the file is checked after a start, and nothing is written.", database.checking
        )
        yield gauge("database_waiting", "Writes that wait for the next transaction.", writer.waiting)
        yield histogram(
            "database_transaction_seconds", "Transactions from their begin to their commit.", writer.figures.seconds
        )
        yield histogram("database_group_size", "Writes committed together.", writer.figures.sizes)
        yield counter(
            "database_refused_groups", "Groups of writes of which the database took none.", writer.figures.refused
        )

    def _messages(self) -> Iterator[Metric]:
        server = self._server
        counts = server.message_log.outbox.counts
        yield counters(
            "events_received", "What the site sent, by kind; `unreadable` came in a form that is not known.", ("kind",),
            server.push_counts.totals, [(kind,) for kind in PushKind],
        )  # fmt: skip
        yield counters(
            "messages_decided", "Decisions about messages.", ("decision",), counts.decided,
            [(decision,) for decision in Decision if decision],
        )  # fmt: skip
        yield counters(
            "sendings",
            "Messages to buyers by outcome.",
            ("outcome",),
            counts.sent,
            [(outcome,) for outcome in _SETTLED],
        )
        yield histogram(
            "reply_seconds", "From the moment an automatic reply was due until the site accepted its last part.",
            counts.reply_seconds,
        )  # fmt: skip

    def _orders(self) -> Iterator[Metric]:
        server = self._server
        yield counters(
            "orders", "How often an order came into a status.", ("status",), server.order_store.counts.statuses,
            [(status,) for status in OrderStatus if status],
        )  # fmt: skip
        yield counters(
            "order_steps", "Steps done for orders, by outcome.", ("step", "outcome"), server.order_store.counts.actions
        )
        yield counters(
            "notices", "Notices by outcome of a sending.", ("outcome",), server.notices.outcomes,
            [(state,) for state in _NOTICE_STATES],
        )  # fmt: skip
        yield counters(
            "webhook_calls", "Calls of webhooks by outcome.", ("outcome",), server.notices.webhooks.calls.outcomes,
            [(outcome,) for outcome in ("arrived", "refused", "unanswered")],
        )  # fmt: skip

    def _models(self) -> Iterator[Metric]:
        calls = self._server.assistant.calls
        yield counters(
            "model_calls", "Calls of language models, by outcome.", ("outcome",), calls.outcomes,
            [(outcome,) for outcome in (ANSWERED, *WhyFailed)],
        )  # fmt: skip
        yield counters(
            "model_held_back", "How often a check held back what a language model would have said.", ("rail",),
            calls.held_back, [(rail,) for rail in Rail],
        )  # fmt: skip


def _stored(stored: StoredFigures) -> Iterator[Metric]:
    stats = stored.stats
    age = time.monotonic() - stored.read_at
    yield gauge("database_figures_age_seconds", "How old the figures below are.", age)
    if stats.size is not None:
        yield gauge("database_size_bytes", "Size of the database.", stats.size)
    yield gauges(
        "outbox", "Messages to buyers whose outcome may still change.", ("outcome",), _all(_OPEN, stored.outbox)
    )
    yield gauge(
        "orders_waiting", "Paid orders that wait for their page, their turn, a supplier or the site.",
        stored.orders_waiting,
    )  # fmt: skip
    yield gauge(
        "oldest_order_wait_seconds", "How long the first of these orders waits.", stored.oldest_order_wait_seconds
    )
    yield gauge("messages_waiting", "Buyers' messages without a final decision.", stored.messages_waiting)
    yield gauges("incidents_open", "Incidents that last.", ("kind",), _all(IncidentKind, stored.incidents))
    yield gauges("order_problems", "Orders that wait for their owner, by problem.", ("problem",), stored.order_problems)
    yield gauges(
        "units_free", "Units that an order can get, by kind of goods.", ("kind",), _all(GoodsKind, stored.units_free)
    )
    yield gauge("notices_waiting", "Notices that must still be sent.", stored.notices_waiting)
    yield gauge("drafts_waiting", "Drafts of language models that wait for a person.", stored.drafts_waiting)
    yield gauge(
        "model_providers_resting", "Providers of language models that rest after failures.", stored.providers_resting
    )
    yield gauge(
        "model_budget_used",
        "The largest share of its money of the day that a provider with a limit has spent.",
        stored.model_budget_used,
    )
    yield gauges("webhooks", "Webhooks by state.", ("state",), _all(_WEBHOOKS, stored.webhooks))


def _all(kinds: Iterable[str], found: dict[tuple[str, ...], float]) -> dict[tuple[str, ...], float]:
    return {(str(kind),): found.get((str(kind),), 0) for kind in kinds}
