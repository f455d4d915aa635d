"""What a database file really holds: its files are copied, the copy is opened, and everything in it is checked."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from shoal.accounts.journal import JournalEntry, advance, projection
from shoal.accounts.store import Contents
from shoal.storage.data_directory import DATABASE_FILE
from shoal.storage.database import Database
from shoal.storage.db_manager import DBManager, open_vault
from shoal.storage.history_tables import ops
from support.databases.store_steps import baselines_of

KEY_FILE = "secret.key"
Version = dict[str, Any]
"""An account as the journal knows it after one of its changes (see ``shoal.accounts.journal.projection``)."""


@dataclass(frozen=True, kw_only=True)
class Durable:
    """Everything that a file holds, whole and in step with itself."""

    contents: Contents
    journal: tuple[JournalEntry, ...]
    ops: dict[str, int]
    """The generation that each applied op made (or, when it changed nothing, found)."""
    versions: dict[tuple[str, int], Version | None]
    """Every account at every generation it ever had; ``None`` where it was deleted."""

    @property
    def rows(self) -> dict[str, Version]:
        """The living accounts as their rows say."""
        return {name: projection(account) for name, account in self.contents.accounts.items()}

    def entry_of(self, op_id: str) -> JournalEntry | None:
        """The one change that an op made."""
        return next((entry for entry in self.journal if entry.op_id == op_id), None)


def copy_of_files(data_dir: Path, to: Path) -> None:
    """Copy what would be left of the database after its process died; the shared memory file dies with it."""
    to.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (DATABASE_FILE, f"{DATABASE_FILE}-wal", KEY_FILE):
        if (data_dir / name).exists():
            shutil.copy2(data_dir / name, to / name)


async def durable_in(data_dir: Path, aside: Path) -> Durable:
    """Read the database of a directory without touching it. Raises ``AssertionError`` where it is not whole.

    ``aside`` is the directory for the copy; it is emptied.
    """
    shutil.rmtree(aside, ignore_errors=True)
    copy_of_files(data_dir, aside)
    durable = await durable_at(aside)
    shutil.rmtree(aside)
    return durable


async def durable_at(place: Path, url: str = "") -> Durable:
    """Read a database that no other process uses: of a directory, or at a URL with its key in the directory."""
    async with Database(place, url=url) as database:
        store = DBManager(database, await open_vault(database, place / KEY_FILE))
        contents = await store.load()
        journal = tuple(await store.journal())
        baselines = await baselines_of(store)
        assert not baselines, "nothing was pruned here"
        applied = await database.read(_applied_ops)
    durable = Durable(contents=contents, journal=journal, ops=applied, versions=versions_in(journal))
    check_whole(durable)
    return durable


def _applied_ops(connection: Connection) -> dict[str, int]:
    query = select(ops.c.op_id, ops.c.generation).where(ops.c.account_id.is_not(None))
    return {row.op_id: row.generation for row in connection.execute(query)}


def versions_in(journal: tuple[JournalEntry, ...]) -> dict[tuple[str, int], Version | None]:
    """Fold the journal step by step. Raises ``AssertionError`` where a generation is missing."""
    ends = advance([], [])
    versions: dict[tuple[str, int], Version | None] = {}
    for entry in journal:
        before = [ends[entry.account_id]] if entry.account_id in ends else []
        try:
            ends |= advance(before, [entry])
        except ValueError as error:
            raise AssertionError(f"the journal does not fold: {error}") from None
        versions[entry.account_id, entry.generation] = ends[entry.account_id].projection
    return versions


def check_whole(durable: Durable) -> None:
    """Journal, rows and ops say the same. Raises ``AssertionError`` with what does not."""
    revs = [entry.rev for entry in durable.journal]
    assert revs == sorted(set(revs)), "the positions of the journal do not rise"
    assert not revs or durable.contents.newest_rev == revs[-1]
    last: dict[str, Version | None] = {}
    for entry in durable.journal:
        last[entry.account_id] = durable.versions[entry.account_id, entry.generation]
        assert durable.ops.get(entry.op_id) == entry.generation, f"rev {entry.rev} has no op"
    folded = {name: version for name, version in last.items() if version is not None}
    assert folded == durable.rows, "the journal does not fold to the rows"
    gone = {name for name, version in last.items() if version is None}
    assert gone == set(durable.contents.tombstones), "deleted accounts and tombstones differ"
    seen = [entry.op_id for entry in durable.journal]
    assert len(seen) == len(set(seen)), "one op made two changes"
