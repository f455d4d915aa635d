"""Finds rules that can never fire, because another rule always comes first, and unknown variables.

Pure. It reports only what is certain.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from ahocorasick_rs import AhoCorasick

from shoal.rules.folding import folded_word
from shoal.rules.matcher import has_whole_word
from shoal.rules.rule import VARIABLES, MatchMode, Rule, WordMode, in_order
from shoal.rules.schedule import covers

_IN_BRACES = re.compile(r"\{\s*[A-Za-z_]{1,40}\s*\}")
_KNOWN = frozenset(f"{{{name}}}" for name in VARIABLES)
_MOST_CANDIDATES = 100
"""How many earlier rules are checked for one word. A warning may be missed; none is wrong."""


class WarningCode(StrEnum):
    """The kinds of warnings."""

    NEVER_FIRES = "never_fires"
    """Every text that makes the rule fire makes another rule fire first."""
    WORD_NEVER_FIRES = "word_never_fires"
    """One of its words has no effect: another rule always answers it first."""
    UNKNOWN_VARIABLE = "unknown_variable"
    """Its answer contains an unknown variable in braces: the buyer would read the braces."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleWarning:
    """One warning about the rule ``rule_id``.

    ``before``: the rule that comes first (empty: none is the cause). ``word``: the word it concerns, or the unknown
    variable.
    """

    rule_id: str
    code: WarningCode
    before: str = ""
    word: str = ""


class _Ready(msgspec.Struct, frozen=True, gc=False):
    rule: Rule
    place: int
    words: tuple[str, ...]
    items: frozenset[str]


def warnings_of(rules: Sequence[Rule]) -> list[RuleWarning]:
    """Return every warning, in the order of the rules. Rules that are off neither get a warning nor cause one."""
    ready = [
        _Ready(rule, place, tuple([_prepared(rule, word) for word in rule.words]), frozenset(rule.item_ids))
        for place, rule in enumerate(in_order(rules))
        if rule.active
    ]
    earlier = _Earlier(ready)
    found: list[RuleWarning] = []
    alone = earlier.no_word_is_shared()
    for one in ready:
        if one.rule.match_mode is MatchMode.REGEX or not (alone or earlier.shares_no_word(one)):
            found += _about(one, earlier)
        for part in one.rule.parts:
            if "{" in part.text:
                found += _about_answer(one.rule)
                break
    return found


def _about(later: _Ready, earlier: _Earlier) -> Iterator[RuleWarning]:
    name, shown = later.rule.id, later.rule.words
    groups = [later.words] if later.rule.word_mode is WordMode.ALL else [(word,) for word in later.words]
    before = [earlier.one_that_fires(later, group) for group in groups]
    if all(before):
        yield RuleWarning(rule_id=name, code=WarningCode.NEVER_FIRES, before=before[0])
        return
    for word, first in zip(shown, before, strict=False):
        if first:
            yield RuleWarning(rule_id=name, code=WarningCode.WORD_NEVER_FIRES, before=first, word=word)


def _about_answer(rule: Rule) -> Iterator[RuleWarning]:
    for name in dict.fromkeys(
        name for part in rule.parts if "{" in part.text for name in _IN_BRACES.findall(part.text)
    ):
        if name not in _KNOWN:
            yield RuleWarning(rule_id=rule.id, code=WarningCode.UNKNOWN_VARIABLE, word=name)


class _Earlier:
    """The rules by their words, to find out which of them comes first."""

    def __init__(self, ready: Sequence[_Ready]) -> None:
        self._by_word: defaultdict[str, list[_Ready]] = defaultdict(list)
        self._by_pattern: defaultdict[str, list[_Ready]] = defaultdict(list)
        for one in ready:
            index = self._by_pattern if one.rule.match_mode is MatchMode.REGEX else self._by_word
            for word in one.words if len(one.words) == 1 else dict.fromkeys(one.words):
                if word:
                    index[word].append(one)
        self._words = list(self._by_word)
        self._said = sum(len(one.words) for one in ready if one.rule.match_mode is not MatchMode.REGEX)
        self._automaton = AhoCorasick(self._words) if self._words else None

    def no_word_is_shared(self) -> bool:
        """Return whether no two words are the same and none is part of another, by one search in all of them.

        Each word is found once, as itself; a sign between them can only add finds.
        """
        if self._automaton is None or len(self._words) != self._said:
            return False
        found = self._automaton.find_matches_as_indexes("\n".join(self._words), overlapping=True)
        return len(found) == self._said

    def shares_no_word(self, one: _Ready) -> bool:
        """Return whether no other rule has one of its words, nor a part of one."""
        if self._automaton is None:
            return False
        for word in one.words:
            hits = self._automaton.find_matches_as_indexes(word, overlapping=True)
            if len(hits) != 1 or len(self._by_word[word]) != 1:
                return False
        return True

    def one_that_fires(self, later: _Ready, said: tuple[str, ...]) -> str:
        """Return the id of an earlier rule that fires whenever all these words are found; empty when there is none."""
        for one in self._candidates(later, said):
            if _comes_first(one, later) and _fires(one, later.rule.match_mode, said):
                return one.rule.id
        return ""

    def _candidates(self, later: _Ready, said: tuple[str, ...]) -> Iterator[_Ready]:
        for word in said:
            if later.rule.match_mode is MatchMode.REGEX:
                yield from self._by_pattern[word][:_MOST_CANDIDATES]
            elif self._automaton is not None:
                hits = dict.fromkeys(hit[0] for hit in self._automaton.find_matches_as_indexes(word, overlapping=True))
                for number in hits:
                    yield from self._by_word[self._words[number]][:_MOST_CANDIDATES]


def _comes_first(one: _Ready, later: _Ready) -> bool:
    """Return whether ``one`` is checked before ``later`` for every item and time of ``later``."""
    return (
        one.place < later.place
        and bool(one.items) == bool(later.items)
        and later.items <= one.items
        and covers(one.rule.schedule, later.rule.schedule)
    )


def _fires(one: _Ready, mode: MatchMode, said: tuple[str, ...]) -> bool:
    heard = (any(_implies(mode, word, one.rule.match_mode, mine) for word in said) for mine in one.words)
    return all(heard) if one.rule.word_mode is WordMode.ALL else any(heard)


def _implies(mode: MatchMode, word: str, other_mode: MatchMode, other: str) -> bool:
    """Return whether each text in which ``mode`` finds ``word`` is one in which ``other_mode`` finds ``other``."""
    if MatchMode.REGEX in (mode, other_mode):
        return mode is other_mode and word == other
    if other_mode is MatchMode.CONTAINS:
        return other in word
    if other_mode is MatchMode.EXACT:
        return mode is MatchMode.EXACT and word == other
    surely = word if mode in (MatchMode.EXACT, MatchMode.WHOLE_WORD) else f"x{word}x"  # any letter may be next to it
    return has_whole_word(surely, other)


def _prepared(rule: Rule, word: str) -> str:
    if rule.match_mode is MatchMode.REGEX:
        return word
    return folded_word(word).strip() if rule.match_mode is MatchMode.EXACT else folded_word(word)
