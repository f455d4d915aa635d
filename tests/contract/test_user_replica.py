"""Who signed in goes on reading, and a sign-in works, while the database is away or takes no writes."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pyotp
import pytest
from sqlalchemy import Connection, func, select, text
from structlog.testing import capture_logs

from shoal.auth.passwords import Passwords
from shoal.auth.sessions import Sessions, token_hash
from shoal.auth.totp import Factor, Totp
from shoal.auth.user_replica import ReplicaTimes, UserReplica
from shoal.auth.users import Users
from shoal.errors import StoreError
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.user_tables import sessions, users
from shoal.storage.vault import Vault
from support.databases.postgres_server import Postgres
from support.databases.store_steps import Clock
from support.runs.quick_start import cheap_hasher
from support.servers.doors import Door, another_person, client_of, open_door
from support.site.standins import until_told

PASSWORD = "a password of theirs"
QUICK = ReplicaTimes(read_seconds=3.0, write_seconds=1.0, refresh_seconds=10.0, retry_seconds=0.1)


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """A database that takes no writes: another program holds its lock."""
    with contextlib.closing(sqlite3.connect(data_dir / DATABASE_FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def signs_in(client: httpx.AsyncClient, password: str = PASSWORD) -> str:
    """The token of a new sign-in; empty when it was refused."""
    answer = await client.post("/login", json={"username": "bob", "password": password})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"] or "")


async def reads(door: Door, token: str) -> int:
    async with client_of(door.app, token) as client:
        return (await client.get("/cookies")).status_code


async def is_stored(door: Door, token: str) -> bool:
    query = select(func.count()).where(sessions.c.token_hash == token_hash(token))
    return bool(await door.server.database.read(lambda connection: connection.scalar(query)))


async def test_f3_while_postgresql_is_down_who_is_signed_in_reads_and_others_sign_in(
    tmp_path: Path, postgres: Postgres
) -> None:
    with postgres.database(migrated=True) as url:
        async with (
            open_door(tmp_path / "data", database_url=url) as door,
            another_person(door) as bob,
            client_of(door.app) as client,
        ):
            leaving = await signs_in(client)
            script = (await bob.call("POST", "/tokens", json={"name": "s", "scope": "read"}))["token"]
            with postgres.away(url):
                await bob.call("GET", "/cookies")
                assert await reads(door, script) == 200
                new = await signs_in(client)
                assert await reads(door, new) == 200
                assert await signs_in(client, "a wrong one") == ""
                async with client_of(door.app, leaving) as signing_out:
                    assert (await signing_out.post("/logout")).status_code == 200
                assert await reads(door, leaving) == 401
                await bob.call("PUT", "/me/password", 503, json={"current_password": PASSWORD,
                               "new_password": "quite another 41 words"})  # fmt: skip
                await bob.call("GET", "/cookies")
            await until_told(lambda: is_stored(door, new), True)
            await until_told(lambda: is_stored(door, leaving), False)
            assert await reads(door, new) == 200


@pytest.mark.slow
async def test_f3_a_sign_in_while_the_database_takes_no_writes_is_stored_when_it_does(tmp_path: Path) -> None:
    async with open_door(tmp_path / "data") as door, another_person(door), client_of(door.app) as client:
        with locked(tmp_path / "data"):
            new = await signs_in(client)
            assert await reads(door, new) == 200
            assert not await is_stored(door, new)
        await until_told(lambda: is_stored(door, new), True)
        assert await reads(door, new) == 200


@pytest.fixture
async def people(database: Database) -> AsyncIterator[UserReplica]:
    """A replica over the open database."""
    replica = UserReplica(database, QUICK)
    await replica.open()
    yield replica
    await replica.close()


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(cheap_hasher())
    yield passwords
    await passwords.close()


async def test_f3_what_was_changed_in_time_holds_in_memory_too_and_a_code_counts_once(
    people: UserReplica, passwords: Passwords, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    everybody, opened = Users(people, passwords, now_ms=clock), Sessions(people, hours=1, idle_hours=0, now_ms=clock)
    factor = Totp(people, Vault([b"k" * 32]), now_ms=clock)
    ann, bob = await everybody.create("ann", PASSWORD), await everybody.create("bob", PASSWORD)
    totp = pyotp.TOTP((await factor.begin(ann)).secret)
    codes = await factor.confirm(ann.id, totp.at(clock.now // 1000))
    of_bob = await opened.open(bob.id)
    await everybody.update(bob.id, {"active": False})
    await everybody.set_password(ann.id, "quite another one")

    async def refused(*_: object) -> None:
        raise StoreError("not now", code="not_applied")

    monkeypatch.setattr(database, "read", refused)
    monkeypatch.setattr(database, "write", refused)
    assert await opened.of(of_bob) is None
    assert await everybody.verify("bob", PASSWORD) is None
    assert await everybody.verify("ann", PASSWORD) is None
    assert await everybody.verify("ann", "quite another one") is not None
    clock.now += 60_000
    code = totp.at(clock.now // 1000)
    assert [await factor.accept(ann.id, code) for _ in range(2)] == [Factor.TOTP, None]
    with pytest.raises(StoreError):  # it would have to be used up for good
        await factor.accept(ann.id, codes[0])
    token = await opened.open(ann.id)
    assert await opened.of(token) is not None
    monkeypatch.undo()

    async def stored() -> bool:
        query = select(users.c.totp_step).where(users.c.id == ann.id)
        step = await database.read(lambda connection: connection.scalar(query))
        late = Sessions(UserReplica(database), hours=1, idle_hours=0, now_ms=clock)
        return step == clock.now // 30_000 and await late.of(token) is not None

    await until_told(stored, True)


async def test_f3_who_signed_in_just_before_the_database_goes_away_is_known(
    people: UserReplica, passwords: Passwords, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await Users(people, passwords).create("ann", PASSWORD)
    opened = Sessions(people, hours=1, idle_hours=0)
    token = await opened.open(ann.id)

    async def refused(*_: object) -> None:
        raise StoreError("not now", code="not_applied")

    monkeypatch.setattr(database, "read", refused)
    assert await opened.of(token) is not None


async def test_f3_a_database_that_does_not_answer_or_was_not_told_all_is_said_to_be_degraded(
    people: UserReplica, passwords: Passwords, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await Users(people, passwords).create("ann", PASSWORD)
    opened = Sessions(people, hours=1, idle_hours=0)
    token = await opened.open(ann.id)

    async def refused(*_: object) -> None:
        raise StoreError("not now", code="not_applied")

    async def degraded() -> bool:
        return people.degraded

    assert not await degraded()

    with monkeypatch.context() as patch:
        patch.setattr(database, "read", refused)
        await opened.of(token)
        assert await degraded(), "it did not answer"
    await until_told(degraded, False)
    with monkeypatch.context() as patch:
        patch.setattr(database, "write", refused)
        await opened.open(ann.id)
        assert await degraded(), "a sign-in waits for it"
    await until_told(degraded, False)


async def test_f3_what_was_kept_is_not_stored_when_it_holds_no_more(
    people: UserReplica, passwords: Passwords, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody, opened = Users(people, passwords), Sessions(people, hours=1, idle_hours=0)
    ann = await everybody.create("ann", PASSWORD)

    async def refused(*_: object) -> None:
        raise StoreError("not now", code="not_applied")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", refused)
        token = await opened.open(ann.id)
        assert await opened.of(token) is not None
    off = text("UPDATE users SET active = :off")
    await database.write(lambda connection: connection.execute(off, {"off": False}).rowcount)  # by another process
    await until_told(lambda: opened.of(token), None)
    assert await database.read(lambda connection: connection.scalar(select(func.count()).select_from(sessions))) == 0


async def test_f3_a_change_whose_outcome_nobody_knows_is_not_answered_from_an_older_memory(
    people: UserReplica, passwords: Passwords, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = Users(people, passwords)
    ann = await everybody.create("ann", PASSWORD)
    write = database.write

    async def lost(job: object) -> None:
        await write(job)  # type: ignore[arg-type]
        monkeypatch.setattr(database, "read", refused)
        raise StoreError("nobody knows", code="outcome_unknown")

    async def refused(*_: object) -> None:
        raise StoreError("away", code="not_applied")

    monkeypatch.setattr(database, "write", lost)
    with pytest.raises(StoreError):
        await everybody.update(ann.id, {"active": False})
    with pytest.raises(StoreError):
        await everybody.verify("ann", PASSWORD)
    monkeypatch.undo()
    await asyncio.sleep(0)
    await until_told(lambda: everybody.verify("ann", PASSWORD), None)


async def test_f3_what_is_ended_for_good_includes_what_was_still_kept_in_memory(
    database: Database, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = UserReplica(database, replace(QUICK, retry_seconds=0.5))
    await people.open()
    everybody, opened = Users(people, passwords), Sessions(people, hours=1, idle_hours=0)
    ann = await everybody.create("ann", PASSWORD)

    async def refused(*_: object) -> None:
        raise StoreError("not now", code="not_applied")

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", refused)
        token = await opened.open(ann.id)
        with pytest.raises(StoreError):
            await opened.end_all(ann.id)
    assert await opened.end_all(ann.id) == 1, "right after the database takes writes again"
    assert await opened.of(token) is None
    with capture_logs() as logs:
        await people.close()
    assert logs == [], "nothing was lost"
    assert await database.read(lambda connection: connection.scalar(select(func.count()).select_from(sessions))) == 0


async def test_f3_what_is_kept_and_meets_a_defect_keeps_nothing_else_from_being_stored(
    people: UserReplica, passwords: Passwords, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody, opened = Users(people, passwords), Sessions(people, hours=1, idle_hours=0)
    ann = await everybody.create("ann", PASSWORD)
    times = []

    async def refused(*_: object) -> None:
        raise StoreError("not now", code="not_applied")

    def defect(_: Connection) -> bool:
        times.append(1)
        if len(times) > 1:
            raise RuntimeError("a defect")
        return True

    with monkeypatch.context() as patch:
        patch.setattr(database, "write", refused)
        assert await people.write_through(defect)
        token = await opened.open(ann.id)
    query = select(func.count()).where(sessions.c.token_hash == token_hash(token))
    await until_told(lambda: database.read(lambda connection: connection.scalar(query)), 1)


@pytest.mark.slow
async def test_a_node_answers_from_its_copy_for_a_bounded_time_because_another_may_have_ended_the_session(
    postgres: Postgres,
) -> None:
    with postgres.database(migrated=True) as url:
        async with Database(url=url) as database:
            replica = UserReplica(database, replace(QUICK, trusted_seconds=2.0))
            await replica.open()
            count = select(func.count()).select_from(users)

            async def reads() -> bool:
                try:
                    return await replica.read(lambda connection: connection.scalar(count)) is not None
                except StoreError:
                    return False

            await replica._refresh(within_seconds=None)
            with postgres.away(url):
                assert await reads(), "for a while"
                await until_told(reads, wanted=False)
            await until_told(reads, wanted=True)
            await replica.close()
