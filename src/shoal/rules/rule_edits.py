"""Edits of an account's rules with all fields of a rule: each function takes the current rules and returns the new
ones.

``values`` are fields of a rule by name, as plain values: ``words``, ``word_mode``, ``match_mode``, ``item_ids``,
``priority``, ``schedule`` (rows of a span), ``parts`` (rows of a part), ``delay_seconds``, ``cooldown_seconds``,
``active``. Every refusal is an ``InvalidInput`` whose code has a sentence that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from shoal.errors import InvalidInput, checked_fields
from shoal.language.folding import is_blank
from shoal.rules.keywords import Rules, next_position
from shoal.rules.rule import (
    CONTAINS,
    MAX_KEYWORD_CHARACTERS,
    MAX_REPLY_CHARACTERS,
    MAX_RULES,
    REGEX,
    MatchMode,
    Part,
    Rule,
    WordMode,
    in_order,
)
from shoal.rules.schedule import Schedule, Span

MAX_RULE_WORDS = 50
MAX_ACCOUNT_WORDS = 20_000
MAX_ITEM_IDS = 500
MAX_SPANS = 20
MAX_PARTS = 10
SHOWN_CHARACTERS = 30
"""So much of a keyword that is too long is shown in its refusal."""
MAX_PRIORITY = 1_000
MAX_DELAY_SECONDS = 300.0
MAX_COOLDOWN_SECONDS = 7 * 24 * 3600

_RULE_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_ITEM_ID = re.compile(r"[0-9A-Za-z]{1,64}")

Values = Mapping[str, Any]


def with_rule(rules: Rules, rule_id: str, values: Values) -> Rules:
    """Add a rule after all others of its priority."""
    return checked_together((*rules, Rule(id=rule_id, position=next_position(rules), **fields_of_new(values))))


def with_changed_rule(rules: Rules, rule_id: str, values: Values) -> Rules:
    """Change some fields of a rule; the others stay."""
    if all(rule.id != rule_id for rule in rules):
        raise InvalidInput("there is no such rule", code="unknown_rule")
    return checked_together(tuple(changed(rule, values) if rule.id == rule_id else rule for rule in rules))


def with_order(rules: Rules, ids: Sequence[str], priorities: Mapping[str, int] | None = None) -> Rules:
    """Put the rules in that order, and give some of them another priority.

    ``ids`` names every rule once; no rule may come before one with a higher priority.
    """
    known = {rule.id: rule for rule in rules}
    for rule_id, priority in (priorities or {}).items():
        if rule_id not in known:
            raise InvalidInput("there is no such rule", code="unknown_rule")
        known[rule_id] = replace(known[rule_id], priority=_priority(priority))
    if len(ids) != len(known) or set(ids) != set(known):
        raise InvalidInput("the order names every rule once", code="order_incomplete")
    places = sorted({rule.position for rule in rules})
    if len(places) < len(rules):
        places = list(range(len(rules)))
    ordered = tuple(_placed(known[rule_id], place) for rule_id, place in zip(ids, places, strict=True))
    for before, after in pairwise(ordered):
        if before.priority < after.priority:
            raise InvalidInput(
                "a rule of a lower priority cannot come first",
                code="order_against_priority",
                keyword=before.keyword,
                priority=before.priority,
                other=after.keyword,
                other_priority=after.priority,
            )
    return in_order(ordered)


def check_rule_id(rule_id: str) -> None:
    """Refuse an invalid rule id. Raises ``InvalidInput``."""
    if not _RULE_ID.fullmatch(rule_id):
        raise InvalidInput("this is no id of a rule", code="bad_rule_id", field="id")


def _placed(rule: Rule, position: int) -> Rule:
    return rule if rule.position == position else replace(rule, position=position)


def checked_together(rules: Rules) -> Rules:
    """Return the rules in order, if they are valid together. Raises ``InvalidInput``."""
    if len(rules) > MAX_RULES:
        raise InvalidInput(f"at most {MAX_RULES} rules per account", code="too_many_keywords", limit=MAX_RULES)
    if sum(len(rule.words) for rule in rules) > MAX_ACCOUNT_WORDS:
        raise InvalidInput(
            f"at most {MAX_ACCOUNT_WORDS} words in all rules", code="too_many_words_in_all", limit=MAX_ACCOUNT_WORDS
        )
    if len({rule.keyword for rule in rules}) == len(rules):
        return in_order(rules)
    simple: set[tuple[str, str]] = set()
    for rule in rules:
        if rule.is_simple:
            if rule.key in simple:
                raise InvalidInput(
                    "two rules have that keyword", code="rule_exists", keyword=rule.keyword, field="words"
                )
            simple.add(rule.key)
    return in_order(rules)


# ── one rule ────────────────────────────────────────────────────────────────────────────────────────────────────────


def fields_of_new(values: Values) -> dict[str, Any]:
    """Return the fields of a new rule with those values, but for id and position."""
    fields = _checked_values(values, (), CONTAINS)
    fields.setdefault("words", ("?",))
    return fields


def changed(rule: Rule, values: Values) -> Rule:
    """Return the rule with those values."""
    return replace(rule, **_checked_values(values, rule.words, rule.match_mode))


def _checked_values(values: Values, words: tuple[str, ...], mode: MatchMode) -> dict[str, Any]:
    """Return the values in the form of a rule's fields. ``words`` are checked in the rule's new mode."""
    checked = checked_fields(values, _CHECKS)
    if "words" in values or "match_mode" in values:
        new_mode = checked.get("match_mode", mode)
        checked |= checked_fields(
            {"words": values.get("words", words)}, {"words": lambda given: words_of(given, new_mode)}
        )
    return checked


def words_of(given: Sequence[str], mode: MatchMode) -> tuple[str, ...]:
    """Return a rule's words, without outer blanks and each once. Raises ``InvalidInput``."""
    if len(given) == 1:  # most rules
        word = given[0] if mode is REGEX else given[0].strip()
        if len(word) <= MAX_KEYWORD_CHARACTERS and not is_blank(word):
            return (word,)
    words = tuple(dict.fromkeys(given if mode is REGEX else [word.strip() for word in given]))
    if not words or any(map(is_blank, words)):
        raise InvalidInput("a rule has words, and none is empty", code="empty_keyword")
    if len(words) > MAX_RULE_WORDS:
        raise InvalidInput(f"at most {MAX_RULE_WORDS} words", code="too_many_words", limit=MAX_RULE_WORDS)
    for word in words:
        if len(word) > MAX_KEYWORD_CHARACTERS:
            raise InvalidInput(
                f"a word has at most {MAX_KEYWORD_CHARACTERS} characters",
                code="keyword_too_long",
                keyword=f"{word[:SHOWN_CHARACTERS]}…",
                keyword_limit=MAX_KEYWORD_CHARACTERS,
                reply_limit=MAX_REPLY_CHARACTERS,
            )
    return words


def _item_ids(given: Sequence[str]) -> tuple[str, ...]:
    ids = tuple(dict.fromkeys(item_id.strip() for item_id in given))
    if len(ids) > MAX_ITEM_IDS:
        raise InvalidInput(f"at most {MAX_ITEM_IDS} items in one rule", code="too_many_items", limit=MAX_ITEM_IDS)
    for item_id in ids:
        if not _ITEM_ID.fullmatch(item_id):
            raise InvalidInput("an item id has 1 to 64 letters or digits", code="bad_item_id")
    return ids


def _priority(given: int) -> int:
    if not -MAX_PRIORITY <= given <= MAX_PRIORITY:
        raise InvalidInput(f"a priority is ±{MAX_PRIORITY} at most", code="bad_priority", limit=MAX_PRIORITY)
    return given


def _schedule(given: Sequence[Mapping[str, Any]]) -> Schedule:
    if len(given) > MAX_SPANS:
        raise InvalidInput(f"at most {MAX_SPANS} spans in one rule", code="too_many_spans", limit=MAX_SPANS)
    try:
        spans = tuple(Span(**{**row, "weekdays": tuple(sorted(row["weekdays"]))}) for row in given)
    except ValueError as error:
        raise InvalidInput(f"a span of hours cannot be used: {error}", code="bad_schedule") from None
    return tuple(dict.fromkeys(spans))


def parts_of(given: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """Return the messages of an answer, or of a delivery. Raise ``InvalidInput``."""
    if len(given) > MAX_PARTS:
        raise InvalidInput(f"at most {MAX_PARTS} messages in one answer", code="too_many_parts", limit=MAX_PARTS)
    try:
        parts = tuple([Part(**row) for row in given])
    except ValueError as error:
        raise InvalidInput(str(error), code="bad_part") from None
    for place, part in enumerate(parts):
        if len(part.text) > MAX_REPLY_CHARACTERS:
            raise InvalidInput(
                "a message is too long", code="text_too_long", limit=MAX_REPLY_CHARACTERS, field=f"parts.{place}"
            )
    return parts


def _delay(given: Sequence[float]) -> tuple[float, float]:
    least, most = given
    if not 0 <= least <= most <= MAX_DELAY_SECONDS:
        raise InvalidInput(
            f"a delay is a range within 0 to {MAX_DELAY_SECONDS:g} seconds",
            code="bad_delay",
            limit=round(MAX_DELAY_SECONDS),
        )
    return (float(least), float(most))


def _cooldown(given: int) -> int:
    if not 0 <= given <= MAX_COOLDOWN_SECONDS:
        raise InvalidInput(
            f"a cool-down is 0 to {MAX_COOLDOWN_SECONDS} seconds", code="bad_cooldown", limit=MAX_COOLDOWN_SECONDS
        )
    return given


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "word_mode": WordMode,
    "match_mode": MatchMode,
    "item_ids": _item_ids,
    "priority": _priority,
    "schedule": _schedule,
    "parts": parts_of,
    "delay_seconds": _delay,
    "cooldown_seconds": _cooldown,
    "active": bool,
}
"""The checks of single fields; the words are checked together with the mode."""
