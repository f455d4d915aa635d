"""A change of rules writes and journals what differs."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import delete, select

from shoal.accounts.journal import JournalEntry
from shoal.errors import StaleGeneration
from shoal.rules.rule import MAX_RULES, MatchMode, Part, Rule
from shoal.rules.schedule import Span
from shoal.storage import rule_table
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.engines import driver_of
from shoal.storage.rule_table import MANY
from shoal.storage.schema import rules
from shoal.storage.vault import Vault
from support.databases.store_steps import an_account, assert_fold_equals_rows, committed, created, edit, living, settled


@pytest.fixture
def store(database: Database, vault: Vault) -> DBManager:
    """The store on a database; the one in memory writes no rows."""
    return DBManager(database, vault)


def some_rules(number: int) -> tuple[Rule, ...]:
    """Rules like those of a shop."""
    return tuple(
        Rule(id=f"r{place}", words=(f"词{place}",), parts=(Part(text=f"第 {place} 条"),), position=place)
        for place in range(number)
    )


class Written:
    """How many rows of the table of rules were changed, and by how many statements."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        self.statements = 0
        patch.setattr(rule_table, "driver_of", lambda connection: _Counting(driver_of(connection).cursor(), self))


class _Counting:
    """The driver's cursor, which counts."""

    def __init__(self, cursor: Any, written: Written) -> None:
        self._cursor = cursor
        self._written = written

    def cursor(self) -> _Counting:
        return self

    def execute(self, statement: str, values: Any) -> _Counting:
        self._cursor.execute(statement, values)
        return self._count()

    def executemany(self, statement: str, rows: Any) -> _Counting:
        self._cursor.executemany(statement, rows)
        return self._count()

    def _count(self) -> _Counting:
        self._written.rows += self.rowcount
        self._written.statements += 1
        return self

    @property
    def rowcount(self) -> int:
        return int(self._cursor.rowcount)

    def close(self) -> None:
        self._cursor.close()


def journal_bytes(entry: JournalEntry) -> int:
    """The length of an entry's text."""
    return len(msgspec.json.encode(entry.changes))


async def test_one_of_5000_rules_costs_one_row_and_a_short_entry(
    store: DBManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    (account,) = await created(store, an_account(keywords=some_rules(MAX_RULES)))
    changed = list(some_rules(MAX_RULES))  # equal rules, each another object
    changed[2_500] = replace(changed[2_500], parts=(Part(text="改"),))
    written = Written(monkeypatch)
    (entry,) = await committed(store, edit(account, keywords=tuple(changed)))
    assert (written.rows, written.statements) == (1, 1)
    assert journal_bytes(entry) < 300
    assert (await living(store, "shop")).keywords == tuple(changed)


async def test_many_rows_are_written_with_few_statements(
    store: DBManager, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement is a wait for Python's lock."""
    number = 10 * MANY
    (account,) = await created(store, an_account())
    written = Written(monkeypatch)
    few, more = (4, 10) if database.is_sqlite else (1, 1)  # most rules differ from a new one in few columns
    await committed(store, edit(account, keywords=some_rules(number)))
    assert (written.rows, written.statements) == (number, few)
    account = await living(store, "shop")
    await committed(store, edit(account, keywords=tuple(replace(rule, priority=7) for rule in account.keywords)))
    assert written.statements == few + 1 + more  # deleted at once, and inserted again
    account = await living(store, "shop")
    await committed(store, edit(account, keywords=()))
    assert written.statements == few + 1 + more + 1
    assert (await living(store, "shop")).keywords == ()


async def test_a_rule_that_another_program_removed_is_neither_edited_nor_removed(
    store: DBManager, database: Database
) -> None:
    (account,) = await created(store, an_account(keywords=some_rules(3)))
    gone = account.keywords[1]
    await database.write(lambda connection: connection.execute(delete(rules).where(rules.c.id == gone.id)).rowcount)
    edited = tuple(replace(rule, priority=7) for rule in account.keywords)
    for keywords in (edited, account.keywords[:1]):
        refused = await settled(store, edit(account, keywords=keywords))
        assert isinstance(getattr(refused, "error", None), StaleGeneration)
    left = await database.read(lambda connection: connection.execute(select(rules.c.id, rules.c.priority)).all())
    assert sorted(map(tuple, left)) == [("r0", 0), ("r2", 0)]


@pytest.mark.parametrize("seed", range(3))
async def test_any_mixture_is_stored_as_it_is_published(store: DBManager, seed: int) -> None:
    rng = Random(seed)
    (account,) = await created(store, an_account(keywords=some_rules(200)))
    for turn in range(4):
        kept = [rule for rule in account.keywords if rng.random() < 0.7]
        edited = [replace(rule, **_another(rng)) if rng.random() < rng.choice([0.01, 0.6]) else rule for rule in kept]
        fresh = [Rule(id=f"{turn}-{n}", words=(f"新{n}", "b"), position=900 + n) for n in range(rng.randrange(150))]
        await committed(store, edit(account, keywords=(*edited, *fresh)))
        account = await living(store, "shop")
        assert set(account.keywords) == {*edited, *fresh}
    await assert_fold_equals_rows(store)


def _another(rng: Random) -> dict[str, Any]:
    return rng.choice([
        {"parts": ()}, {"parts": (Part(text="a"), Part(image_url="/static/uploads/images/a.png", width=3, height=4))},
        {"schedule": (Span(start="09:00", end="18:00"),)}, {"delay_seconds": (0.5, 2.0), "cooldown_seconds": 60},
        {"parts": (Part(text="\"a\\\n\u2028%s\t{x}'😀"),)}, {"item_ids": ("7", "8")},
        {"match_mode": MatchMode.EXACT, "active": False}, {"priority": -3},
    ])  # fmt: skip
