"""What a change costs the database, counted: statements, commits, bytes of the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select
from sqlalchemy.engine import Engine

from shoal.accounts.account import Account
from shoal.rules.rule import Rule
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.history_tables import journal
from shoal.storage.vault import Vault
from support.databases.store_steps import an_account, committed, created, deletion, edit, living, unchanged

CHANGES = 100
SHORT_BYTES = 64
"""At least what the journal needs for a switch."""


@pytest.fixture
async def db_store(database: Database, vault: Vault) -> DBManager:
    return DBManager(database, vault)


@contextmanager
def through_sqlalchemy() -> Iterator[list[str]]:
    """Collect the statements that SQLAlchemy handles: compiled ones, and those of its own transactions."""
    seen: list[str] = []

    def note(_: Connection, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def test_a_warm_change_gives_sqlalchemy_no_statement(db_store: DBManager) -> None:
    (account,) = await created(db_store, an_account())
    first = await committed(db_store, edit(account, enabled=False))  # the writer's row of store_meta exists now
    account = account.evolve(enabled=False, generation=2, rev=first[0].rev)
    with through_sqlalchemy() as seen:
        for values in (
            {"enabled": True},
            {"auto_confirm": True},
            {"remark": "x"},
            {"cookie": "cookie2=y"},
            {"proxy": ""},
        ):
            (entry,) = await committed(db_store, edit(account, **values))
            account = account.evolve(**values, generation=entry.generation, rev=entry.rev)
        await committed(db_store, deletion(account))
    assert seen == []
    with through_sqlalchemy() as seen:  # a creation is no such change, and is seen
        await created(db_store, an_account("other"))
    assert any("INSERT INTO accounts" in statement for statement in seen)


async def test_changes_of_one_turn_of_the_loop_are_one_commit(database: Database, db_store: DBManager) -> None:
    accounts = await created(db_store, *(an_account(f"shop{number}") for number in range(CHANGES)))

    async def change(account: Account) -> None:
        await asyncio.sleep(0)
        await committed(db_store, edit(account, enabled=False))

    before = database.group_writer.groups_committed
    await asyncio.gather(*map(change, accounts), database.write(lambda _: None))
    assert database.group_writer.groups_committed - before == 1
    assert not any(account.enabled for account in (await db_store.load()).accounts.values())


async def test_a_save_costs_the_journal_what_differs(database: Database, db_store: DBManager) -> None:
    rules = tuple(Rule.simple(id=f"r{number}", keyword=f"k{number}", reply="x" * 100) for number in range(1_000))
    await created(db_store, an_account(keywords=rules, cookie="cookie2=" + "c" * 4_000))
    edited = (Rule.simple(id="r0", keyword="k0", reply="y" * 100), *rules[1:])
    most: dict[str, tuple[dict[str, Any], int]] = {
        "switch": ({"enabled": False}, SHORT_BYTES),
        "cookie": ({"cookie": "cookie2=" + "d" * 4_000, "cookie_version": 2}, 3 * SHORT_BYTES),
        "one of 1,000 rules": ({"keywords": edited}, 2 * 100 + 10 * SHORT_BYTES),
        "the same rules": ({"keywords": (*edited[:1], *edited[1:])}, SHORT_BYTES),
    }
    for name, (values, limit) in most.items():
        await committed(db_store, edit(await living(db_store, "shop"), **values))
        assert await _last_bytes(database) <= limit, name
    rev = (await living(db_store, "shop")).rev
    await committed(db_store, unchanged(await living(db_store, "shop")))
    assert (await living(db_store, "shop")).rev == rev


async def test_a_group_stores_secrets_and_plain_values_alike(db_store: DBManager) -> None:
    """One group with every shape of change; each value is read back as it was given."""
    accounts = await created(db_store, *(an_account(f"shop{number}") for number in range(6)))
    wanted: list[dict[str, Any]] = [
        {"enabled": False}, {"debounce_seconds": 0.1, "remark": "“零” \\ \" 'x'"}, {"debounce_seconds": None},
        {"cookie": "cookie2=é; unb=1", "proxy": "http://u:p@h.example:1"}, {"pause_duration": 3, "browser": "{}"},
        {"enabled": False, "created_at_ms": 2**53 + 1},
    ]  # fmt: skip
    await asyncio.gather(
        *(committed(db_store, edit(account, **values)) for account, values in zip(accounts, wanted, strict=True))
    )
    for account, values in zip(accounts, wanted, strict=True):
        now = await living(db_store, account.id)
        assert now == account.evolve(**values, generation=2, rev=now.rev)


async def _last_bytes(database: Database) -> int:
    query = select(func.length(journal.c.changes)).order_by(journal.c.rev.desc()).limit(1)
    return await database.read(lambda connection: connection.scalar(query) or 0)
