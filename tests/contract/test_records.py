"""People on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select

from shoal.database import Database
from shoal.errors import Conflict, InvalidInput
from shoal.schema import sessions
from shoal.users import Role, Users
from store_steps import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def users(database: Database, clock: Clock) -> AsyncIterator[Users]:
    users = Users(database, now_ms=clock, hasher=PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    yield users
    await users.close()


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
    ann = await users.create("ann", "pass word", email="Ann@Example.com")
    assert (ann.role, ann.email, ann.active) == (Role.OWNER, "ann@example.com", True)
    for name, email, code in (("ann", None, "username_taken"), ("bob", "ANN@example.com", "email_taken")):
        with pytest.raises(Conflict) as caught:
            await users.create(name, "x", email=email)
        assert caught.value.code == code
    with pytest.raises(InvalidInput):
        await users.create("bob", "")
    assert await users.verify("ANN@example.com", "pass word") == ann
    assert await users.get(ann.id) == await users.by_name("ann") == await users.by_email("ann@example.com") == ann
    assert await users.list_users() == [ann]
    assert await users.get(999) is None
    changed = await users.update(ann.id, role=Role.STAFF)
    assert changed is not None
    assert changed.role is Role.STAFF
    assert await users.update(999, role=Role.STAFF) is None
    assert await users.delete(ann.id)
    assert not await users.delete(ann.id)


async def test_a_session_lives_as_long_as_it_may(users: Users, clock: Clock, database: Database) -> None:
    ann = await users.create("ann", "pw")
    token = await users.open_session(ann.id, 60, kind="login", user_agent="x" * 1000, address="::1")
    stored = await database.read(lambda connection: connection.scalars(select(sessions.c.token_hash)).all())
    assert token not in stored
    assert len(token) >= 43
    session = await users.session(token)
    assert session is not None
    assert (session.user, session.kind, session.address, len(session.user_agent)) == (ann, "login", "::1", 300)
    assert await users.session("guess") is None
    clock.now += 59_999
    assert await users.session(token) is not None
    clock.now += 1
    assert await users.session(token) is None
    assert await users.sessions(ann.id) == []


async def test_a_session_ends_with_sign_out_password_or_deactivation(users: Users) -> None:
    ann = await users.create("ann", "old")
    one, two, three = [await users.open_session(ann.id, 60) for _ in range(3)]
    await users.close_session(one)
    await users.close_session(one)
    assert await users.session(one) is None
    assert await users.set_password(ann.id, "new", keep_token=three)
    assert await users.session(two) is None
    assert await users.session(three) is not None
    assert await users.verify("ann", "old") is None
    assert await users.verify("ann", "new") is not None
    await users.update(ann.id, active=False)
    assert await users.session(three) is None
    assert await users.verify("ann", "new") is None
    assert not await users.set_password(999, "x")


async def test_an_old_hash_is_renewed_at_sign_in(database: Database, users: Users) -> None:
    await users.create("ann", "pw")
    stronger = Users(database, hasher=PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    assert await stronger.verify("ann", "pw") is not None
    await stronger.close()
    assert await users.verify("ann", "pw") is not None


async def test_hashing_does_not_hold_the_loop(database: Database) -> None:
    users = Users(database)
    task = asyncio.create_task(users.create("ann", "pw"))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 3
    await users.close()
