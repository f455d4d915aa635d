"""The audit log: who did what to users, keys and access, from where, and with which outcome.

An entry is written in the background and never delays the change it describes. It waits in memory, only for a moment
while the database works, and is also a line of the process's log. A crash may lose the entries of its last moment. When
the database takes no writes for long, the table loses what does not fit into memory.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from shoal.auth.audit_entries import (
    OK,
    AuditEntry,
    AuditEvent,
    Reader,
    Sought,
    StoredEntry,
    read_entries,
    write_entries,
)
from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.logs.redaction import redact_fields
from shoal.storage.database import Database
from shoal.storage.old_rows import delete_in_steps
from shoal.storage.user_tables import audit_entries

log = structlog.get_logger("shoal.security")

MOST_WAITING = 1_000
"""How many entries wait for a database that does not answer; later ones are only in the process's log."""
MAX_CHARACTERS = 300
"""The longest name, origin or fact."""
MAX_FACTS = 20
MAX_FACTS_BYTES = 4_000
"""The size of all facts of one entry together; further facts are left out."""
FOLDED_MS = 600_000
"""For how long a repetition is counted in the row of the first time."""
REFUSALS_AT_ONCE = 60
REFUSAL_EVERY_MS = 30_000
"""How many rows new refusals may add at once, and then one row per this time: a flood of refusals fills no disk."""
REPEATS_SECONDS = 5.0
"""How soon a repetition is counted in the table, and how soon a failed write is tried again."""
READ_WAIT_SECONDS = 1.0
_LOGGED_TIMES = frozenset(10**power for power in range(12))


class AuditLog:
    """Records entries at any time and writes them when the database accepts writes.

    Owns one task, ``start`` to ``close``.
    """

    def __init__(
        self, database: Database, *, now_ms: Callable[[], int] = now_ms, repeats_seconds: float = REPEATS_SECONDS
    ) -> None:
        self._database = database
        self._now_ms = now_ms
        self._repeats_seconds = repeats_seconds
        self._open: OrderedDict[tuple[Any, ...], AuditEntry] = OrderedDict()
        self._unwritten: dict[str, AuditEntry] = {}
        self._refusals_left = float(REFUSALS_AT_ONCE)
        self._refused_at_ms = 0
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._losing = False

    def start(self) -> None:
        """Start the writing task on the running loop."""
        self._task = asyncio.create_task(self._keep(), name="security log")

    async def close(self) -> None:
        """Stop the task and write the waiting entries, if the database accepts them."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._write()

    async def record(
        self,
        kind: AuditEvent,
        *,
        actor: str,
        user_id: int | None = None,
        origin: str = "",
        outcome: str = OK,
        account: str | None = None,
        **facts: Any,
    ) -> None:
        """Record an event. Never raises and never waits for the database.

        ``actor``: the user who did it, as in the history (``user:ann``), or ``""`` when unknown. ``user_id``: the user
        it concerns, who may then read it. ``account``: the account it concerns, whose owner may then read it.
        ``facts``: what else a reader needs. Secrets are removed from all of them by name and by pattern, as in the
        process's log.
        """
        shown = redact_fields({"actor": actor, "origin": origin, "account_id": account, "outcome": outcome})
        now = self._now_ms()
        entry = AuditEntry(
            kind=kind.value,
            user_id=user_id,
            facts=_short_facts(redact_fields(facts)),
            at_ms=now,
            last_at_ms=now,
            **{name: _short_fact(value) for name, value in shown.items()},
        )
        while self._open and not self._is_young(next(iter(self._open.values())), now):
            self._open.popitem(last=False)
        first = self._open.get(key := _key_of(entry))
        if first is None and outcome != OK and not self._may_add_refusal(now):
            entry = AuditEntry(
                kind=entry.kind, actor="", outcome=entry.outcome, facts={"many": True}, at_ms=now, last_at_ms=now
            )
            first = self._open.get(key := _key_of(entry))
        if first is None:
            first = self._open[key] = entry
            self._news.set()
        else:
            first.times += 1
            first.last_at_ms = max(first.last_at_ms, now)
        if first.times in _LOGGED_TIMES:
            log.info("security event", account=first.account_id, **{name: getattr(first, name) for name in _LOGGED})
        self._queue(first)

    async def entries(
        self,
        sought: Sought,
        *,
        reader: Reader | None = None,
        before: tuple[int, int] | None = None,
        limit: int = 50,
    ) -> list[StoredEntry]:
        """Read as ``read_entries``. Entries recorded just now are included, if the database accepts them."""
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_WAIT_SECONDS):
                await self._write()
        return await self._database.read(lambda connection: read_entries(connection, sought, reader, before, limit))

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2000) -> int:
        """Delete entries from before that moment, in steps of ``rows`` rows; return how many."""
        return await delete_in_steps(self._database, audit_entries, audit_entries.c.last_at_ms < moment_ms, rows)

    def _is_young(self, entry: AuditEntry, now: int) -> bool:
        """Return whether repetitions of an entry are still counted in its row."""
        return 0 <= now - entry.at_ms < FOLDED_MS and len(self._open) < MOST_WAITING

    def _may_add_refusal(self, now: int) -> bool:
        gained = max(0, now - self._refused_at_ms) / REFUSAL_EVERY_MS
        self._refusals_left = min(REFUSALS_AT_ONCE, self._refusals_left + gained)
        self._refused_at_ms = now
        if self._refusals_left < 1:
            return False
        self._refusals_left -= 1
        return True

    def _queue(self, entry: AuditEntry) -> None:
        if entry.note_id in self._unwritten or len(self._unwritten) < MOST_WAITING:
            self._unwritten[entry.note_id] = entry
        elif not self._losing:
            self._losing = True
            log.warning("the security log is not kept: the store takes nothing", waiting=MOST_WAITING)

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._repeats_seconds if self._unwritten else None):
                    await self._news.wait()
            self._news.clear()
            try:
                written = await self._write()
            except Exception:  # a defect here must not end the log
                log.exception("writing the security log met a defect")
                written = False
            if not written:
                await asyncio.sleep(self._repeats_seconds)

    async def _write(self) -> bool:
        """Write what waits; return whether nothing is left over."""
        async with self._writing:
            waiting = list(self._unwritten.values())
            if not waiting:
                return True
            rows = [entry.row() for entry in waiting]
            try:
                await self._database.write(lambda connection: write_entries(connection, rows))
            except StoreError as error:
                log.debug("the security log waits", why=error.code, waiting=len(rows))
                return False
            for entry, row in zip(waiting, rows, strict=True):
                if entry.times == row["times"]:
                    self._unwritten.pop(entry.note_id, None)
            self._losing = False
            return True


_LOGGED = ("kind", "actor", "user_id", "origin", "outcome", "times", "facts")


def _key_of(entry: AuditEntry) -> tuple[Any, ...]:
    """Return what makes two entries the same. Of refusals the facts do not count: the refused caller chooses them."""
    facts = msgspec.json.encode(entry.facts, order="deterministic") if entry.outcome == OK else b""
    return entry.kind, entry.outcome, entry.actor, entry.user_id, entry.origin, entry.account_id, facts


def _short_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    left = MAX_FACTS_BYTES
    for name in list(facts)[:MAX_FACTS]:
        fact = {name[:MAX_CHARACTERS]: _short_fact(facts[name])}
        left -= len(msgspec.json.encode(fact))
        if left < 0:
            break
        kept |= fact
    return kept


def _short_fact(value: Any) -> Any:
    """Return a number, a text, or a list of texts, safe for JSON."""
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) < 2**53):
        return value
    if isinstance(value, list | tuple):
        return [str(part)[:MAX_CHARACTERS] for part in value[:MAX_FACTS]]
    return str(value)[:MAX_CHARACTERS]
