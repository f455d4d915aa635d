"""Short words for tests of stores: accounts, changes, and waiting for a settlement."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, insert

from shoal.accounts.account import Account
from shoal.accounts.journal import Baseline, JournalEntry, fold, projection
from shoal.accounts.store import AccountStore, Change, Committed, Op, Refused, Settlement, Unsettled
from shoal.rules.rule_rows import plain
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.history_rows import read_baselines
from shoal.storage.user_tables import users


@dataclass
class Place:
    """Where a database is kept: enough to open it again, or a second time."""

    data_dir: Path
    url: str
    open_again: Callable[..., Awaitable[Database]]


def add_user(url: str, number: int) -> None:
    """Add a user to a database of the newest schema: a shop of several nodes has one who is there."""
    engine = create_engine(url)
    with engine.begin() as connection:
        row = {"id": number, "username": f"user{number}", "password_hash": "", "name_key": f"user{number}"}
        connection.execute(insert(users).values(row | {"created_at_ms": 0, "updated_at_ms": 0}))
    engine.dispose()


_numbers = itertools.count(1)


def an_account(name: str = "shop", **values: Any) -> Account:
    """A new account's draft, with a ``unb`` of its own."""
    number = next(_numbers)
    given = {"owner_id": 1, "unb": f"{2200000000000 + number}", "cookie": f"unb={number}; cookie2=s{number}"}
    return Account(id=name, generation=1, **{**given, **values})


def an_op(op_id: str | None = None) -> Op:
    """An op by somebody, at some time."""
    number = next(_numbers)
    return Op(op_id=op_id or f"op-{number}", actor="user:ann", at_ms=1_700_000_000_000 + number)


def creation(new: Account, op: Op | None = None) -> Change:
    """The change that creates an account."""
    return Change(old=None, new=new, op=op or an_op())


def edit(old: Account, op: Op | None = None, **values: Any) -> Change:
    """The change that replaces some fields."""
    return Change(old=old, new=old.evolve(generation=old.generation + 1, **values), op=op or an_op())


def deletion(old: Account, op: Op | None = None) -> Change:
    """The change that deletes an account."""
    return Change(old=old, new=None, op=op or an_op())


def unchanged(old: Account, op: Op | None = None) -> Change:
    """The change that changes nothing."""
    return Change(old=old, new=old, op=op or an_op())


def submitted(store: AccountStore, *changes: Change) -> asyncio.Future[Settlement]:
    """Submit now; the future holds the first settlement."""
    future: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
    store.submit(changes, lambda settlement: None if future.done() else future.set_result(settlement))
    return future


async def settled(store: AccountStore, *changes: Change) -> Settlement:
    """Submit and wait for the first settlement."""
    async with asyncio.timeout(60):
        return await submitted(store, *changes)


async def committed(store: AccountStore, *changes: Change) -> tuple[JournalEntry, ...]:
    """Submit, insist that it is committed, and return the entries as they are read back."""
    settlement = await settled(store, *changes)
    if isinstance(settlement, Committed):
        return tuple(replace(entry, changes=plain(entry.changes)) for entry in settlement.entries)
    raise settlement.error


async def created(store: AccountStore, *accounts: Account) -> list[Account]:
    """Create accounts one by one, and read them back."""
    for account in accounts:
        await committed(store, creation(account))
    stored_now = (await store.load()).accounts
    return [stored_now[account.id] for account in accounts]


async def stored(store: AccountStore, name: str) -> Account | None:
    """Read an account as it is stored now; ``None`` when there is none."""
    return (await store.load()).accounts.get(name)


async def baselines_of(store: AccountStore) -> dict[str, Baseline]:
    """From where the journal that is left is to be folded, by account id. Read the journal before."""
    if isinstance(store, DBManager):
        return await store._database.read(read_baselines)
    return dict(store._baselines)  # type: ignore[attr-defined]


async def living(store: AccountStore, name: str) -> Account:
    """Read an account that must be there."""
    account = await stored(store, name)
    if account is None:
        raise AssertionError(f"{name} is not there")
    return account


class Settlements:
    """Collects every settlement of the works submitted through it, in order of arrival."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store
        self._news = asyncio.Event()
        self.seen: list[tuple[str, Settlement]] = []

    def submit(self, name: str, changes: Sequence[Change]) -> None:
        """Submit under a name."""
        self._store.submit(changes, lambda settlement: self._take(name, settlement))

    def _take(self, name: str, settlement: Settlement) -> None:
        self.seen.append((name, settlement))
        self._news.set()

    async def wait_for(self, count: int) -> list[tuple[str, Settlement]]:
        """Wait until that many settlements came."""
        async with asyncio.timeout(60):
            while len(self.seen) < count:
                self._news.clear()
                await self._news.wait()
        return self.seen

    def final(self) -> dict[str, Settlement]:
        """The final settlement of each work."""
        return {name: settlement for name, settlement in self.seen if not isinstance(settlement, Unsettled)}


class Clock:
    """Milliseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now


async def refusal(store: AccountStore, *changes: Change) -> Exception:
    settlement = await settled(store, *changes)
    assert isinstance(settlement, Refused), settlement
    return settlement.error


async def assert_fold_equals_rows(store: AccountStore) -> None:
    contents = await store.load()
    folded = fold(await store.journal())
    assert folded == {name: projection(account) for name, account in contents.accounts.items()}
