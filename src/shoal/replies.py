"""Which rule answers a message, and with what words. Pure: it reads a snapshot and sends nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from shoal.account import Account, Rule, RuleKind

_VARIABLE = re.compile(r"\{([a-z_]+)\}")


class AnswerSource(StrEnum):
    """Where an answer comes from, in the order in which the sources are asked."""

    ITEM_RULE = "item_rule"
    GENERAL_RULE = "general_rule"
    ITEM_REPLY = "item_reply"
    DEFAULT_REPLY = "default_reply"


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a buyer said (a burst joined to one text), where, and about which item."""

    text: str
    chat_id: str
    buyer_id: str
    buyer_name: str
    item_id: str | None = None


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
class Answer:
    """What to say, part after part. No parts mean: a rule fired that says nothing.

    Before the first part ``delay_seconds`` are waited, a random time between the two. For ``cooldown_seconds`` after
    it, the same rule says nothing to the same buyer.
    """

    source: AnswerSource
    rule_id: str = ""
    parts: tuple[Part, ...] = ()
    delay_seconds: tuple[float, float] = (0, 0)
    cooldown_seconds: int = 0

    @property
    def is_silent(self) -> bool:
        """Whether the owner wants nothing said."""
        return not self.parts


def choose_answer(account: Account, asked: Asked) -> Answer | None:
    """The first answer of: rules of the item, general rules, the item's reply, the default reply.

    A rule fires when its keyword is part of the text, whatever the case. ``None``: nothing answers.
    """
    rule = _first_rule(account, asked)
    if rule is not None:
        return _answer_of(rule, asked)
    item = account.item(asked.item_id)
    if item is not None and item.reply:
        return Answer(source=AnswerSource.ITEM_REPLY, parts=_said(item.reply, asked))
    if account.default_reply_enabled and account.default_reply:
        return Answer(source=AnswerSource.DEFAULT_REPLY, parts=_said(account.default_reply, asked))
    return None


def _first_rule(account: Account, asked: Asked) -> Rule | None:
    text = asked.text.casefold()
    bound = (rule for rule in account.keywords if rule.item_id and rule.item_id == asked.item_id)
    general = (rule for rule in account.keywords if not rule.item_id)
    for rules in (bound, general):
        for rule in rules:
            if rule.keyword.casefold() in text:
                return rule
    return None


def _answer_of(rule: Rule, asked: Asked) -> Answer:
    source = AnswerSource.ITEM_RULE if rule.item_id else AnswerSource.GENERAL_RULE
    if rule.kind is RuleKind.IMAGE:
        picture = (Part(image_url=rule.image_url),) if rule.image_url else ()
        return Answer(source=source, rule_id=rule.id, parts=picture)
    return Answer(source=source, rule_id=rule.id, parts=_said(rule.reply, asked))


def _said(template: str, asked: Asked) -> tuple[Part, ...]:
    """The template filled in, as one part; none when nothing is left to say."""
    text = fill(template, variables(asked))
    return (Part(text=text),) if text else ()


def variables(asked: Asked) -> dict[str, str]:
    """The names that a reply may use in braces."""
    return {
        "send_user_name": asked.buyer_name,
        "send_user_id": asked.buyer_id,
        "send_message": asked.text,
        "item_id": asked.item_id or "",
    }


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values in place of ``{name}``, literally and once: a buyer's own braces mean nothing, unknown names stay."""
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), template)
