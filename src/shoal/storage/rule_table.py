"""Rules as rows of their table: read, and written where they differ.

Rows go to the driver by position, many with one statement. Python's lock is given up and taken again at each statement:
a thread that writes thousands of rows one by one waits as often for whatever else the server does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, RowMapping

from shoal.accounts.store import Change
from shoal.errors import StaleGeneration, StoreError
from shoal.rules.rule import Rule
from shoal.rules.rule_rows import rule_of
from shoal.storage.engines import driver_of

Values = tuple[Any, ...]
_Row = TypeVar("_Row")

ROWS_AT_ONCE = 64
"""Rows of one statement: their values stay below 999, the most that old versions of SQLite take."""
_KEY = ("account_id", "id")
_PLAIN = ("position", "match_mode", "priority", "word_mode", "cooldown_seconds", "active")
_DELAY = ("delay_min_seconds", "delay_max_seconds")
_JSON = ("words", "item_ids", "schedule", "parts")
_FIELDS = (*_PLAIN, *_DELAY, *_JSON)

_encode = msgspec.json.Encoder().encode


def read_rule(row: RowMapping) -> Rule:
    """Return the rule of a row. Raises ``StoreError`` (``unreadable_account``)."""
    values: dict[str, Any] = {name: row[name] for name in ("id", *_PLAIN)}
    try:
        values |= {name: msgspec.json.decode(row[name]) for name in _JSON if row[name]}
        return rule_of({**values, "delay_seconds": [row[name] for name in _DELAY]})
    except (msgspec.DecodeError, StoreError) as error:
        raise StoreError(f"account {row['account_id']}: {error}", code="unreadable_account") from None


@dataclass(frozen=True, slots=True)
class RuleWrites:
    """What a change of rules writes: ids to delete, rows of the key and ``_FIELDS`` to insert, rows to update.

    ``replaces_all``: nothing of before stays, and all of it is deleted.
    """

    removed: list[str]
    edited: list[Values]
    added: list[Values]
    replaces_all: bool

    @property
    def rows(self) -> int:
        """How many rows of the table it changes."""
        return len(self.removed) + len(self.edited) + len(self.added)


def rule_writes(change: Change) -> RuleWrites | None:
    """Return what is to be written where the rules of a change differ; ``None`` if they do not. Runs on any thread."""
    old = change.old.keywords if change.old is not None else ()
    if change.new is None or old is change.new.keywords:
        return None
    account_id = change.account_id
    before = {rule.id: rule for rule in old}
    edited: list[Rule] = []
    added: list[Rule] = []
    for rule in change.new.keywords:
        known = before.pop(rule.id, None)
        if known is None:
            added.append(rule)
        elif known != rule:
            edited.append(rule)
    removed = list(before)
    if len(edited) >= ROWS_AT_ONCE:
        removed, added, edited = [*removed, *[rule.id for rule in edited]], [*added, *edited], []
    return RuleWrites(
        removed,
        [(*_values(rule), account_id, rule.id) for rule in edited],
        [(account_id, rule.id, *_values(rule)) for rule in added],
        replaces_all=len(removed) == len(old) > ROWS_AT_ONCE,
    )


def write_rules(connection: Connection, account_id: str, writes: RuleWrites) -> None:
    """Write the rules that differ. Raises ``StaleGeneration`` when a row is missing."""
    raw = driver_of(connection).cursor()
    statements = _statements("?" if connection.dialect.paramstyle == "qmark" else "%s")
    deleted = 0
    if writes.replaces_all:
        deleted = raw.execute(statements.delete_all, (account_id,)).rowcount
    else:
        for ids in _pieces(writes.removed):
            deleted += raw.execute(statements.delete(len(ids)), (account_id, *ids)).rowcount
    if deleted != len(writes.removed):
        raise StaleGeneration("a rule that was to be removed is not there")
    if writes.edited:
        raw.executemany(statements.update, writes.edited)
        if raw.rowcount != len(writes.edited):
            raise StaleGeneration("a rule that was to be edited is not there")
    for rows in _pieces(writes.added):
        raw.execute(statements.insert(len(rows)), tuple([value for row in rows for value in row]))
    raw.close()


def _values(rule: Rule) -> Values:
    """Return the values of ``_FIELDS``."""
    return (
        rule.position, rule.match_mode.value, rule.priority, rule.word_mode.value, rule.cooldown_seconds, rule.active,
        *rule.delay_seconds, _json(rule.words), _json(rule.item_ids), _json(rule.schedule), _json(rule.parts),
    )  # fmt: skip


def _json(values: tuple[Any, ...]) -> str:
    return _encode(values).decode() if values else ""


class _Statements:
    """The statements for one kind of placeholder, each for a number of rows. Names are ours, values are given apart."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._row = f"({', '.join([mark] * len((*_KEY, *_FIELDS)))})"
        values = ", ".join(f"{name} = {mark}" for name in _FIELDS)
        self.delete_all = f"DELETE FROM rules WHERE account_id = {mark}"  # noqa: S608
        self.update = f"UPDATE rules SET {values} WHERE account_id = {mark} AND id = {mark}"  # noqa: S608

    def insert(self, rows: int) -> str:
        """Insert rows of ``_KEY`` and ``_FIELDS``."""
        return f"INSERT INTO rules ({', '.join((*_KEY, *_FIELDS))}) VALUES {', '.join([self._row] * rows)}"  # noqa: S608

    def delete(self, ids: int) -> str:
        """Delete rules of one account, by their ids."""
        found = ", ".join([self._mark] * ids)
        return f"DELETE FROM rules WHERE account_id = {self._mark} AND id IN ({found})"  # noqa: S608


_statements = cache(_Statements)


def _pieces(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    return (rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE))
