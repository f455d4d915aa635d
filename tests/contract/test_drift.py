"""What another program writes into the database: told field by field, and taken over by an entry of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from shoal.accounts.account import Account
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.drift import OUTSIDE
from shoal.accounts.events import AccountChanged
from shoal.accounts.journal import fold, projection
from shoal.accounts.ownership import shard_of
from shoal.accounts.store import Change, Found
from shoal.errors import NotApplied, StaleGeneration
from shoal.storage.change_rows import COOKIE_COLUMN, PROXY_COLUMN
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.history_tables import journal
from shoal.storage.schema import account_tables, accounts, rules
from shoal.storage.vault import Vault
from support.databases.store_steps import an_op, baselines_of, settled
from support.site.standins import ANN, FakeSite, cookie_of, managing, unb_of, until

Write = Callable[[Connection], object]
SHOP = accounts.c.id == "shop"


@pytest.fixture
async def store(database: Database, vault: Vault) -> DBManager:
    return DBManager(database, vault)


@pytest.fixture
async def manager(store: DBManager) -> AsyncIterator[CookieManager]:
    """A manager over the store, with one account that has a rule and a proxy."""
    async with managing(FakeSite(), store) as opened:
        proxy = "http://user:old-password@127.0.0.1:9999"
        await opened.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN, proxy=proxy)
        await opened.update_keywords("shop", [("在吗", "在的"), ("价格", "不议价")], caller=ANN)
        yield opened


async def _by_another(database: Database, write: Write) -> None:
    def job(connection: Connection) -> None:
        write(connection)

    await database.write(job)


async def _in_step(store: DBManager, manager: CookieManager) -> None:
    """Published, stored and folded are the same for every account."""
    stored = {name: projection(account) for name, account in (await store.load()).accounts.items()}
    assert {name: projection(account) for name, account in manager.accounts.items()} == stored
    assert fold(await store.journal(), (await baselines_of(store)).values()) == stored
    assert await manager.compare_with_db(take_over=False) == []
    assert not manager.pending
    assert len(manager.locks) == 0


def _sealed(vault: Vault, account: Account, cookie: str) -> dict[str, Any]:
    other = account.evolve(cookie=cookie)
    return {
        "cookie_sealed": vault.seal(cookie, account_id=account.id, column=COOKIE_COLUMN),
        "cookie_fingerprint": other.fingerprint,
    }


def _edit_rules(connection: Connection) -> None:
    connection.execute(delete(rules).where(rules.c.words.like("%价格%")))
    connection.execute(update(rules).values(priority=7))


def _delete_rows(connection: Connection) -> None:
    for table in account_tables():
        connection.execute(delete(table).where(table.c.account_id == "shop"))
    connection.execute(delete(accounts).where(SHOP))


def _set(**values: Any) -> Write:
    return lambda connection: connection.execute(update(accounts).where(SHOP).values(values))


WRITES: dict[str, tuple[Write, set[str]]] = {
    "fields alone": (_set(remark="theirs", enabled=False), {"remark", "enabled"}),
    "rules alone": (_edit_rules, {"keywords"}),
    "fields and the generation": (_set(remark="theirs too", generation=99), {"remark", "generation"}),
    "the generation alone": (_set(generation=1), {"generation"}),
    "a mark of deletion": (_set(deleted=True), {"deleted"}),
    "the row deleted": (_delete_rows, {"deleted"}),
}


async def test_f7_what_another_program_wrote_is_told_by_field_and_taken_over_by_an_entry_of_its_own(
    database: Database, store: DBManager, manager: CookieManager
) -> None:
    for what, (write, fields) in WRITES.items():
        before = manager.account("shop")
        await _by_another(database, write)
        (seen,) = await manager.compare_with_db(take_over=False)
        assert (seen.account_id, set(seen.changes), seen.outside, seen.error) == ("shop", fields, True, None), what
        assert manager.account("shop") == before
        assert (await store.journal())[-1].actor == "user:ann"
        assert await manager.compare_with_db(take_over=True) == [seen]
        last = (await store.journal())[-1]
        assert (last.actor, last.generation, last.account_id) == (OUTSIDE, before.generation + 1, "shop"), what
        await _in_step(store, manager)
        assert await manager.compare_with_db(take_over=True) == []
        if "deleted" in fields:
            await until(lambda: "shop" not in manager.tasks)
            await manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        else:
            await manager.update_settings("shop", {"pause_duration": 3 + len(what)}, caller=ANN)
        assert manager.account("shop").generation == before.generation + 2, what
        await _in_step(store, manager)


async def test_f7_a_cookie_that_another_program_put_there_is_told_by_its_fingerprint_and_connects(
    database: Database, store: DBManager, manager: CookieManager, vault: Vault
) -> None:
    before = manager.account("shop")
    new = before.evolve(cookie=cookie_of(1, secret="restored"))
    values = _sealed(vault, before, new.cookie)
    await _by_another(database, _set(**values))
    (seen,) = await manager.compare_with_db(take_over=True)
    assert seen.changes == {"cookie": [before.fingerprint, new.fingerprint]}
    after = manager.account("shop")
    assert (after.cookie, after.cookie_version) == (new.cookie, before.cookie_version + 1)
    await _in_step(store, manager)


async def test_f7_another_password_of_the_same_proxy_is_seen_and_never_shown(
    database: Database, store: DBManager, manager: CookieManager, vault: Vault
) -> None:
    proxy = "http://user:new-password@127.0.0.1:9999"
    sealed = vault.seal(proxy, account_id="shop", column=PROXY_COLUMN)
    await _by_another(
        database, lambda connection: connection.execute(update(accounts).where(SHOP).values(proxy_sealed=sealed))
    )
    (seen,) = await manager.compare_with_db(take_over=True)
    assert seen.changes == {"proxy": ["http://***@127.0.0.1:9999"] * 2}
    assert manager.account("shop").proxy == proxy
    entry = (await store.journal())[-1]
    assert (entry.actor, entry.changes) == (OUTSIDE, seen.changes)
    await _in_step(store, manager)


async def test_f7_an_account_that_another_program_added_is_taken_over_and_connects(
    database: Database, store: DBManager, manager: CookieManager, vault: Vault
) -> None:
    new = Account(id="theirs", owner_id=1, unb=unb_of(2), cookie=cookie_of(2))
    row = {
        "id": "theirs", "owner_id": 1, "unb": new.unb, "shard": shard_of("theirs"), "generation": 4, "rev": 0,
        **_sealed(vault, new, new.cookie),
    }  # fmt: skip
    await _by_another(database, lambda connection: connection.execute(insert(accounts), [row]))
    (seen,) = await manager.compare_with_db(take_over=True)
    assert (seen.account_id, seen.outside, seen.changes["cookie"]) == ("theirs", True, [None, new.fingerprint])
    assert manager.account("theirs").generation == 1
    await until(lambda: manager.observation("theirs").state == "running")
    await _in_step(store, manager)


async def test_f7_a_row_that_moves_on_while_it_is_taken_over_is_looked_at_again(
    database: Database, store: DBManager, manager: CookieManager
) -> None:
    """Another program writes between the look and the entry: what is journaled is what stands there in the end."""
    glimpse, writes = store.glimpse, ["second"]

    async def look(account_id: str, *, after_rev: int) -> Any:
        seen = await glimpse(account_id, after_rev=after_rev)
        while writes:
            await database.write(_remark(writes.pop()))
        return seen

    await database.write(_remark("first"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "glimpse", look)
        await manager.compare_with_db(take_over=True)
    assert manager.account("shop").remark == "second"
    assert [entry.actor for entry in await store.journal()].count(OUTSIDE) == 1
    await _in_step(store, manager)


async def test_f7_a_row_that_moves_on_whenever_it_is_looked_at_is_told_as_one_that_could_not_be_taken_over(
    database: Database, store: DBManager, manager: CookieManager
) -> None:
    glimpse, texts = store.glimpse, (f"text {number}" for number in count())

    async def look(account_id: str, *, after_rev: int) -> Any:
        seen = await glimpse(account_id, after_rev=after_rev)
        await database.write(_remark(next(texts)))
        return seen

    await database.write(_remark("first"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "glimpse", look)
        (told,) = await manager.compare_with_db(take_over=True)
    assert (told.account_id, told.error and told.error.code) == ("shop", StaleGeneration.code)
    assert OUTSIDE not in {entry.actor for entry in await store.journal()}
    await manager.compare_with_db(take_over=True)
    await _in_step(store, manager)


def _remark(text: str) -> Callable[[Connection], None]:
    def write(connection: Connection) -> None:
        connection.execute(update(accounts).where(SHOP).values(remark=text))

    return write


async def test_f7_what_was_found_is_refused_when_it_does_not_stand_there_any_more(
    store: DBManager, manager: CookieManager
) -> None:
    account = manager.account("shop")
    found = account.evolve(remark="never stored")
    change = Change(old=found, new=found.evolve(generation=9), op=an_op(), found=Found(8, {"remark": ["", "x"]}))
    refused = await settled(store, change)
    assert isinstance(getattr(refused, "error", None), StaleGeneration)
    gone = Change(old=account, new=None, op=an_op(), found=Found(8, {"deleted": [False, True]}))
    assert isinstance(getattr(await settled(store, gone), "error", None), StaleGeneration)
    await _in_step(store, manager)


async def test_f7_what_another_server_wrote_is_no_work_of_an_outsider(store: DBManager, manager: CookieManager) -> None:
    """Its entry is in the journal: published with that entry told, and with none added."""
    async with managing(FakeSite(), store) as other:
        await other.update_settings("shop", {"remark": "by the other server"}, caller=ANN)
    (seen,) = await manager.compare_with_db(take_over=True)
    assert (set(seen.changes), seen.outside) == ({"remark", "generation", "rev"}, False)
    assert {entry.actor for entry in await store.journal()} == {"user:ann"}
    await _in_step(store, manager)


async def test_f7_what_was_missed_is_told_before_what_an_outsider_wrote_also_to_who_left(
    database: Database, store: DBManager, manager: CookieManager
) -> None:
    """Another server's change and an outsider's stand in one row: both are published, in order, without a caller."""
    async with managing(FakeSite(), store) as other:
        await other.update_settings("shop", {"remark": "by the other server"}, caller=ANN)
    await _by_another(database, _set(pause_duration=1))
    before = manager.account("shop").generation
    submit = store.submit
    handed = asyncio.Event()

    def hand_over(changes: Any, settle: Any) -> None:
        submit(changes, settle)
        handed.set()

    with manager.events.subscribe() as heard, pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "submit", hand_over)
        asking = asyncio.create_task(manager.reload_from_db())
        await handed.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await until(lambda: manager.account("shop").generation == before + 2)
        told = [event.entry.generation for event in await heard.take() if isinstance(event, AccountChanged)]
    assert told == [before + 1, before + 2]
    assert [entry.actor for entry in await store.journal()][-2:] == ["user:ann", OUTSIDE]
    await _in_step(store, manager)


async def test_f7_an_owners_change_meets_a_row_that_another_program_moved_and_both_are_journaled(
    database: Database, store: DBManager, manager: CookieManager
) -> None:
    await _by_another(database, _set(remark="theirs", generation=accounts.c.generation + 1))
    before = manager.account("shop").generation
    await manager.update_settings("shop", {"pause_duration": 4}, caller=ANN)
    account = manager.account("shop")
    assert (account.remark, account.pause_duration, account.generation) == ("theirs", 4, before + 2)
    assert [entry.actor for entry in await store.journal()][-2:] == [OUTSIDE, "user:ann"]
    await _in_step(store, manager)


async def test_f7_one_account_that_cannot_be_taken_over_keeps_no_other_from_it(
    database: Database, store: DBManager, manager: CookieManager
) -> None:
    await manager.add_cookie("two", cookie_of(2), owner_id=1, caller=ANN)
    await _by_another(database, lambda connection: connection.execute(update(accounts).values(remark="theirs")))
    submit = store.submit

    def refuse(changes: Any, settle: Any) -> None:
        if changes[0].account_id == "two":
            raise NotApplied("the disk is full")
        submit(changes, settle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "submit", refuse)
        seen = {one.account_id: one.error for one in await manager.compare_with_db(take_over=True)}
        assert (seen["shop"], type(seen["two"])) == (None, NotApplied)
        with pytest.raises(NotApplied):
            await manager.reload_from_db()
    assert (manager.account("shop").remark, manager.account("two").remark) == ("theirs", "")
    assert await manager.reload_from_db() == 1
    await _in_step(store, manager)


async def test_f7_changes_that_go_on_during_the_look_are_no_differences(
    store: DBManager, manager: CookieManager
) -> None:
    async def toggle() -> None:
        for number in range(30):
            await manager.update_settings("shop", {"remark": f"r{number}"}, caller=ANN)

    toggling = asyncio.create_task(toggle())
    while not toggling.done():
        assert await manager.compare_with_db(take_over=True) == []
    await toggling
    assert OUTSIDE not in {entry.actor for entry in await store.journal()}
    await _in_step(store, manager)


async def test_f7_an_account_whose_old_entries_were_pruned_is_compared_with_what_they_folded_to(
    database: Database, store: DBManager, manager: CookieManager
) -> None:
    await store.prune(journal_before_ms=2**50, ops_before_ms=0, moves_before_ms=0)
    count = select(journal.c.rev)
    assert await database.read(lambda connection: connection.execute(count).all()) == []
    await database.write(_remark("theirs"))
    (seen,) = await manager.compare_with_db(take_over=True)
    assert seen.changes == {"remark": ["", "theirs"]}
    await _in_step(store, manager)
