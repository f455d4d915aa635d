"""What applying a file changes in a shop, as values and as sentences with the names that stand in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shoal.accounts.account import Account
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.language.catalogue import translate
from shoal.language.choice import Language
from shoal.maintenance.shop_file.export import ITEM_SECTIONS, SETTINGS, Row, delivery_row, item_values, rule_row

MOST_CHARACTERS = 60
"""How much of a text a sentence shows."""

_NAMING = frozenset({"id", "words", "item_id", "title_contains"})
"""What the name of a rule says already."""


class Kind(StrEnum):
    """The kinds of differences."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    MOVED = "moved"


class Section(StrEnum):
    """Where in the file a difference stands."""

    ENABLED = "enabled"
    SETTINGS = "settings"
    ITEM_REPLIES = "item_replies"
    ITEM_FACTS = "item_facts"
    ITEM_FLOORS = "item_floors"
    RULES = "rules"
    DELIVERIES = "deliveries"
    STAFF = "staff"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One setting, rule or user that differs. ``name`` says which of its section."""

    kind: Kind
    section: Section
    name: str
    before: Any = None
    after: Any = None


def differences(before: Account, after: Account, goods: Mapping[int, str]) -> list[Difference]:
    """Return what differs between two snapshots, in the order of the file."""
    return [
        *_values(Section.ENABLED, {"enabled": before.enabled}, {"enabled": after.enabled}),
        *_values(Section.SETTINGS, _settings(before), _settings(after)),
        *(
            one
            for section, name in ITEM_SECTIONS.items()
            for one in _values(Section(section), item_values(before, name), item_values(after, name))
        ),
        *_rules(before, after),
        *_deliveries(before.deliveries, after.deliveries, goods),
    ]


def staff_differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[Difference]:
    """Return the users whose permission differs."""
    return list(_values(Section.STAFF, before, after))


def _settings(account: Account) -> Row:
    return {name: getattr(account, name) for name in SETTINGS}


def _values(section: Section, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name in [*before, *(name for name in after if name not in before)]:
        yield from _one(section, name, before.get(name), after.get(name), name in before, name in after)


def _one(section: Section, name: str, before: Any, after: Any, was: bool, remains: bool) -> Iterator[Difference]:
    if not was or not remains:
        yield Difference(
            kind=Kind.REMOVED if was else Kind.ADDED, section=section, name=name, before=before, after=after
        )
    elif before != after:
        yield Difference(kind=Kind.CHANGED, section=section, name=name, before=before, after=after)


def _rules(before: Account, after: Account) -> Iterator[Difference]:
    if before.keywords is after.keywords:
        return
    old = {rule.id: rule_row(rule) for rule in before.keywords}
    new = {rule.id: rule_row(rule) for rule in after.keywords}
    for rule_id in [*old, *(rule_id for rule_id in new if rule_id not in old)]:
        row = new.get(rule_id) or old[rule_id]
        yield from _one(
            Section.RULES, row["words"][0], old.get(rule_id), new.get(rule_id), rule_id in old, rule_id in new
        )
    if [one for one in old if one in new] != [one for one in new if one in old]:
        yield Difference(kind=Kind.MOVED, section=Section.RULES, name="")


def _deliveries(
    before: Sequence[DeliveryRule], after: Sequence[DeliveryRule], goods: Mapping[int, str]
) -> Iterator[Difference]:
    old = {rule.key: delivery_row(rule, goods) for rule in before}
    new = {rule.key: delivery_row(rule, goods) for rule in after}
    for key in [*old, *(key for key in new if key not in old)]:
        name = " · ".join(part for part in key.split("\n") if part)
        yield from _one(Section.DELIVERIES, name, old.get(key), new.get(key), key in old, key in new)


# ── sentences ───────────────────────────────────────────────────────────────────────────────────────────────────────


def sentence(one: Difference, language: Language) -> str:
    """Return a difference in words."""
    if one.kind is Kind.MOVED:
        return translate("shop_file.moved", language)
    what = _name(one, language)
    if one.kind is Kind.ADDED:
        return translate("shop_file.added", language, what=what, after=_shown(one.after, language))
    if one.kind is Kind.REMOVED:
        return translate("shop_file.removed", language, what=what, before=_shown(one.before, language))
    if isinstance(one.before, dict):
        names = [*one.before, *(name for name in one.after if name not in one.before)]
        pairs = [(name, one.before.get(name), one.after.get(name)) for name in names]
        changes = [
            translate("shop_file.field", language, name=name, before=_shown(old, language), after=_shown(new, language))
            for name, old, new in pairs
            if old != new
        ]
        return translate(
            "shop_file.fields", language, what=what, fields=translate("shop_file.between", language).join(changes)
        )
    return translate(
        "shop_file.changed",
        language,
        what=what,
        before=_shown(one.before, language),
        after=_shown(one.after, language),
    )


def _name(one: Difference, language: Language) -> str:
    if one.section in {Section.ENABLED, Section.SETTINGS}:
        return one.name
    if one.section is Section.DELIVERIES and not one.name:
        return translate("shop_file.what.every_item", language)
    return translate(f"shop_file.what.{one.section.value}", language, name=_cut(one.name))


def _shown(value: Any, language: Language) -> str:
    shown = "–" if value is None else str(value)
    if isinstance(value, bool):
        shown = "true" if value else "false"
    elif isinstance(value, float):
        shown = f"{value:g}"
    elif isinstance(value, str):
        shown = _quoted(value, language)
    elif isinstance(value, list | tuple):
        shown = " · ".join(_shown(part, language) for part in value) or "–"
    elif isinstance(value, dict):
        shown = _row(value, language)
    return shown


def _row(row: Row, language: Language) -> str:
    if row.keys() <= {"text", "image_url"}:
        return _quoted(str(next(iter(row.values()), "")), language)
    named = {name: part for name, part in row.items() if name not in _NAMING}
    return translate("shop_file.between", language).join(
        f"{name} {_shown(part, language)}" for name, part in named.items()
    )


def _quoted(text: str, language: Language) -> str:
    return translate("shop_file.quoted", language, text=_cut(text))


def _cut(text: str) -> str:
    shown = " ⏎ ".join(text.splitlines())
    return shown if len(shown) <= MOST_CHARACTERS else f"{shown[:MOST_CHARACTERS]}…"
