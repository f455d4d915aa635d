"""The rows of imports: runs with their reports, and what they brought."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select, update

from shoal.errors import NotFound
from shoal.maintenance.moving.old_shop import MAX_ROW_CHARACTERS, Fate, Oddity, Source
from shoal.maintenance.moving.plan import Kind, Plan, WasOn
from shoal.storage.database import Database
from shoal.storage.moving_tables import import_oddities, import_runs, imported_rows
from shoal.storage.sealed_values import SealedColumn
from shoal.storage.upserts import insert_or_renew
from shoal.storage.vault import Vault

_WAITING: Final = SealedColumn(import_runs, "waiting_sealed").label
_SLICE: Final = 1_000
"""How many rows of a report one transaction stores."""
_COLUMNS: Final = [column for column in import_runs.c if column.name != "waiting_sealed"]


class RunState(StrEnum):
    """How far an import has come."""

    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    """It ended early. What it brought is here; the same file again goes on."""


class UnknownImport(NotFound):
    """There is no such import, or it is another user's (the answer is the same)."""

    code = "unknown_import"


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One import. ``waiting``: of how many settings it keeps what has no use here yet. ``why``: why it ended early."""

    id: int
    user_id: int
    source: Source
    version: str
    file_name: str
    state: RunState
    total: int
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    was_on: tuple[WasOn, ...] = ()
    waiting: int = 0
    why: str = ""
    created_at_ms: int = 0
    ended_at_ms: int | None = None
    started_at_ms: int | None = None
    done: int = 0
    """How many of the ``total`` steps are done; known while it runs in this process."""


class RunStore:
    """Reads and writes runs."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def stop_all(self, now_ms: int) -> None:
        """Mark every run that a crash cut off."""
        running = import_runs.c.state == RunState.RUNNING.value
        values = {"state": RunState.STOPPED.value, "why": "server_ended", "ended_at_ms": now_ms}
        await self._database.write(
            lambda connection: connection.execute(update(import_runs).where(running).values(values)).rowcount
        )

    async def begin(self, user_id: int, plan: Plan, file_name: str, now_ms: int) -> Run:
        """Store a run and its report."""
        waiting = len(plan.waiting.get("accounts", ())) + bool(plan.waiting.get("system")) if plan.waiting else 0
        sealed = None
        if plan.waiting:
            text = msgspec.json.encode(plan.waiting, enc_hook=str).decode()
            sealed = self._vault.seal(text, column=_WAITING, user_id=user_id)
        row = {
            "user_id": user_id,
            "source": plan.source.value,
            "version": plan.version[:100],
            "file_name": file_name[:200],
            "total": plan.total,
            "counts": msgspec.json.encode(plan.counts).decode(),
            "was_on": msgspec.json.encode([_was_on_row(one) for one in plan.was_on]).decode(),
            "waiting": waiting,
            "waiting_sealed": sealed,
            "created_at_ms": now_ms,
        }

        def job(connection: Connection) -> int:
            made = connection.execute(insert(import_runs).values(row)).inserted_primary_key
            return int(made[0])  # type: ignore[index]  # an INSERT of one row has a key

        run_id = await self._database.write(job)
        for start in range(0, len(plan.oddities), _SLICE):
            await self._database.write(partial(_report, run_id=run_id, part=plan.oddities[start : start + _SLICE]))
        return await self.get(user_id, run_id)

    async def end(self, run_id: int, state: RunState, now_ms: int, why: str = "") -> None:
        """Mark a run as ended."""
        values = {"state": state.value, "why": why, "ended_at_ms": now_ms}
        await self._change(run_id, values)

    async def note_started(self, run_id: int, now_ms: int) -> None:
        """Note that what was on was turned on."""
        await self._change(run_id, {"started_at_ms": now_ms})

    async def _change(self, run_id: int, values: Mapping[str, Any]) -> None:
        mine = update(import_runs).where(import_runs.c.id == run_id)
        await self._database.write(lambda connection: connection.execute(mine.values(values)).rowcount)

    async def get(self, user_id: int, run_id: int) -> Run:
        """Return a run of a user. Raises ``UnknownImport``."""
        query = select(*_COLUMNS).where(import_runs.c.id == run_id, import_runs.c.user_id == user_id)
        row = await self._database.read(lambda connection: connection.execute(query).mappings().one_or_none())
        if row is None:
            raise UnknownImport
        return _run(row)

    async def all_of(self, user_id: int, limit: int = 50) -> list[Run]:
        """Return the runs of a user, the newest first."""
        query = select(*_COLUMNS).where(import_runs.c.user_id == user_id).order_by(import_runs.c.id.desc()).limit(limit)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [_run(row) for row in rows]

    async def oddities(
        self, run_id: int, *, after: int = 0, limit: int = 100, table: str = "", fate: str = ""
    ) -> list[tuple[int, Oddity]]:
        """Return rows of a report with their ids, in order."""
        query = select(import_oddities).where(import_oddities.c.run_id == run_id, import_oddities.c.id > after)
        if table:
            query = query.where(import_oddities.c.old_table == table)
        if fate:
            query = query.where(import_oddities.c.fate == fate)
        query = query.order_by(import_oddities.c.id).limit(limit)
        rows = await self._database.read(lambda connection: connection.execute(query).mappings().all())
        return [(row["id"], _oddity(row)) for row in rows]

    # ── what was brought ────────────────────────────────────────────────────────────────────────────────────────

    async def taken(self) -> dict[tuple[int, str], dict[str, str]]:
        """Return what imports brought, by user and kind: the new ids by their keys."""
        rows = await self._database.read(lambda connection: connection.execute(select(imported_rows)).mappings().all())
        found: defaultdict[tuple[int, str], dict[str, str]] = defaultdict(dict)
        for row in rows:
            found[row["user_id"], row["kind"]][row["old_key"]] = row["new_id"]
        return dict(found)

    async def rows_of(self, code: str) -> frozenset[str]:
        """Return the rows of which any report says that."""
        query = select(import_oddities.c.old_row).where(import_oddities.c.code == code).distinct()
        return frozenset(await self._database.read(lambda connection: connection.scalars(query).all()))

    async def note_taken(self, user_id: int, kind: Kind, key: str, new_id: str, run_id: int) -> None:
        """Note that a run brought something."""
        await self._database.write(
            partial(note_taken, user_id=user_id, kind=kind, key=key, new_id=new_id, run_id=run_id)
        )


def note_taken(connection: Connection, *, user_id: int, kind: Kind, key: str, new_id: str, run_id: int) -> None:
    """Note that a run brought something, within the caller's transaction."""
    row = {"user_id": user_id, "kind": kind.value, "old_key": key, "new_id": new_id, "run_id": run_id}
    connection.execute(insert_or_renew(connection, imported_rows, ("new_id", "run_id")), [row])


def _report(connection: Connection, *, run_id: int, part: Sequence[Oddity]) -> None:
    rows = [
        {
            "run_id": run_id,
            "old_table": odd.table,
            "old_row": odd.row[:MAX_ROW_CHARACTERS],
            "code": odd.code,
            "fate": odd.fate.value,
            "params": msgspec.json.encode(odd.params, enc_hook=str).decode(),
        }
        for odd in part
    ]
    connection.execute(insert(import_oddities), rows)


def _was_on_row(one: WasOn) -> dict[str, Any]:
    """Return a row without what it does not say: a server of the version before does not know it."""
    return {name: value for name, value in asdict(one).items() if value or name != "stays_off"}


def _oddity(row: RowMapping) -> Oddity:
    return Oddity(
        table=row["old_table"],
        row=row["old_row"],
        code=row["code"],
        fate=Fate(row["fate"]),
        params=msgspec.json.decode(row["params"]) if row["params"] else {},
    )


def _run(row: RowMapping) -> Run:
    was_on: Iterable[Mapping[str, Any]] = msgspec.json.decode(row["was_on"]) if row["was_on"] else ()
    return Run(
        **{
            **row,
            "source": Source(row["source"]),
            "state": RunState(row["state"]),
            "counts": msgspec.json.decode(row["counts"]) if row["counts"] else {},
            "was_on": tuple(WasOn(**{**one, "kind": Kind(one["kind"])}) for one in was_on),
        }
    )
