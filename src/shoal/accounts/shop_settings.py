"""The settings of a shop: each is declared here, once.

From a declaration come the field of ``Account``, the column, the body and the answer of the API, the batch, the file of
shops with its JSON schema, the option of the shell and the row of the console's form. Written beside it are the
migration that adds the column, its words (``language/*/settings.toml``), and what it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Annotated, Any, Final, get_args, get_type_hints

import msgspec

from shoal.accounts.model_settings import (
    MAX_PERSONA_CHARACTERS,
    MAX_PROVIDER_ID,
    MAX_TOKENS_PER_DAY,
    MAX_TURNS,
    ModelMode,
    checked_facts,
    checked_mode,
)
from shoal.accounts.setting_kinds import (
    Flag,
    Line,
    Lines,
    Number,
    Reply,
    Setting,
    Special,
    Way,
    handoff_words,
    holidays,
    hours,
    patterns,
    proxy,
    timezone,
)
from shoal.rules.handoff_words import DEFAULT_REPLY, DEFAULT_WORDS

MAX_REMARK_CHARACTERS: Final = 200
MAX_NAME_CHARACTERS: Final = 100
MAX_PAUSE_MINUTES: Final = 60
MAX_DEBOUNCE_SECONDS: Final = 30
MAX_FLOOR_FEN: Final = 100_000_000
_OWN_ROUTE: Final = frozenset({Way.BODY, Way.BATCH})
_BATCH: Final = frozenset({Way.BATCH})


class BasicSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a shop is called, and how it reaches the site."""

    name: Annotated[str, Line(MAX_NAME_CHARACTERS, help="howto/many-shops#name", out_of=_BATCH)] = ""
    picture: Annotated[str, Line(2_000, out_of=_OWN_ROUTE | {Way.ANSWER})] = ""
    remark: Annotated[str, Line(MAX_REMARK_CHARACTERS, help="howto/many-shops#remark", out_of=_BATCH)] = ""
    timezone: Annotated[str, Line(form=timezone, help="howto/rules#timezone")] = ""
    proxy: Annotated[str, Special(proxy, out_of=frozenset(Way))] = ""
    """Secret: each place shows and takes it in its own way."""


class ChatSettings(BasicSettings, frozen=True, kw_only=True):
    """When and how often a shop replies by itself."""

    pause_duration: Annotated[
        int, Number(0, MAX_PAUSE_MINUTES, "bad_pause_duration", help="howto/conversations#pause", option="--pause")
    ] = 10
    debounce_seconds: Annotated[
        float | None,
        Number(
            0, MAX_DEBOUNCE_SECONDS, "bad_debounce", kind=float, help="howto/rules#debounce", option="--merge-delay"
        ),
    ] = None
    buyer_replies_per_hour: Annotated[
        int | None, Number(0, 10_000, "bad_reply_limit", help="howto/rules#buyer-limit", option="--buyer-limit")
    ] = None
    shop_replies_per_minute: Annotated[
        int | None, Number(0, 10_000, "bad_reply_limit", help="howto/rules#shop-limit", option="--shop-limit")
    ] = None
    replies: Annotated[bool, Flag(help="howto/delivery#replies")] = True
    default_reply_enabled: Annotated[
        bool, Flag(help="howto/rules#default-reply", option="--default-on/--default-off")
    ] = False
    default_reply: Annotated[str, Reply(help="howto/rules#default-reply")] = ""
    default_reply_once: Annotated[
        bool, Flag(help="howto/rules#default-reply", option="--default-once/--default-always")
    ] = False


class OrderSettings(ChatSettings, frozen=True, kw_only=True):
    """What a shop does with orders by itself."""

    delivery: Annotated[bool, Flag(help="howto/delivery#delivery")] = True
    auto_confirm: Annotated[bool, Flag(help="howto/delivery#auto-confirm")] = False
    paid_message: Annotated[str, Reply(help="howto/orders#paid-message", out_of=frozenset({Way.FILE}))] = ""
    """A view of a rule of ``deliveries``, and no column."""
    free_shipping: Annotated[bool, Flag(help="howto/orders#free-shipping")] = False


class HoursSettings(OrderSettings, frozen=True, kw_only=True):
    """When a shop is open, and which words leave a chat to its owner."""

    opening_hours: Annotated[str, Lines(form=hours, help="howto/rules#opening-hours", option="--hours")] = ""
    holidays: Annotated[str, Line(form=holidays, help="howto/rules#holidays")] = ""
    away_reply: Annotated[str, Reply(help="howto/rules#away-reply", option="--away")] = ""
    handoff_words: Annotated[
        str,
        Lines(form=handoff_words, of_new_shop=DEFAULT_WORDS, help="howto/rules#handoff-words", option="--handoff-word"),
    ] = ""
    handoff_reply: Annotated[str, Reply(of_new_shop=DEFAULT_REPLY, help="howto/rules#handoff-reply")] = ""


class FilterSettings(HoursSettings, frozen=True, kw_only=True):
    """What no text to a buyer may contain, but for a delivery."""

    filter_contacts: Annotated[bool, Flag(of_new_shop=True, help="howto/rules#filter-contacts")] = False
    filter_links: Annotated[bool, Flag(of_new_shop=True, help="howto/rules#filter-links")] = False
    filter_patterns: Annotated[
        str, Lines(form=patterns, help="howto/rules#filter-words", option="--filter-pattern")
    ] = ""
    price_floor_fen: Annotated[
        int | None,
        Number(1, MAX_FLOOR_FEN, "bad_price_floor", unit="fen", help="howto/rules#floor", option="--price-floor"),
    ] = None


class AssistantSettings(FilterSettings, frozen=True, kw_only=True):
    """When and with what a language model answers. They have a route, a form and commands of their own."""

    ai_mode: Annotated[str, Special(checked_mode, out_of=_OWN_ROUTE)] = ModelMode.OFF.value
    ai_provider_id: Annotated[int, Number(0, MAX_PROVIDER_ID, "bad_ai_number", out_of=_OWN_ROUTE | {Way.FILE})] = 0
    ai_persona: Annotated[
        str, Line(MAX_PERSONA_CHARACTERS, lambda text, _: text.strip(), out_of=_OWN_ROUTE | {Way.ANSWER})
    ] = ""
    ai_facts: Annotated[str, Special(checked_facts, out_of=_OWN_ROUTE | {Way.ANSWER})] = ""
    ai_hours: Annotated[str, Line(form=hours, out_of=_OWN_ROUTE)] = ""
    ai_turns_per_chat: Annotated[int, Number(0, MAX_TURNS, "bad_ai_number", out_of=_OWN_ROUTE)] = 6
    ai_tokens_per_day: Annotated[int, Number(0, MAX_TOKENS_PER_DAY, "bad_ai_number", out_of=_OWN_ROUTE)] = 100_000
    ai_disclosure: Annotated[bool, Flag(out_of=_OWN_ROUTE)] = True


class ShopSettings(AssistantSettings, frozen=True, kw_only=True):
    """All settings of a shop that are one value each."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared setting: its field and its kind."""

    name: str
    setting: Setting
    type: Any
    """The type of its field."""
    default: Any
    group: type[msgspec.Struct]

    @property
    def is_optional(self) -> bool:
        """Whether it may be ``None``."""
        return NoneType in get_args(self.type)

    @property
    def value_type(self) -> type:
        """The type of a value that is not ``None``."""
        return next((one for one in get_args(self.type) if one is not NoneType), self.type)

    def checked(self, value: Any, name: str) -> Any:
        """Return the value as it is stored. Raises ``InvalidInput``."""
        return None if value is None and self.is_optional else self.setting.checked(value, name)


def _declared() -> dict[str, Declared]:
    groups = {
        name: group for group in reversed(ShopSettings.__mro__) for name in vars(group).get("__annotations__", ())
    }
    return {
        name: Declared(name, hint.__metadata__[0], hint.__origin__, default, groups[name])
        for (name, hint), default in zip(
            get_type_hints(ShopSettings, include_extras=True).items(), ShopSettings.__struct_defaults__, strict=True
        )
    }


SETTINGS: Final[Mapping[str, Declared]] = MappingProxyType(_declared())
"""All settings by their name, in the order of their declaration."""

SEALED_SETTINGS: Final = frozenset({"proxy"})
"""Stored encrypted, each in a column of its own, and shown only in part."""

VIEWED_SETTINGS: Final = frozenset({"paid_message"})
"""Read out of other rows: they have no column."""

OF_NEW_SHOPS: Final[Mapping[str, Any]] = MappingProxyType(
    {name: one.setting.of_new_shop for name, one in SETTINGS.items() if one.setting.of_new_shop is not None}
)
"""What a shop that is added begins with."""


def declared_in(way: Way) -> dict[str, Declared]:
    """Return the settings that are in that place."""
    return {name: one for name, one in SETTINGS.items() if way not in one.setting.out_of}


def declared_by(group: type[msgspec.Struct]) -> dict[str, Declared]:
    """Return the settings that a group declares."""
    return {name: one for name, one in SETTINGS.items() if one.group is group}
