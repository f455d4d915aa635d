"""Undo of a journal entry: an edit that restores what the entry changed, if it was not changed since.

All or nothing: one field that was changed since refuses the whole undo. A field that already has its old value needs
nothing, so a second undo changes nothing. An undo is a change like any other, and can be undone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from shoal.accounts.account import SCALAR_FIELDS, SECRET_FIELDS, Account
from shoal.accounts.delivery_edits import check_together
from shoal.accounts.delivery_rule import Deliveries, DeliveryRule, rule_of_row
from shoal.accounts.delivery_views import VIEWS, own_rules, with_settings
from shoal.accounts.edits import Edit, RuleEdit
from shoal.accounts.item_setting import ItemSetting
from shoal.accounts.journal import PARTS, Changes, JournalEntry
from shoal.errors import Conflict, InvalidInput
from shoal.rules.rule import MAX_RULES, Rule, in_order
from shoal.rules.rule_rows import rule_of

NEVER_BACK = frozenset({"cookie_version", "restart_nonce"})
"""Counters: an old number would be taken for an old connection."""
_SCALARS = frozenset(SCALAR_FIELDS) - NEVER_BACK - SECRET_FIELDS

Part = TypeVar("Part", Rule, ItemSetting, DeliveryRule)


def can_undo(entry: JournalEntry, account: Account | None) -> bool:
    """Return whether the entry is of this account and of a kind that can be undone. It may still conflict.

    The journal has no cookies and no full proxies, so a new cookie, another proxy, a creation and a deletion cannot be
    undone.
    """
    return account is not None and bool(_changes(entry)) and not _is_of_an_earlier(entry, account)


def _changes(entry: JournalEntry) -> Changes:
    """Return what an undo restores; empty when the entry cannot be undone."""
    changes = {name: change for name, change in entry.changes.items() if name not in NEVER_BACK}
    return changes if changes.keys() <= _SCALARS | PARTS.keys() else {}


def _is_of_an_earlier(entry: JournalEntry, account: Account) -> bool:
    """Return whether the entry belongs to a deleted account with the same id."""
    return account.id != entry.account_id or account.created_at_ms > entry.at_ms


def undo(entry: JournalEntry) -> Edit:
    """Return the edit that undoes the entry. Raises ``InvalidInput`` (``not_undoable``) when there is none
    (``can_undo``).

    The edit raises ``Conflict`` (``undo_conflict``) that names what was changed since.
    """
    changes = _changes(entry)
    if not changes:
        raise InvalidInput("this change cannot be undone", code="not_undoable")

    def edit(account: Account) -> Account:
        if _is_of_an_earlier(entry, account):
            raise InvalidInput("this change is of an earlier account with that id", code="not_undoable")
        conflicts: list[str] = []
        values = {
            name: _scalar(account, name, change, conflicts) for name, change in changes.items() if name in _SCALARS
        }
        if "keywords" in changes:
            values["keywords"] = _rules_back(account.keywords, changes["keywords"], conflicts)
        if "items" in changes:
            values["items"] = _items_back(account.items, changes["items"], conflicts)
        if "deliveries" in changes:
            own = _deliveries_back(account.deliveries, changes["deliveries"], conflicts)
        else:
            own = tuple(own_rules(account.deliveries))
        if not VIEWS.isdisjoint(values) or "deliveries" in changes:
            shown = (values.get(name, getattr(account, name)) for name in ("paid_message", "items"))
            rules = check_together(with_settings(own, *shown))
            kept = {rule.key for rule in own_rules(rules)}
            conflicts += _named_rules(rule for rule in own if rule.key not in kept)  # a text would take their place
            values["deliveries"] = rules
        if conflicts:
            raise Conflict("it was changed again since", code="undo_conflict", fields=conflicts)
        if all(getattr(account, name) == value for name, value in values.items()):
            return account
        if "browser" in values:  # what the site gave to the browser that leaves is void, as after a new cookie
            values["cookie_version"] = account.cookie_version + 1
        return account.evolve(**values)

    return RuleEdit(edit, _count(changes["keywords"])) if "keywords" in changes else edit


def _count(delta: Mapping[str, Any]) -> int:
    """Return how many rules come back, are deleted or change."""
    return sum(len(rules) for rules in delta.values())


def _scalar(account: Account, name: str, change: list[Any], conflicts: list[str]) -> Any:
    before, after = change
    if getattr(account, name) not in (before, after):
        conflicts.append(name)
    return before


def _rules_back(rules: tuple[Rule, ...], delta: Mapping[str, Any], conflicts: list[str]) -> tuple[Rule, ...]:
    lost: list[Rule] = []
    back = _parts_back({rule.id: rule for rule in rules}, delta, _rule, lost)
    keys: dict[tuple[str, str], Rule] = {}
    for rule in (rule for rule in back.values() if rule.is_simple):
        twin = keys.setdefault(rule.key, rule)
        if twin is not rule:
            lost.append(rule)  # another rule got its keyword since
    conflicts += _named("keywords", (rule.keyword for rule in lost))
    if len(back) > MAX_RULES:
        raise InvalidInput(f"at most {MAX_RULES} rules per account", code="too_many_keywords", limit=MAX_RULES)
    return in_order(back.values())


def _items_back(
    items: tuple[ItemSetting, ...], delta: Mapping[str, Any], conflicts: list[str]
) -> tuple[ItemSetting, ...]:
    lost: list[ItemSetting] = []
    back = _parts_back({item.item_id: item for item in items}, delta, _item, lost)
    conflicts += _named("items", (item.item_id for item in lost))
    return tuple(sorted(back.values(), key=lambda item: item.item_id))


def _deliveries_back(rules: Deliveries, delta: Mapping[str, Any], conflicts: list[str]) -> Deliveries:
    """Return the rules that no setting shows, with a delta reversed."""
    lost: list[DeliveryRule] = []
    back = _parts_back({rule.key: rule for rule in own_rules(rules)}, delta, _delivery, lost)
    conflicts += _named_rules(lost)
    return tuple(back.values())


def _parts_back(
    present: dict[str, Part],
    delta: Mapping[str, Any],
    parse: Callable[[Mapping[str, Any]], tuple[str, Part]],
    lost: list[Part],
) -> dict[str, Part]:
    """Return the parts with a delta reversed; parts that were changed since are collected in ``lost``."""
    back = dict(present)
    for row in delta.get("added", ()):
        key, added = parse(row)
        if back.get(key, added) == added:
            back.pop(key, None)
        else:
            lost.append(added)
    for row in delta.get("removed", ()):
        key, removed = parse(row)
        if back.setdefault(key, removed) != removed:
            lost.append(removed)
    for old_row, new_row in delta.get("edited", ()):
        (key, old), (_, new) = parse(old_row), parse(new_row)
        if back.get(key) in (old, new):
            back[key] = old
        else:
            lost.append(new)
    return back


def _rule(row: Mapping[str, Any]) -> tuple[str, Rule]:
    rule = rule_of(row)
    return rule.id, rule


def _item(row: Mapping[str, Any]) -> tuple[str, ItemSetting]:
    item = ItemSetting(**{entry.name: row[entry.name] for entry in fields(ItemSetting) if entry.name in row})
    return item.item_id, item


def _delivery(row: Mapping[str, Any]) -> tuple[str, DeliveryRule]:
    rule = rule_of_row(row)
    return rule.key, rule


def _named_rules(rules: Iterable[DeliveryRule]) -> list[str]:
    return _named("deliveries", (rule.key.replace("\n", " ").strip() or "*" for rule in rules))


def _named(field: str, names: Iterable[str]) -> list[str]:
    return [f"{field}: {name}" for name in dict.fromkeys(names)]
