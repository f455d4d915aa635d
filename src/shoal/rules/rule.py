"""One rule: which words, on which items and at which times, are answered with what. A frozen value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from shoal.rules.schedule import Schedule

MAX_RULES = 5_000
MAX_KEYWORD_CHARACTERS = 200
MAX_REPLY_CHARACTERS = 4_000

VARIABLES = ("send_user_name", "send_user_id", "send_message", "item_id")
"""What a reply may name in braces, to be filled in: the buyer's name and id, what was said, the item's id."""


class MatchMode(StrEnum):
    """How a word is looked for. Case, width and other forms of the same letters make no difference."""

    CONTAINS = "contains"
    """It stands anywhere in what the buyer said."""
    EXACT = "exact"
    """It is all that the buyer said, or one message of a burst (outer blanks do not count)."""
    WHOLE_WORD = "whole_word"
    """It stands there and no letter or digit goes on from it. Han, Kana and Hangul have no such borders."""
    REGEX = "regex"
    """It is a regular expression of RE2: without look-around and back references. ``^`` and ``$`` mean each message."""


class WordMode(StrEnum):
    """How many of a rule's words must be found."""

    ANY = "any"
    ALL = "all"


class RuleKind(StrEnum):
    """What a rule begins its answer with: the word of the system that sellers come from."""

    TEXT = "text"
    IMAGE = "image"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One message of an answer: either a text or a picture (whose size in pixels is 0 while it is not known)."""

    text: str = ""
    image_url: str = ""
    width: int = 0
    height: int = 0

    def __post_init__(self) -> None:
        if bool(self.text) == bool(self.image_url):
            raise ValueError("a part of an answer is either a text or a picture")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Words, where and when they count, and the answer to them.

    Rules of the item come before general ones (no ``item_ids``); among either, rules are asked by ``priority``, the
    highest first, then by ``position``, then by id. Without ``parts`` the rule says nothing when it fires. Before the
    first part a random time between the two of ``delay_seconds`` is waited; for ``cooldown_seconds`` after it the rule
    says nothing to the same buyer. The texts of parts are templates (see ``replies.variables``).
    """

    id: str
    words: tuple[str, ...]
    word_mode: WordMode = WordMode.ANY
    match_mode: MatchMode = MatchMode.CONTAINS
    item_ids: tuple[str, ...] = ()
    priority: int = 0
    schedule: Schedule = ()
    parts: tuple[Part, ...] = ()
    delay_seconds: tuple[float, float] = (0.0, 0.0)
    cooldown_seconds: int = 0
    active: bool = True
    position: int = 0

    def __post_init__(self) -> None:
        if not self.words or not all(word.strip() for word in self.words):
            raise ValueError("a rule has words, and none of them is blank")

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
        """A rule as the system that sellers come from knows it: one keyword, at most one item, a text or a picture."""
        part = (Part(image_url=image_url),) if image_url else (Part(text=reply),) if reply else ()
        items = (item_id,) if item_id else ()
        return cls(id=id, words=(keyword,), item_ids=items, parts=part, position=position)

    @property
    def is_simple(self) -> bool:
        """Whether ``simple`` could make it: whoever knows no more than that form sees all of it."""
        return self == Rule(
            id=self.id,
            words=self.words[:1],
            item_ids=self.item_ids[:1],
            parts=self.parts[:1],
            position=self.position,
        )

    @property
    def keyword(self) -> str:
        """Its first word."""
        return self.words[0]

    @property
    def item_id(self) -> str | None:
        """Its first item; ``None`` when it holds for every item."""
        return self.item_ids[0] if self.item_ids else None

    @property
    def reply(self) -> str:
        """The text that it begins with; empty when it says nothing, or shows a picture first."""
        return self.parts[0].text if self.parts else ""

    @property
    def image_url(self) -> str:
        """The picture that it begins with, if it does."""
        return self.parts[0].image_url if self.parts else ""

    @property
    def kind(self) -> RuleKind:
        """What it begins with."""
        return RuleKind.IMAGE if self.image_url else RuleKind.TEXT

    @property
    def key(self) -> tuple[str, str]:
        """What must be unique among simple rules: keyword and item (empty for general)."""
        return (self.keyword, self.item_id or "")


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules in the order in which they are asked and shown."""
    return tuple(sorted(rules, key=lambda rule: (-rule.priority, rule.position, rule.id)))
