"""Edits of an account's rules: each function takes the current rules and returns the new ones.

Rules that an edit does not name keep their ids. So the journal can list what was added, removed and edited, and nothing
is lost that the caller's format cannot express.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec.structs import replace

from shoal.errors import InvalidInput
from shoal.language.folding import is_blank
from shoal.rules.rule import MAX_KEYWORD_CHARACTERS, MAX_REPLY_CHARACTERS, MAX_RULES, Part, Rule, RuleKind, in_order

Rules = tuple[Rule, ...]
Key = tuple[str, str]
"""A keyword, and its item (empty: every item)."""
Replies = Mapping[Key, str]
"""Text rules in the format of the compatible routes, in their order: the reply of each."""


class KeywordRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One text rule in the format of the compatible routes. ``item_id`` empty or ``None`` means every item."""

    keyword: str
    reply: str
    item_id: str | None = None

    @property
    def key(self) -> Key:
        """Keyword and item, which together are unique."""
        return (self.keyword, self.item_id or "")


def replace_general(rules: Rules, replies: Replies) -> Rules:
    """Replace the general text rules by those that ``checked_rows`` returned.

    Item-bound rules, pictures and all that this format cannot express stay.
    """
    return _merge(rules, replies, of_items=False)


def replace_text(rules: Rules, replies: Replies) -> Rules:
    """Replace every text rule, general and item-bound, by those that ``checked_rows`` returned.

    Pictures and all that this format cannot express stay.
    """
    return _merge(rules, replies, of_items=True)


def checked_rows(rows: Collection[KeywordRow]) -> Replies:
    """Return the replies, without outer blanks around keyword and item.

    Refuse rows that are invalid for any account. Raises ``InvalidInput``.
    """
    _check_number(len(rows))
    replies: dict[Key, str] = {}
    for row in rows:
        key = keyword, item = row.keyword.strip(), (row.item_id or "").strip()
        check_keyword(keyword, row.reply)
        if key in replies:
            raise InvalidInput("a keyword stands twice", code="duplicate_keyword", keyword=keyword, item=item)
        replies[key] = row.reply
    return replies


def check_keyword(keyword: str, reply: str) -> None:
    """Refuse a keyword and its reply if they are invalid in any list. Raises ``InvalidInput``."""
    if is_blank(keyword):
        raise InvalidInput("a keyword is empty", code="empty_keyword")
    if len(keyword) > MAX_KEYWORD_CHARACTERS or len(reply) > MAX_REPLY_CHARACTERS:
        raise InvalidInput(
            f"a keyword has at most {MAX_KEYWORD_CHARACTERS} characters, a reply {MAX_REPLY_CHARACTERS}",
            code="keyword_too_long",
            keyword=keyword[:MAX_KEYWORD_CHARACTERS],
            keyword_limit=MAX_KEYWORD_CHARACTERS,
            reply_limit=MAX_REPLY_CHARACTERS,
        )


def without_index(rules: Rules, index: int) -> Rules:
    """Remove the rule at that index of the lists that the API shows. Raises ``InvalidInput``."""
    if not 0 <= index < len(rules):
        raise InvalidInput("there is no rule at that place", code="bad_keyword_index")
    return rules[:index] + rules[index + 1 :]


def without_rule(rules: Rules, rule_id: str) -> Rules:
    """Remove one rule by its id. Raises ``InvalidInput`` when there is none."""
    kept = tuple(rule for rule in rules if rule.id != rule_id)
    if len(kept) == len(rules):
        raise InvalidInput("there is no such rule", code="unknown_rule")
    return kept


def with_image(rules: Rules, keyword: str, item_id: str | None, picture: Part) -> Rules:
    """Add a rule that answers a keyword with a picture. Refuses it if a simple rule has that keyword and item."""
    ((keyword, item),) = checked_rows([KeywordRow(keyword=keyword, reply="", item_id=item_id)])
    if any(rule.is_simple and rule.key == (keyword, item) for rule in rules):
        raise InvalidInput("a rule has that keyword", code="keyword_exists", keyword=keyword)
    _check_number(len(rules) + 1)
    rule = Rule.simple(id=new_rule_id(), keyword=keyword, item_id=item, position=next_position(rules))
    return in_order((*rules, replace(rule, parts=(picture,))))


def is_plain_text(rule: Rule) -> bool:
    """Return whether the compatible routes can express the whole rule: one keyword, at most one item, one text."""
    return rule.is_simple and not (rule.parts and rule.parts[0].image_url)


def new_rule_id() -> str:
    """Return a new random id for a rule."""
    return secrets.token_hex(8)


def next_position(rules: Iterable[Rule]) -> int:
    """Return the position after every rule."""
    return 1 + max((rule.position for rule in rules), default=-1)


def _merge(before: Rules, replies: Replies, *, of_items: bool) -> Rules:
    """Replace the rules that such rows can express; those of items only where ``of_items``."""
    known: dict[Key, Rule] = {}
    kept: list[Rule] = []
    for old in before:
        if is_plain_text(old) and (of_items or not old.item_ids):
            known[old.key] = old
        else:
            kept.append(old)
    _check_number(len(replies) + len(kept))
    rich = {rule.key: rule for rule in reversed(kept)}
    edited: dict[str, Rule] = {}
    plain: list[Rule] = []
    free = iter(rising_ids(secrets.token_hex(6), len(replies)))
    place = next_position(before)
    ordered = 0
    for key, reply in replies.items():
        rule = known.get(key)
        if rule is not None and rule.position >= ordered:
            ordered = rule.position
            plain.append(rule if rule.reply == reply else replace(rule, parts=_parts(reply)))
        elif rule is None and key in rich:
            edited[rich[key].id] = _with_reply(rich[key], reply)
        else:
            ordered, place = place, place + 1
            if rule is None:
                keyword, item = key
                bound_to = (item,) if item else ()
                rule = Rule(id=next(free), words=(keyword,), item_ids=bound_to, position=ordered, parts=_parts(reply))
            else:
                rule = replace(rule, parts=_parts(reply), position=ordered)
            plain.append(rule)
    return in_order((*(edited.get(rule.id, rule) for rule in kept), *plain))


def _parts(reply: str) -> tuple[Part, ...]:
    """Return a reply as parts of a rule; none when it is empty."""
    return (Part(text=reply),) if reply else ()


def rising_ids(drawn: str, number: int) -> list[str]:
    """Return so many ids of new rules, made of 12 drawn hexadecimal digits and a number.

    They rise, so that many rules are stored side by side: in random order each would be put into another page.
    """
    return [f"{drawn}{place:04x}" for place in range(number)]


def _with_reply(rule: Rule, reply: str) -> Rule:
    """Return a rule that a row cannot express with that reply as its first text; everything else stays."""
    if reply == rule.reply:
        return rule
    if rule.kind is RuleKind.IMAGE:
        raise InvalidInput("a rule with a picture has that keyword", code="image_keyword_exists", keyword=rule.keyword)
    return replace(rule, parts=(*_parts(reply), *rule.parts[1:]))


def _check_number(rules: int) -> None:
    if rules > MAX_RULES:
        raise InvalidInput(f"at most {MAX_RULES} rules per account", code="too_many_keywords", limit=MAX_RULES)
