"""Once a day what is old is removed, and nothing that goes wrong on one day ends the housekeeping."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from shoal.accounts.account import Account
from shoal.accounts.store import AccountStore, Pruned
from shoal.assistant.old_runs import OldRuns
from shoal.auth.audit_log import AuditLog
from shoal.clock import machine_ms, present_clock
from shoal.config import Settings
from shoal.errors import InvalidInput, NotApplied, StoreError
from shoal.messages.message_log import IncomingMessage, MessageLog
from shoal.notices.incident_history import IncidentHistory
from shoal.pictures.picture_files import PictureFiles
from shoal.rules.rule import Rule
from shoal.server.retention import Retention
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.idempotency_keys import IdempotencyKeys
from support.databases.memory_store import MemoryStore
from support.databases.store_steps import an_account, committed, creation
from support.files.picture_files import a_png
from support.site.standins import quick_settings, until

DAY_MS = 86_400_000
NOW = 1_000 * DAY_MS


class RecordingStore(MemoryStore):
    """Remembers what it was asked to prune; raises what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, int]] = []
        self.error: Exception | None = None

    async def prune(self, **moments: int) -> Pruned:
        self.asked.append(moments)
        if self.error is not None:
            raise self.error
        return await super().prune(**moments)


class RecordingLog(MessageLog):
    """A message log without a database."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.error: StoreError | None = None

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2000) -> int:
        self.asked.append(moment_ms)
        if self.error is not None:
            raise self.error
        return 3


class RecordingAnswers(IdempotencyKeys):
    """Answers without a database."""

    def __init__(self) -> None:
        self.asked = 0

    async def forget_expired(self, *, rows: int = 2_000) -> int:
        self.asked += 1
        return 1


class RecordingNotes(AuditLog):
    """A security log without a database."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2000) -> int:
        self.asked.append(moment_ms)
        return 2


class RecordingIncidents(IncidentHistory):
    """A history of incidents without a database."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2000) -> int:
        self.asked.append(moment_ms)
        return 1


class RecordingRuns(OldRuns):
    """Runs of models without a database."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2000) -> int:
        self.asked.append(moment_ms)
        return 4


async def checked_already() -> None:
    """The check of the store has passed."""


def a_retention(
    store: AccountStore,
    message_log: MessageLog,
    settings: Settings | None = None,
    *,
    pictures: PictureFiles | None = None,
    audit_log: AuditLog | None = None,
    incidents: IncidentHistory | None = None,
    old_runs: OldRuns | None = None,
    checked: Callable[[], Awaitable[None]] = checked_already,
    ask_time: Callable[[], Awaitable[None]] | None = None,
) -> Retention:
    return Retention(
        store,
        message_log,
        RecordingAnswers(),
        settings or quick_settings(),
        pictures=pictures or PictureFiles(Path("no such directory")),
        audit_log=audit_log or RecordingNotes(),
        incidents=incidents or RecordingIncidents(),
        old_runs=old_runs or RecordingRuns(),
        checked=checked,
        ask_time=ask_time,
        now_ms=lambda: NOW,
        first_after_seconds=0.0,
        every_seconds=0.01,
        again_seconds=0.01,
    )


async def test_each_kind_has_its_own_age() -> None:
    store, messages, notes, incidents = RecordingStore(), RecordingLog(), RecordingNotes(), RecordingIncidents()
    settings = quick_settings(journal_days=10, op_days=20, state_history_days=30, message_days=40, security_log_days=50)
    await committed(store, creation(an_account()))
    runs = RecordingRuns()
    with capture_logs() as logs:
        await a_retention(store, messages, settings, audit_log=notes, incidents=incidents, old_runs=runs).prune()
    assert store.asked == [
        {
            "journal_before_ms": NOW - 10 * DAY_MS,
            "ops_before_ms": NOW - 20 * DAY_MS,
            "moves_before_ms": NOW - 30 * DAY_MS,
        }
    ]
    assert messages.asked == runs.asked == [NOW - 40 * DAY_MS]
    assert notes.asked == incidents.asked == [NOW - 50 * DAY_MS]
    assert {entry["what"]: entry["rows"] for entry in logs}["messages"] == 3


@pytest.mark.parametrize("error", [NotApplied("locked"), RuntimeError("a defect")])
async def test_it_goes_on_day_after_day_whatever_happened(error: Exception) -> None:
    store, messages = RecordingStore(), RecordingLog()
    store.error = error
    retention = a_retention(store, messages)
    retention.start()
    await until(lambda: len(store.asked) >= 3)
    await retention.close()
    asked = len(store.asked)
    await asyncio.sleep(0.05)
    assert len(store.asked) == asked


async def test_the_first_run_waits_for_the_check_of_the_store_however_long_it_takes() -> None:
    store, asked, passed = RecordingStore(), asyncio.Event(), asyncio.Event()

    async def checked() -> None:
        asked.set()
        await passed.wait()

    retention = a_retention(store, RecordingLog(), checked=checked)
    retention.start()
    async with asyncio.timeout(60):
        await asked.wait()
    assert not store.asked
    passed.set()
    await until(lambda: bool(store.asked))
    await retention.close()


async def test_one_part_that_fails_does_not_keep_the_other_from_its_turn() -> None:
    store, messages = RecordingStore(), RecordingLog()
    store.error, messages.error = NotApplied("locked"), NotApplied("locked")
    with capture_logs() as logs:
        await a_retention(store, messages).prune()
    told = [(entry["event"], entry["what"]) for entry in logs]
    assert told[:2] == [("not pruned", "changes"), ("not pruned", "messages")]
    others = ["runs of models", "answers to keyed requests", "audit log", "incidents", "pictures"]
    assert told[2:] == [("pruned", what) for what in others]


async def test_pictures_that_neither_a_rule_nor_a_seller_has_go(tmp_path: Path) -> None:
    pictures = PictureFiles(tmp_path)
    used, face, unused = [await pictures.keep(a_png()) for _ in range(3)]
    rule = Rule.simple(id="r", keyword="图", image_url=used)

    async def naming() -> tuple[list[Account], list[str]]:
        return [an_account(keywords=(rule,))], ["", face]

    pictures.named = naming
    retention = a_retention(RecordingStore(), RecordingLog(), pictures=pictures)
    for url in (used, face, unused):
        os.utime(tmp_path / url.rpartition("/")[2], (0, 0))
    await retention.prune()
    assert [(await pictures.read(url)).data for url in (used, face)] == [a_png(), a_png()]
    with pytest.raises(InvalidInput):
        await pictures.read(unused)


async def test_closing_what_never_began_is_harmless() -> None:
    await a_retention(RecordingStore(), RecordingLog()).close()


async def test_old_messages_go_and_young_ones_stay(tmp_path: Path) -> None:
    async with Database(tmp_path) as database:
        at = NOW - 91 * DAY_MS
        messages = MessageLog(database, now_ms=lambda: at)
        store = DBManager(database, await open_vault(database, tmp_path / "secret.key"))
        await committed(store, creation(an_account()))
        await messages.store_incoming("shop", [IncomingMessage(message_id="old", chat_id="c", text="旧")])
        at = NOW - 89 * DAY_MS
        await messages.store_incoming("shop", [IncomingMessage(message_id="young", chat_id="c", text="新")])
        await a_retention(store, messages).prune()
        left = await messages.list_messages(["shop"])
        assert [logged.message.message_id for logged in left] == ["young"]


async def test_g22_nothing_is_deleted_until_the_site_says_that_the_clock_is_right() -> None:
    store, messages, answers = RecordingStore(), RecordingLog(), [400 * DAY_MS, 400 * DAY_MS, 0]
    present_clock().note_stored(machine_ms() - 400 * DAY_MS)

    async def ask_time() -> None:
        assert (store.asked, messages.asked) == ([], [])
        if len(answers) < 3:
            present_clock().note_site(machine_ms() - answers[0])
        answers.pop(0)

    retention = a_retention(store, messages, ask_time=ask_time)
    assert not await retention.prune(), "the site did not answer"
    assert not await retention.prune(), "it contradicts the clock"
    assert not await retention.prune(), "and is not asked again"
    assert (store.asked, messages.asked, len(answers)) == ([], [], 1)
    present_clock().note_site(machine_ms())
    retention.start()
    await until(lambda: len(store.asked) >= 1)
    await retention.close()
