"""Finds the rule that answers a message. All rules of an account are compiled once and then matched with any message.

Words and texts are both folded (``folded``), so case, width and other forms of the same letters are equal. A few words
are searched one after the other, many at once by an Aho-Corasick automaton, and all regular expressions at once by RE2.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import re2
from ahocorasick_rs import AhoCorasick

from shoal.errors import InvalidInput
from shoal.rules.folding import folded, seen
from shoal.rules.rule import MatchMode, Rule, WordMode, in_order
from shoal.rules.schedule import Moment, holds

MANY_WORDS = 32
"""With so many words or more, an automaton searches all of them at once."""
MAX_PATTERNS = 200
"""How many regular expressions one account may have."""
MAX_PATTERN_STEPS = 20_000
"""The total size of an account's regular expressions, in RE2 instructions.

In the worst case the time for each letter of a message grows in proportion to it.
"""
_PATTERN_BYTES = 8 << 20
"""The memory that the regular expressions of one account may use while they run."""
_NEVER = -1
"""The number of a word that is empty after folding: no message contains it."""
_STEPS_AT_ONCE = 500_000
"""Instructions times letters that take a few milliseconds in the worst case."""

_TOKENS = re.compile(r"\\?.", re.DOTALL)
_UNSEPARATED = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Letters of scripts that do not separate words: Hangul, Kana, Bopomofo and Han."""


class _Patterns:
    """Regular expressions that are searched all at once; each has a number."""

    def __init__(self, patterns: Iterable[str]) -> None:
        """Compile the patterns.

        Raises ``InvalidInput``: ``bad_pattern`` names one pattern and its error, ``patterns_too_large`` concerns all
        together.
        """
        self._set = re2.Set.SearchSet(_options())
        self.steps = 0
        """The total size of the patterns, in instructions."""
        for pattern in patterns:
            checked = _checked(pattern)
            self._set.Add(checked)
            self.steps += re2.compile(checked, _options()).programsize
            if self.steps > MAX_PATTERN_STEPS:
                raise InvalidInput("the regular expressions are too large together", code="patterns_too_large")
        try:
            self._set.Compile()
        except re2.error:
            raise InvalidInput("the regular expressions are too large together", code="patterns_too_large") from None

    def found_in(self, text: str) -> frozenset[int]:
        """Return the numbers of the patterns that a folded text matches."""
        return frozenset(self._set.Match(text) or ())  # None: nothing matches


def _options() -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = _PATTERN_BYTES
    return options


def _checked(pattern: str) -> str:
    """Return the regular expression for folded texts: its letters outside ASCII are folded. Raises ``InvalidInput``."""
    literal = _TOKENS.sub(lambda token: _folded_token(token[0]), seen(pattern))
    try:
        re2.compile(literal, _options())
    except re2.error as error:
        why = error.args[0] if error.args else b""
        raise InvalidInput(
            f"the regular expression {pattern!r} cannot be used",
            code="bad_pattern",
            pattern=pattern,
            why=why.decode(errors="replace") if isinstance(why, bytes) else str(why),
        ) from None
    return f"(?m){literal}"


def _folded_token(token: str) -> str:
    letter = token[-1]
    if letter.isascii():
        return token
    return "".join(re2.escape(part) if part.isascii() else part for part in folded(letter))


@dataclass(frozen=True, slots=True)
class _Heard:
    """A buyer's text: folded as a whole, its lines, and the numbers of the words and patterns found in it."""

    text: str
    lines: frozenset[str]
    words: frozenset[int]
    patterns: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A compiled rule: its folded words, and their numbers among all words, or among all patterns."""

    rule: Rule
    words: tuple[str, ...]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Scope:
    """The active rules of one item, or the general ones: their places, by a word or pattern that must be found."""

    by_word: Mapping[int, tuple[int, ...]]
    by_pattern: Mapping[int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Considered:
    """A rule that was checked. ``why_not`` is empty for the rule that fires, otherwise a code of ``WHY_NOT``."""

    rule: Rule
    why_not: str = ""


WHY_NOT = ("inactive", "other_item", "no_word", "missing_word", "outside_schedule", "comes_later")
"""Why a rule does not fire: it is off; it is bound to other items; none of its words was found; not all of them were
found; the time is outside its schedule; another rule fires before it.
"""


class Matcher:
    """The compiled rules of one account. Immutable, so any number of messages may use it at once."""

    __slots__ = ("_automaton", "_compiled", "_patterns", "_scopes", "_words", "rules")

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        """Compile the rules.

        Raises ``InvalidInput`` that names what is invalid: ``bad_pattern``, ``too_many_patterns``,
        ``patterns_too_large``.
        """
        self.rules = rules
        words: dict[str, int] = {}
        patterns: dict[str, int] = {}
        _check_pattern_count(rules)
        self._compiled = tuple(_compiled(rule, words, patterns) for rule in in_order(rules))
        self._words = tuple(words)
        self._patterns = _Patterns(patterns) if patterns else None
        self._automaton = AhoCorasick(self._words) if len(self._words) >= MANY_WORDS else None
        self._scopes = _scopes(self._compiled)

    def takes_long(self, text: str) -> bool:
        """Return whether matching the patterns with that text may block the event loop for too long."""
        return self._patterns is not None and len(text) * self._patterns.steps > _STEPS_AT_ONCE

    def first(self, text: str, item_id: str | None, moment: Moment) -> Rule | None:
        """Return the rule that answers a text about an item (``None``: no item) at that moment."""
        heard = self._hear(text)
        for scope in self._scopes_of(item_id):
            places = {place for number in heard.words for place in scope.by_word.get(number, ())}
            places.update(place for number in heard.patterns for place in scope.by_pattern.get(number, ()))
            for place in sorted(places):
                compiled = self._compiled[place]
                if not _why_unsaid(compiled, heard) and holds(compiled.rule.schedule, moment):
                    return compiled.rule
        return None

    def consider(self, text: str, item_id: str | None, moment: Moment) -> list[Considered]:
        """Return every rule and why it does not fire: rules of the item first, those of other items last."""
        heard = self._hear(text)
        bound = [compiled for compiled in self._compiled if item_id and item_id in compiled.rule.item_ids]
        general = [compiled for compiled in self._compiled if not compiled.rule.item_ids]
        others = [
            compiled for compiled in self._compiled if compiled.rule.item_ids and item_id not in compiled.rule.item_ids
        ]
        fired = False
        considered = []
        for compiled in (*bound, *general):
            why_not = _why_not(compiled, heard, moment)
            considered.append(Considered(compiled.rule, why_not or ("comes_later" if fired else "")))
            fired = fired or not why_not
        considered += [
            Considered(compiled.rule, "other_item" if compiled.rule.active else "inactive") for compiled in others
        ]
        return considered

    def _hear(self, text: str) -> _Heard:
        text = folded(text)
        if self._automaton is not None:
            found = frozenset(hit[0] for hit in self._automaton.find_matches_as_indexes(text, overlapping=True))
        else:
            found = frozenset(number for number, word in enumerate(self._words) if word in text)
        lines = frozenset(line.strip() for line in (text, *text.split("\n")))
        return _Heard(text, lines, found, self._patterns.found_in(text) if self._patterns else frozenset())

    def _scopes_of(self, item_id: str | None) -> Iterator[_Scope]:
        for key in (item_id, None) if item_id else (None,):
            scope = self._scopes.get(key)
            if scope is not None:
                yield scope


def _check_pattern_count(rules: Iterable[Rule]) -> None:
    if sum(len(rule.words) for rule in rules if rule.match_mode is MatchMode.REGEX) > MAX_PATTERNS:
        raise InvalidInput(
            f"at most {MAX_PATTERNS} regular expressions per account", code="too_many_patterns", limit=MAX_PATTERNS
        )


def _compiled(rule: Rule, words: dict[str, int], patterns: dict[str, int]) -> _Compiled:
    if rule.match_mode is MatchMode.REGEX:
        return _Compiled(rule, (), tuple(patterns.setdefault(word, len(patterns)) for word in rule.words))
    mine = tuple(folded(word).strip() if rule.match_mode is MatchMode.EXACT else folded(word) for word in rule.words)
    return _Compiled(rule, mine, tuple(words.setdefault(word, len(words)) if word else _NEVER for word in mine))


def _scopes(compiled: tuple[_Compiled, ...]) -> dict[str | None, _Scope]:
    by_word: defaultdict[str | None, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    by_pattern: defaultdict[str | None, defaultdict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for place, ready in enumerate(compiled):
        rule = ready.rule
        if not rule.active:
            continue
        index = by_pattern if rule.match_mode is MatchMode.REGEX else by_word
        needed = ready.numbers[:1] if rule.word_mode is WordMode.ALL else ready.numbers
        for item_id in rule.item_ids or (None,):
            for number in needed:
                index[item_id][number].append(place)
    return {
        item_id: _Scope(_frozen(by_word.get(item_id, {})), _frozen(by_pattern.get(item_id, {})))
        for item_id in {*by_word, *by_pattern}
    }


def _frozen(places: Mapping[int, list[int]]) -> dict[int, tuple[int, ...]]:
    return {number: tuple(found) for number, found in places.items()}


def _why_not(compiled: _Compiled, heard: _Heard, moment: Moment) -> str:
    if not compiled.rule.active:
        return "inactive"
    return _why_unsaid(compiled, heard) or ("" if holds(compiled.rule.schedule, moment) else "outside_schedule")


def _why_unsaid(compiled: _Compiled, heard: _Heard) -> str:
    """Return why the words do not make the rule fire; empty when they do."""
    said = [_is_said(compiled, place, heard) for place in range(len(compiled.rule.words))]
    if compiled.rule.word_mode is WordMode.ALL and any(said):
        return "" if all(said) else "missing_word"
    return "" if any(said) else "no_word"


def _is_said(compiled: _Compiled, place: int, heard: _Heard) -> bool:
    if compiled.rule.match_mode is MatchMode.REGEX:
        return compiled.numbers[place] in heard.patterns
    if compiled.numbers[place] not in heard.words:
        return False
    if compiled.rule.match_mode is MatchMode.CONTAINS:
        return True
    if compiled.rule.match_mode is MatchMode.EXACT:
        return compiled.words[place] in heard.lines
    return has_whole_word(heard.text, compiled.words[place])


def has_whole_word(text: str, word: str) -> bool:
    """Return whether a folded word is in a folded text without a letter or digit that continues it on either side."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not _goes_on(text[at - 1 : at], word[:1]) and not _goes_on(word[-1:], text[end : end + 1]):
            return True
        at = text.find(word, at + 1)
    return False


def _goes_on(before: str, after: str) -> bool:
    """Return whether two neighbouring letters or digits belong to one word."""
    return _joins(before) and _joins(after)


def _joins(letter: str) -> bool:
    return bool(letter) and (letter.isalnum() or letter == "_") and not _UNSEPARATED.match(letter)


NO_RULES = Matcher(())
"""The matcher of an account without rules."""
