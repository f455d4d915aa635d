"""What an import would take, change and skip, row by row, before anything is stored: plain values, made by a thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from shoal.accounts.account import Account
from shoal.auth.users import User
from shoal.goods.cards import Card
from shoal.goods.goods import Goods
from shoal.goods.unit_lines import SentLines
from shoal.maintenance.moving.old_shop import Fate, Oddity, OldOrder, Source
from shoal.rules.rule import Rule


class Kind(StrEnum):
    """What is counted in a report."""

    USERS = "users"
    ACCOUNTS = "accounts"
    RULES = "rules"
    DEFAULT_REPLIES = "default_replies"
    ITEM_REPLIES = "item_replies"
    ITEMS = "items"
    CARDS = "cards"
    UNITS = "units"
    DELIVERY_RULES = "delivery_rules"
    ORDERS = "orders"
    CHANNELS = "channels"
    AI = "ai"
    PROVIDERS = "providers"
    SETTINGS = "settings"


@dataclass(frozen=True, kw_only=True, slots=True)
class Here:
    """What this server has, as far as a plan depends on it.

    ``users``: by the folded name. ``accounts``: all of this server. ``taken``: the ids of what earlier runs brought,
    by the owner and the kind, and by their keys. ``most_shops``: how many the caller may have (``None``: no limit).
    ``orders``: the ids of the orders of accounts that the file has too. ``new_channels``: the ids of channels that were
    never changed and are off. ``without_picture``: the rows of rules that earlier runs left out as their picture did
    not come, as reports name them. ``stocked``: the goods that have a code of the file, by the code's folded text.
    """

    caller: User
    users: Mapping[str, User]
    emails: Set[str]
    accounts: Mapping[str, Account]
    taken: Mapping[tuple[int, str], Mapping[str, str]]
    most_shops: int | None = None
    goods_of: Mapping[int, int] = field(default_factory=dict)
    channels_of: Mapping[int, int] = field(default_factory=dict)
    providers_of: Mapping[int, int] = field(default_factory=dict)
    orders: Mapping[str, Set[str]] = field(default_factory=dict)
    new_channels: Set[str] = frozenset()
    without_picture: Set[str] = frozenset()
    stocked: Mapping[str, Sequence[Goods]] = field(default_factory=dict, repr=False)

    def knows(self, owner: str, kind: Kind, key: str) -> bool:
        """Return whether an earlier run brought that for a user who is here."""
        return self.id_of(owner, kind, key) is not None

    def id_of(self, owner: str, kind: Kind, key: str) -> str | None:
        """Return the id of what an earlier run brought; ``None`` when none did."""
        user = self.users.get(owner)
        return None if user is None else self.taken.get((user.id, kind.value), {}).get(key)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewUser:
    """A user who is added. ``sha256``: the hash of the old system, empty when the user gets a link instead."""

    name: str
    key: str
    email: str | None
    active: bool
    sha256: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewGoods:
    """Goods that are made of a card. ``key`` distinguishes them from other cards of the owner."""

    key: str
    owner: str
    values: Mapping[str, Any]
    card: Card
    supplier: Mapping[str, Any] | None = field(default=None, repr=False)
    lines: tuple[SentLines, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewProvider:
    """A provider of a language model that is added, without consent: it is not called. ``key`` distinguishes it from
    the other ones of its owner."""

    key: str
    owner: str
    values: Mapping[str, Any] = field(repr=False)


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery rule of an account. Its goods get their number when they are stored."""

    goods_key: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewAccount:
    """An account that is added, off, with all that belongs to it: one change. ``draft`` has no owner and no deliveries.

    ``exists``: it is here from an earlier run, and only its orders are looked at again, and ``late_rules``: those that
    were left out as their picture did not come, by the rows of the report.
    ``provider``: the key of the provider of its language model.
    """

    owner: str
    draft: Account
    deliveries: tuple[NewDelivery, ...] = ()
    orders: tuple[OldOrder, ...] = ()
    answered_chats: tuple[str, ...] = ()
    exists: bool = False
    late_rules: tuple[tuple[str, Rule], ...] = ()
    provider: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewChannel:
    """A channel that is added, off."""

    key: str
    owner: str
    name: str
    service: str
    fields: Mapping[str, str] = field(repr=False)
    account_ids: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WasOn:
    """Something that was on in the old system and is off here: an account by its id, a channel by its key.

    ``stays_off``: why it is not turned on with the rest, as the code of a sentence (``moving.odd.CODE``).
    """

    kind: Kind
    id: str
    name: str
    owner: str
    stays_off: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewPicture:
    """A picture of the old system that is stored here. ``name`` stands for its address until then."""

    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All of an import. ``counts``: how many rows of each kind meet which fate."""

    source: Source
    version: str = ""
    users: tuple[NewUser, ...] = ()
    goods: tuple[NewGoods, ...] = ()
    providers: tuple[NewProvider, ...] = ()
    accounts: tuple[NewAccount, ...] = ()
    channels: tuple[NewChannel, ...] = ()
    pictures: tuple[NewPicture, ...] = ()
    waiting: Mapping[str, Any] = field(default_factory=dict, repr=False)
    was_on: tuple[WasOn, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    oddities: tuple[Oddity, ...] = ()

    @property
    def total(self) -> int:
        """How many steps the import has: units and rules weigh as what they are."""
        units = sum(len(part.lines) for goods in self.goods for part in goods.lines)
        rules = sum(len(one.draft.keywords) + len(one.orders) for one in self.accounts)
        made = (self.users, self.goods, self.providers, self.accounts, self.channels)
        return sum(map(len, made)) + units + rules


class Tally:
    """Collects what becomes of each row while a plan is made."""

    def __init__(self, oddities: tuple[Oddity, ...] = ()) -> None:
        self.oddities = list(oddities)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._changed: set[tuple[str, str]] = set()
        for odd in oddities:
            is_whole = odd.row and odd.fate is not Fate.CHANGED and odd.code not in _OF_A_PART
            if is_whole and (kind := KIND_OF.get(odd.table)) is not None:
                self.count(kind, odd.fate)

    def count(self, kind: Kind, fate: Fate, number: int = 1) -> None:
        """Count rows that met a fate."""
        if number:
            self._counts[kind.value, fate.value] += number

    def note(self, table: str, row: str, code: str, fate: Fate, **params: Any) -> None:
        """Report a row without counting it."""
        self.oddities.append(Oddity(table=table, row=row, code=code, fate=fate, params=params))
        if fate is Fate.CHANGED:
            self._changed.add((table, row))

    def fate_of(self, table: str, row: str) -> Fate:
        """Return the fate of a row that is taken: whether something of it was reported as changed."""
        return Fate.CHANGED if (table, row) in self._changed else Fate.TAKEN

    def skip(self, kind: Kind, table: str, row: str, code: str, **params: Any) -> None:
        """Report and count a row that is not taken."""
        self.note(table, row, code, Fate.SKIPPED, **params)
        self.count(kind, Fate.SKIPPED)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """How many rows of each kind met which fate."""
        found: dict[str, dict[str, int]] = {}
        for kind in Kind:
            fates = {fate.value: self._counts[kind.value, fate.value] for fate in Fate}
            if any(fates.values()):
                found[kind.value] = {name: number for name, number in fates.items() if number}
        return found


KIND_OF: Mapping[str, Kind] = {
    "users": Kind.USERS,
    "cookies": Kind.ACCOUNTS,
    "keywords": Kind.RULES,
    "default_replies": Kind.DEFAULT_REPLIES,
    "item_replay": Kind.ITEM_REPLIES,
    "item_info": Kind.ITEMS,
    "cards": Kind.CARDS,
    "delivery_rules": Kind.DELIVERY_RULES,
    "orders": Kind.ORDERS,
    "notification_channels": Kind.CHANNELS,
    "ai_reply_settings": Kind.AI,
    "system_settings": Kind.SETTINGS,
    "user_settings": Kind.SETTINGS,
    "xy_keyword_rules": Kind.RULES,
    "xy_card_item_relations": Kind.DELIVERY_RULES,
}
"""What the rows of the tables of an old system are counted as."""

_OF_A_PART: Set[str] = frozenset({"table_damaged"})
"""The codes of what is reported at a row about a whole table: they count no row as left out."""

FORBIDS: Set[str] = frozenset(
    {
        "proxy_unusable", "system_proxy", "owner_ends", "blacklist_there", "filters_there", "paused_there",
        "delivery_disabled", "delivery_disabled_for", "block_rule", "unit_twice", "several_cards", "docked_card",
        "card_of_other_user",
    }
)  # fmt: skip
"""The codes of what somebody must look at before shops are turned on: they stand first in a report."""
