"""The desired and the observed state of one account, as frozen values."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from itertools import compress
from operator import attrgetter, is_not
from typing import Any, Self

import msgspec
from msgspec.structs import force_setattr, replace

from shoal.accounts.delivery_rule import Deliveries
from shoal.accounts.delivery_views import VIEWS, agreeing, with_settings
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.model_settings import ModelMode
from shoal.accounts.shop_settings import ShopSettings
from shoal.errors import InvalidInput
from shoal.language.storable_texts import cleaned_texts
from shoal.logs.redaction import fingerprint
from shoal.rules.matcher import NO_RULES, Matcher
from shoal.rules.opening_hours import Closed, opening_hours
from shoal.rules.output_filter import OutputFilter, output_filter
from shoal.rules.rule import Rule, in_order
from shoal.xianyu.cookie_string import login_ends_at_ms

MAX_ID_CHARACTERS = 64
RESERVED_IDS = frozenset({"details", "check", "status", "batch"})
FIRST_START = -1
_FORBIDDEN_IN_ID = re.compile(r"[/?#%\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_BLANKS = " \u3000"
"""The blanks of a keyboard. Other blanks look like these and are refused."""
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | {
    chr(code) for code in (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
}
"""Characters that Unicode calls ignorable, or that have no visible form, and that are not format characters."""


def check_account_id(account_id: str) -> str:
    """Return the id unchanged. Raise ``InvalidInput`` that says what is wrong with it.

    Dot segments are refused because HTTP clients fold ``/cookies/..`` away before sending. Invisible characters, and
    characters that change the direction of writing, are refused because two ids that look alike must be the same id.
    """
    if not 1 <= len(account_id) <= MAX_ID_CHARACTERS or account_id.strip() != account_id:
        raise InvalidInput("an account id has 1 to 64 characters and no outer blanks", code="bad_account_id")
    if _FORBIDDEN_IN_ID.search(account_id) or account_id in {".", ".."}:
        raise InvalidInput("an account id has no / ? # % and no control characters", code="bad_account_id")
    if any(_is_unseen(character) for character in account_id):
        raise InvalidInput("an account id has no characters that cannot be seen", code="bad_account_id")
    if account_id in RESERVED_IDS:
        raise InvalidInput(f"{account_id!r} is a reserved word", code="reserved_account_id")
    return account_id


def _is_unseen(character: str) -> bool:
    return (
        character in _UNSEEN
        or unicodedata.category(character) in {"Cf", "Zl", "Zp"}
        or (unicodedata.category(character) == "Zs" and character not in _BLANKS)
    )


class AccountState(StrEnum):
    """The observed state of an account. Each member says what comes next and who must act."""

    STOPPED = "stopped"
    """Disabled. Nothing happens until the owner enables it."""
    WAITING = "waiting"
    """Enabled, queued behind the start limiter. Starts by itself."""
    STARTING = "starting"
    """Fetching a token, connecting, registering. Becomes running, retrying or parked by itself."""
    RUNNING = "running"
    """Registered *and* heartbeats answered. No action is needed."""
    RETRYING = "retrying"
    """Failed; the next attempt is at a known time. No action is needed."""
    PARKED = "parked"
    """The owner must act (see the reason): no cookie, login expired, risk control, kicked out."""
    STOPPING = "stopping"
    """Stopping, not ended yet. It is never started again while in this state."""
    ELSEWHERE = "elsewhere"
    """Another machine owns it. This machine does nothing."""

    @property
    def settled(self) -> bool:
        """Whether a caller who waits for a start or stop can stop waiting."""
        return self not in {AccountState.STARTING, AccountState.STOPPING}

    @property
    def at_rest(self) -> bool:
        """Whether nothing runs and nothing is tried, so that the end of a server does not change it."""
        return self in {AccountState.STOPPED, AccountState.PARKED, AccountState.ELSEWHERE}

    @property
    def needs_owner(self) -> bool:
        """Whether only the owner can move the account out of this state."""
        return self is AccountState.PARKED


class ParkReason(StrEnum):
    """The reason why an account is parked. Each needs action by the owner."""

    NO_COOKIE = "no_cookie"
    LOGIN_EXPIRED = "login_expired"
    RISK_CONTROL = "risk_control"
    KICKED_OUT = "kicked_out"
    NUMBER_TAKEN = "number_taken"
    """Another account holds the seller's number. The account starts by itself once the number is free."""


class StopReason(StrEnum):
    """The reason why an enabled account is stopped. A disabled account is stopped without a reason."""

    SERVER_STOPPED = "server_stopped"
    """The server stopped regularly."""
    SERVER_DOWN = "server_down"
    """The server ended without a regular stop. The time of this entry is the last known sign of life."""


class Answers(StrEnum):
    """What an account can answer while it runs, by its settings."""

    MESSAGES = "messages"
    """Some messages may get a reply: from a rule, an item or the default reply."""
    ORDERS = "orders"
    """No message gets a reply, but paid orders are handled."""
    NOTHING = "nothing"
    """The account answers nothing."""


class Account(ShopSettings, frozen=True, kw_only=True):
    """One immutable snapshot of an account: its settings and all else that its owner set.

    ``generation`` rises by one with each committed change and has no gaps; ``rev`` is the position of the
    last change in the journal of all accounts. ``cookie_version`` rises when the *owner* replaces the cookie or its
    browser.
    ``browser`` is the browser of the cookie in the form of ``shoal.xianyu.browser``; ``None`` when it is not known.
    ``name`` and ``picture`` (an address) are the owner's; empty means those on the site (see ``Observation``).
    ``remark`` is a note of the owner's.
    ``proxy`` is an address in the form of ``shoal.xianyu.proxy``, with its password; empty means a direct connection.
    ``timezone`` (empty: Shanghai) applies to the hours of rules and of the shop. ``matcher`` is ``keywords``
    compiled: a snapshot whose patterns cannot be compiled cannot be made (``InvalidInput``).

    Three switches: ``replies`` (automatic answers to messages), ``delivery`` (all automatic work for orders)
    and ``auto_confirm`` (shipments are confirmed; only while ``delivery`` is on too).
    ``orders_since_ms``: orders that were paid earlier are left to their owner, because another system may have served
    them; ``FIRST_START`` becomes the time at which the account is first enabled.

    Outside ``opening_hours`` and on ``holidays`` (see ``rules.opening_hours``) no message is answered, but for
    ``away_reply``, once in each chat and closed period. With one of the ``handoff_words``, one a line, a buyer asks for
    a person. The output filter is ``filter_contacts``, ``filter_links``, ``filter_patterns``, one a line, and
    ``price_floor_fen``.

    A language model answers what rules and items leave (``ai_mode``, see ``model_settings``): by the provider
    ``ai_provider_id`` (0: none), within ``ai_hours`` (empty: always), with the owner's ``ai_persona`` and ``ai_facts``.

    ``deliveries`` say what buyers get. ``paid_message`` and the items show the simple ones (see ``delivery_views``):
    ``evolve`` keeps them alike. A snapshot is made with the one or the other.
    """

    id: str
    owner_id: int
    unb: str
    cookie: str
    cookie_version: int = 1
    browser: str | None = None
    enabled: bool = True
    restart_nonce: int = 0
    orders_since_ms: int = 0
    keywords: tuple[Rule, ...] = ()
    items: tuple[ItemSetting, ...] = ()
    deliveries: Deliveries = ()
    created_at_ms: int = 0
    generation: int = 0
    rev: int = 0
    matcher: Matcher = NO_RULES

    def __post_init__(self) -> None:
        if self.matcher.rules is not self.keywords:
            force_setattr(self, "keywords", in_order(self.keywords))
            force_setattr(self, "matcher", Matcher(self.keywords))
        if self.filter_patterns:
            output_filter(False, False, self.filter_patterns, None)  # patterns that cannot be compiled are refused
        if not self.deliveries and (self.paid_message or self.items):
            force_setattr(self, "deliveries", with_settings((), self.paid_message, self.items))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Account) and _compared(self) == _compared(other)

    def __hash__(self) -> int:
        return hash(_compared(self))

    def __repr__(self) -> str:
        values = (f"{name}={getattr(self, name)!r}" for name in _COMPARED if name not in SECRET_FIELDS)
        return f"Account({', '.join(values)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return what may be shown, for tracebacks that show the values of variables."""
        return [(name, getattr(self, name)) for name in _COMPARED if name not in SECRET_FIELDS]

    @property
    def fingerprint(self) -> str:
        """The part of the cookie that may be shown."""
        return fingerprint(self.cookie)

    @property
    def login_ends_at_ms(self) -> int | None:
        """When the login ends according to the cookie, if it says so."""
        return login_ends_at_ms(self.cookie)

    @property
    def run_key(self) -> RunKey:
        """The values that a running connection was started with: it must reconnect when, and only when, they change."""
        return (self.restart_nonce, self.cookie_version, self.proxy)

    @property
    def park_key(self) -> tuple[int, int]:
        """The values that an account was parked with: it stays parked until they change. A new proxy alone is no
        reason."""
        return (self.cookie_version, self.restart_nonce)

    @property
    def has_default_reply(self) -> bool:
        """Whether a message without a matching rule or item reply gets the default reply."""
        return self.default_reply_enabled and bool(self.default_reply)

    @property
    def output_filter(self) -> OutputFilter:
        """What no text to a buyer may contain, but for a delivery."""
        return output_filter(self.filter_contacts, self.filter_links, self.filter_patterns, self.price_floor_fen)

    def closed_at(self, at_ms: int) -> Closed | None:
        """Return the closed period that includes the moment, by the shop's opening hours; ``None`` while it is open."""
        if not self.opening_hours and not self.holidays:
            return None
        return opening_hours(self.opening_hours, self.holidays).closed_at(self.timezone, at_ms)

    @property
    def asks_model(self) -> bool:
        """Whether a language model may propose answers, by the settings."""
        return self.ai_mode != ModelMode.OFF and self.ai_provider_id != 0

    def asks_model_at(self, at_ms: int) -> bool:
        """Return whether a language model may propose answers at that moment."""
        return self.asks_model and self.model_closed_at(at_ms) is None

    def model_closed_at(self, at_ms: int) -> Closed | None:
        """Return the period out of the model's hours that includes the moment; ``None`` within them."""
        return opening_hours(self.ai_hours, "").closed_at(self.timezone, at_ms) if self.ai_hours else None

    @property
    def answers(self) -> Answers:
        """What the account can answer by its settings, whether it is enabled and connected or not."""
        if self.replies and (
            self.has_default_reply
            or any(rule.active and rule.parts for rule in self.keywords)
            or any(item.reply for item in self.items)
            or self.asks_model
        ):
            return Answers.MESSAGES
        serves = self.delivery and any(rule.parts or rule.goods_id or self.auto_confirm for rule in self.deliveries)
        return Answers.ORDERS if serves else Answers.NOTHING

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with some fields replaced, as they are stored, and with what follows from them (see
        ``deliveries``)."""
        changes |= cleaned_texts(changes)
        if not VIEWS.isdisjoint(changes):
            changes = agreeing(self.deliveries, self.paid_message, self.items, changes)
        return replace(self, **changes)

    def storable(self) -> Self:
        """Return the account as it is stored: without characters that not every database can store."""
        found = cleaned_texts({name: getattr(self, name) for name in SCALAR_FIELDS})
        return self.evolve(**found) if found else self

    def item(self, item_id: str | None) -> ItemSetting | None:
        """Return the settings of an item, if there are any."""
        return next((item for item in self.items if item.item_id == item_id), None)


RunKey = tuple[int, int, str]
"""Restart nonce, cookie version (which stands for the browser too) and proxy. Never show it: the proxy contains its
password."""

SECRET_FIELDS = frozenset({"cookie", "proxy"})
"""Stored encrypted, and shown only in part."""

SCALAR_FIELDS = tuple(
    name
    for name in Account.__struct_fields__
    if name not in {"id", "keywords", "items", "deliveries", "generation", "rev", "matcher"}
)
"""The fields of an account that are one value each, in order."""

_scalars = attrgetter(*SCALAR_FIELDS)
_COMPARED = tuple(name for name in Account.__struct_fields__ if name != "matcher")
_compared = attrgetter(*_COMPARED)


def differing(old: Account, new: Account) -> list[str]:
    """Return the ``SCALAR_FIELDS`` in which two snapshots differ, in order."""
    olds, news = _scalars(old), _scalars(new)
    others = compress(range(len(olds)), map(is_not, olds, news))  # nearly all values are the same objects
    return [SCALAR_FIELDS[at] for at in others if olds[at] != news[at]]


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """The observed state of an account, as its task reports it. ``next_attempt_at_ms`` is set only when retrying.

    The park record is independent of the state: an account that is disabled while parked is ``stopped``, and is parked
    again when a batch enables it. The record is valid while the account's ``park_key`` is ``parked_for``. A taken
    number parks an account without a record, as long as the number is taken.
    """

    state: AccountState = AccountState.STOPPED
    reason: str = ""
    detail: str = ""
    since_ms: int = 0
    next_attempt_at_ms: int | None = None
    observed_generation: int = 0
    crash_loop: bool = False
    parked_reason: str = ""
    parked_for: tuple[int, int] | None = None
    parked_since_ms: int | None = None
    action_url: str = ""
    connected_at_ms: int | None = None
    last_heartbeat_at_ms: int | None = None
    last_message_at_ms: int | None = None
    seller_name: str = ""
    """What the site calls the seller. It is observed, so learning it raises no generation."""
    seller_picture: str = ""
    """The address here of the seller's picture."""

    @property
    def wants_check(self) -> bool:
        """Whether the site stopped it for a check by a person: passing it gives the proof to the browser, not to us."""
        return self.parked_for is not None and self.parked_reason == ParkReason.RISK_CONTROL

    def has_old_cookie(self, account: Account) -> bool:
        """Whether the cookie is still the one with which the site asked for the check."""
        return self.wants_check and self.parked_for is not None and self.parked_for[0] == account.cookie_version

    def evolve(self, **changes: Any) -> Self:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)


OBSERVED_FIELDS = Observation.__struct_fields__
"""The fields of an observation, in order."""


class StateMove(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of an account's state history: from ``at_ms`` (since 1970) it was in this state, for this reason."""

    account_id: str
    state: AccountState
    reason: str = ""
    at_ms: int
