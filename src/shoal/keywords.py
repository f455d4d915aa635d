"""Editing an account's rules: each function takes the rules as they are and returns them as they shall be.

Rules that an edit does not speak of stay, with their ids, so that the journal can say what was added, removed and
edited, and nothing is lost that the caller's format cannot express.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shoal.account import MAX_KEYWORD_CHARACTERS, MAX_REPLY_CHARACTERS, MAX_RULES, Rule, RuleKind
from shoal.errors import InvalidInput

Rules = tuple[Rule, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeywordRow:
    """One text rule as the compatible routes send it. ``item_id`` empty or ``None`` means every item."""

    keyword: str
    reply: str
    item_id: str | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What must be unique."""
        return (self.keyword, self.item_id or "")


def replace_general(rules: Rules, pairs: Iterable[tuple[str, str]]) -> Rules:
    """Replace the general text rules; item-bound and image rules stay."""
    rows = [KeywordRow(keyword=keyword, reply=reply) for keyword, reply in pairs]
    kept = [rule for rule in rules if rule.kind is not RuleKind.TEXT or rule.item_id]
    return _merge(rules, kept, rows)


def replace_text(rules: Rules, rows: Sequence[KeywordRow]) -> Rules:
    """Replace every text rule, general and item-bound; image rules stay."""
    return _merge(rules, [rule for rule in rules if rule.kind is not RuleKind.TEXT], list(rows))


def without_index(rules: Rules, index: int) -> Rules:
    """Remove the rule at that place of the lists that the API shows."""
    if not 0 <= index < len(rules):
        raise InvalidInput("there is no rule at that place", code="bad_keyword_index")
    return rules[:index] + rules[index + 1 :]


def without_rule(rules: Rules, rule_id: str) -> Rules:
    """Remove one rule by its id."""
    kept = tuple(rule for rule in rules if rule.id != rule_id)
    if len(kept) == len(rules):
        raise InvalidInput("there is no such rule", code="unknown_rule")
    return kept


def _merge(before: Rules, kept: list[Rule], rows: list[KeywordRow]) -> Rules:
    rows = [replace(row, keyword=row.keyword.strip(), item_id=(row.item_id or "").strip() or None) for row in rows]
    _check(rows, kept)
    known = {rule.key: rule for rule in before if rule.kind is RuleKind.TEXT}
    place = 1 + max((rule.position for rule in before), default=-1)
    merged = list(kept)
    ordered = 0
    for row in rows:
        rule = known.get(row.key)
        if rule is not None and rule.position >= ordered:
            ordered = rule.position
            merged.append(rule if rule.reply == row.reply else replace(rule, reply=row.reply))
            continue
        ordered, place = place, place + 1
        if rule is not None:
            merged.append(replace(rule, reply=row.reply, position=ordered))
        else:
            merged.append(_new_rule(row, ordered))
    return tuple(sorted(merged, key=lambda rule: (rule.position, rule.id)))


def _new_rule(row: KeywordRow, position: int) -> Rule:
    return Rule(
        id=secrets.token_hex(8), keyword=row.keyword, reply=row.reply, item_id=row.item_id or None, position=position
    )


def _check(rows: Sequence[KeywordRow], kept: Sequence[Rule]) -> None:
    if len(rows) + len(kept) > MAX_RULES:
        raise InvalidInput(f"at most {MAX_RULES} rules per account", code="too_many_keywords", limit=MAX_RULES)
    images = {rule.key for rule in kept if rule.kind is RuleKind.IMAGE}
    seen: set[tuple[str, str]] = set()
    for row in rows:
        if not row.keyword:
            raise InvalidInput("a keyword is empty", code="empty_keyword")
        if len(row.keyword) > MAX_KEYWORD_CHARACTERS or len(row.reply) > MAX_REPLY_CHARACTERS:
            raise InvalidInput(
                f"a keyword has at most {MAX_KEYWORD_CHARACTERS} characters, a reply {MAX_REPLY_CHARACTERS}",
                code="keyword_too_long",
                keyword=row.keyword[:MAX_KEYWORD_CHARACTERS],
                keyword_limit=MAX_KEYWORD_CHARACTERS,
                reply_limit=MAX_REPLY_CHARACTERS,
            )
        if row.key in seen:
            raise InvalidInput("a keyword stands twice", code="duplicate_keyword", keyword=row.keyword, item=row.key[1])
        if row.key in images:
            raise InvalidInput("an image rule has that keyword", code="image_keyword_exists", keyword=row.keyword)
        seen.add(row.key)
