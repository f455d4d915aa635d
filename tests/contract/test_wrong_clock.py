"""A machine's clock that something contradicts ends nothing for good, and is told once, by its own server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select

from shoal.auth.api_tokens import ApiTokens
from shoal.auth.invitations import Invitations
from shoal.auth.passwords import Passwords
from shoal.auth.permission import Permission
from shoal.auth.sessions import Sessions
from shoal.auth.user_replica import UserReplica
from shoal.auth.users import Role, Users
from shoal.clock import Clock as WallClock
from shoal.clock import now_ms, present_clock
from shoal.language.choice import Language
from shoal.notices.clock_watch import KEEP_MS, PATIENCE_MS, ClockWatch
from shoal.notices.incident_texts import title_of
from shoal.pictures.uploaded_pictures import UploadedPictures
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager
from shoal.storage.history_tables import journal
from shoal.storage.idempotency_keys import IdempotencyKeys, KeyedRequest, Reservation
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.last_sure_time import keep_time, stored_moment_ms, take_up_time
from shoal.storage.notice_tables import incidents
from shoal.storage.schema import uploads
from shoal.storage.user_tables import api_tokens, invitations, sessions
from shoal.xianyu.uploads import UploadedPicture
from support.databases.store_steps import Clock, an_account, created
from support.runs.quick_start import cheap_hasher

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
TRUE_MS = 1_750_000_000_000
PICTURE = UploadedPicture("https://img.example/a.png", 1, 1)
REQUEST = KeyedRequest(user_id=1, actor="user:ann", key="k", method="PUT", path="/x", request_hash="aa")


@pytest.fixture
async def passwords() -> AsyncIterator[Passwords]:
    passwords = Passwords(cheap_hasher())
    yield passwords
    await passwords.close()


@pytest.mark.parametrize("is_sure", [False, True])
async def test_g22_what_has_expired_by_a_wrong_clock_is_refused_and_kept(
    database: Database, manager: DBManager, passwords: Passwords, *, is_sure: bool
) -> None:
    clock, replica = Clock(), UserReplica(database)
    ann = await Users(database, passwords, now_ms=clock).create("ann", "a password of hers", role=Role.ADMIN)
    await created(manager, an_account("shop"))
    opened = Sessions(replica, hours=1, idle_hours=0, now_ms=clock)
    tokens, links = ApiTokens(replica, now_ms=clock), Invitations(database, passwords, now_ms=clock)
    pictures, keys = UploadedPictures(database, now_ms=clock), IdempotencyKeys(database, wait_seconds=1, now_ms=clock)

    async def use_all(name: str) -> Reservation:
        await opened.open(ann.id)
        await tokens.make(ann.id, name, Permission.READ, days=1)
        await links.invite(Role.OWNER, hours=1, invited_by=ann.id)
        await pictures.remember("shop", name, PICTURE)
        return await keys.reserve(REQUEST, f"u1:k#{name}")

    assert (await use_all("1")).is_new
    clock.now += 1_000 * DAY_MS
    present_clock().note_stored(now_ms() - (0 if is_sure else 1_000 * DAY_MS))
    assert (await use_all("2")).is_new is is_sure, "a key that belongs to an earlier request is not used again"
    tables = (sessions, api_tokens, invitations, uploads)
    counted = await database.read(
        lambda connection: [connection.scalar(select(func.count()).select_from(table)) for table in tables]
    )
    assert counted == [1 if is_sure else 2] * 4


class Machine(WallClock):
    """The clock of a machine that shows ``wrong_ms`` more than the true time."""

    def __init__(self) -> None:
        self.true_ms, self.wrong_ms = TRUE_MS, 0
        super().__init__(lambda: self.true_ms + self.wrong_ms, lambda: self.true_ms - TRUE_MS + 1)


async def told(database: Database) -> list[tuple[str, str, bool, int]]:
    """Of each incident: its subject, the word for it, whether it goes on, and how often it was noted."""
    rows = await database.read(lambda connection: connection.execute(select(incidents)).mappings().all())
    return [
        (row["subject"], row["detail"], row["closed_at_ms"] is None, row["count"])
        for row in sorted(rows, key=lambda row: str(row["subject"]))
    ]


async def test_g22_a_wrong_clock_is_one_incident_until_it_is_right(database: Database) -> None:
    machine = Machine()
    watch = ClockWatch(database, clock=machine, server="one")
    machine.note_site(TRUE_MS)
    for wrong_ms, known in (
        (0, []),
        (400 * DAY_MS, [("server:one", "ahead", True, 1)]),
        (400 * DAY_MS + 5_000, [("server:one", "ahead", True, 1)]),
        (40 * DAY_MS, [("server:one", "ahead", True, 2)]),
        (-2 * HOUR_MS, [("server:one", "behind", True, 3)]),
        (-30 * 60_000, [("server:one", "behind", False, 3)]),
        (0, [("server:one", "behind", False, 3)]),
    ):
        machine.wrong_ms, machine.true_ms = wrong_ms, machine.true_ms + 20_000
        await watch.look()
        assert await told(database) == known, wrong_ms
    (row,) = await database.read(lambda connection: connection.execute(select(incidents)).mappings().all())
    moments = [TRUE_MS, row["opened_at_ms"], row["last_at_ms"], row["closed_at_ms"], machine.true_ms]
    assert moments == sorted(moments), "by the true time"


async def test_g22_the_end_is_told_by_the_next_life_too(database: Database) -> None:
    machine = Machine()
    machine.note_site(TRUE_MS)
    machine.wrong_ms = -40 * DAY_MS
    await ClockWatch(database, clock=machine).look()
    machine.wrong_ms, machine.true_ms = 0, machine.true_ms + 20_000
    other = ClockWatch(database, clock=machine, server="other")
    await other.look()
    assert await told(database) == [("server", "behind", True, 1)], "another server ends nothing of this one"
    await ClockWatch(database, clock=machine).look()
    assert await told(database) == [("server", "behind", False, 1)]


async def test_g22_without_the_site_only_what_is_certain_is_told(database: Database) -> None:
    for wrong_ms, after_ms, known in (
        (-HOUR_MS, 0, "behind_of_data"),
        (2 * HOUR_MS, PATIENCE_MS, None),
        (8 * DAY_MS, 0, None),
        (8 * DAY_MS, PATIENCE_MS, "ahead_of_data"),
    ):
        machine = Machine()
        machine.note_stored(TRUE_MS)
        machine.wrong_ms = wrong_ms
        watch = ClockWatch(database, clock=machine, server=str(wrong_ms))
        machine.true_ms += after_ms
        await watch.look()
        subject = f"server:{wrong_ms}"
        assert [detail for about, detail, *_ in await told(database) if about == subject] == ([known] if known else [])


async def test_g22_the_moment_that_counts_is_kept_only_while_it_is_sure(database: Database) -> None:
    machine = Machine()
    watch = ClockWatch(database, clock=machine)

    async def stored_ms() -> int:
        return await database.read(stored_moment_ms)

    await watch.look()
    assert await stored_ms() == 0, "nothing but the machine's clock is known"
    machine.note_site(TRUE_MS)
    await watch.look()
    assert await stored_ms() == TRUE_MS
    machine.true_ms += KEEP_MS
    machine.wrong_ms = 400 * DAY_MS
    await watch.look()
    assert await stored_ms() == TRUE_MS
    machine.wrong_ms = 0
    await watch.look()
    assert await stored_ms() == TRUE_MS + KEEP_MS


async def test_g22_the_newest_row_counts_until_a_moment_was_kept(database: Database, manager: DBManager) -> None:
    await take_up_time(database)
    assert present_clock().is_sure, "an empty database contradicts nothing"
    await created(manager, an_account("shop"))
    newest = select(func.max(journal.c.at_ms))
    written_ms = await database.read(lambda connection: connection.scalar(newest)) or 0
    assert written_ms
    await take_up_time(database)
    assert present_clock().skew_ms == pytest.approx(now_ms() - written_ms, abs=60_000)
    await keep_time(database, now_ms() - 30 * DAY_MS)
    await take_up_time(database)
    assert present_clock().skew_ms == pytest.approx(30 * DAY_MS, abs=60_000)


@pytest.mark.parametrize(
    ("detail", "hours", "sentences"),
    [
        ("ahead", 9_600, ("比闲鱼快 400 天", "it is 400 days ahead of Xianyu's")),
        ("behind", 2, ("比闲鱼慢 2 小时", "it is 2 hours behind Xianyu's")),
        (
            "ahead_of_data",
            240,
            (
                "比最新的数据快 10 天，闲鱼还没有告知时间",
                "it is 10 days ahead of the newest data, and Xianyu has not told its time yet",
            ),
        ),
        ("behind_of_data", 1, ("比最新的数据慢 1 小时", "it is 1 hour behind the newest data")),
    ],
)
def test_g22_it_is_said_by_how_much(detail: str, hours: int, sentences: tuple[str, str]) -> None:
    said = [
        title_of(IncidentKind.CLOCK_WRONG, detail, {"hours": hours, "server": ""}, language)
        for language in (Language.ZH, Language.EN)
    ]
    assert said == [f"服务器的时间不对：{sentences[0]}", f"The server's clock is wrong: {sentences[1]}"]
