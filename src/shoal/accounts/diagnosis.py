"""Why an account does not reply: all possible causes, in the order in which to check them. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import msgspec

from shoal.accounts.account import Account, AccountState, Answers, Observation, ParkReason
from shoal.accounts.account_locks import SLOW_SECONDS
from shoal.accounts.model_finding import model_finding, moment_to_come
from shoal.accounts.model_settings import ModelLack, ModelMode
from shoal.xianyu.proxy import shown_proxy
from shoal.xianyu.site_pages import MESSAGES_URL, SITE_URL

PROXY_REASONS = frozenset(
    {"proxy_unreachable", "proxy_refused", "proxy_no_route", "proxy_untrusted", "proxy_not_allowed"}
)
"""The retry reasons that only the account's proxy can cause."""


class CheckName(StrEnum):
    """The checks, in order."""

    ENABLED = "enabled"
    OWNED_HERE = "owned_here"
    STORE = "store"
    LOCK = "lock"
    PARKED = "parked"
    RETRYING = "retrying"
    PROXY = "proxy"
    STARTING = "starting"
    CONNECTED = "connected"
    READABLE = "readable"
    CLOCK = "clock"
    COOKIE = "cookie"
    ANSWERS = "answers"
    HOURS = "hours"
    PAUSE = "pause"
    LIMITS = "limits"
    COOLDOWN = "cooldown"
    FILTER = "filter"
    MODEL = "model"
    SENDINGS = "sendings"
    OVERDUE = "overdue"
    DELIVERY = "delivery"
    ORDERS = "orders"
    PAYMENTS = "payments"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One finding. ``finding`` names its sentences, ``params`` fill them in.

    ``blocks``: while it is not ``ok``, no buyer gets a reply. Other findings concern single chats only.
    """

    name: CheckName
    finding: str
    ok: bool = True
    blocks: bool = False
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


class ReplyStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of one account.

    ``paused_buyers`` are names (or chat ids) of some of the ``paused_chats``; the last of these pauses ends at
    ``paused_until_ms``, and ``pause_reasons`` are the reasons of all. ``buyer_limited``, ``shop_limited`` and
    ``cooled_down`` count messages that were not answered for that reason; ``cooling_rules`` are some of the rules.
    ``last_failure`` is the outcome of the last failed sending, with its reason (empty: none failed).
    """

    filtered: int = 0
    """Messages whose answer the output filter held back, and some of what it found."""
    filtered_words: tuple[str, ...] = ()
    model_answers: int = 0
    """Answers and drafts of the language model."""
    model_held: int = 0
    """Questions to it that it did not answer, or whose answer was held back, and the most frequent reasons."""
    model_reasons: tuple[str, ...] = ()
    paused_chats: int = 0
    paused_until_ms: int | None = None
    paused_buyers: tuple[str, ...] = ()
    pause_reasons: tuple[str, ...] = ()
    buyer_limited: int = 0
    shop_limited: int = 0
    cooled_down: int = 0
    cooling_rules: tuple[str, ...] = ()
    failed_sendings: int = 0
    last_failure: str = ""
    last_failure_reason: str = ""
    overdue: int = 0
    paid_unknown: int = 0
    """Payments for an order that nothing names, and that their owner has not handled."""
    payers: tuple[str, ...] = ()
    """The names (or chat ids) of some of those who made them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """The known facts about an account. ``node``: the other server, if one runs it; ``is_silent``: no answer came."""

    account: Account
    seen: Observation
    now_ms: int
    heartbeat_limit_ms: int
    """A connection whose last heartbeat is older is not alive, whatever its state is."""
    message_age_ms: int
    node: str = ""
    is_silent: bool = False
    degraded: bool = False
    unsettled: bool = False
    busy_with: str = ""
    """The operation that has held the account's lock for ``busy_seconds``, if any."""
    busy_seconds: float = 0.0
    token_expires_at_ms: int | None = None
    figures: ReplyStats = field(default_factory=ReplyStats)
    model_lacks: ModelLack | None = None
    """What the account's language model lacks while it is on."""
    model_rests_until_ms: int | None = None
    """Until when the model's provider rests after failures."""
    unreadable: int = 0
    """Events of the site that could not be read since the server started, if one came lately; else 0."""
    unreadable_forms: tuple[str, ...] = ()
    site_ahead_ms: int = 0
    """How far the site's clock is ahead of this machine's, as far as that is a difference."""
    orders_in_need: int = 0
    """Orders that wait for their owner."""
    buyer_replies_per_hour: int = 0
    shop_replies_per_minute: int = 0
    """The limits of this account; 0 means no limit."""


def diagnose(facts: Facts) -> list[Check]:
    """Return every check, in order."""
    return [check(facts) for check in _CHECKS]


def is_replying(checks: Iterable[Check]) -> bool:
    """Return whether a buyer who writes now may get a reply."""
    return all(check.ok or not check.blocks for check in checks)


def _enabled(facts: Facts) -> Check:
    on = facts.account.enabled
    return Check(name=CheckName.ENABLED, finding="enabled" if on else "disabled", ok=on, blocks=True)


def _owned_here(facts: Facts) -> Check:
    lost, silent, node = facts.seen.state is AccountState.ELSEWHERE, facts.is_silent, facts.node
    finding = "elsewhere" if lost else "owner_silent" if silent else "owned_there" if node else "owned_here"
    ok = not (lost or silent)
    return Check(name=CheckName.OWNED_HERE, finding=finding, ok=ok, blocks=lost, params={"node": node})


def _store(facts: Facts) -> Check:
    if facts.degraded:
        return Check(name=CheckName.STORE, finding="store_degraded", ok=False, blocks=True)
    finding = "store_unsettled" if facts.unsettled else "store_well"
    return Check(name=CheckName.STORE, finding=finding, ok=not facts.unsettled)


def _lock(facts: Facts) -> Check:
    """A long change does not delay replies, but it does not apply yet."""
    if not facts.busy_with or facts.busy_seconds < SLOW_SECONDS:
        return Check(name=CheckName.LOCK, finding="lock_free")
    params = {"operation": facts.busy_with, "seconds": int(facts.busy_seconds)}
    return Check(name=CheckName.LOCK, finding="lock_held", ok=False, params=params)


def _parked(facts: Facts) -> Check:
    seen = facts.seen
    if seen.state is not AccountState.PARKED and seen.parked_for == facts.account.park_key:
        params = {"url": _page_of(seen), "reason": seen.parked_reason}
        return Check(name=CheckName.PARKED, finding="parked_before", ok=False, blocks=True, params=params)
    if seen.state is not AccountState.PARKED:
        return Check(name=CheckName.PARKED, finding="not_parked", blocks=True)
    finding = f"parked_{seen.reason}" if seen.reason in set(ParkReason) else "parked_otherwise"
    params = {"url": _page_of(seen), "reason": seen.reason}
    return Check(name=CheckName.PARKED, finding=finding, ok=False, blocks=True, params=params)


def _page_of(seen: Observation) -> str:
    """Where to act: the address that the site gave with a check belongs to one call, and is dead soon."""
    return MESSAGES_URL if seen.wants_check else SITE_URL


def _retrying(facts: Facts) -> Check:
    seen = facts.seen
    failing = seen.state is AccountState.RETRYING
    if not failing and not seen.crash_loop:
        return Check(name=CheckName.RETRYING, finding="not_retrying", blocks=True)
    due_ms = max(0, (seen.next_attempt_at_ms or facts.now_ms) - facts.now_ms)
    params = {"reason": seen.reason, "why": seen.detail, "seconds": -(-due_ms // 1000)}
    finding = "retrying" if not seen.crash_loop else "crash_loop" if failing else "crash_loop_trying"
    return Check(name=CheckName.RETRYING, finding=finding, ok=False, blocks=failing, params=params)


def _proxy(facts: Facts) -> Check:
    shown, reason = shown_proxy(facts.account.proxy), facts.seen.reason
    if not shown:
        return Check(name=CheckName.PROXY, finding="no_proxy", blocks=True)
    failing = reason in PROXY_REASONS
    finding = reason if failing else "proxy_used"
    return Check(name=CheckName.PROXY, finding=finding, ok=not failing, blocks=True, params={"proxy": shown})


def _starting(facts: Facts) -> Check:
    under_way = {AccountState.WAITING, AccountState.STARTING, AccountState.STOPPING}
    state = facts.seen.state
    if state not in under_way:
        return Check(name=CheckName.STARTING, finding="not_starting", blocks=True)
    params = {"seconds": max(0, facts.now_ms - facts.seen.since_ms) // 1000}
    return Check(name=CheckName.STARTING, finding=state.value, ok=False, blocks=True, params=params)


def _connected(facts: Facts) -> Check:
    seen = facts.seen
    if seen.state is not AccountState.RUNNING:
        return Check(name=CheckName.CONNECTED, finding="not_connected", ok=False, blocks=True)
    age_ms = max(0, facts.now_ms - max(seen.connected_at_ms or 0, seen.last_heartbeat_at_ms or 0))
    alive = age_ms <= facts.heartbeat_limit_ms or facts.is_silent  # a heartbeat is stored every few minutes only
    finding = "connected" if alive else "heartbeat_late"
    return Check(name=CheckName.CONNECTED, finding=finding, ok=alive, blocks=True, params={"seconds": age_ms // 1000})


def _readable(facts: Facts) -> Check:
    """Events in a new form are the first sign that the site has changed."""
    if not facts.unreadable:
        return Check(name=CheckName.READABLE, finding="readable")
    params = {"count": facts.unreadable, "forms": "; ".join(facts.unreadable_forms)}
    return Check(name=CheckName.READABLE, finding="unreadable", ok=False, params=params)


def _clock(facts: Facts) -> Check:
    """A wrong clock does not stop replies: calls use the site's time. But it shows wrong times, and shifts hours."""
    ahead_ms = facts.site_ahead_ms
    finding = "clock_slow" if ahead_ms > 0 else "clock_fast" if ahead_ms < 0 else "clock_right"
    return Check(
        name=CheckName.CLOCK, finding=finding, ok=not ahead_ms, params={"minutes": round(abs(ahead_ms) / 60_000)}
    )


def _cookie(facts: Facts) -> Check:
    if not facts.account.cookie:
        return Check(name=CheckName.COOKIE, finding="cookie_missing", ok=False, blocks=True)
    expires = facts.token_expires_at_ms
    if expires is None:
        return Check(name=CheckName.COOKIE, finding="cookie_present", blocks=True)
    rest_ms = expires - facts.now_ms
    finding = "cookie_renewed_later" if rest_ms > 0 else "cookie_renewed_now"
    return Check(name=CheckName.COOKIE, finding=finding, blocks=True, params={"minutes": max(0, rest_ms) // 60_000})


_ANSWERS_WITH_MODEL = {
    (True, True): "answers_model_with_default", (True, False): "answers_model_without_default",
    (False, True): "answers_draft_with_default", (False, False): "answers_draft_without_default",
}  # fmt: skip
"""The findings about a shop whose language model can be asked: does it send by itself, is there a default reply."""


def _answers(facts: Facts) -> Check:
    account = facts.account
    if not account.replies:
        return Check(name=CheckName.ANSWERS, finding="replies_off", ok=False, blocks=True)
    if account.answers is not Answers.MESSAGES:
        finding = "no_answers" if account.answers is Answers.NOTHING else "answers_orders_only"
        return Check(name=CheckName.ANSWERS, finding=finding, ok=False, blocks=True)
    rules = sum(rule.active and bool(rule.parts) for rule in account.keywords)
    items = sum(bool(item.reply) for item in account.items)
    if account.asks_model and facts.model_lacks is None:
        finding = _ANSWERS_WITH_MODEL[account.ai_mode == ModelMode.AUTO, account.has_default_reply]
    elif not (rules or items or account.has_default_reply):
        return Check(name=CheckName.ANSWERS, finding="answers_model_lacking", ok=False, blocks=True)
    else:
        finding = "answers_with_default" if account.has_default_reply else "answers_without_default"
    return Check(name=CheckName.ANSWERS, finding=finding, blocks=True, params={"rules": rules, "items": items})


def _hours(facts: Facts) -> Check:
    """While the shop is closed no message is answered, but for an away word."""
    account = facts.account
    closed = account.closed_at(facts.now_ms)
    if closed is None:
        finding = "open_now" if account.opening_hours or account.holidays else "always_open"
        return Check(name=CheckName.HOURS, finding=finding, blocks=True)
    if closed.until_ms is None:
        return Check(name=CheckName.HOURS, finding="closed_for_long", ok=False, blocks=True)
    params = {"until": moment_to_come(account.timezone, facts.now_ms, closed.until_ms)}
    return Check(name=CheckName.HOURS, finding="closed_until", ok=False, blocks=True, params=params)


def _filter(facts: Facts) -> Check:
    figures = facts.figures
    if not figures.filtered:
        return Check(name=CheckName.FILTER, finding="nothing_filtered")
    params = {"count": figures.filtered, "words": " / ".join(figures.filtered_words)}
    return Check(name=CheckName.FILTER, finding="filtered", ok=False, params=params)


def _model(facts: Facts) -> Check:
    finding, ok, params = model_finding(
        facts.account, facts.figures, facts.model_lacks, facts.model_rests_until_ms, facts.now_ms
    )
    return Check(name=CheckName.MODEL, finding=finding, ok=ok, params=params)


_PAUSED: dict[tuple[str, ...], str] = {
    ("human",): "paused_human",
    ("taken_over",): "paused_taken_over",
    ("wants_person",): "paused_wants_person",
}
"""The finding where all takeovers have the same reason (``TakeoverReason``)."""


def _pause(facts: Facts) -> Check:
    minutes, figures = facts.account.pause_duration, facts.figures
    if not figures.paused_chats:
        finding = "not_paused" if minutes else "never_pauses"
        return Check(name=CheckName.PAUSE, finding=finding, params={"minutes": minutes})
    rest_ms = max(0, (figures.paused_until_ms or facts.now_ms) - facts.now_ms)
    params = {"chats": figures.paused_chats, "buyers": figures.paused_buyers, "minutes": -(-rest_ms // 60_000)}
    finding = _PAUSED.get(figures.pause_reasons, "paused")
    return Check(name=CheckName.PAUSE, finding=finding, ok=False, params=params)


def _limits(facts: Facts) -> Check:
    figures = facts.figures
    params = {
        "buyer_messages": figures.buyer_limited,
        "shop_messages": figures.shop_limited,
        "buyer_limit": facts.buyer_replies_per_hour,
        "shop_limit": facts.shop_replies_per_minute,
    }
    if figures.shop_limited and facts.shop_replies_per_minute:
        return Check(name=CheckName.LIMITS, finding="shop_limited", ok=False, params=params)
    if figures.buyer_limited and facts.buyer_replies_per_hour:
        return Check(name=CheckName.LIMITS, finding="buyer_limited", ok=False, params=params)
    if count := figures.shop_limited + figures.buyer_limited:
        return Check(name=CheckName.LIMITS, finding="limited_before", ok=False, params={"count": count})
    return Check(name=CheckName.LIMITS, finding="not_limited")


def _cooldown(facts: Facts) -> Check:
    figures = facts.figures
    if not figures.cooled_down:
        return Check(name=CheckName.COOLDOWN, finding="nothing_cooling")
    keywords = {rule.id: rule.keyword for rule in facts.account.keywords}
    rules = tuple(keywords.get(rule_id, rule_id) for rule_id in figures.cooling_rules)
    params = {"count": figures.cooled_down, "rules": rules}
    return Check(name=CheckName.COOLDOWN, finding="cooling", ok=False, params=params)


def _sendings(facts: Facts) -> Check:
    figures = facts.figures
    if not figures.last_failure:
        return Check(name=CheckName.SENDINGS, finding="sendings_well")
    params = {"count": figures.failed_sendings, "reason": figures.last_failure_reason}
    return Check(name=CheckName.SENDINGS, finding=f"sendings_{figures.last_failure}", ok=False, params=params)


def _overdue(facts: Facts) -> Check:
    count = facts.figures.overdue
    params = {"count": count, "seconds": facts.message_age_ms // 1000}
    return Check(name=CheckName.OVERDUE, finding="overdue" if count else "nothing_overdue", ok=not count, params=params)


def _delivery(facts: Facts) -> Check:
    """Nothing is sent for orders while the switch is off, however well messages are answered."""
    account = facts.account
    finding = "delivery_off" if not account.delivery else "delivers" if account.deliveries else "no_deliveries"
    params = {"rules": len(account.deliveries)}
    return Check(name=CheckName.DELIVERY, finding=finding, ok=account.delivery, params=params)


def _orders(facts: Facts) -> Check:
    count = facts.orders_in_need
    finding = "orders_need_owner" if count else "orders_well"
    return Check(name=CheckName.ORDERS, finding=finding, ok=not count, params={"count": count})


def _payments(facts: Facts) -> Check:
    count = facts.figures.paid_unknown
    params = {"count": count, "buyers": facts.figures.payers}
    finding = "payments_unknown" if count else "payments_known"
    return Check(name=CheckName.PAYMENTS, finding=finding, ok=not count, params=params)


_CHECKS: tuple[Callable[[Facts], Check], ...] = (
    _enabled, _owned_here, _store, _lock, _parked, _retrying, _proxy, _starting,
    _connected, _readable, _clock, _cookie, _answers, _hours, _pause, _limits, _cooldown, _filter, _model,
    _sendings, _overdue, _delivery, _orders, _payments,
)  # fmt: skip
