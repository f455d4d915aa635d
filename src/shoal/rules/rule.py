"""One rule: which words, for which items and at which times, get which answer. A frozen value."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from operator import attrgetter
from typing import Self

import msgspec

from shoal.language.storable_texts import storable
from shoal.rules.schedule import Schedule

MAX_RULES = 5_000
MAX_KEYWORD_CHARACTERS = 200
MAX_REPLY_CHARACTERS = 4_000

VARIABLES = ("send_user_name", "send_user_id", "send_message", "item_id")
"""What a reply may contain in braces: the buyer's name and id, the buyer's message, the item's id."""


class MatchMode(StrEnum):
    """How a word is searched. Case, width and other forms of the same letters do not count."""

    CONTAINS = "contains"
    """The word is anywhere in the buyer's text."""
    EXACT = "exact"
    """The word is the whole text, or one message of a burst; outer blanks do not count."""
    WHOLE_WORD = "whole_word"
    """No letter or digit continues the word on either side. Han, Kana and Hangul have no such borders."""
    REGEX = "regex"
    """An RE2 regular expression: no look-around, no back references. ``^`` and ``$`` match at each message."""


class WordMode(StrEnum):
    """How many of a rule's words must be found."""

    ANY = "any"
    ALL = "all"


CONTAINS, EXACT, REGEX = MatchMode.CONTAINS, MatchMode.EXACT, MatchMode.REGEX
ANY, ALL = WordMode.ANY, WordMode.ALL
"""For what is done with each of many rules: to read a member of an enum takes seven times as long as to read a name."""


class RuleKind(StrEnum):
    """What a rule's answer begins with, in the terms of the sellers' previous system."""

    TEXT = "text"
    IMAGE = "image"


NO_DELAY = (0.0, 0.0)


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One message of an answer: a text or a picture. Width and height are in pixels, 0 while unknown."""

    text: str = ""
    image_url: str = ""
    width: int = 0
    height: int = 0

    def __post_init__(self) -> None:
        if (text := storable(self.text)) is not self.text:
            msgspec.structs.force_setattr(self, "text", text)
        if bool(self.text) == bool(self.image_url):
            raise ValueError("a part of an answer is either a text or a picture")


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Words, the items and times for which they count, and the answer.

    Rules of the item come before general ones (no ``item_ids``). Within each group rules are checked by ``priority``,
    the highest first, then by ``position``, then by id. A rule without ``parts`` sends nothing when it fires. The first
    part waits for a random time between the two values of ``delay_seconds``. For ``cooldown_seconds`` after it the rule
    sends nothing to the same buyer. The texts of parts are templates (see ``replies.variables``).

    A shop may have thousands. They refer to nothing that refers to them, so Python's collector of cycles skips them.
    """

    id: str
    words: tuple[str, ...]
    word_mode: WordMode = WordMode.ANY
    match_mode: MatchMode = MatchMode.CONTAINS
    item_ids: tuple[str, ...] = ()
    priority: int = 0
    schedule: Schedule = ()
    parts: tuple[Part, ...] = ()
    delay_seconds: tuple[float, float] = NO_DELAY
    cooldown_seconds: int = 0
    active: bool = True
    position: int = 0

    def __post_init__(self) -> None:
        texts = "".join((*self.words, *self.item_ids))
        if storable(texts) is not texts:
            msgspec.structs.force_setattr(self, "words", tuple(map(storable, self.words)))
            msgspec.structs.force_setattr(self, "item_ids", tuple(map(storable, self.item_ids)))
        for word in self.words or ("",):
            if not word.strip():
                raise ValueError("a rule has words, and none of them is blank")
        if self.delay_seconds == NO_DELAY and self.delay_seconds is not NO_DELAY:
            msgspec.structs.force_setattr(self, "delay_seconds", NO_DELAY)  # a row leaves out only the default itself

    @classmethod
    def simple(
        cls,
        *,
        id: str,  # noqa: A002  the field's name
        keyword: str,
        reply: str = "",
        item_id: str | None = None,
        image_url: str = "",
        position: int = 0,
    ) -> Self:
        """Make a rule of the sellers' previous system: one keyword, at most one item, a text or a picture."""
        part = (Part(image_url=image_url),) if image_url else (Part(text=reply),) if reply else ()
        items = (item_id,) if item_id else ()
        return cls(id=id, words=(keyword,), item_ids=items, parts=part, position=position)

    @property
    def is_simple(self) -> bool:
        """Whether ``simple`` could make the rule, so that a caller that knows only this format sees all of it."""
        return (
            len(self.words) == 1
            and len(self.item_ids) <= 1
            and len(self.parts) <= 1
            and _of_rich_rules(self) == _OF_SIMPLE_ONES
        )

    @property
    def keyword(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def item_id(self) -> str | None:
        """The first item; ``None`` when the rule is for every item."""
        return self.item_ids[0] if self.item_ids else None

    @property
    def reply(self) -> str:
        """The text of the first part; empty when there is no part, or a picture comes first."""
        return self.parts[0].text if self.parts else ""

    @property
    def image_url(self) -> str:
        """The picture of the first part; empty when it is a text."""
        return self.parts[0].image_url if self.parts else ""

    @property
    def kind(self) -> RuleKind:
        """The kind of the first part."""
        return RuleKind.IMAGE if self.image_url else RuleKind.TEXT

    @property
    def key(self) -> tuple[str, str]:
        """What must be unique among simple rules: keyword and item (empty for general)."""
        return (self.words[0], self.item_ids[0] if self.item_ids else "")


_of_rich_rules = attrgetter(
    "word_mode", "match_mode", "priority", "schedule", "delay_seconds", "cooldown_seconds", "active"
)  # fmt: skip
_OF_SIMPLE_ONES = (ANY, CONTAINS, 0, (), NO_DELAY, 0, True)


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """Sort rules in the order in which they are checked and shown."""
    return tuple(sorted(rules, key=lambda rule: (-rule.priority, rule.position, rule.id)))
