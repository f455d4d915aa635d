"""The security log on both databases: kept, redacted, bounded in a flood, and never in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import func, select
from structlog.testing import capture_logs

from shoal.auth.audit_entries import REFUSED, AuditEntry, AuditEvent, Reader, Sought
from shoal.auth.audit_log import FOLDED_MS, MOST_WAITING, REFUSAL_EVERY_MS, REFUSALS_AT_ONCE, AuditLog
from shoal.auth.passwords import Passwords
from shoal.auth.users import Users
from shoal.errors import NotApplied
from shoal.storage.database import Database
from shoal.storage.user_tables import audit_entries
from support.databases.store_steps import Clock, Place
from support.runs.quick_start import cheap_hasher

ALL = Sought()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def notes(database: Database, clock: Clock) -> AsyncIterator[AuditLog]:
    audit_log = AuditLog(database, now_ms=clock, repeats_seconds=0.01)
    audit_log.start()
    yield audit_log
    await audit_log.close()


async def read(audit_log: AuditLog, sought: Sought = ALL, **how: Any) -> list[AuditEntry]:
    return [kept.entry for kept in await audit_log.entries(sought, **how)]


async def test_what_is_noted_is_read_back_whole_newest_first(notes: AuditLog, clock: Clock) -> None:
    await notes.record(
        AuditEvent.PERMISSION_GIVEN,
        actor="user:ann",
        user_id=7,
        origin="console 192.0.2.7",
        account="shop",
        permission="reply",
    )
    clock.now += 1_000
    await notes.record(AuditEvent.SIGN_IN, actor="", user_id=7, origin="api 192.0.2.8", outcome="wrong_login")
    newest, oldest = await read(notes)
    assert (oldest.kind, oldest.actor, oldest.user_id, oldest.origin) == (
        "right_given",
        "user:ann",
        7,
        "console 192.0.2.7",
    )
    assert (oldest.account_id, oldest.facts, oldest.outcome, oldest.times) == ("shop", {"permission": "reply"}, "ok", 1)
    assert (newest.kind, newest.outcome, newest.at_ms, newest.last_at_ms) == (
        "sign_in", "wrong_login", clock.now, clock.now,
    )  # fmt: skip


async def test_notes_outlive_the_server(place: Place, clock: Clock) -> None:
    first = await place.open_again()
    before = AuditLog(first, now_ms=clock)
    before.start()
    await before.record(AuditEvent.SIGN_OUT, actor="user:ann", user_id=1)
    await before.close()
    await first.close()
    second = await place.open_again()
    assert [note.kind for note in await read(AuditLog(second, now_ms=clock))] == ["sign_out"]


async def test_a_note_needs_nobody_to_read_it(notes: AuditLog, database: Database) -> None:
    await notes.record(AuditEvent.SIGN_IN, actor="user:ann", user_id=1)
    await notes.record(AuditEvent.SIGN_IN, actor="user:ann", user_id=1)
    query = select(func.sum(audit_entries.c.times))
    async with asyncio.timeout(60):
        while await database.read(lambda connection: connection.scalar(query)) != 2:
            await asyncio.sleep(0.01)


async def test_the_same_again_is_counted_and_two_tokens_are_two(notes: AuditLog, clock: Clock) -> None:
    for number in range(25):
        await notes.record(
            AuditEvent.SIGN_IN, actor="", origin="api 192.0.2.9", outcome="wrong_login", agent=f"made up {number}"
        )
        clock.now += 1_000
    for label in ("shop script", "backup"):
        await notes.record(AuditEvent.TOKEN_MADE, actor="user:ann", user_id=1, label=label)
    second, first, refused = await read(notes)
    assert (refused.times, refused.last_at_ms - refused.at_ms, refused.facts) == (25, 24_000, {"agent": "made up 0"})
    assert [first.facts["label"], second.facts["label"]] == ["shop script", "backup"]
    clock.now += FOLDED_MS
    await notes.record(AuditEvent.SIGN_IN, actor="", origin="api 192.0.2.9", outcome="wrong_login")
    for outcome in ("wrong_login", REFUSED):
        assert [note.times for note in await read(notes, Sought(outcome=outcome))] == [1, 25]


async def test_a_flood_from_everywhere_fills_no_disk(notes: AuditLog, clock: Clock) -> None:
    for number in range(3_000):
        await notes.record(AuditEvent.SIGN_IN, actor="", origin=f"api 2001:db8::{number:x}", outcome="wrong_login")
    await notes.record(AuditEvent.SIGN_IN, actor="user:ann", user_id=1, origin="api 192.0.2.1")
    found = await read(notes, limit=200)
    assert len(found) == REFUSALS_AT_ONCE + 2
    assert found[0].outcome == "ok"
    rest = next(note for note in found if note.facts == {"many": True})
    assert (rest.times, rest.origin) == (3_000 - REFUSALS_AT_ONCE, "")
    clock.now += REFUSAL_EVERY_MS
    await notes.record(AuditEvent.SIGN_IN, actor="", origin="api 192.0.2.77", outcome="wrong_login")
    assert (await read(notes))[0].origin == "api 192.0.2.77"


async def test_no_secret_and_no_monster_gets_in(notes: AuditLog, database: Database) -> None:
    many: dict[str, Any] = {f"fact{number}": number for number in range(100)}
    await notes.record(
        AuditEvent.REFUSED_TARGET,
        actor="user:ann\x00\x1b[31m",
        origin="api " + "9" * 5_000,
        outcome="forbidden_target",
        password="correct-horse",
        token="1f0e7c2d9a3b4c5d",
        target="http://ann:correct-horse@10.0.0.1/?token=1f0e7c2d9a3b4c5d",
        more={"cookie": "cookie2=1f0e7c2d9a3b4c5d"},
        words=["x" * 9_000] * 50,
        number=float("nan"),
        large=10**40,
        **many,
    )
    [note] = await read(notes)
    assert len(repr(note)) < 5_000
    assert note.facts["target"].startswith("http://***@10.0.0.1/")
    [row] = await database.read(lambda connection: connection.execute(select(audit_entries)).all())
    for secret in ("correct-horse", "1f0e7c2d9a3b4c5d", "\x00", "\x1b"):
        assert secret not in repr(row)


async def test_a_database_that_takes_nothing_is_in_nobodys_way(
    database: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit_log = AuditLog(database, now_ms=clock, repeats_seconds=0.01)
    audit_log.start()
    really_write = database.write

    async def refuse(_: Any) -> Any:
        raise NotApplied("full", code="store_degraded")

    monkeypatch.setattr(database, "write", refuse)
    with capture_logs() as logs:
        for number in range(MOST_WAITING + 500):
            await audit_log.record(AuditEvent.TOKEN_MADE, actor="user:ann", user_id=1, label=str(number))
            await asyncio.sleep(0)
    told = [entry["event"] for entry in logs]
    assert told.count("security event") == MOST_WAITING + 500
    assert told.count("the security log is not kept: the store takes nothing") == 1
    assert await read(audit_log) == []
    monkeypatch.setattr(database, "write", really_write)
    await audit_log.close()
    query = select(func.count()).select_from(audit_entries)
    assert await database.read(lambda connection: connection.scalar(query)) == MOST_WAITING


async def test_each_reads_what_is_about_them_and_their_shops(notes: AuditLog, clock: Clock) -> None:
    await notes.record(AuditEvent.PERMISSION_TAKEN, actor="user:eve", user_id=9, account="shop")  # of its owner before
    clock.now += 10
    bought_at = clock.now
    await notes.record(AuditEvent.PERMISSION_GIVEN, actor="user:ann", user_id=2, account="shop")
    await notes.record(AuditEvent.SIGN_IN, actor="user:ann", user_id=1)
    await notes.record(AuditEvent.SIGN_IN, actor="user:bob", user_id=2)
    await notes.record(AuditEvent.REFUSED_ORIGIN, actor="", outcome="foreign_origin")
    ann = Reader(user_id=1, accounts=(("shop", bought_at),))
    assert [(note.kind, note.user_id) for note in await read(notes, reader=ann)] == [("sign_in", 1), ("right_given", 2)]
    bob = Reader(user_id=2)
    assert [(note.kind, note.user_id) for note in await read(notes, reader=bob)] == [("sign_in", 2), ("right_given", 2)]
    assert len(await read(notes)) == 5


async def test_it_is_searched_page_by_page(notes: AuditLog, database: Database, clock: Clock) -> None:
    passwords = Passwords(cheap_hasher())
    ann = await Users(database, passwords).create("ann", "a password of hers")
    await passwords.close()
    began = clock.now
    for number in range(5):
        await notes.record(AuditEvent.TOKEN_MADE, actor="user:admin", user_id=ann.id, label=str(number))
        await notes.record(AuditEvent.SIGN_IN, actor="user:bob", user_id=99, agent=str(number))
        clock.now += 1_000
    about_ann = Sought(user="ann")
    first = await notes.entries(about_ann, limit=3)
    assert {kept.username for kept in first} == {"ann"}
    rest = await notes.entries(about_ann, before=(first[-1].entry.at_ms, first[-1].id), limit=3)
    assert [kept.entry.facts["label"] for kept in [*first, *rest]] == ["4", "3", "2", "1", "0"]
    assert {note.actor for note in await read(notes, Sought(user="bob"))} == {"user:bob"}
    span = Sought(kind="sign_in", since_ms=began + 1_000, until_ms=began + 3_000)
    assert [note.facts["agent"] for note in await read(notes, span)] == ["2", "1"]


async def test_old_notes_are_forgotten_in_steps(notes: AuditLog, clock: Clock) -> None:
    for number in range(7):
        await notes.record(AuditEvent.TOKEN_MADE, actor="user:ann", user_id=1, label=str(number))
        clock.now += 1_000
    assert len(await read(notes)) == 7
    assert await notes.forget_older_than(clock.now - 2_000, rows=2) == 5
    assert [note.facts["label"] for note in await read(notes)] == ["6", "5"]
