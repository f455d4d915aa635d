"""Finds the rule that answers a message. All rules of an account are compiled once and then matched with any message.

Words and texts are both folded (``folded``), so case, width and other forms of the same letters are equal. A few words
are searched one after the other, many at once by an Aho-Corasick automaton, and all regular expressions at once by RE2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import re2
from ahocorasick_rs import AhoCorasick

from shoal.errors import InvalidInput
from shoal.language.folding import folded, folded_word, seen
from shoal.rules.rule import ALL, ANY, CONTAINS, EXACT, REGEX, Rule, in_order
from shoal.rules.schedule import Moment, holds

MANY_WORDS = 32
"""With so many words or more, an automaton searches all of them at once."""
MANY_RULES = 300
"""Checking, indexing or showing so many rules would block the event loop for too long."""
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

_NOTHING: frozenset[int] = frozenset()
_NONE: tuple[int, ...] = ()
_GENERAL = (None,)

_TOKENS = re.compile(r"\\?.", re.DOTALL)
_UNSEPARATED = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]")
"""Letters of scripts that do not separate words: Hangul, Kana, Bopomofo and Han."""


class Patterns:
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


class _Question:
    """A buyer's text, folded, and the numbers of the words and patterns found in it."""

    __slots__ = ("_lines", "patterns", "text", "words")

    def __init__(self, text: str, words: frozenset[int], patterns: frozenset[int]) -> None:
        self.text = text
        self.words = words
        self.patterns = patterns
        self._lines: frozenset[str] | None = None

    @property
    def lines(self) -> frozenset[str]:
        """The text as a whole, and its lines."""
        if self._lines is None:
            self._lines = frozenset(line.strip() for line in (self.text, *self.text.split("\n")))
        return self._lines


class _Compiled(msgspec.Struct, frozen=True, gc=False):
    """A compiled rule: its folded words, and their numbers among all words, or among all patterns.

    ``fires``: it fires, at any time, as soon as one of its words is found.
    """

    rule: Rule
    words: tuple[str, ...]
    numbers: tuple[int, ...]
    fires: bool


@dataclass(frozen=True, slots=True)
class _Scope:
    """The active rules of one item, or the general ones: their places, by a word or pattern that must be found."""

    by_word: dict[int, tuple[int, ...]] = field(default_factory=dict)
    by_pattern: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def places(self, words: Iterable[int], patterns: Iterable[int]) -> list[int]:
        """Return the places of the rules that may fire, in the order in which they are checked."""
        found: list[int] = []
        for number in words:
            found += self.by_word.get(number, _NONE)
        for number in patterns:
            found += self.by_pattern.get(number, _NONE)
        return sorted(set(found)) if len(found) > 1 else found


class Considered(msgspec.Struct, frozen=True):
    """A rule that was checked. ``why_not`` is empty for the rule that fires, otherwise a code of ``WHY_NOT``."""

    rule: Rule
    why_not: str = ""


WHY_NOT = ("inactive", "other_item", "no_word", "missing_word", "outside_schedule", "comes_later")
"""Why a rule does not fire: it is off; it is bound to other items; none of its words was found; not all of them were
found; the time is outside its schedule; another rule fires before it.
"""


class _Index:
    """What finds the rules of a text: all words, searched at once, and the rules by them."""

    __slots__ = ("automaton", "compiled", "scopes", "words")

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        words: dict[str, int] = {}
        patterns: dict[str, int] = {}
        self.compiled = tuple([_compiled(rule, words, patterns) for rule in in_order(rules)])
        self.words = tuple(words)
        self.automaton = AhoCorasick(self.words) if len(self.words) >= MANY_WORDS else None
        self.scopes = _scopes(self.compiled)

    def found_in(self, text: str) -> frozenset[int]:
        """Return the numbers of the words in a folded text."""
        if self.automaton is None:
            return frozenset([number for number, word in enumerate(self.words) if word in text])
        hits = self.automaton.find_matches_as_indexes(text, overlapping=True)
        return frozenset([number for number, _, _ in hits]) if hits else _NOTHING


class Matcher:
    """The compiled rules of one account. Immutable, so any number of messages may use it at once.

    Regular expressions are compiled at once, because they may be invalid. The index of the words is made for the first
    message: most rules that are stored, at a start or by a change, are stored again or forgotten before one comes.
    """

    __slots__ = ("_made", "_patterns", "has_hours", "rules")

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        """Compile the regular expressions of the rules.

        Raises ``InvalidInput`` that names what is invalid: ``bad_pattern``, ``too_many_patterns``,
        ``patterns_too_large``.
        """
        self.rules = rules
        patterns = [word for rule in rules if rule.match_mode is REGEX for word in rule.words]
        if len(patterns) > MAX_PATTERNS:
            raise InvalidInput(
                f"at most {MAX_PATTERNS} regular expressions per account", code="too_many_patterns", limit=MAX_PATTERNS
            )
        in_turn = in_order(rule for rule in rules if rule.match_mode is REGEX)
        words = dict.fromkeys(word for rule in in_turn for word in rule.words)
        try:
            self._patterns = Patterns(words) if words else None
        except InvalidInput as error:
            error.of_field("words")
            raise
        self.has_hours = any(rule.schedule for rule in rules)
        """Whether it matters to ``first`` at which moment a message came."""
        self._made: _Index | None = None

    @property
    def _index(self) -> _Index:
        if self._made is None:
            self._made = _Index(self.rules)
        return self._made

    def takes_long(self, text: str) -> bool:
        """Return whether matching that text may block the event loop for too long."""
        if self._made is None and len(self.rules) >= MANY_RULES:
            return True
        return self._patterns is not None and len(text) * self._patterns.steps > _STEPS_AT_ONCE

    def first(self, text: str, item_id: str | None, moment: Moment) -> Rule | None:
        """Return the rule that answers a text about an item (``None``: no item) at that moment."""
        index = self._made or self._index
        text = folded(text)
        words = index.found_in(text)
        patterns = self._patterns.found_in(text) if self._patterns else _NOTHING
        if not words and not patterns:
            return None
        question: _Question | None = None
        for key in (item_id, None) if item_id else _GENERAL:
            scope = index.scopes.get(key)
            for place in scope.places(words, patterns) if scope is not None else ():
                compiled = index.compiled[place]
                if compiled.fires:
                    return compiled.rule
                question = question or _Question(text, words, patterns)
                if not _why_no_match(compiled, question) and holds(compiled.rule.schedule, moment):
                    return compiled.rule
        return None

    def consider(self, text: str, item_id: str | None, moment: Moment) -> list[Considered]:
        """Return every rule and why it does not fire: rules of the item first, those of other items last."""
        index = self._index
        text = folded(text)
        question = _Question(text, index.found_in(text), self._patterns.found_in(text) if self._patterns else _NOTHING)
        bound = [compiled for compiled in index.compiled if item_id and item_id in compiled.rule.item_ids]
        general = [compiled for compiled in index.compiled if not compiled.rule.item_ids]
        others = [
            compiled for compiled in index.compiled if compiled.rule.item_ids and item_id not in compiled.rule.item_ids
        ]
        fired = False
        considered = []
        for compiled in (*bound, *general):
            why_not = _why_not(compiled, question, moment)
            considered.append(Considered(compiled.rule, why_not or ("comes_later" if fired else "")))
            fired = fired or not why_not
        considered += [
            Considered(compiled.rule, "other_item" if compiled.rule.active else "inactive") for compiled in others
        ]
        return considered


def _compiled(rule: Rule, words: dict[str, int], patterns: dict[str, int]) -> _Compiled:
    if rule.match_mode is REGEX:
        return _Compiled(rule, (), tuple([patterns.setdefault(word, len(patterns)) for word in rule.words]), False)
    mine = tuple([folded_word(word) for word in rule.words])
    if rule.match_mode is EXACT:
        mine = tuple([word.strip() for word in mine])
    numbers = tuple([words.setdefault(word, len(words)) if word else _NEVER for word in mine])
    one_suffices = rule.word_mode is ANY or len(mine) == 1
    fires = rule.match_mode is CONTAINS and one_suffices and not rule.schedule
    return _Compiled(rule, mine, numbers, fires)


def _scopes(compiled: tuple[_Compiled, ...]) -> dict[str | None, _Scope]:
    general = _Scope()
    scopes: dict[str | None, _Scope] = {None: general}
    for place, ready in enumerate(compiled):
        rule = ready.rule
        if not rule.active:
            continue
        needed = ready.numbers[:1] if rule.word_mode is ALL else ready.numbers
        here = (place,)
        for scope in [scopes.setdefault(item_id, _Scope()) for item_id in rule.item_ids] or (general,):
            index = scope.by_pattern if rule.match_mode is REGEX else scope.by_word
            for number in needed:
                index[number] = (*index[number], place) if number in index else here
    return scopes


def _why_not(compiled: _Compiled, question: _Question, moment: Moment) -> str:
    if not compiled.rule.active:
        return "inactive"
    return _why_no_match(compiled, question) or ("" if holds(compiled.rule.schedule, moment) else "outside_schedule")


def _why_no_match(compiled: _Compiled, question: _Question) -> str:
    """Return why the words do not make the rule fire; empty when they do."""
    if len(compiled.words) == 1:
        return "" if _is_found(compiled, 0, question) else "no_word"
    found = [_is_found(compiled, place, question) for place in range(len(compiled.rule.words))]
    if compiled.rule.word_mode is ALL and any(found):
        return "" if all(found) else "missing_word"
    return "" if any(found) else "no_word"


def _is_found(compiled: _Compiled, place: int, question: _Question) -> bool:
    if compiled.rule.match_mode is REGEX:
        return compiled.numbers[place] in question.patterns
    if compiled.numbers[place] not in question.words:
        return False
    if compiled.rule.match_mode is CONTAINS:
        return True
    if compiled.rule.match_mode is EXACT:
        return compiled.words[place] in question.lines
    return has_whole_word(question.text, compiled.words[place])


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
