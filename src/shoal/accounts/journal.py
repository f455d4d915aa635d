"""The journal: one entry per committed change. All accounts can be folded from it.

Old entries are folded into a baseline for each account and deleted; the fold continues from the baseline.

A cookie appears as its fingerprint only, a proxy without user name and password; rules and item settings appear as what
was added, removed and edited. A simple delivery rule appears as the setting that shows it. A field that is newer than
an entry had its default then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec

from shoal.accounts.account import SCALAR_FIELDS, Account, differing
from shoal.accounts.delivery_views import own_rules
from shoal.accounts.item_setting import ItemSetting
from shoal.rules.rule_rows import delta_of, plain, rule_rows
from shoal.xianyu.proxy import shown_proxy

Part = TypeVar("Part")
_rule_key, _item_key, _delivery_key = attrgetter("id"), attrgetter("item_id"), attrgetter("key")
Changes = dict[str, Any]
"""``{field: [old, new]}``; for ``PARTS`` ``{"added", "removed", "edited"}``, each a list of rows.

In an entry that was just written the rules and items themselves stand for their rows: they are the same as JSON.

A new password of the same proxy leaves ``["http://***@host:port", "http://***@host:port"]``: that it changed, not how.
"""
TIMES_DIFFER_MS = 86_400_000
"""Revs and times rise together, except within so much time: a clock may have been wrong by up to half of it."""
RESTORER: Final = "restore"
"""The actor of an entry without changes by which a restored account goes on with a generation that it never had."""
PARTS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "keywords": lambda row: row["id"],
    "items": lambda row: row["item_id"],
    "deliveries": lambda row: "\n".join(row.get(name, "") for name in ("item_id", "title_contains", "spec")),
}
"""The fields that consist of parts, with the key of a part's row."""
_DEFAULTS: dict[str, Any] = {
    entry.name: entry.default
    for entry in msgspec.structs.fields(Account)
    if entry.name in SCALAR_FIELDS and entry.default is not msgspec.NODEFAULT
}

_ITEM_DEFAULTS: dict[str, Any] = {entry.name: entry.default for entry in fields(ItemSetting) if entry.name != "item_id"}


@dataclass(frozen=True, kw_only=True, slots=True)
class JournalEntry:
    """One committed change: who changed what of which account, when, from where, and at which position.

    ``origin`` is the kind of client and its address: ``console 192.0.2.7``; empty when unknown.
    """

    rev: int
    account_id: str
    owner_id: int
    generation: int
    changes: Changes
    actor: str
    op_id: str
    at_ms: int
    origin: str = ""

    @property
    def is_deletion(self) -> bool:
        """Whether the change deleted the account."""
        return "deleted" in self.changes

    @property
    def is_restore(self) -> bool:
        """Whether it only says that a backup was restored: generations before it may be missing."""
        return self.actor == RESTORER and not self.changes


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The fold of an account's entries up to ``rev``. ``projection`` is ``None`` when the last entry deleted it."""

    account_id: str
    rev: int
    generation: int
    projection: dict[str, Any] | None

    @property
    def deleted(self) -> bool:
        """Whether the account was deleted at that position."""
        return self.projection is None


def changes_between(old: Account | None, new: Account | None) -> Changes:
    """Return the differences between two snapshots. ``old is None`` is a creation, ``new is None`` a deletion."""
    changes: Changes = plain(differences(old, new))
    return changes


def differences(old: Account | None, new: Account | None) -> Changes:
    """Return what ``changes_between`` returns, with the rules and items themselves for their rows.

    The rows of 5,000 rules are 40,000 objects, for which the collector of cycles stops everything, and seldom read.
    """
    if new is None:
        return {"deleted": [False, True]}
    names = SCALAR_FIELDS if old is None else differing(old, new)
    changes: Changes = {name: [_shown(old, name), _shown(new, name)] for name in names}
    if old is None or old.keywords is not new.keywords:
        changes["keywords"] = _delta(old.keywords if old else (), new.keywords, _rule_key)
    if old is None or old.items is not new.items:
        changes["items"] = _delta(old.items if old else (), new.items, _item_key)
    if old is None or old.deliveries is not new.deliveries:
        before = own_rules(old.deliveries) if old else ()
        changes["deliveries"] = _delta(before, own_rules(new.deliveries), _delivery_key)
    return {name: change for name, change in changes.items() if change}


def changes_from(folded: Mapping[str, Any] | None, new: Account) -> Changes:
    """Return the changes from the fold of a journal (``None``: no account) to a snapshot."""
    before, after = folded or {}, projection(new)
    changes: Changes = {
        name: [before.get(name), after[name]]
        for name in SCALAR_FIELDS
        if folded is None or before.get(name) != after[name]
    }
    for name in PARTS:
        changes[name] = _differing(before.get(name, {}), after[name])
    return {name: change for name, change in changes.items() if change}


def _shown(account: Account | None, name: str) -> Any:
    if account is None:
        return None
    if name == "cookie":
        return account.fingerprint
    return shown_proxy(account.proxy) if name == "proxy" else getattr(account, name)


def _delta(before: Iterable[Part], after: Iterable[Part], key: Callable[[Part], str]) -> dict[str, list[Any]]:
    return _differing({key(part): part for part in before}, {key(part): part for part in after})


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {kind: rows for kind, rows in delta_of(old, new).items() if rows}


def projection(account: Account) -> dict[str, Any]:
    """Return an account as the journal has it: everything but the cookie, which its fingerprint represents."""
    return {
        "generation": account.generation,
        "rev": account.rev,
        **{name: _shown(account, name) for name in SCALAR_FIELDS},
        "keywords": {row["id"]: row for row in rule_rows(account.keywords)},
        "items": {item.item_id: asdict(item) for item in account.items},
        "deliveries": {rule.key: plain(rule) for rule in own_rules(account.deliveries)},
    }


def fold(entries: Iterable[JournalEntry], baselines: Iterable[Baseline] = ()) -> dict[str, dict[str, Any]]:
    """Replay entries (in order of ``rev``). Return the projection of every account that exists at the end.

    ``baselines`` stand for pruned entries; an entry that a baseline already contains is skipped, so read the journal
    first and the baselines after it. Raises ``ValueError`` where a generation is missing or an old value does not match
    its predecessor.
    """
    ends = advance(baselines, entries)
    return {name: folded for name, end in ends.items() if (folded := projection_at(end)) is not None}


def projection_at(end: Baseline) -> dict[str, Any] | None:
    """Return the account of a fold that ended there; ``None`` when it was deleted."""
    return None if end.projection is None else {**_DEFAULTS, "deliveries": {}, **end.projection}


def advance(baselines: Iterable[Baseline], entries: Iterable[JournalEntry]) -> dict[str, Baseline]:
    """Return the baselines with later entries folded in, one for each account in either. Raises like ``fold``."""
    starts = {baseline.account_id: baseline for baseline in baselines}
    ends: dict[str, Baseline] = dict(starts)
    for entry in entries:
        before = ends.get(entry.account_id, Baseline(account_id=entry.account_id, rev=0, generation=0, projection=None))
        start = starts.get(entry.account_id)
        if start is not None and entry.rev <= start.rev:
            continue
        step = entry.generation - before.generation
        if step < 1 or (step > 1 and not entry.is_restore):
            raise ValueError(f"generation gap at rev {entry.rev} of {entry.account_id}")
        row = None
        if not entry.is_deletion and not (entry.is_restore and before.projection is None):
            row = _copy(before.projection) if before is start else before.projection or _copy(None)
            _apply(row, entry.changes, entry.rev)
            row["generation"], row["rev"] = entry.generation, entry.rev
        ends[entry.account_id] = replace(before, rev=entry.rev, generation=entry.generation, projection=row)
    return ends


def _copy(row: dict[str, Any] | None) -> dict[str, Any]:
    """A copy to write in: the baseline's own stays as it is."""
    if row is None:
        return {name: {} for name in PARTS}
    copied = {**_DEFAULTS, **row, **{name: dict(row.get(name, {})) for name in PARTS}}
    copied["items"] = {item_id: _whole("items", part) for item_id, part in copied["items"].items()}
    return copied


def _whole(name: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row of a part with the fields that a version of then did not know."""
    return {**_ITEM_DEFAULTS, **part} if name == "items" else dict(part)


def _apply(row: dict[str, Any], changes: Mapping[str, Any], rev: int) -> None:
    is_new = "generation" not in row
    for name, change in changes.items():
        if name in PARTS:
            key = PARTS[name]
            for gone in change.get("removed", ()):
                del row[name][key(gone)]
            for added in change.get("added", ()):
                row[name][key(added)] = _whole(name, added)
            for _, after in change.get("edited", ()):
                row[name][key(after)] = _whole(name, after)
        else:
            before, after = change
            if row.get(name) != before:
                raise ValueError(f"rev {rev}: {name} was {row.get(name)!r}, not {before!r}")
            row[name] = after
    if is_new:
        for name, default in _DEFAULTS.items():
            row.setdefault(name, default)
