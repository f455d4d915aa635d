"""The audit log: who did what to users, keys and access, from where, and with which outcome.

An entry is written in the background and never delays the change it describes. It waits in memory, only for a moment
while the database works, and is also a line of the process's log. A crash may lose the entries of its last moment. When
the database takes no writes for long, the table loses what does not fit into memory.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from secrets import token_hex
from typing import Any

import msgspec
import structlog
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, or_, select

from shoal.auth.users import USER_COLUMNS, User, user_of
from shoal.clock import now_ms
from shoal.errors import StoreError
from shoal.logs.redaction import redact_fields
from shoal.storage.database import Database
from shoal.storage.schema import insert_or
from shoal.storage.user_tables import audit_entries, users

log = structlog.get_logger("shoal.security")

OK = "ok"
REFUSED = "refused"
"""A filter value: all outcomes except ``ok``."""
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


class AuditEvent(StrEnum):
    """The kinds of events."""

    SIGN_IN = "sign_in"
    SIGN_OUT = "sign_out"
    SESSION_ENDED = "session_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  a name of an event
    TOTP_ON = "totp_on"
    TOTP_OFF = "totp_off"
    RECOVERY_CODES_MADE = "recovery_codes_made"
    RECOVERY_CODE_USED = "recovery_code_used"
    INVITATION_MADE = "invitation_made"
    INVITATION_USED = "invitation_used"
    INVITATION_REVOKED = "invitation_revoked"
    PERSON_MADE = "person_made"
    PERSON_CHANGED = "person_changed"
    PERSON_REMOVED = "person_removed"
    TOKEN_MADE = "token_made"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    PERMISSION_GIVEN = "right_given"
    PERMISSION_TAKEN = "right_taken"
    NUMBER_FREED = "number_freed"
    """An administrator took a seller's number from the account that held it."""
    REFUSED_PERMISSION = "refused_right"
    REFUSED_TOKEN = "refused_token"  # noqa: S105
    """A token, or the key of an old script, is not valid."""
    REFUSED_ORIGIN = "refused_origin"
    """A page of another site sent a request."""
    REFUSED_TARGET = "refused_target"
    """A user named an address to which this server does not connect."""
    REFUSED_RATE = "refused_rate"
    """Too many calls in a short time."""
    KEYS_ROTATED = "keys_rotated"
    KEY_TROUBLE = "key_trouble"
    """The server did not start because of its key."""


@dataclass(kw_only=True, slots=True)
class AuditEntry:
    """One event; repetitions within a short time are counted in ``times``.

    ``user_id``: the user it concerns. ``origin``: the means and the address of the caller, as in the history.
    ``outcome``: ``ok``, or the code of the refusal.
    """

    kind: str
    actor: str
    user_id: int | None
    origin: str
    outcome: str
    account_id: str | None
    facts: dict[str, Any]
    at_ms: int
    last_at_ms: int
    times: int = 1
    note_id: str = field(default_factory=lambda: token_hex(12))


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredEntry:
    """A row of the log. ``username``: the present name of the user it concerns, if that user still exists."""

    id: int
    entry: AuditEntry
    username: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """Which entries a user may read: those about the user, and those about an account since the user owns it.

    ``accounts``: account id, and since when in epoch milliseconds.
    """

    user_id: int
    accounts: Collection[tuple[str, int]] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Sought:
    """A filter of entries. ``since_ms`` is the first moment included, ``until_ms`` the first one excluded."""

    kind: str | None = None
    user: str | None = None
    outcome: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


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
        self._unwritten: OrderedDict[str, AuditEntry] = OrderedDict()
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
        shown = redact_fields({"actor": actor, "origin": origin, "account": account, "outcome": outcome})
        self._take(
            AuditEntry(
                kind=kind.value,
                actor=_short(shown["actor"]),
                user_id=user_id,
                origin=_short(shown["origin"]),
                outcome=_short(shown["outcome"]),
                account_id=None if account is None else _short(shown["account"]),
                facts=_short_facts(redact_fields(facts)),
                at_ms=(now := self._now_ms()),
                last_at_ms=now,
            )
        )

    async def entries(
        self,
        sought: Sought,
        *,
        reader: Reader | None = None,
        before: tuple[int, int] | None = None,
        limit: int = 50,
    ) -> list[StoredEntry]:
        """Return entries, newest first; with ``reader`` only those that this user may read.

        ``before``: moment and id of the last entry of the page before. Entries recorded just now are included, if the
        database accepts them.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_WAIT_SECONDS):
                await self._write()
        query = (
            select(audit_entries, users.c.username)
            .outerjoin(users, users.c.id == audit_entries.c.user_id)
            .where(*_wanted(sought), *_allowed(reader))
            .order_by(audit_entries.c.at_ms.desc(), audit_entries.c.id.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(_comes_after(*before))
        return await self._database.read(
            lambda connection: [_kept(row) for row in connection.execute(query).mappings()]
        )

    async def places_of_sign_ins(self, since_ms: int, *, limit: int = 10_000) -> list[tuple[User, str]]:
        """Return users who signed in since that moment, with the address; each pair once, newest first."""
        query = (
            select(*USER_COLUMNS, audit_entries.c.origin, func.max(audit_entries.c.id).label("last"))
            .join(users, users.c.id == audit_entries.c.user_id)
            .where(audit_entries.c.kind == AuditEvent.SIGN_IN.value, audit_entries.c.outcome == OK)
            .where(audit_entries.c.at_ms >= since_ms)
            .group_by(users.c.id, audit_entries.c.origin)
            .order_by(func.max(audit_entries.c.id).desc())
            .limit(limit)
        )
        return await self._database.read(
            lambda connection: [
                (user_of(row), row["origin"].rpartition(" ")[2]) for row in connection.execute(query).mappings()
            ]
        )

    async def forget_older_than(self, moment_ms: int, *, rows: int = 2000) -> int:
        """Delete entries from before that moment, in steps of ``rows`` rows; return how many."""
        old = select(audit_entries.c.id).where(audit_entries.c.last_at_ms < moment_ms).limit(rows)
        step = audit_entries.delete().where(audit_entries.c.id.in_(old))
        forgotten = 0
        while True:
            deleted: int = await self._database.write(lambda connection: connection.execute(step).rowcount)
            forgotten += deleted
            if deleted < rows:
                return forgotten

    # ── recording ───────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, entry: AuditEntry) -> None:
        self._end_old_folds(entry.at_ms)
        key = self._key_of(entry)
        first = self._open.get(key)
        if first is None and entry.outcome != OK and not self._may_add_refusal(entry.at_ms):
            entry.actor, entry.user_id, entry.origin, entry.account_id, entry.facts = "", None, "", None, {"many": True}
            key = self._key_of(entry)
            first = self._open.get(key)
        if first is None:
            self._open[key] = entry
            self._say(entry)
            self._queue(entry)
            self._news.set()
            return
        first.times += 1
        first.last_at_ms = max(first.last_at_ms, entry.at_ms)
        if first.times in _TOLD_TIMES:
            self._say(first)
        self._queue(first)

    @staticmethod
    def _key_of(entry: AuditEntry) -> tuple[Any, ...]:
        """Return what makes two entries the same.

        Of refusals the facts do not count: the refused caller chooses them.
        """
        facts = msgspec.json.encode(entry.facts, order="deterministic") if entry.outcome == OK else b""
        return entry.kind, entry.outcome, entry.actor, entry.user_id, entry.origin, entry.account_id, facts

    def _end_old_folds(self, now: int) -> None:
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if 0 <= now - oldest.at_ms < FOLDED_MS and len(self._open) < MOST_WAITING:
                return
            del self._open[key]

    def _may_add_refusal(self, now: int) -> bool:
        gained = max(0, now - self._refused_at_ms) / REFUSAL_EVERY_MS
        self._refusals_left = min(REFUSALS_AT_ONCE, self._refusals_left + gained)
        self._refused_at_ms = now
        if self._refusals_left < 1:
            return False
        self._refusals_left -= 1
        return True

    def _queue(self, entry: AuditEntry) -> None:
        if entry.note_id in self._unwritten:
            return
        if len(self._unwritten) < MOST_WAITING:
            self._unwritten[entry.note_id] = entry
        elif not self._losing:
            self._losing = True
            log.warning("the security log is not kept: the store takes nothing", waiting=MOST_WAITING)

    @staticmethod
    def _say(entry: AuditEntry) -> None:
        log.info(
            "security event",
            kind=entry.kind,
            actor=entry.actor,
            user_id=entry.user_id,
            origin=entry.origin,
            outcome=entry.outcome,
            account=entry.account_id,
            times=entry.times,
            facts=entry.facts,
        )

    # ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _keep(self) -> None:
        while True:
            if self._unwritten:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._repeats_seconds):
                        await self._news.wait()
            else:
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
        """Write what waits.

        A row that was written before only gets new counts, so a commit of unknown outcome may be tried again.
        """
        async with self._writing:
            waiting = list(self._unwritten.values())
            if not waiting:
                return True
            rows = [_row(entry) for entry in waiting]
            try:
                await self._database.write(lambda connection: _upsert(connection, rows))
            except StoreError as error:
                log.debug("the security log waits", why=error.code, waiting=len(rows))
                return False
            for entry, row in zip(waiting, rows, strict=True):
                if entry.times == row["times"]:
                    self._unwritten.pop(entry.note_id, None)
            self._losing = False
            return True


_TOLD_TIMES = frozenset(10**power for power in range(1, 12))


def _short(text: str) -> str:
    return text[:MAX_CHARACTERS]


def _short_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    left = MAX_FACTS_BYTES
    for name in list(facts)[:MAX_FACTS]:
        fact = {_short(name): _short_fact(facts[name])}
        left -= len(msgspec.json.encode(fact))
        if left < 0:
            break
        kept |= fact
    return kept


def _short_fact(value: Any) -> Any:
    """Return a number, a text, or a list of texts, safe for JSON."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    if isinstance(value, list | tuple):
        return [_short(str(part)) for part in value[:MAX_FACTS]]
    return _short(str(value))


def _row(entry: AuditEntry) -> dict[str, Any]:
    return {
        "note_id": entry.note_id,
        "at_ms": entry.at_ms,
        "last_at_ms": entry.last_at_ms,
        "times": entry.times,
        "kind": entry.kind,
        "outcome": entry.outcome,
        "actor": entry.actor,
        "user_id": entry.user_id,
        "origin": entry.origin,
        "account_id": entry.account_id,
        "facts": msgspec.json.encode(entry.facts).decode(),
    }


def add_entry(connection: Connection, entry: AuditEntry) -> None:
    """Write one entry within the caller's transaction."""
    _upsert(connection, [_row(entry)])


def _upsert(connection: Connection, rows: list[dict[str, Any]]) -> None:
    statement = insert_or(connection, audit_entries)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[audit_entries.c.note_id],
            set_={"times": statement.excluded.times, "last_at_ms": statement.excluded.last_at_ms},
        ),
        rows,
    )


def _wanted(sought: Sought) -> list[ColumnElement[bool]]:
    table = audit_entries.c
    wanted: list[ColumnElement[bool]] = []
    if sought.kind is not None:
        wanted.append(table.kind == sought.kind)
    if sought.user is not None:
        wanted.append(or_(table.actor == f"user:{sought.user}", users.c.username == sought.user))
    if sought.outcome is not None:
        refused = sought.outcome == REFUSED
        wanted.append(table.outcome != OK if refused else table.outcome == sought.outcome)
    if sought.since_ms is not None:
        wanted.append(table.last_at_ms >= sought.since_ms)
    if sought.until_ms is not None:
        wanted.append(table.at_ms < sought.until_ms)
    return wanted


def _allowed(reader: Reader | None) -> list[ColumnElement[bool]]:
    if reader is None:
        return []
    table = audit_entries.c
    theirs = (and_(table.account_id == name, table.at_ms >= since_ms) for name, since_ms in reader.accounts)
    return [or_(table.user_id == reader.user_id, *theirs)]


def _comes_after(at_ms: int, row_id: int) -> ColumnElement[bool]:
    table = audit_entries.c
    return or_(table.at_ms < at_ms, and_(table.at_ms == at_ms, table.id < row_id))


def _kept(row: RowMapping) -> StoredEntry:
    names = ("note_id", "at_ms", "last_at_ms", "times", "kind", "outcome", "actor", "user_id", "origin", "account_id")
    entry = AuditEntry(**{name: row[name] for name in names}, facts=msgspec.json.decode(row["facts"]))
    return StoredEntry(id=row["id"], entry=entry, username=row["username"])
