"""Links, sessions and two-step verification on both databases."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pyotp
import pytest
from sqlalchemy import func, select

from shoal.auth.audit_entries import AuditEvent, places_of_sign_ins
from shoal.auth.audit_log import AuditLog
from shoal.auth.invitations import Invitations, Used
from shoal.auth.passwords import Passwords
from shoal.auth.sessions import Sessions
from shoal.auth.totp import Factor, Totp
from shoal.auth.user_replica import UserReplica
from shoal.auth.users import Role, User, Users
from shoal.errors import Conflict, UnknownUser
from shoal.storage.database import Database
from shoal.storage.user_tables import invitations, recovery_codes, sessions
from shoal.storage.vault import Vault
from support.databases.store_steps import Clock
from support.runs.quick_start import cheap_hasher

PASSWORD = "a password of hers"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(cheap_hasher())
    yield passwords
    await passwords.close()


@pytest.fixture
def users(database: Database, passwords: Passwords, clock: Clock) -> Users:
    return Users(database, passwords, now_ms=clock)


async def test_a_link_is_used_once_and_ends_in_time(
    database: Database, passwords: Passwords, users: Users, clock: Clock
) -> None:
    links = Invitations(database, passwords, now_ms=clock)
    admin = await users.create("boss", PASSWORD, role=Role.ADMIN)
    link, token = await links.invite(Role.STAFF, hours=1, email="Ann@Example.com", invited_by=admin.id)
    assert (await links.look(token)) == link
    racing = (links.use(token, username=f"ann{number}", password=PASSWORD) for number in range(4))
    ended = await asyncio.gather(*racing, return_exceptions=True)
    assert Counter(type(result) for result in ended) == {Used: 1, UnknownUser: 3}
    (row,) = await links.everything()
    assert (row.invited_by, row.email) == ("boss", "ann@example.com")
    assert row.used_by is not None
    with pytest.raises(UnknownUser):
        await links.revoke(link.id)
    late, late_token = await links.invite(Role.OWNER, hours=1, invited_by=admin.id)
    clock.now += 3_600_000
    with pytest.raises(UnknownUser):
        await links.use(late_token, username="late", password=PASSWORD)
    assert (await links.revoke(late.id)).id == late.id
    _, first = await links.password_link(admin.id, hours=1)
    _, second = await links.password_link(admin.id, hours=1)
    with pytest.raises(UnknownUser):
        await links.look(first)
    person = (await links.use(second, username="", password="quite another one")).user
    assert person.id == admin.id
    assert await users.verify("boss", "quite another one") is not None


async def test_sessions_are_ended_by_their_names(database: Database, users: Users, clock: Clock) -> None:
    opened = Sessions(UserReplica(database), hours=1, idle_hours=1, now_ms=clock)
    ann, bob = await users.create("ann", PASSWORD), await users.create("bob", PASSWORD)
    await opened.open(ann.id)
    await opened.open(bob.id)
    await opened.open(ann.id)
    mine, other = await opened.of_user(ann.id)
    assert not await opened.end_one(bob.id, mine.id)
    assert await opened.end_one(ann.id, other.id)
    assert not await opened.end_one(ann.id, other.id)
    await opened.open(ann.id)
    assert await opened.end_all(ann.id, but=mine.id) == 1
    assert [one.id for one in await opened.of_user(ann.id)] == [mine.id]
    assert len(await opened.of_user(bob.id)) == 1


async def test_a_second_factor_and_all_that_names_a_person_goes_with_them(
    database: Database, passwords: Passwords, users: Users, clock: Clock
) -> None:
    factor = Totp(UserReplica(database), Vault([b"k" * 32]), now_ms=clock)
    ann = await users.create("ann", PASSWORD)
    seed = await factor.begin(ann)
    totp = pyotp.TOTP(seed.secret)
    codes = await factor.confirm(ann.id, totp.at(clock.now // 1000))
    with pytest.raises(Conflict):
        await factor.begin(ann)
    clock.now += 30_000
    code = totp.at(clock.now // 1000)
    assert Counter(await asyncio.gather(*(factor.accept(ann.id, code) for _ in range(4)))) == {
        Factor.TOTP: 1, None: 3,
    }  # fmt: skip
    assert Counter(await asyncio.gather(*(factor.accept(ann.id, codes[0]) for _ in range(4)))) == {
        Factor.RECOVERY: 1, None: 3,
    }  # fmt: skip
    assert await factor.codes_left(ann.id) == 9
    fresh = await factor.renew_recovery_codes(ann.id)
    assert await factor.accept(ann.id, codes[1]) is None
    assert await factor.accept(ann.id, fresh[0]) is Factor.RECOVERY
    opened = Sessions(UserReplica(database), hours=1, idle_hours=0, now_ms=clock)
    await opened.open(ann.id)
    links = Invitations(database, passwords, now_ms=clock)
    await links.invite(Role.OWNER, hours=1, invited_by=ann.id)
    await links.password_link(ann.id, hours=1)
    assert (await users.begin_leaving(ann.id)).leaving
    with pytest.raises(UnknownUser):
        await links.password_link(ann.id, hours=1)
    assert await users.remove(ann.id)
    left = [select(func.count()).select_from(table) for table in (sessions, invitations, recovery_codes)]
    assert await database.read(lambda connection: [connection.scalar(query) for query in left]) == [0, 0, 0]


async def test_the_places_where_people_signed_in_are_known(database: Database, users: Users, clock: Clock) -> None:
    notes = AuditLog(database, now_ms=clock)
    ann = await users.create("ann", PASSWORD)
    for origin, outcome in (
        ("console 192.0.2.7", "ok"),
        ("api 192.0.2.8", "wrong_login"),
        ("console 192.0.2.7", "ok"),
        ("shell ::1", "ok"),
    ):
        await notes.record(AuditEvent.SIGN_IN, actor="user:ann", user_id=ann.id, origin=origin, outcome=outcome)
        clock.now += 3_600_000
    await notes.close()

    async def places_since(hours: int) -> list[tuple[User, str]]:
        return await database.read(lambda connection: places_of_sign_ins(connection, clock.now - hours * 3_600_000))

    places = await places_since(4)
    assert [(user.username, address) for user, address in places] == [("ann", "::1"), ("ann", "192.0.2.7")]
    assert len(await places_since(1)) == 1
