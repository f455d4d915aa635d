"""Finds rules that can never fire, because another rule always comes first, and unknown variables.

Pure. It reports only what is certain.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from enum import StrEnum
from itertools import accumulate

import msgspec
from ahocorasick_rs import AhoCorasick

from shoal.language.folding import folded_word
from shoal.rules.matcher import has_whole_word
from shoal.rules.rule import ALL, CONTAINS, EXACT, REGEX, VARIABLES, MatchMode, Rule, in_order
from shoal.rules.schedule import covers

_IN_BRACES = re.compile(r"\{\s*[A-Za-z_]{1,40}\s*\}")
_KNOWN = frozenset(f"{{{name}}}" for name in VARIABLES)
_MOST_CANDIDATES = 100
"""How many earlier rules are checked for one word. A warning may be missed; none is wrong."""

_FEW = 20
"""About so many rules, each other one is looked at, which is faster than an index of all words."""


class WarningCode(StrEnum):
    """The kinds of warnings."""

    NEVER_FIRES = "never_fires"
    """Every text that makes the rule fire makes another rule fire first."""
    WORD_NEVER_FIRES = "word_never_fires"
    """One of its words has no effect: another rule always answers it first."""
    UNKNOWN_VARIABLE = "unknown_variable"
    """Its answer contains an unknown variable in braces: the buyer would read the braces."""


class RuleWarning(msgspec.Struct, frozen=True, kw_only=True):
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


def warnings_of(rules: Sequence[Rule], about: Collection[str] | None = None) -> list[RuleWarning]:
    """Return every warning, or those about these rules alone (ids), in the order of the rules.

    Rules that are off neither get a warning nor cause one.
    """
    if about is not None:
        few = rules if len(about) > _FEW else _related(rules, about)
        return [found for found in warnings_of(few) if found.rule_id in about]
    active = [rule for rule in in_order(rules) if rule.active]
    words = _Words(active)
    if not words.shared and not words.has_patterns:
        with_braces = {rule.id: rule for rule in active for part in rule.parts if "{" in part.text}
        return [warning for rule in with_braces.values() for warning in _about_answer(rule)]
    ready = [
        _Ready(rule, place, tuple([_prepared(rule, word) for word in rule.words]), frozenset(rule.item_ids))
        for place, rule in enumerate(active)
    ]
    earlier = _Earlier(ready, words)
    found: list[RuleWarning] = []
    for one in ready:
        if one.rule.match_mode is REGEX or not words.shared.isdisjoint(one.words):
            found += _about(one, earlier)
        found += _about_answer(one.rule)
    return found


def _related(rules: Sequence[Rule], about: Collection[str]) -> list[Rule]:
    """Return these rules, and all that warnings about them may name: those of which a word is in one of theirs."""
    theirs = "\n".join(folded_word(word) for rule in rules if rule.id in about for word in rule.words)
    return [
        rule for rule in rules if rule.id in about or any(folded_word(word).strip() in theirs for word in rule.words)
    ]


class _Words:
    """The words of all rules, each once, and those that another rule may answer first.

    One search in all of them finds these: each word is found as itself, and once more where it is a part of another. A
    sign between them can only add finds.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        words = [
            folded_word(word) if rule.match_mode is not EXACT else folded_word(word).strip()
            for rule in rules
            if rule.match_mode is not REGEX
            for word in rule.words
        ]
        times = Counter(words)
        times.pop("", None)
        self.has_patterns = REGEX in {rule.match_mode for rule in rules}
        self.all = list(times)
        self.automaton = AhoCorasick(self.all) if self.all else None
        self.shared = {word for word, number in times.items() if number > 1}
        """The words that stand twice, or of which another word is a part."""
        hits = self.automaton.find_matches_as_indexes("\n".join(self.all), overlapping=True) if self.automaton else ()
        if len(hits) > len(self.all):
            ends = list(accumulate(len(word) + 1 for word in self.all))
            inside = Counter([bisect_right(ends, start) for _, start, _ in hits])
            self.shared.update(self.all[place] for place, number in inside.items() if number > 1)


def _about(later: _Ready, earlier: _Earlier) -> Iterator[RuleWarning]:
    name, shown = later.rule.id, later.rule.words
    groups = [later.words] if later.rule.word_mode is ALL else [(word,) for word in later.words]
    before = [earlier.one_that_fires(later, group) for group in groups]
    if all(before):
        yield RuleWarning(rule_id=name, code=WarningCode.NEVER_FIRES, before=before[0])
        return
    for word, first in zip(shown, before, strict=False):
        if first:
            yield RuleWarning(rule_id=name, code=WarningCode.WORD_NEVER_FIRES, before=first, word=word)


def _about_answer(rule: Rule) -> list[RuleWarning]:
    names = [name for part in rule.parts if "{" in part.text for name in _IN_BRACES.findall(part.text)]
    return [
        RuleWarning(rule_id=rule.id, code=WarningCode.UNKNOWN_VARIABLE, word=name)
        for name in dict.fromkeys(names)
        if name not in _KNOWN
    ]


class _Earlier:
    """The rules by their words, to find out which of them comes first."""

    def __init__(self, ready: Sequence[_Ready], words: _Words) -> None:
        self._words = words
        self._by_word: defaultdict[str, list[_Ready]] = defaultdict(list)
        self._by_pattern: defaultdict[str, list[_Ready]] = defaultdict(list)
        for one in ready:
            index = self._by_pattern if one.rule.match_mode is REGEX else self._by_word
            for word in dict.fromkeys(one.words):
                index[word].append(one)

    def one_that_fires(self, later: _Ready, words: tuple[str, ...]) -> str:
        """Return the id of an earlier rule that fires whenever all these words are found; empty when there is none."""
        for one in self._candidates(later, words):
            if _comes_first(one, later) and _fires(one, later.rule.match_mode, words):
                return one.rule.id
        return ""

    def _candidates(self, later: _Ready, words: tuple[str, ...]) -> Iterator[_Ready]:
        for word in words:
            if later.rule.match_mode is REGEX:
                yield from self._by_pattern[word][:_MOST_CANDIDATES]
            elif self._words.automaton is not None:
                hits = self._words.automaton.find_matches_as_indexes(word, overlapping=True)
                for number in dict.fromkeys(hit[0] for hit in hits):
                    yield from self._by_word[self._words.all[number]][:_MOST_CANDIDATES]


def _comes_first(one: _Ready, later: _Ready) -> bool:
    """Return whether ``one`` is checked before ``later`` for every item and time of ``later``."""
    return (
        one.place < later.place
        and bool(one.items) == bool(later.items)
        and later.items <= one.items
        and covers(one.rule.schedule, later.rule.schedule)
    )


def _fires(one: _Ready, mode: MatchMode, words: tuple[str, ...]) -> bool:
    found = (any(_implies(mode, word, one.rule.match_mode, mine) for word in words) for mine in one.words)
    return all(found) if one.rule.word_mode is ALL else any(found)


def _implies(mode: MatchMode, word: str, other_mode: MatchMode, other: str) -> bool:
    """Return whether each text in which ``mode`` finds ``word`` is one in which ``other_mode`` finds ``other``."""
    if REGEX in (mode, other_mode):
        return mode is other_mode and word == other
    if other_mode is CONTAINS:
        return other in word
    if other_mode is EXACT:
        return mode is EXACT and word == other
    surely = word if mode in (EXACT, MatchMode.WHOLE_WORD) else f"x{word}x"  # any letter may be next to it
    return has_whole_word(surely, other)


def _prepared(rule: Rule, word: str) -> str:
    if rule.match_mode is REGEX:
        return word
    return folded_word(word).strip() if rule.match_mode is EXACT else folded_word(word)
