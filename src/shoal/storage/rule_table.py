"""Rules as rows of their table: read, and written where they differ.

Rows go to the driver by position, many with one statement. Python's lock is given up and taken again at each statement:
a thread that writes thousands of rows one by one waits as often for whatever else the server does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, repeat
from operator import attrgetter
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

_COLUMNS = (*_KEY, *_FIELDS)

RuleDelta = Mapping[str, Sequence[Any]]
"""What a change adds, removes and edits: rules under ``added`` and ``removed``, pairs of them under ``edited``."""

_encode_lines = msgspec.json.Encoder().encode_lines
_id_of = attrgetter("id")


def read_rule(row: RowMapping) -> Rule:
    """Return the rule of a row. Raises ``StoreError`` (``unreadable_account``)."""
    values: dict[str, Any] = {name: row[name] for name in ("id", *_PLAIN)}
    try:
        values |= {name: msgspec.json.decode(row[name]) for name in _JSON if row[name]}
        return rule_of({**values, "delay_seconds": [row[name] for name in _DELAY]})
    except (msgspec.DecodeError, StoreError) as error:
        raise StoreError(f"account {row['account_id']}: {error}", code="unreadable_account") from None


class RuleWrites(msgspec.Struct, frozen=True):
    """What a change of rules writes: ids to delete, rows to update, and the values of rows to insert, piece by piece.

    ``replaces_all``: nothing of before stays, and all of it is deleted.
    """

    removed: list[str]
    edited: list[Values]
    added: list[Values]
    rows: int
    """How many rows of the table it changes."""
    replaces_all: bool


def rule_writes(change: Change, delta: RuleDelta) -> RuleWrites | None:
    """Return what is to be written where the rules of a change differ; ``None`` if they do not. Runs on any thread."""
    added, removed, edited = delta.get("added", ()), delta.get("removed", ()), delta.get("edited", ())
    if not (added or removed or edited):
        return None
    gone = [rule.id for rule in removed]
    if len(edited) >= ROWS_AT_ONCE:
        gone += [old.id for old, _ in edited]
        added, edited = [*added, *[new for _, new in edited]], ()
    if len(added) > ROWS_AT_ONCE:
        added = sorted(added, key=_id_of)  # in the order of the index: each page of it is written once
    rows = _rows(change.account_id, added)
    account_id = change.account_id
    changed = _rows(account_id, [new for _, new in edited])
    before = change.old.keywords if change.old is not None else ()
    return RuleWrites(
        gone,
        [(*row[len(_KEY) :], *row[: len(_KEY)]) for row in changed],
        [tuple(chain.from_iterable(piece)) for piece in _pieces(rows)],
        rows=len(gone) + len(changed) + len(rows),
        replaces_all=len(gone) == len(before) > ROWS_AT_ONCE,
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
    for values in writes.added:
        raw.execute(statements.insert(len(values) // len(_COLUMNS)), values)
    raw.close()


def _rows(account_id: str, rules: Sequence[Rule]) -> list[Values]:
    """Return the values of ``_COLUMNS`` for each rule: column by column, which takes half the time of row by row."""
    return list(
        zip(
            repeat(account_id),
            [rule.id for rule in rules],
            [rule.position for rule in rules],
            [str(rule.match_mode) for rule in rules],
            [rule.priority for rule in rules],
            [str(rule.word_mode) for rule in rules],
            [rule.cooldown_seconds for rule in rules],
            [rule.active for rule in rules],
            [rule.delay_seconds[0] for rule in rules],
            [rule.delay_seconds[1] for rule in rules],
            _texts([rule.words for rule in rules]),
            _texts([rule.item_ids for rule in rules]),
            _texts([rule.schedule for rule in rules]),
            _texts([rule.parts for rule in rules]),
            strict=False,
        )
    )


def _texts(lists: Sequence[tuple[Any, ...]]) -> Sequence[str]:
    """Return each list as JSON, an empty one as an empty text. No JSON text contains a line break."""
    if not any(lists):
        return [""] * len(lists)
    texts = _encode_lines(lists).decode().split("\n")[:-1]
    return texts if all(lists) else [text if text != "[]" else "" for text in texts]


class _Statements:
    """The statements for one kind of placeholder, each for a number of rows. Names are ours, values are given apart."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._row = f"({', '.join([mark] * len(_COLUMNS))})"
        values = ", ".join(f"{name} = {mark}" for name in _FIELDS)
        self.delete_all = f"DELETE FROM rules WHERE account_id = {mark}"  # noqa: S608
        self.update = f"UPDATE rules SET {values} WHERE account_id = {mark} AND id = {mark}"  # noqa: S608

    def insert(self, rows: int) -> str:
        """Insert rows of ``_COLUMNS``."""
        return f"INSERT INTO rules ({', '.join(_COLUMNS)}) VALUES {', '.join([self._row] * rows)}"  # noqa: S608

    def delete(self, ids: int) -> str:
        """Delete rules of one account, by their ids."""
        found = ", ".join([self._mark] * ids)
        return f"DELETE FROM rules WHERE account_id = {self._mark} AND id IN ({found})"  # noqa: S608


_statements = cache(_Statements)


def _pieces(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    return (rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE))
