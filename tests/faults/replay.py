"""The SQL of a change as the real writer speaks it, spoken again to a disk that fails."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import random
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import apsw

from faults.durable import KEY_FILE, Durable, Version, durable_in
from faults.failing_disk import FailingDisk, Fault
from shoal.accounts.account import Account
from shoal.accounts.store import Change, Op, Refused
from shoal.errors import ShoalError
from shoal.rules.rule import Rule
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.engines import driver_of
from support.databases.store_steps import an_account, created, creation, deletion, edit, submitted

Outcome = Literal["acknowledged", "refused", "unknown"]
SCENARIOS = ("change", "atomic", "each")
STALE = "stale"
"""The op that is refused, whatever the disk does."""
_BARRIER = "UPDATE store_meta SET counter = counter + 1 WHERE key = 'writer:local'"
_names = itertools.count(1)


@dataclass
class Recording:
    """A database before a change, the statements of the change, and how it is before and after."""

    base: Path
    statements: list[str]
    ops: tuple[str, ...]
    before: dict[str, Version]
    after: dict[str, Version]
    directory: Path
    seen: dict[bytes, bool] = field(default_factory=dict)
    """Crash images that were looked at before, and whether they held the change."""


async def recorded(directory: Path, scenario: str) -> Recording:
    """Make a database, note what the real writer says for a scenario, and keep the state before it."""
    base, live = directory / "base", directory / "live"
    await make_base(base)
    before = await durable_in(base, directory / "aside")
    shutil.copytree(base, live)
    statements: list[str] = []
    gate = _Gate()
    async with Database(live, fault_point=gate) as database:
        store = DBManager(database, await open_vault(database, live / KEY_FILE))
        accounts = (await store.load()).accounts
        await database.write(lambda _: None)  # the writer has its connection from then on
        gate.opened.clear()
        before_it = asyncio.create_task(database.write(lambda _: None))
        await asyncio.to_thread(gate.reached.wait, 10)  # what is submitted now becomes one group
        listen(database, statements)
        ops = await _play(scenario, store, [accounts[name] for name in sorted(accounts)], gate)
        await before_it
    del statements[: statements.index("COMMIT") + 1]
    assert statements.count("COMMIT") == 1, "the scenario is one transaction"
    after = await durable_in(live, directory / "aside")
    return Recording(base, statements, ops, before.rows, after.rows, directory)


async def make_base(base: Path) -> None:
    """A closed database with six accounts."""
    async with Database(base) as database:
        store = DBManager(database, await open_vault(database, base / KEY_FILE))
        rules = tuple(Rule.simple(id=f"r{number}", keyword=f"k{number}", reply="x" * 200) for number in range(20))
        await created(store, *(an_account(f"shop{number}", keywords=rules) for number in range(6)))


def listen(database: Database, statements: list[str]) -> None:
    """Note every statement of the writer with its values, the beginnings and ends of its transactions among them."""
    connection = database.group_writer._connection
    assert connection is not None, "the writer has written before"
    driver_of(connection).set_trace_callback(statements.append)


class _Gate:
    """Holds the writer at the beginning of a transaction."""

    def __init__(self) -> None:
        self.opened, self.reached = threading.Event(), threading.Event()
        self.opened.set()

    def __call__(self, point: str) -> None:
        if point == "begin" and not self.opened.is_set():
            self.reached.set()
            self.opened.wait(10)


async def _play(scenario: str, store: DBManager, accounts: Sequence[Account], gate: _Gate) -> tuple[str, ...]:
    changes = changes_of(scenario, accounts)
    waiting = [submitted(store, *work) for work in set_apart(scenario, changes)]
    gate.opened.set()
    settlements = [await one for one in waiting]
    refused = [settlement for settlement in settlements if isinstance(settlement, Refused)]
    assert len(refused) == (scenario == "each"), refused
    return tuple(change.op.op_id for change in changes if change.op.op_id != STALE)


def changes_of(scenario: str, accounts: Sequence[Account]) -> list[Change]:
    """What a scenario changes, by ops with names that are always the same."""
    rules = (Rule.simple(id="new", keyword="new", reply="y" * 300), *accounts[0].keywords[5:])
    if scenario == "change":
        return [edit(accounts[0], _op("one"), enabled=False, keywords=rules, cookie="unb=1; cookie2=another")]
    changes = [edit(account, _op(account.id), enabled=False, remark="z" * 100) for account in accounts[:4]]
    if scenario == "each":  # one of them cannot be written, so that the group is written again, each in its savepoint
        changes.append(edit(accounts[4].evolve(generation=7), _op(STALE), remark="never"))
    fresh = an_account("fresh", keywords=rules, unb="2299", cookie="unb=2299; cookie2=fresh")
    return [*changes, creation(fresh, _op("fresh")), deletion(accounts[5], _op("gone"))]


def set_apart(scenario: str, changes: Sequence[Change]) -> list[list[Change]]:
    """The works that a scenario submits: all or nothing, or each for itself."""
    return [[change] for change in changes] if scenario == "each" else [list(changes)]


def _op(name: str) -> Op:
    return Op(op_id=name, actor="user:ann", at_ms=1_700_000_000_000)


class Replay:
    """One telling of the statements to a fresh copy of the database, with one fault."""

    def __init__(self, recording: Recording, *, checkpoint: int, synchronous: str = "FULL") -> None:
        self._recording = recording
        self.place = recording.directory / f"replay{next(_names)}"
        shutil.copytree(recording.base, self.place)
        self.disk = FailingDisk(f"failing{next(_names)}", self.place)
        self._checkpoint = checkpoint
        self._synchronous = synchronous
        self._connection = self._connect()

    def _connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.place / DATABASE_FILE), vfs=self.disk.name)
        for pragma in (
            "locking_mode=EXCLUSIVE", "journal_mode=WAL", f"synchronous={self._synchronous}",
            "foreign_keys=ON", "secure_delete=ON", f"wal_autocheckpoint={self._checkpoint}",
        ):  # fmt: skip
            connection.execute(f"PRAGMA {pragma}").fetchall()
        return connection

    def run(self, fail_at: int = 0, fault: Fault = Fault.ONCE) -> Outcome:
        """Speak; what the writer would tell its callers. A transaction that fails is rolled back, as there."""
        self.disk.arm(fail_at, fault)
        for statement in self._recording.statements:
            try:
                self._connection.execute(statement).fetchall()
            except apsw.Error:
                if statement == "COMMIT":
                    return "unknown"
                self._roll_back()
                return "refused"
        return "acknowledged"

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            self._close()

    def _close(self) -> None:
        try:
            self._connection.close()
        except apsw.Error:  # closing checkpoints, which a dead disk refuses; the second try only frees
            self._connection.close(force=True)

    def settle(self) -> Outcome:
        """What the writer does after a failed COMMIT: a fresh connection, a barrier, and a look at the ops."""
        self._close()
        self.disk.disarm()
        self._connection = self._connect()
        with self._connection:
            self._connection.execute(_BARRIER)
        query = "SELECT count(*) FROM ops WHERE op_id IN (SELECT value FROM json_each(?))"
        found = self._connection.execute(query, (json.dumps(self._recording.ops),)).get
        assert found in {0, len(self._recording.ops)}, "half of the ops are there"
        return "acknowledged" if found else "refused"

    def end(self) -> None:
        """Free everything."""
        self.disk.disarm()
        self._close()
        self.disk.unregister()
        shutil.rmtree(self.place)


async def holds_the_change(recording: Recording, image: dict[str, bytes]) -> bool:
    """Open a crash image with the real store: whether it holds the change. Raises when it holds a part of it."""
    wal = image.get(f"{DATABASE_FILE}-wal", b"")
    print_of = hash_of(image[DATABASE_FILE], wal)
    if print_of not in recording.seen:
        place = recording.directory / "image"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        for name, content in image.items():
            (place / name).write_bytes(content)
        shutil.copy2(recording.base / KEY_FILE, place / KEY_FILE)
        durable = await durable_in(place, recording.directory / "aside")
        recording.seen[print_of] = _new_or_old(recording, durable)
    return recording.seen[print_of]


def hash_of(*parts: bytes) -> bytes:
    """One digest of several byte strings."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _new_or_old(recording: Recording, durable: Durable) -> bool:
    applied = {op_id in durable.ops for op_id in recording.ops}
    assert len(applied) == 1, "half of the ops are there"
    new = applied.pop()
    assert durable.rows == (recording.after if new else recording.before), "the rows are neither old nor new"
    return new


@dataclass
class SweepFigures:
    """What a sweep did and found."""

    scenario: str
    checkpoint: int
    calls: int = 0
    fault_points: int = 0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    unknown_and_applied: int = 0
    crash_images: int = 0
    images_opened: int = 0
    violations: list[str] = field(default_factory=list)


async def sweep(
    recording: Recording, scenario: str, *, checkpoint: int, step: int = 1, seed: int = 0, synchronous: str = "FULL"
) -> SweepFigures:
    """Fail at every ``step``-th call in every way, and look at what the platter may hold afterwards."""
    figures = SweepFigures(scenario=scenario, checkpoint=checkpoint)
    whole = Replay(recording, checkpoint=checkpoint, synchronous=synchronous)
    assert whole.run() == "acknowledged"
    calls = whole.disk.calls
    figures.calls = len(calls)
    whole.end()
    chance = random.Random(seed)
    for fault in Fault:
        for number in range(1 + chance.randrange(step), len(calls) + 1, step):
            if fault in {Fault.TORN, Fault.LATE} and not calls[number - 1].startswith(("xWrite", "xSync", "xTruncate")):
                continue
            replay = Replay(recording, checkpoint=checkpoint, synchronous=synchronous)
            try:
                await _judge(figures, recording, replay, number, fault, chance)
            except (AssertionError, ShoalError) as error:
                figures.violations.append(f"{scenario}, {fault} at {number} ({calls[number - 1]}): {error}")
            finally:
                replay.end()
    figures.images_opened = len(recording.seen)
    return figures


async def _judge(
    figures: SweepFigures, recording: Recording, replay: Replay, number: int, fault: Fault, chance: random.Random
) -> None:
    outcome = replay.run(number, fault)
    assert replay.disk.failed, "the fault was never met"
    figures.fault_points += 1
    setattr(figures, outcome, getattr(figures, outcome) + 1)
    await _compare(figures, recording, replay, outcome, chance)
    if fault is not Fault.DEAD and outcome == "unknown":
        settled_as = replay.settle()
        figures.unknown_and_applied += settled_as == "acknowledged"
        await _compare(figures, recording, replay, settled_as, chance)


async def _compare(
    figures: SweepFigures, recording: Recording, replay: Replay, told: Outcome, chance: random.Random
) -> None:
    """In every crash image stands what was told; after ``unknown`` the old or the new, and nothing between."""
    for image in replay.disk.crash_images(chance):
        figures.crash_images += 1
        new = await holds_the_change(recording, image)
        assert told == "unknown" or new is (told == "acknowledged"), f"{told}, and a crash shows the other"
