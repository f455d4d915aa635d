"""A user leaves at one node while another node adds a shop for that user: none is left without its owner. Of shops that
two nodes add at once, a user has no more than allowed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from shoal.accounts.store import Change, Committed, Refused
from shoal.auth.passwords import Passwords
from shoal.auth.users import Users
from shoal.errors import NotApplied, StoreError, TooManyShops, Unauthenticated
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault
from support.databases.postgres_server import Postgres
from support.databases.store_steps import (
    add_user,
    an_account,
    committed,
    created,
    creation,
    deletion,
    living,
    settled,
    submitted,
)
from support.runs.quick_start import cheap_hasher

ANN = 1


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database(migrated=True) as made:
        add_user(made, ANN)
        yield made


@asynccontextmanager
async def node(url: str, fault_point: Callable[[str], None] = lambda _: None) -> AsyncIterator[tuple[DBManager, Users]]:
    async with Database(url=url, fault_point=fault_point) as database:
        passwords = Passwords(cheap_hasher())
        yield DBManager(database, Vault([b"k" * 32]), several_nodes=True), Users(database, passwords)
        await passwords.close()


async def test_no_shop_is_added_for_a_user_who_leaves_or_left_at_another_node(url: str) -> None:
    async with node(url) as (store, _), node(url) as (_, users):
        (before,) = await created(store, an_account("before"))
        await users.begin_leaving(ANN)
        refused = await settled(store, creation(an_account("late")))
        assert isinstance(refused, Refused)
        assert isinstance(refused.error, Unauthenticated)
        await committed(store, deletion(before))
        assert await users.remove(ANN)
        refused = await settled(store, creation(an_account("later")))
        assert isinstance(refused, Refused)
        assert isinstance(refused.error, Unauthenticated)
        assert not (await store.load()).accounts


async def test_a_user_leaves_after_a_shop_that_is_being_added_and_is_not_gone_before_it(url: str) -> None:
    reached, passes = threading.Event(), threading.Event()

    def stand_at_commit(at: str) -> None:
        if at == "commit":
            reached.set()
            assert passes.wait(60)

    async def leave(users: Users) -> None:
        while True:
            try:
                await users.begin_leaving(ANN)
            except StoreError:  # it waited for too long: the caller asks again
                continue
            return

    async with node(url, stand_at_commit) as (store, _), node(url) as (_, users):
        coming = submitted(store, creation(an_account("shop")))
        assert await asyncio.to_thread(reached.wait, 60)
        leaving = asyncio.create_task(leave(users))
        await asyncio.sleep(0.3)
        assert not leaving.done(), "it waits for the shop"
        passes.set()
        assert isinstance(await coming, Committed)
        await leaving
        with pytest.raises(NotApplied, match="still has a shop"):
            await users.remove(ANN)
        await committed(store, deletion(await living(store, "shop")))
        assert await users.remove(ANN)


async def test_f11_of_shops_that_two_nodes_add_at_once_a_user_has_no_more_than_allowed(url: str) -> None:
    """Each node knows of the first shop only; none has heard of what the other adds."""
    reached, passes = threading.Event(), threading.Event()

    def stand_at_commit(at: str) -> None:
        if at == "commit" and asked:
            reached.set()
            assert passes.wait(60)

    def limited(name: str) -> Change:
        return msgspec.structs.replace(creation(an_account(name)), most_shops=2)

    asked = False
    async with node(url, stand_at_commit) as (one, _), node(url) as (two, _):
        (before,) = await created(one, an_account("before"))
        asked = True
        first = submitted(one, limited("first"))
        assert await asyncio.to_thread(reached.wait, 60)
        second = submitted(two, limited("second"))
        done, _ = await asyncio.wait([second], timeout=0.3)
        assert not done, "it waits for the first"
        passes.set()
        outcomes = await asyncio.gather(first, second)
        assert isinstance(outcomes[0], Committed)
        assert isinstance(outcomes[1], Refused)
        assert isinstance(outcomes[1].error, TooManyShops)
        assert outcomes[1].error.params == {"limit": 2}
        await committed(two, creation(an_account("unlimited")))
        await committed(two, deletion(await living(two, "unlimited")), deletion(before))
        await committed(two, limited("second"))
        assert sorted((await one.load()).accounts) == ["first", "second"], "what was deleted does not count"
