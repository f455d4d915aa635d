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
class Answer:
    """What to say. Empty ``text`` and ``image_url`` mean: a rule fired that says nothing."""

    source: AnswerSource
    rule_id: str = ""
    text: str = ""
    image_url: str = ""

    @property
    def is_silent(self) -> bool:
        """Whether the owner wants nothing said."""
        return not self.text and not self.image_url


def choose_answer(account: Account, asked: Asked) -> Answer | None:
    """The first answer of: rules of the item, general rules, the item's reply, the default reply.

    A rule fires when its keyword is part of the text, whatever the case. ``None``: nothing answers.
    """
    rule = _first_rule(account, asked)
    if rule is not None:
        return _answer_of(rule, asked)
    item = account.item(asked.item_id)
    if item is not None and item.reply:
        return Answer(source=AnswerSource.ITEM_REPLY, text=fill(item.reply, variables(asked)))
    if account.default_reply_enabled and account.default_reply:
        return Answer(source=AnswerSource.DEFAULT_REPLY, text=fill(account.default_reply, variables(asked)))
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
        return Answer(source=source, rule_id=rule.id, image_url=rule.image_url)
    return Answer(source=source, rule_id=rule.id, text=fill(rule.reply, variables(asked)))


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
