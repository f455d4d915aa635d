"""People on both databases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from shoal.auth.passwords import Passwords
from shoal.auth.sessions import Sessions, token_hash
from shoal.auth.user_replica import UserReplica
from shoal.auth.users import Role, Users
from shoal.errors import Conflict, InvalidInput, Unauthenticated, UnknownUser
from shoal.storage.database import Database
from shoal.storage.user_tables import sessions
from support.databases.store_steps import Clock
from support.runs.quick_start import cheap_hasher
from support.site.standins import until

PASSWORD = "a password of hers"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def replica(database: Database) -> UserReplica:
    return UserReplica(database)


@pytest.fixture
async def users(replica: UserReplica, clock: Clock) -> AsyncIterator[Users]:
    passwords = Passwords(cheap_hasher())
    yield Users(replica, passwords, now_ms=clock)
    await passwords.close()


@pytest.fixture
def opened(replica: UserReplica, clock: Clock) -> Sessions:
    return Sessions(replica, hours=24, idle_hours=0, now_ms=clock)


async def test_the_first_administrator_is_made_once(users: Users) -> None:
    password = await users.ensure_admin()
    assert password is not None
    assert len(password) >= 20
    assert await users.ensure_admin() is None
    admin = await users.verify("admin", password)
    assert admin is not None
    assert admin.role is Role.ADMIN
    assert await users.verify("admin", password + "x") is None
    assert await users.verify("nobody", password) is None


async def test_people_have_names_of_their_own(users: Users) -> None:
    ann = await users.create("ann", PASSWORD, email="Ann@Example.com")
    assert (ann.role, ann.email, ann.active) == (Role.OWNER, "ann@example.com", True)
    for name, email, code in (("ann", None, "username_taken"), ("bob", "ANN@example.com", "email_taken")):
        with pytest.raises(Conflict) as caught:
            await users.create(name, PASSWORD, email=email)
        assert caught.value.code == code
    for password in (
        "",
        "short",
        "x" * 1025,
        "password1234",
        "ann@example.com",
        "qwertyuiop",
        "20010203",
        "aaaaaaaaaaaa",
    ):
        with pytest.raises(InvalidInput):
            await users.create("ann2", password, email="ann@example.com")
    assert await users.verify("ANN@example.com", PASSWORD) == ann
    assert await users.get(ann.id) == await users.by_name("ann") == await users.by_email("ann@example.com") == ann
    assert await users.list_users() == [ann]
    assert await users.get(999) is None
    assert (await users.update(ann.id, {"role": "staff", "email": None})).role is Role.STAFF
    assert await users.by_email("ann@example.com") is None
    with pytest.raises(UnknownUser):
        await users.update(999, {"role": "staff"})
    assert await users.remove(ann.id)
    assert not await users.remove(ann.id)


async def test_names_that_look_alike_are_one_name(users: Users) -> None:
    """Case, width and composed letters make no other user, and a user who types them otherwise still signs in."""
    jose = await users.create("  José１ ", PASSWORD)
    assert jose.username == "José1"
    for name in ("josé1", "JOSÉ1", "Jose\u0301１", "ｊosé1"):
        with pytest.raises(Conflict) as caught:
            await users.create(name, PASSWORD)
        assert caught.value.code == "username_taken"
        assert await users.verify(name, PASSWORD) == jose
    for name in ("", "  ", "a@b", "a\nb", "a\u200bb", "\u202eadmin", "x" * 65, "\u3164"):
        with pytest.raises(InvalidInput) as refused:
            await users.create(name, PASSWORD)
        assert refused.value.code == "bad_username"


async def test_a_password_is_the_same_on_every_keyboard(users: Users) -> None:
    await users.create("ann", "Caf\u00e9 au lait ２ go")
    assert await users.verify("ann", "Cafe\u0301 au lait 2 go") is not None
    assert await users.verify("ann", "Cafe au lait 2 go") is None


async def test_the_last_administrator_stays_one(users: Users) -> None:
    await users.ensure_admin()
    admin = await users.by_name("admin")
    assert admin is not None
    for change in ({"role": "owner"}, {"role": "staff"}, {"active": False}):
        with pytest.raises(Conflict) as caught:
            await users.update(admin.id, change)
        assert caught.value.code == "last_admin"
    with pytest.raises(Conflict):
        await users.begin_leaving(admin.id)
    second = await users.create("second", PASSWORD, role=Role.ADMIN)
    await users.update(second.id, {"active": False})
    with pytest.raises(Conflict):
        await users.update(admin.id, {"role": "owner"})
    await users.update(second.id, {"active": True})
    results = await asyncio.gather(
        users.update(admin.id, {"role": "owner"}), users.update(second.id, {"active": False}), return_exceptions=True
    )
    assert sum(isinstance(result, Conflict) for result in results) == 1
    assert [user.role for user in await users.list_users() if user.active].count(Role.ADMIN) == 1


async def test_a_session_lives_as_long_as_it_may(
    users: Users, opened: Sessions, clock: Clock, database: Database
) -> None:
    ann = await users.create("ann", PASSWORD)
    token = await opened.open(ann.id, 60, kind="login", user_agent="x" * 1000, address="::1")
    stored = await database.read(lambda connection: connection.scalars(select(sessions.c.token_hash)).all())
    assert token not in stored
    assert len(token) >= 43
    session = await opened.of(token)
    assert session is not None
    assert (session.user.id, session.kind, session.address, len(session.user_agent)) == (ann.id, "login", "::1", 300)
    assert await opened.of("guess") is None
    assert await opened.of(session.token_hash) is None  # what a thief of the database has
    clock.now += 59_999
    assert await opened.of(token) is not None
    clock.now += 1
    assert await opened.of(token) is None
    assert await opened.of_user(ann.id) == []


async def test_a_session_that_nobody_uses_ends_before_its_time(users: Users, database: Database, clock: Clock) -> None:
    ann = await users.create("ann", PASSWORD)
    opened = Sessions(UserReplica(database), hours=24, idle_hours=1, now_ms=clock)
    used, left = await opened.open(ann.id), await opened.open(ann.id)
    for _ in range(3):
        clock.now += 40 * 60_000
        assert await opened.of(used) is not None
        await opened.close()  # the last use is stored beside the request
    assert await opened.of(left) is None
    assert [session.id for session in await opened.of_user(ann.id)] == [token_hash(used)[:24]]


async def test_a_session_ends_with_sign_out_password_or_deactivation(users: Users, opened: Sessions) -> None:
    ann = await users.create("ann", PASSWORD)
    one, two, three = [await opened.open(ann.id, 60) for _ in range(3)]
    await opened.end(one)
    await opened.end(one)
    assert await opened.of(one) is None
    assert await users.set_password(ann.id, "quite another one", keep_session=token_hash(three))
    assert await opened.of(two) is None
    assert await opened.of(three) is not None
    assert await users.verify("ann", PASSWORD) is None
    assert await users.verify("ann", "quite another one") is not None
    await users.update(ann.id, {"active": False})
    assert await opened.of(three) is None
    assert await users.verify("ann", "quite another one") is None
    assert not await users.set_password(999, "quite another one")


async def test_no_session_opens_by_a_password_that_was_replaced_meanwhile(users: Users, opened: Sessions) -> None:
    ann = await users.create("ann", PASSWORD)
    proof = await users.prove("ann", PASSWORD)
    assert proof is not None
    await users.set_password(ann.id, "quite another one")
    with pytest.raises(Unauthenticated):
        await opened.open(ann.id, password_hash=proof.password_hash)
    fresh = await users.prove("ann", "quite another one")
    assert fresh is not None
    assert await opened.open(ann.id, password_hash=fresh.password_hash)
    await users.update(ann.id, {"active": False})
    with pytest.raises(Unauthenticated):
        await opened.open(ann.id, password_hash=fresh.password_hash)


async def test_an_old_hash_is_renewed_at_sign_in(database: Database, users: Users) -> None:
    ann = await users.create("ann", PASSWORD)
    passwords = Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    stronger = Users(database, passwords)
    proof = await stronger.prove("ann", PASSWORD)
    await passwords.close()
    assert proof is not None
    assert "t=2" in proof.password_hash
    assert await Sessions(UserReplica(database), hours=1, idle_hours=0).open(ann.id, password_hash=proof.password_hash)
    assert await users.verify("ann", PASSWORD) is not None


async def test_hashing_does_not_hold_the_loop(database: Database) -> None:
    begun, goes_on = threading.Event(), threading.Event()

    class Long(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            begun.set()
            assert goes_on.wait(60), "the loop stands still"
            return super().hash(password, salt=salt)

    passwords = Passwords(Long(time_cost=1, memory_cost=8, parallelism=1))
    creating = asyncio.create_task(Users(database, passwords).create("ann", PASSWORD))
    await until(begun.is_set)
    goes_on.set()
    assert (await creating).username == "ann"
    await passwords.close()
