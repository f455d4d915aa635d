"""Grants of several nodes on one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import Connection, text

from shoal.accounts.account import Account
from shoal.accounts.events import AccessChanged, EventBus
from shoal.auth.authorization import Authorization, Principal
from shoal.auth.passwords import Passwords
from shoal.auth.permission import Permission
from shoal.auth.users import User, Users
from shoal.errors import Conflict, StoreError, UnknownAccount, UnknownUser
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.user_tables import users
from support.databases.store_steps import Place, an_account, created
from support.runs.quick_start import cheap_hasher
from support.site.standins import until


@pytest.fixture
async def owned(database: Database, manager: DBManager) -> AsyncIterator[tuple[Account, Principal]]:
    """An account, and somebody who does not own it."""
    account, *_ = await created(manager, an_account())
    users = Users(database, passwords := Passwords(cheap_hasher()))
    await users.create("ann", "a password of theirs")  # the owner
    bob = await users.create("bob", "a password of theirs")
    yield account, Principal(user=bob)
    await passwords.close()


@pytest.fixture
async def nodes(
    place: Place, database: Database, owned: tuple[Account, Principal]
) -> AsyncIterator[tuple[Authorization, Authorization, EventBus]]:
    """Two nodes, and what the second one tells."""
    if not place.url:
        pytest.skip("SQLite has one server only")
    account, _ = owned
    async with AsyncExitStack() as closing:
        buses = EventBus(), EventBus()
        found = []
        for node, bus in zip((database, await place.open_again(data_dir=place.data_dir / "other")), buses, strict=True):
            access = Authorization(node, {account.id: account}, bus, of_owner=lambda _: [], follow_seconds=0.05)
            closing.push_async_callback(access.close)
            await access.open()
            found.append(access)
        yield found[0], found[1], buses[1]


async def test_what_one_node_gives_or_takes_the_other_knows_soon_and_tells(
    nodes: tuple[Authorization, Authorization, EventBus], owned: tuple[Account, Principal]
) -> None:
    (here, there, bus), (account, bob) = nodes, owned
    with bus.subscribe() as told:
        assert await here.give(account, bob.id, Permission.REPLY, given_by="user:ann")
        assert not await here.give(account, bob.id, Permission.REPLY, given_by="user:ann")
        await until(lambda: there.permission_on(bob, account) is Permission.REPLY)
        assert await told.take() == [AccessChanged(user_id=bob.id)]
        assert await here.take(account.id, bob.id)
        await until(lambda: there.permission_on(bob, account) is None)
        assert await told.take() == [AccessChanged(user_id=bob.id)]


async def test_whether_something_changed_is_told_by_the_database_also_before_a_node_has_heard(
    place: Place, database: Database, owned: tuple[Account, Principal]
) -> None:
    if not place.url:
        pytest.skip("SQLite has one server only")
    account, bob = owned
    other = await place.open_again(data_dir=place.data_dir / "other")
    here, there = (
        Authorization(one, {}, EventBus(), of_owner=lambda _: []) for one in (database, other)
    )  # follow none
    assert await here.give(account, bob.id, Permission.REPLY, given_by="user:ann")
    assert not await there.give(account, bob.id, Permission.REPLY, given_by="user:ann")
    assert await there.give(account, bob.id, Permission.READ, given_by="user:ann")
    assert await here.take(account.id, bob.id)
    assert not await there.take(account.id, bob.id)


async def test_racing_gifts_leave_memory_as_the_database(database: Database, owned: tuple[Account, Principal]) -> None:
    account, bob = owned
    access = Authorization(database, {account.id: account}, EventBus(), of_owner=lambda _: [account])
    permissions = [Permission.READ, Permission.REPLY, Permission.OPERATE] * 5
    await asyncio.gather(*(access.give(account, bob.id, permission, given_by="x") for permission in permissions))
    remembered = access.permission_on(bob, account)
    await access.reload()
    assert access.permission_on(bob, account) is remembered


async def test_a_gift_whose_giver_left_counts(database: Database, owned: tuple[Account, Principal]) -> None:
    account, bob = owned
    access = Authorization(database, {account.id: account}, EventBus(), of_owner=lambda _: [account])
    giving = asyncio.create_task(access.give(account, bob.id, Permission.READ, given_by="x"))
    await asyncio.sleep(0)
    giving.cancel()
    await access.close()
    remembered = access.permission_on(bob, account)
    await access.reload()
    assert access.permission_on(bob, account) is remembered


async def test_f4_a_shop_is_shared_with_a_hundred_and_no_more(
    database: Database, owned: tuple[Account, Principal]
) -> None:
    account, _ = owned
    names = [f"c{number}" for number in range(101)]
    rows = [{"username": n, "name_key": n, "password_hash": "", "created_at_ms": 0, "updated_at_ms": 0} for n in names]

    def job(connection: Connection) -> list[int]:
        return list(connection.scalars(users.insert().returning(users.c.id), rows))

    colleagues = await database.write(job)
    access = Authorization(database, {account.id: account}, EventBus(), of_owner=lambda _: [account])
    for user_id in colleagues[:100]:
        assert await access.give(account, user_id, Permission.READ, given_by="x")
    with pytest.raises(Conflict) as refused:
        await access.give(account, colleagues[100], Permission.READ, given_by="x")
    assert (refused.value.code, refused.value.params["limit"]) == ("too_many_staff", 100)
    assert await access.give(account, colleagues[0], Permission.REPLY, given_by="x"), (
        "who is there may get another right"
    )
    await access.take(account.id, colleagues[1])
    assert await access.give(account, colleagues[100], Permission.READ, given_by="x")


async def test_nothing_is_given_of_what_is_not_there_and_to_nobody(
    database: Database, owned: tuple[Account, Principal]
) -> None:
    account, bob = owned
    access = Authorization(database, {account.id: account}, EventBus(), of_owner=lambda _: [account])
    with pytest.raises(UnknownUser):
        await access.give(account, 999, Permission.READ, given_by="x")
    with pytest.raises(UnknownAccount):
        await access.give(an_account("gone"), bob.id, Permission.READ, given_by="x")
    later = account.evolve(created_at_ms=account.created_at_ms + 1)
    with pytest.raises(UnknownAccount):
        await access.give(later, bob.id, Permission.READ, given_by="x")


async def test_grants_that_cannot_be_read_again_count_for_a_bounded_time_and_own_accounts_always(
    place: Place, database: Database, owned: tuple[Account, Principal]
) -> None:
    account, bob = owned
    ann = Principal(user=await _user(database, account.owner_id))
    bus = EventBus()
    access = Authorization(
        database,
        {account.id: account},
        bus,
        of_owner=lambda user_id: [account] if user_id == account.owner_id else [],
        follow_seconds=0.05,
        trusted_seconds=3600.0,
    )
    await access.open()
    if not place.url:
        await access.close()
        pytest.skip("SQLite has one server only")
    await access.give(account, bob.id, Permission.READ, given_by="ann")
    rename = "ALTER TABLE grants RENAME TO away", "ALTER TABLE away RENAME TO grants"
    await database.write(lambda connection: connection.execute(text(rename[0])).rowcount)
    assert access.permission_on(bob, account) is Permission.READ, "it was read within the time"
    access._trusted_seconds = 0.1
    await until(lambda: access.permission_on(bob, account) is None)
    with pytest.raises(StoreError):
        access.require(bob, account.id, Permission.READ)
    assert access.accounts_of(bob) == []
    assert access.require(ann, account.id, Permission.OWN) is account
    await database.write(lambda connection: connection.execute(text(rename[1])).rowcount)
    await until(lambda: access.permission_on(bob, account) is Permission.READ)
    await access.close()


async def _user(database: Database, user_id: int) -> User:
    passwords = Passwords(cheap_hasher())
    found = await Users(database, passwords).get(user_id)
    await passwords.close()
    assert found is not None
    return found
