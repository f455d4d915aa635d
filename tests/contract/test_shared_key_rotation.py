"""Several servers of one database get a new key step by step, while each writes; none seals what another lacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.cluster.duties import ClusterDuties, Duty
from shoal.cluster.lease_watchdog import NodeTimes
from shoal.cluster.node_keys import NodeKeys, check_opens_all, join_with_keys
from shoal.cluster.shared_key_rotation import SharedKeyRotation
from shoal.errors import ConfigError, Conflict
from shoal.server.reply_server import Application, build_app
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.key_changes import KeyChange, Step, put_change
from shoal.storage.key_rotation import KeyRotation
from shoal.storage.sealed_values import count_by_key
from shoal.storage.vault import Vault, key_id, read_key_file, write_key_file
from support.databases.postgres_server import Postgres
from support.databases.store_steps import add_user, an_account, committed, creation
from support.servers.doors import in_shell, living, open_door, served
from support.site.standins import ANN, FakeSite, cookie_of, quick_settings, until, until_told

LONG = NodeTimes(lease_seconds=3600.0, renew_seconds=0.5, look_seconds=0.1)
OLD, OTHER = b"o" * 32, b"p" * 32


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database(migrated=True) as fresh:
        add_user(fresh, 1)
        yield fresh


@dataclass
class Node:
    """A server with its keys, and nothing else."""

    name: str
    database: Database
    vault: Vault
    key_file: Path
    rotation: SharedKeyRotation
    store: DBManager
    ownership: ClusterOwnership
    written: int = 0

    async def keep_writing(self) -> None:
        """Add shops, whose cookies are sealed."""
        while True:
            await committed(self.store, creation(an_account(f"{self.name}{self.written}")))
            self.written += 1

    def keys(self) -> list[bytes]:
        return read_key_file(self.key_file, required=True)


@asynccontextmanager
async def node(tmp_path: Path, name: str, url: str, keys: list[bytes], *, setting: bool = False) -> AsyncIterator[Node]:
    place = tmp_path / name
    place.mkdir(exist_ok=True)
    if not setting:
        write_key_file(place / "secret.key", keys)
    ownership = ClusterOwnership(name, LONG, end=lambda: None)
    duties = ClusterDuties(ownership)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(ownership.close)
        database = await stack.enter_async_context(Database(url=url, guard=ownership.take))
        ownership.start()
        secret_key = ",".join(key.hex() for key in keys) if setting else None
        vault = await open_vault(database, place / "secret.key", secret_key, several_nodes=True)
        mine = NodeKeys.of(vault.key_ids, from_setting=setting)
        await database.read(partial(check_opens_all, mine=mine))
        assert ownership.life is not None
        await database.write(partial(join_with_keys, life=ownership.life, mine=mine))
        rotation = SharedKeyRotation(
            database, vault, place / "secret.key", ownership, from_setting=setting, look_seconds=0.05
        )
        ownership.keep(duties)
        stack.push_async_callback(ownership.hold_still)
        stack.push_async_callback(duties.keep(Duty.KEYS, rotation.serve))
        rotation.start()
        stack.push_async_callback(rotation.close)
        store = DBManager(database, vault, several_nodes=True)
        yield Node(name, database, vault, place / "secret.key", rotation, store, ownership)


async def ended(*nodes: Node) -> None:
    """Wait until the new key seals everything."""

    async def rotating() -> bool:
        return any([(await one.rotation.figures()).rotating for one in nodes])

    await until_told(rotating, False)


async def test_a_key_is_replaced_on_two_servers_that_write_all_the_time_and_no_value_is_lost(
    tmp_path: Path, url: str
) -> None:
    async with node(tmp_path, "a", url, [OLD]) as one, node(tmp_path, "b", url, [OLD]) as two:
        writing = [asyncio.create_task(each.keep_writing()) for each in (one, two)]
        await until(lambda: one.written > 3 and two.written > 3)
        begun = await two.rotation.rotate()
        assert begun.rotating
        await ended(one, two)
        counts = one.written, two.written
        await until(lambda: one.written > counts[0] and two.written > counts[1])
        (new, old), there = one.keys(), two.keys()
        assert (old, there) == (OLD, [new, OLD])
        figures = await one.rotation.forget()
        assert [key.key_id for key in figures.keys] == [key_id(new).hex()]
        await until(lambda: one.keys() == two.keys() == [new])
        await until_told(lambda: _waiting(two), ())
        for task in writing:
            task.cancel()
        await asyncio.wait(writing)
        await one.database.settled()
        await two.database.settled()
        assert set(await one.database.read(count_by_key)) == {key_id(new)}
        for each in (one, two):
            found = (await each.store.load()).accounts
            assert len(found) >= one.written + two.written
            assert all(account.cookie.startswith("unb=") for account in found.values())


async def _waiting(one: Node) -> tuple[str, ...]:
    return (await one.rotation.figures()).waiting_for


async def test_the_next_owner_goes_on_with_a_change_whose_server_dies_and_one_that_was_away_takes_it_up(
    tmp_path: Path, url: str
) -> None:
    async with node(tmp_path, "b", url, [OLD]) as two:
        async with node(tmp_path, "away", url, [OLD]):
            pass  # it has the old key only, and is stopped
        async with node(tmp_path, "a", url, [OLD]) as one:
            await committed(one.store, creation(an_account("shop")))
            await one.rotation.close()  # it takes nothing up any more
            await two.rotation.rotate()
            await until_told(lambda: _waiting(two), ("a",))
            with pytest.raises(Conflict, match="not ended"):
                await two.rotation.rotate()
            assert two.vault.key_ids[0] == key_id(OLD), "while one server lacks the new key, none seals with it"
        await ended(two)  # the one that was waited for is gone
        assert (await two.rotation.figures()).absent == ("a", "away")
        (new, _) = two.keys()
        async with node(tmp_path, "away", url, [OLD]) as three:
            assert three.keys() == [new, OLD]
            assert (await three.store.load()).accounts.keys() == {"shop"}
            await until_told(lambda: _waiting(two), ())
            assert (await two.rotation.figures()).absent == ("a",), "it runs, and has the new key"
        assert (await two.rotation.forget()).absent == ("a",)
        with pytest.raises(ConfigError, match=r"copy secret\.key of a server that runs to \S+away/secret\.key"):
            async with node(tmp_path, "away", url, [OLD]):
                pass
        async with node(tmp_path, "away", url, [new]) as three:
            assert (await three.store.load()).accounts.keys() == {"shop"}


async def test_a_server_joins_only_with_keys_that_all_can_read_with(tmp_path: Path, url: str) -> None:
    async with node(tmp_path, "a", url, [OLD, OTHER], setting=True) as one:
        await committed(one.store, creation(an_account("shop")))
        with pytest.raises(Conflict, match="SHOAL_SECRET_KEY"):
            await one.rotation.rotate()
        async with node(tmp_path, "b", url, [OTHER, OLD], setting=True):  # all have both: the new one may come in front
            with pytest.raises(Conflict) as caught:
                await one.rotation.rotate()
            assert caught.value.params["names"] == ["a", "b"]
    async with node(tmp_path, "a", url, [OTHER, OLD], setting=True) as one:
        await ended(one)  # everything is sealed with the new one
        await committed(one.store, creation(an_account("new")))
        with pytest.raises(ConfigError, match="not the key that encrypted this database"):
            async with node(tmp_path, "b", url, [OLD], setting=True):
                pass
        with pytest.raises(ConfigError, match=r"the server a lacks the key [0-9a-f]{16} with which this one would"):
            async with node(tmp_path, "b", url, [b"q" * 32, OTHER], setting=True):
                pass
        fallen = text("UPDATE accounts SET cookie_sealed = :sealed WHERE id = 'shop'")
        sealed = Vault([b"r" * 32]).seal("unb=1", column="accounts.cookie", account_id="shop")
        await one.database.write(lambda connection: connection.execute(fallen, {"sealed": sealed}).rowcount)
        lacking = key_id(b"r" * 32).hex()
        with pytest.raises(ConfigError, match=f"secrets under the key {lacking}, which this server lacks"):
            async with node(tmp_path, "b", url, [OTHER, OLD], setting=True):
                pass


async def test_a_server_that_lost_its_place_and_lacks_the_key_of_the_others_gives_up_its_shops(
    tmp_path: Path, url: str
) -> None:
    async with node(tmp_path, "a", url, [OLD]) as one, node(tmp_path, "b", url, [OLD]) as two:
        await until(lambda: bool(one.ownership.shards) and bool(two.ownership.shards))
        # as after it was frozen while the others changed their key and forgot the old one
        await two.rotation.close()
        change = KeyChange(id=key_id(OTHER).hex(), step=Step.FORGET)
        write_key_file(two.key_file, [OTHER, OLD])
        await one.database.write(lambda connection: put_change(connection, change))
        await until(lambda: not one.ownership.shards and one.ownership.draining)
        why = text("SELECT last_error FROM nodes WHERE name = 'a'")
        assert await two.database.read(lambda connection: connection.scalar(why)) == "key_lacking"
        assert one.keys() == [OLD], "nothing was done to its keys"


async def test_a_single_server_goes_on_with_a_change_that_several_began(tmp_path: Path, url: str) -> None:
    async with node(tmp_path, "a", url, [OLD]) as one, node(tmp_path, "b", url, [OLD]) as two:
        await committed(one.store, creation(an_account("shop")))
        await two.rotation.close()
        await one.rotation.rotate()
        key_file = one.key_file
    async with Database(url=url) as database:
        vault = await open_vault(database, key_file)
        new, old = read_key_file(key_file, required=True)
        assert (vault.key_ids, old) == ((key_id(new), key_id(OLD)), OLD)
        alone = KeyRotation(database, vault, key_file, from_setting=False)
        alone.start()
        await until(lambda: not alone._is_running)
        assert set(await database.read(count_by_key)) == {key_id(new)}
        await alone.close()


@pytest.mark.slow
async def test_the_command_names_servers_that_do_not_run_before_it_deletes_the_old_key(
    tmp_path: Path, url: str
) -> None:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("UPDATE users SET role = 'admin'")
        connection.execute("INSERT INTO nodes (name, dead, key_ids) VALUES ('gone', true, 'file:00')")
        connection.execute("INSERT INTO nodes (name, dead, key_ids) VALUES ('here/2', true, 'file:00')")
    async with open_door(tmp_path / "here", database_url=url, node="here") as door, served(door) as at:
        token = await door.server.sessions.open(1, 3600)
        await door.call("POST", "/system/keys/rotate")

        async def rotating() -> bool:
            return bool((await door.call("GET", "/system/keys"))["rotating"])

        await until_told(rotating, False)
        code, said = await in_shell(at, token, "keys", "forget", typed="n\n")
        assert (code, "lack the newest key: gone." in said) == (2, True), said
        assert len((await door.call("GET", "/system/keys"))["keys"]) == 2, "nothing was deleted"
        code, said = await in_shell(at, token, "keys", "forget", "--yes")
        assert (code, "lack the newest key: gone." in said) == (0, True), said


async def test_two_whole_servers_change_their_key_and_one_with_another_key_or_site_is_refused(
    tmp_path: Path, url: str
) -> None:
    site = FakeSite()

    def app_of(name: str, **more: Any) -> Application:
        (tmp_path / name).mkdir(mode=0o700, exist_ok=True)
        settings = quick_settings(data_dir=tmp_path / name, database_url=url, node=name, **more)
        return build_app(settings, connect=site.connect)

    def key_file(name: str) -> Path:
        return tmp_path / name / "secret.key"

    one = app_of("one")
    async with living(one):
        two = app_of("two")
        with pytest.raises(ConfigError, match="is missing, and the database holds secrets"):
            async with living(two):
                pass
        write_key_file(key_file("two"), [OTHER])
        with pytest.raises(ConfigError, match="not the key that encrypted this database"):
            async with living(two):
                pass
        old = read_key_file(key_file("one"), required=True)
        write_key_file(key_file("two"), old)
        elsewhere = app_of("two", site_ws_url="ws://127.0.0.1:1/other")
        with pytest.raises(ConfigError, match="another PostgreSQL database, for another site"):
            async with living(elsewhere):
                pass
        async with living(two):
            here, there = one.state.server, two.state.server
            await there.manager.add_cookie("shop", cookie_of(1), owner_id=1, caller=ANN)
            await there.key_rotation.rotate()

            async def rotating() -> bool:
                return any([(await each.key_rotation.figures()).rotating for each in (here, there)])

            await until_told(rotating, False)
            await here.key_rotation.forget()
            await until(lambda: len(read_key_file(key_file("two"), required=True)) == 1)
            (new,) = read_key_file(key_file("two"), required=True)
            assert read_key_file(key_file("one"), required=True) == [new] != old
            assert (await there.store.load()).accounts.keys() == {"shop"}
