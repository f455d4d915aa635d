"""Rules as rows of their table: read, and written where they differ.

Many rows go to the driver with one statement, without the columns in which most rules are like a new one. Python's lock
is given up and taken again at each statement: a thread that writes thousands of rows one by one waits as often for
whatever else the server does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping

from shoal.accounts.store import Change
from shoal.errors import StaleGeneration, StoreError
from shoal.rules.rule import Rule
from shoal.rules.rule_rows import rule_of
from shoal.storage.engines import driver_of

Values = tuple[Any, ...]

MANY = 64
"""So many rules that are edited are deleted and inserted again; so many that are removed are perhaps all of a shop."""
_VALUES_AT_ONCE = 999
"""The most that old versions of SQLite take in one statement."""
_KEY = ("account_id", "id")
_WORDED = ("position", "words", "parts")
"""The columns in which most rules differ from a new one."""
_OTHERS = ("match_mode", "priority", "word_mode", "cooldown_seconds", "active", "item_ids", "schedule")
_DELAY = ("delay_min_seconds", "delay_max_seconds")
_FIELDS = (*_WORDED, *_OTHERS, *_DELAY)
_COLUMNS = (*_KEY, *_FIELDS)
_JSON = ("words", "parts", "item_ids", "schedule")
_PLAIN = ("position", "match_mode", "priority", "word_mode", "cooldown_seconds", "active")

RuleDelta = Mapping[str, Sequence[Any]]
"""What a change adds, removes and edits: rules under ``added`` and ``removed``, pairs of them under ``edited``."""

_encode = msgspec.json.Encoder().encode
_encode_lines = msgspec.json.Encoder().encode_lines
_id_of = attrgetter("id")
_others_of = attrgetter(*_OTHERS, "delay_seconds")
_OF_NEW_RULES = _others_of(Rule(id="-", words=("-",)))


def read_rule(row: RowMapping) -> Rule:
    """Return the rule of a row. Raises ``StoreError`` (``unreadable_account``)."""
    values: dict[str, Any] = {name: row[name] for name in ("id", *_PLAIN)}
    try:
        values |= {name: msgspec.json.decode(row[name]) for name in _JSON if row[name]}
        return rule_of({**values, "delay_seconds": [row[name] for name in _DELAY]})
    except (msgspec.DecodeError, StoreError) as error:
        raise StoreError(f"account {row['account_id']}: {error}", code="unreadable_account") from None


class RuleWrites(msgspec.Struct, frozen=True):
    """What a change of rules writes: ids to delete, rows to update, and rows to insert.

    ``added``: lists of rows; the rows of a list have the same columns, the first of ``_COLUMNS``.
    ``replaces_all``: nothing of before stays, and all of it is deleted.
    """

    removed: list[str]
    edited: list[Values]
    added: list[list[Values]]
    replaces_all: bool

    @property
    def rows(self) -> int:
        """How many rows of the table it changes."""
        return len(self.removed) + len(self.edited) + sum(map(len, self.added))


def rule_writes(change: Change, delta: RuleDelta) -> RuleWrites | None:
    """Return what is to be written where the rules of a change differ; ``None`` if they do not. Runs on any thread."""
    added, removed, edited = delta.get("added", ()), delta.get("removed", ()), delta.get("edited", ())
    if not (added or removed or edited):
        return None
    gone = [rule.id for rule in removed]
    if len(edited) >= MANY:
        gone += [old.id for old, _ in edited]
        added, edited = [*added, *[new for _, new in edited]], ()
    if len(added) > MANY:
        added = sorted(added, key=_id_of)  # in the order of the index: each page of it is written once
    worded = [rule for rule in added if _others_of(rule) == _OF_NEW_RULES]
    others = [rule for rule in added if _others_of(rule) != _OF_NEW_RULES] if len(worded) < len(added) else []
    account_id, before = change.account_id, change.old.keywords if change.old is not None else ()
    changed = _rows(account_id, [new for _, new in edited])
    return RuleWrites(
        gone,
        [(*row[len(_KEY) :], *row[: len(_KEY)]) for row in changed],
        [rows for rows in (_worded_rows(account_id, worded), _rows(account_id, others)) if rows],
        replaces_all=len(gone) == len(before) > MANY,
    )


def write_rules(connection: Connection, account_id: str, writes: RuleWrites) -> None:
    """Write the rules that differ. Raises ``StaleGeneration`` when a row is missing."""
    raw = driver_of(connection).cursor()
    on_sqlite = connection.dialect.name == "sqlite"
    mark, ids = ("?", "json_each(?)") if on_sqlite else ("%s", "json_array_elements_text(%s::json) AS ids (value)")
    of_account = f"WHERE account_id = {mark}"
    if writes.replaces_all:
        raw.execute(f"DELETE FROM rules {of_account}", (account_id,))  # noqa: S608
    elif writes.removed:
        gone = f"DELETE FROM rules {of_account} AND id IN (SELECT value FROM {ids})"  # noqa: S608
        raw.execute(gone, (account_id, _encode(writes.removed).decode()))
    if writes.removed and raw.rowcount != len(writes.removed):
        raise StaleGeneration("a rule that was to be removed is not there")
    if writes.edited:
        values = ", ".join(f"{name} = {mark}" for name in _FIELDS)
        raw.executemany(f"UPDATE rules SET {values} {of_account} AND id = {mark}", writes.edited)  # noqa: S608
        if raw.rowcount != len(writes.edited):
            raise StaleGeneration("a rule that was to be edited is not there")
    for rows in writes.added:
        (_insert_on_sqlite if on_sqlite else _insert_on_postgresql)(raw, _COLUMNS[: len(rows[0])], rows)
    raw.close()


def _insert_on_sqlite(raw: Any, names: Sequence[str], rows: Sequence[Values]) -> None:
    at_once = _VALUES_AT_ONCE // len(names)
    row = f"({', '.join('?' * len(names))})"
    for start in range(0, len(rows), at_once):
        piece = rows[start : start + at_once]
        insert = f"INSERT INTO rules ({', '.join(names)}) VALUES {', '.join([row] * len(piece))}"  # noqa: S608
        raw.execute(insert, tuple(chain.from_iterable(piece)))


def _insert_on_postgresql(raw: Any, names: Sequence[str], rows: Sequence[Values]) -> None:
    listed = ", ".join(names)
    given = _encode([dict(zip(names, row, strict=True)) for row in rows]).decode()
    found = "json_populate_recordset(NULL::rules, %s::json)"
    raw.execute(f"INSERT INTO rules ({listed}) SELECT {listed} FROM {found}", (given,))  # noqa: S608


def _worded_rows(account_id: str, rules: Sequence[Rule]) -> list[Values]:
    """Return the first columns of each rule: column by column, which takes half the time of row by row."""
    ids, places = [rule.id for rule in rules], [rule.position for rule in rules]
    words, parts = _texts([rule.words for rule in rules]), _texts([rule.parts for rule in rules])
    return list(zip(repeat(account_id), ids, places, words, parts, strict=False))


def _rows(account_id: str, rules: Sequence[Rule]) -> list[Values]:
    """Return the values of ``_COLUMNS`` for each rule."""
    items, schedules = _texts([rule.item_ids for rule in rules]), _texts([rule.schedule for rule in rules])
    return [
        (*first, str(rule.match_mode), rule.priority, str(rule.word_mode), rule.cooldown_seconds, rule.active,
         items_of_it, schedule, *rule.delay_seconds)
        for first, rule, items_of_it, schedule in zip(
            _worded_rows(account_id, rules), rules, items, schedules, strict=True
        )
    ]  # fmt: skip


def _texts(lists: Sequence[tuple[Any, ...]]) -> Sequence[str]:
    """Return each list as JSON, an empty one as an empty text. No JSON text contains a line break."""
    if not any(lists):
        return [""] * len(lists)
    texts = _encode_lines(lists).decode().split("\n")[:-1]
    return texts if all(lists) else [text if text != "[]" else "" for text in texts]
