"""Edits of all rules of an account at once: replace, merge. What an import asks for, and what it changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import count
from operator import attrgetter

import msgspec
from msgspec.structs import replace

from shoal.errors import InvalidInput
from shoal.rules.keywords import Rules, next_position
from shoal.rules.rule import ANY, CONTAINS, Rule
from shoal.rules.rule_edits import Values, changed, check_rule_id, checked_together, fields_of_new
from shoal.rules.rule_rows import delta_of

_content = attrgetter(*[name for name in Rule.__struct_fields__ if name not in {"id", "position"}])


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """A rule that an import asks for.

    Without an ``id`` it is the existing rule with the same words, items and times, if there is one, otherwise a new one
    with ``new_id``.
    """

    values: Values
    id: str = ""
    new_id: str = ""


class WholeRules(msgspec.Struct, frozen=True):
    """New rules with all their fields, checked one by one. Positions do not count; an id that is not ``named`` is that
    of a rule without an id, for the case that it is new.
    """

    rules: tuple[Rule, ...]
    named: frozenset[str]


def whole_rules(wanted: Sequence[Wanted]) -> WholeRules:
    """Return the rules that an import asks for as new ones. Raises ``InvalidInput``."""
    names = [row.id for row in wanted if row.id]
    for rule_id in names:
        check_rule_id(rule_id)
    rules = tuple([Rule(id=row.id or row.new_id, **fields_of_new(row.values)) for row in wanted])
    return whole(rules, names)


def whole(rules: tuple[Rule, ...], names: Sequence[str]) -> WholeRules:
    """Return rules of which some have ids that a caller gave. Raises ``InvalidInput`` when one stands twice."""
    named = frozenset(names)
    if len(named) != len(names):
        raise InvalidInput("an id stands twice", code="duplicate_rule_id")
    return WholeRules(rules, named)


def replaced(rules: Rules, wanted: WholeRules | Sequence[Wanted]) -> Rules:
    """Replace every rule by these, in this order.

    A rule that exists is edited, so its history continues. Fields that are left out get the values of a new rule.
    """
    new = wanted if isinstance(wanted, WholeRules) else whole_rules(wanted)
    ids = list(_ids(rules, new, new.named))
    places = _kept_places(rules, new.rules, ids) or _new_places(rules, ids)
    known = {rule.id: rule for rule in rules}
    made: list[Rule] = []
    for rule, rule_id, place in zip(new.rules, ids, places, strict=True):
        old = known.get(rule_id)
        if old is not None and old.position == place and _content(old) == _content(rule):
            made.append(old)
        else:
            made.append(_placed(rule, rule_id, place))
    return checked_together(tuple(made))


def merged(rules: Rules, wanted: Sequence[Wanted]) -> Rules:
    """Add these rules after all others of their priority, in this order.

    A rule that exists is edited instead, also under an unknown id if it has the same words, items and times. Its fields
    that are left out stay, and so does its position.
    """
    known = {rule.id: rule for rule in rules}
    found: dict[str, Rule] = {}
    place = next_position(rules)
    new = whole_rules(wanted)
    for row, rule, rule_id in zip(wanted, new.rules, _ids(rules, new, known.keys()), strict=True):
        if rule_id in known:
            found[rule_id] = changed(known[rule_id], row.values)
        else:
            found[rule_id], place = _placed(rule, rule_id, place), place + 1
    return checked_together((*(found.pop(rule.id, rule) for rule in rules), *found.values()))


def _ids(rules: Rules, new: WholeRules, taken: Set[str]) -> Iterator[str]:
    """Yield the id of each rule that is wanted. A given id in ``taken`` belongs to the rule that names it."""
    first: dict[object, str] = {}
    others: dict[object, list[str]] = {}
    for rule in rules:
        if rule.id not in new.named:
            question = _question(rule)
            if question in first:
                others.setdefault(question, []).append(rule.id)
            else:
                first[question] = rule.id
    for rule in new.rules:
        if not first or (rule.id in new.named and rule.id in taken):
            yield rule.id
            continue
        question = _question(rule)
        yield first.pop(question, rule.id)
        if question in others:
            first[question] = others[question].pop(0)
            if not others[question]:
                del others[question]


def _question(rule: Rule) -> object:
    """Return what a rule reacts to. Two rules with the same value are alike, whatever they answer."""
    words = rule.words
    is_one_word = len(words) == 1 and rule.word_mode is ANY and rule.match_mode is CONTAINS
    if is_one_word and not rule.item_ids and not rule.schedule:
        return words[0]
    return (frozenset(words), rule.word_mode, rule.match_mode, frozenset(rule.item_ids), rule.schedule)


def _placed(rule: Rule, rule_id: str, position: int) -> Rule:
    if rule.id == rule_id and rule.position == position:
        return rule
    return replace(rule, id=rule_id, position=position)


def _kept_places(rules: Rules, new: Rules, ids: Sequence[str]) -> list[int] | None:
    """Return the rules' old positions, new ones after all others; ``None`` when that changes the order."""
    known = {rule.id: rule.position for rule in rules}
    free = count(next_position(rules))
    places: list[int] = []
    last: dict[int, int] = {}
    for rule, rule_id in zip(new, ids, strict=True):
        place = known[rule_id] if rule_id in known else next(free)
        if place <= last.get(rule.priority, -1):
            return None
        last[rule.priority] = place
        places.append(place)
    return places


def _new_places(rules: Rules, ids: Sequence[str]) -> list[int]:
    known: Mapping[str, int] = {rule.id: rule.position for rule in rules}
    places: list[int] = []
    last = -1
    for rule_id in ids:
        position = known.get(rule_id, -1)
        last = position if position > last else last + 1
        places.append(last)
    return places


class Edits(msgspec.Struct, frozen=True):
    """The differences between two lists of rules."""

    added: Sequence[Rule]
    removed: Sequence[Rule]
    edited: Sequence[tuple[Rule, Rule]]
    unchanged: int


def edits_between(before: Rules, after: Rules) -> Edits:
    """Return what an edit changes, by the rules' ids."""
    delta = delta_of({rule.id: rule for rule in before}, {rule.id: rule for rule in after})
    return Edits(**delta, unchanged=len(after) - len(delta["added"]) - len(delta["edited"]))
