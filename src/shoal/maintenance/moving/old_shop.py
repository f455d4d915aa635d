"""What another system holds, in one form for every importer: plain values as they stood there, nothing checked.

A reader turns a file of another system into an ``OldShop``. It leaves out nothing silently: what it cannot express, or
cannot read, becomes an ``Oddity`` of the table and row where it stood. Whether a value can be used here is decided by
the plan, not by a reader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

MAX_ROW_CHARACTERS: Final = 200
"""How long the name of a row is in a report."""


class Source(StrEnum):
    """The systems whose data can be moved in."""

    LEGACY = "legacy"
    """xianyu-auto-reply: its SQLite file, its JSON backup, or a dump of its MySQL database."""
    AUTOAGENT = "autoagent"
    """XianyuAutoAgent: its ``.env`` and its prompts."""
    YDISKS = "ydisks"
    """Ydisks-Xianyu-Helper: its database."""


class Fate(StrEnum):
    """What becomes of a row."""

    TAKEN = "taken"
    """It is here as it was there."""
    CHANGED = "changed"
    """It is here, but not all of it as it was there."""
    SKIPPED = "skipped"
    """It is not here."""
    WAITING = "waiting"
    """It is kept with the run, because it cannot be used as it is."""
    KNOWN = "known"
    """It was here before, from an earlier run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Oddity:
    """A row that is not simply taken. ``code`` names its sentence (``moving.odd.CODE``), which ``params`` complete.

    ``row`` is what identifies the row in its table, as its owner would look for it: an id, or its number.
    """

    table: str
    row: str
    code: str
    fate: Fate
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class OldUser:
    """Someone who can sign in there. ``password_hash``: the hexadecimal SHA-256 of the password; empty if unknown."""

    id: str
    name: str
    email: str = ""
    password_hash: str = field(default="", repr=False)
    active: bool = True
    is_administrator: bool = False
    had_rights: bool = False
    """Whether they managed that system too, beside its administrator."""


class OldRule(msgspec.Struct, frozen=True, kw_only=True):
    """Keywords, one a line, and their answer. ``image``: an address, or a path below the uploads of that system."""

    row: str
    keyword: str
    reply: str = ""
    image: str = ""
    item_id: str = ""
    is_on: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class OldDefaultReply:
    """The answer when no rule fires. ``answered_chats``: the chats that got it, when each gets it ``once`` only."""

    text: str = ""
    image: str = ""
    is_on: bool = False
    once: bool = False
    answered_chats: tuple[str, ...] = ()


class OldItemReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer for one item. Of several for one item the last one counts: ``changed_at`` orders them."""

    row: str
    item_id: str
    text: str
    changed_at: str = ""


class OldItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item on sale, as that system knew it. ``each_piece``: each piece of an order got a unit of its own.

    ``price`` is text as it stood there, such as ``¥9.90``.
    """

    item_id: str
    title: str = ""
    price: str = ""
    each_piece: bool = True


class OldOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order, in the words of that system: ``status`` is one of ``orders.order_status`` or unknown text."""

    order_id: str
    status: str
    item_id: str = ""
    buyer_id: str = ""
    spec_name: str = ""
    spec_value: str = ""
    quantity: str = ""
    amount: str = ""
    created_at: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OldAi:
    """Settings of answers by a model. Values as they stood there, with a key."""

    is_on: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class OldAccount:
    """One seller account with all that belongs to it. ``cookie`` is the text as it stood there.

    ``delivers``: whether paid orders were served. ``proxy`` is an address with its password. ``holds``: why it must not
    be turned on with what was on, as codes of sentences (``moving.odd.CODE``). ``silent_words``: what a message says
    that got no answer. ``debounce_seconds``: for so long an answer waited.
    """

    id: str
    user_id: str = ""
    cookie: str = field(default="", repr=False)
    was_on: bool = True
    auto_confirm: bool = False
    delivers: bool = True
    proxy: str = field(default="", repr=False)
    holds: tuple[str, ...] = ()
    name: str = ""
    remark: str = ""
    pause_duration: int | None = None
    debounce_seconds: int = 0
    silent_words: tuple[str, ...] = ()
    rules: tuple[OldRule, ...] = ()
    default_reply: OldDefaultReply | None = None
    item_replies: tuple[OldItemReply, ...] = ()
    items: tuple[OldItem, ...] = ()
    orders: tuple[OldOrder, ...] = ()
    ai: OldAi | None = None


class CardKind(StrEnum):
    """What a card sends."""

    TEXT = "text"
    DATA = "data"
    """One line of ``content`` for each piece."""
    IMAGE = "image"
    API = "api"


@dataclass(frozen=True, kw_only=True, slots=True)
class OldCard:
    """Something that is sent for orders. ``created_at`` distinguishes cards of two databases with one id.

    ``content``: the text, the lines of a stock, the address of the picture, or the JSON of a call.
    """

    id: str
    name: str
    kind: CardKind
    user_id: str = ""
    content: str = field(default="", repr=False)
    description: str = field(default="", repr=False)
    is_on: bool = True
    delay_seconds: int = 0
    spec_name: str = ""
    spec_value: str = ""
    created_at: str = ""


class OldDeliveryRule(msgspec.Struct, frozen=True, kw_only=True):
    """A card for the items whose title contains ``keyword``, for one item, or (both empty) for every item.

    With an ``account_id`` it counts for that account, otherwise for all accounts of its user. The last fields are of
    the rule itself: empty or ``None`` means those of its card.
    """

    row: str
    card_id: str
    keyword: str = ""
    item_id: str = ""
    account_id: str = ""
    user_id: str = ""
    count: int = 1
    is_on: bool = True
    spec_name: str = ""
    spec_value: str = ""
    delay_seconds: int | None = None
    confirm: Literal["yes", "no"] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class OldChannel:
    """Where a user was notified. ``config`` is the JSON, or the address, as it stood there."""

    id: str
    name: str
    kind: str
    user_id: str = ""
    config: str = field(default="", repr=False)
    is_on: bool = True
    account_ids: tuple[str, ...] = ()
    created_at: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class OldShop:
    """All that a file of another system holds. ``users`` is empty when that system has none: then all is the caller's.

    ``oddities``: what the reader itself left out. ``waiting``: settings of the whole system that wait, such as prompts.
    """

    source: Source
    version: str = ""
    users: tuple[OldUser, ...] = ()
    accounts: tuple[OldAccount, ...] = ()
    cards: tuple[OldCard, ...] = ()
    delivery_rules: tuple[OldDeliveryRule, ...] = ()
    channels: tuple[OldChannel, ...] = ()
    waiting: Mapping[str, Any] = field(default_factory=dict, repr=False)
    oddities: tuple[Oddity, ...] = ()
