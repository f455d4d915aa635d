"""What is done once for the whole database is done by one server at a time, and goes on at the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text, update
from structlog.testing import capture_logs

from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from shoal.accounts.ownership import SHARDS, Fence, shard_of
from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.duties import SHARD_OF, ClusterDuties, Duty, LocalDuties
from shoal.cluster.lease_watchdog import NodeTimes, boot_clock
from shoal.errors import NotApplied
from shoal.messages.message_log import MessageLog
from shoal.messages.outbox_rows import OutboxRow, SendOutcome
from shoal.orders.claimed_work import ClaimedWork
from shoal.orders.order_store import OrderStore
from shoal.server.reply_server import build_app
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.schema import outbox
from shoal.storage.vault import Vault
from support.databases.database_link import DatabaseLink
from support.databases.store_steps import add_user, an_account, created
from support.servers.doors import living
from support.site.standins import ANN, FakeSite, cookie_of, quick_settings, until, until_told

LONG = NodeTimes(lease_seconds=3600.0, renew_seconds=0.5, look_seconds=0.1)
SHORT = NodeTimes(lease_seconds=2.0, renew_seconds=0.4, look_seconds=0.1)
PUT = text("INSERT INTO store_meta (key, value) VALUES (:key, 'x')")


def _put(connection: Connection, key: str) -> None:
    connection.execute(PUT, {"key": key})


class Works:
    """What several servers do of one duty: ``done`` has who wrote, in the order of the writes."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.busy: set[str] = set()
        self.most_at_once = 0

    async def work(self, name: str, database: Database) -> None:
        """Write row after row."""
        self.busy.add(name)
        self.most_at_once = max(self.most_at_once, len(self.busy))
        try:
            while True:
                key = f"{name}:{len(self.done)}"
                await database.write(partial(_put, key=key))
                self.done.append(name)
                await asyncio.sleep(0.01)
        finally:
            await asyncio.sleep(0.5)  # what is under way ends in its own time
            self.busy.discard(name)


@asynccontextmanager
async def node(name: str, url: str, works: Works) -> AsyncIterator[ClusterOwnership]:
    """A node with nothing but one duty."""
    ownership = ClusterOwnership(name, LONG, end=lambda: None)
    duties = ClusterDuties(ownership)
    try:
        async with Database(url=url, guard=ownership.take) as database:
            ownership.start()
            ownership.keep(duties)
            end = duties.keep(Duty.RETENTION, lambda: works.work(name, database))
            yield ownership
            await ownership.hold_still()
            await end()
    finally:
        await ownership.close()


async def test_a_duty_is_done_by_one_server_and_taken_up_by_the_next_when_that_one_gives_it_up(url: str) -> None:
    works, shard = Works(), SHARD_OF[Duty.RETENTION]
    async with node("a", url, works) as first, node("b", url, works) as second, Database(url=url) as database:
        await until(lambda: works.done != [])
        before, after = (first, second) if first.owns_shard(shard) else (second, first)
        name = works.done[-1]
        assert (name, set(works.done)) == (before.name, {before.name})
        drain = text("UPDATE nodes SET draining = true WHERE name = :name")
        await database.write(lambda connection: connection.execute(drain, {"name": name}).rowcount)
        await until(lambda: works.done[-1] == after.name)
        assert not before.owns_shard(shard)
        moved = works.done.index(after.name)
        assert set(works.done[:moved]) == {before.name}
        assert set(works.done[moved:]) == {after.name}
        assert works.most_at_once == 1


@pytest.mark.slow
async def test_a_server_that_stands_still_in_the_middle_writes_nothing_once_another_does_its_duty(url: str) -> None:
    works, shard = Works(), SHARD_OF[Duty.RETENTION]
    async with node("a", url, works) as first, node("b", url, works) as second:
        await until(lambda: works.done != [] and len(first.shards) == len(second.shards) == SHARDS // 2)
        before, after = (first, second) if first.owns_shard(shard) else (second, first)
        await until(lambda: works.done[-1] == before.name)
        before._times = SHORT  # only its last lease is short: no machine is so slow that an earlier one runs out
        await until(lambda: before._deadline < boot_clock() + SHORT.lease_seconds)
        for task in before._keeping:  # it renews nothing, and does not even notice
            task.cancel()
        before._lapse.cancel()
        await until(lambda: works.done[-1] == after.name)
        count = works.done.count(before.name)
        await until(lambda: before.name not in works.busy)  # its next write was refused, which ends the work
        assert works.done.count(before.name) <= count + 1, "an answer may have been on its way"
        await until(lambda: works.done.count(after.name) > 3)


async def test_work_that_fails_is_begun_again_and_work_that_is_done_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.cluster.duties.AGAIN_SECONDS", (0.01, 0.02))
    outcomes: list[Exception | None] = [NotApplied("locked"), RuntimeError("a defect"), None]
    calls: list[int] = []

    async def work() -> None:
        calls.append(len(calls))
        if (outcome := outcomes[len(calls) - 1]) is not None:
            raise outcome

    with capture_logs() as logs:
        end = LocalDuties(lambda: True).keep(Duty.RETENTION, work)
        await until(lambda: len(calls) == 3)
        await asyncio.sleep(0.05)
        await end()
    assert calls == [0, 1, 2]
    assert [entry["log_level"] for entry in logs] == ["warning", "error"]


async def test_what_a_disabled_shop_had_under_way_is_settled_by_the_server_that_claims_it(url: str) -> None:
    add_user(url, 1)
    async with Database(url=url) as database:
        store = DBManager(database, Vault([b"k" * 32]), several_nodes=True)
        await created(store, an_account("off"), an_account("on"))
        disable = text("UPDATE accounts SET enabled = false WHERE id = 'off'")
        await database.write(lambda connection: connection.execute(disable).rowcount)
        log, book = MessageLog(database), OrderStore(database)
        rows = [OutboxRow(account_id=name, chat_id="c", uuid=name, buyer_id="b") for name in ("off", "on")]
        ids = (await log.outbox.queue(rows)).ids
        sending = update(outbox).where(outbox.c.id.in_(ids)).values(outcome=SendOutcome.SENDING.value)
        await database.write(lambda connection: connection.execute(sending).rowcount)

        async def outcomes() -> list[SendOutcome]:
            return [(await log.outbox.get(one)).outcome for one in ids]

        shards = {shard_of("off"), shard_of("on")}
        stale = ClaimedWork(database, log, book, lambda name: Fence(shard_of(name), -1))
        await stale.claimed(shards)
        assert await outcomes() == [SendOutcome.SENDING] * 2, "its claim does not stand any more"
        async with node("a", url, Works()) as owner:
            await until(lambda: len(owner.shards) == SHARDS)
            work = ClaimedWork(database, log, book, owner.fence)
            await work.claimed(shards - {shard_of("off")})
            assert await outcomes() == [SendOutcome.SENDING] * 2
            await work.claimed(shards)
            # the other one settles it itself, when it starts
            assert await outcomes() == [SendOutcome.UNCERTAIN, SendOutcome.SENDING]


@pytest.mark.slow
async def test_a_user_is_removed_with_the_shops_of_all_servers_also_when_the_server_that_began_it_dies(
    tmp_path: Path, url: str
) -> None:
    site = FakeSite()

    def app_of(name: str, link: DatabaseLink) -> Any:
        settings = quick_settings(
            data_dir=tmp_path / name, database_url=link.url, node=name, secret_key="5a" * 32, node_lease_seconds=3.0
        )
        return build_app(settings, connect=site.connect)

    async with DatabaseLink(url).open() as a_link, DatabaseLink(url).open() as b_link:
        a, b = app_of("a", a_link), app_of("b", b_link)
        async with living(a), living(b):
            links = {a.state.server: a_link, b.state.server: b_link}
            users = [await a.state.server.users.create(name, "a password of theirs") for name in ("bob", "cid")]
            names = [f"shop{number}" for number in range(6)]
            for number, name in enumerate(names):
                owner = users[number % 2].id
                await a.state.server.manager.add_cookie(name, cookie_of(number), owner_id=owner, caller=ANN)
            await until(lambda: site.live == dict.fromkeys(names, 1))
            await until(lambda: all(_run(server) for server in links))
            await until(lambda: _whose_duty(links) is not None)
            there = next(server for server in links if server is not _whose_duty(links))
            await there.user_removal.begin(users[0].id, Caller(actor="user:ann"))
            assert await there.user_removal.gone(users[0].id, within_seconds=60)
            assert {name for name, live in site.live.items() if live} == {"shop1", "shop3", "shop5"}
            await until(lambda: _whose_duty(links) is not None)
            dies = _whose_duty(links)
            links[dies].die()  # whose duty it is hears nothing any more
            there = next(server for server in links if server is not dies)
            await there.user_removal.begin(users[1].id, Caller(actor="user:ann"))
            assert await there.user_removal.gone(users[1].id, within_seconds=60)
            assert set(there.manager.accounts) == set()

            async def is_quiet() -> bool:
                return not any(site.live.values())

            await until_told(is_quiet, True)
            links[dies].live()


def _whose_duty(servers: Iterable[Any]) -> Any:
    return next((one for one in servers if one.user_removal._duties.owns(Duty.USER_REMOVAL)), None)


def _run(server: Any) -> set[str]:
    manager = server.manager
    return {name for name in manager.accounts if manager.observation(name).state is AccountState.RUNNING}
