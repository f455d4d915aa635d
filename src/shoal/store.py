"""Where accounts are kept: the ``AccountStore`` port, and its twin in memory that passes the same tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shoal.account import Account, Observation
from shoal.errors import (
    AccountExists,
    AccountVanishing,
    DuplicateUnb,
    ShoalError,
    StaleGeneration,
    UnknownAccount,
)
from shoal.journal import Changes, JournalEntry, changes_between


@dataclass(frozen=True, kw_only=True, slots=True)
class Op:
    """Who asked, and under which id the outcome can be looked up for ever after."""

    op_id: str
    actor: str
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One change of one account, built on the snapshot ``old`` and leading to ``new``.

    ``old is None`` creates, ``new is None`` deletes (a tombstone), ``old is new`` is an unchanged value: only its
    op is stored. ``new.generation`` is ``old.generation + 1``; ``new.rev`` is filled in by the store.
    """

    old: Account | None
    new: Account | None
    op: Op

    @property
    def account_id(self) -> str:
        """The account that this change is about."""
        account = self.new or self.old
        if account is None:
            raise ValueError("a change has an old or a new account")
        return account.id

    @property
    def is_noop(self) -> bool:
        """Whether nothing but the op is to be stored."""
        return self.old is self.new

    @property
    def changes(self) -> Changes:
        """What the journal will say."""
        return changes_between(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Committed:
    """The transaction is durable. ``entries`` are its journal rows, one per change that was no no-op."""

    entries: tuple[JournalEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not applied; ``error`` says why."""

    error: ShoalError


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Nobody knows yet. A second settlement (``Committed`` or ``Refused``) follows when it is known."""

    error: ShoalError


Settlement = Committed | Refused | Unsettled
Settle = Callable[[Settlement], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tombstone:
    """A deleted account. While ``purged`` is false its rows are still there and the id cannot be taken again."""

    account_id: str
    generation: int
    purged: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class OpRecord:
    """What became of an op: its account, and the generation and rev it made (of a no-op: those it found)."""

    op_id: str
    actor: str
    account_id: str
    generation: int
    rev: int
    changed: bool
    at_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """Everything the manager needs at start, from one consistent read."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    observations: Mapping[str, Observation] = field(default_factory=dict)
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)
    newest_rev: int = 0


class AccountStore(Protocol):
    """What the manager asks of a store. Every failure raises ``StoreError`` (or a ``Conflict``); none is guessed away.

    ``submit`` returns at once and calls ``settle`` on the event loop, in commit order, exactly once with a final
    settlement (before it, at most once with ``Unsettled``). The changes of one call are all or nothing. A settlement
    never depends on whether anybody still waits for it: that is why it is a call and not an awaited result.

    - The row of an update must still carry ``old.generation``: else ``Refused(StaleGeneration)``.
    - A creation needs a free id (``AccountExists``, ``AccountVanishing`` while a tombstone is not purged) and a free
      ``unb`` (``DuplicateUnb``). After a purge the generations go on from the tombstone's.
    - A deletion leaves a tombstone with ``old.generation + 1``.
    - ``Committed`` means durable: it survives the loss of power.
    """

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        """Write the changes in one transaction and settle."""

    async def load(self) -> Contents:
        """Read everything at once."""

    async def load_account(self, account_id: str) -> Account | None:
        """Read one account as it is stored now; ``None`` when there is none (or only a tombstone)."""

    async def observe(self, observations: Mapping[str, Observation]) -> None:
        """Store what tasks observed. Rows of accounts that do not exist are left out."""

    async def purge(self, account_id: str) -> None:
        """Remove every row of a deleted account but its journal and its tombstone. Repeating it is harmless."""

    async def journal(
        self,
        *,
        after_rev: int = 0,
        account_id: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[JournalEntry]:
        """Journal entries beyond ``after_rev`` (with ``newest_first``: before it, when it is not 0)."""

    async def op(self, op_id: str) -> OpRecord | None:
        """What became of an op, or ``None``: it was never applied."""


class MemoryStore:
    """An ``AccountStore`` that forgets at exit: for tests, and the shortest statement of what a store promises."""

    def __init__(self, *, delay_seconds: float = 0.0) -> None:
        self._accounts: dict[str, Account] = {}
        self._observations: dict[str, Observation] = {}
        self._tombstones: dict[str, Tombstone] = {}
        self._journal: list[JournalEntry] = []
        self._ops: dict[str, OpRecord] = {}
        self.delay_seconds = delay_seconds

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        """Apply on a later turn of the loop, as a database thread would."""
        asyncio.get_running_loop().call_later(self.delay_seconds, self._apply, tuple(changes), settle)

    def _apply(self, changes: Sequence[Change], settle: Settle) -> None:
        try:
            for change in changes:
                self._check(change, changes)
        except ShoalError as error:
            settle(Refused(error))
            return
        settle(Committed(tuple(entry for change in changes if (entry := self._write(change)) is not None)))

    def _check(self, change: Change, beside: Sequence[Change]) -> None:
        stored = self._accounts.get(change.account_id)
        if change.old is not None:
            if stored is None or stored.generation != change.old.generation:
                raise StaleGeneration(f"{change.account_id} has moved on")
        else:
            if stored is not None:
                raise AccountExists(f"{change.account_id} exists")
            tombstone = self._tombstones.get(change.account_id)
            if tombstone is not None and not tombstone.purged:
                raise AccountVanishing(f"{change.account_id} is being deleted")
        if change.new is not None:
            leaving = {other.account_id for other in beside if other.new is None}
            for other in self._accounts.values():
                if other.unb == change.new.unb and other.id != change.new.id and other.id not in leaving:
                    raise DuplicateUnb("this seller already stands under another id", id=other.id)

    def _write(self, change: Change) -> JournalEntry | None:
        account = change.new or change.old
        if account is None:
            raise ValueError("a change has an old or a new account")
        if change.is_noop:
            self._record(change.op, account, account.generation, account.rev, changed=False)
            return None
        generation = self._next_generation(change)
        rev = len(self._journal) + 1
        entry = JournalEntry(
            rev=rev, account_id=account.id, owner_id=account.owner_id, generation=generation, changes=change.changes,
            actor=change.op.actor, op_id=change.op.op_id, at_ms=change.op.at_ms,
        )  # fmt: skip
        self._journal.append(entry)
        if change.new is None:
            del self._accounts[account.id]
            self._tombstones[account.id] = Tombstone(account_id=account.id, generation=generation, purged=False)
        else:
            self._tombstones.pop(account.id, None)
            self._accounts[account.id] = change.new.evolve(generation=generation, rev=rev)
        self._record(change.op, account, generation, rev, changed=True)
        return entry

    def _next_generation(self, change: Change) -> int:
        if change.old is not None:
            return change.old.generation + 1
        tombstone = self._tombstones.get(change.account_id)
        return tombstone.generation + 1 if tombstone else 1

    def _record(self, op: Op, account: Account, generation: int, rev: int, *, changed: bool) -> None:
        self._ops.setdefault(
            op.op_id,
            OpRecord(
                op_id=op.op_id, actor=op.actor, account_id=account.id, generation=generation, rev=rev,
                changed=changed, at_ms=op.at_ms,
            ),
        )  # fmt: skip

    async def load(self) -> Contents:
        """Read everything at once."""
        return Contents(
            accounts=dict(self._accounts), observations=dict(self._observations),
            tombstones=dict(self._tombstones), newest_rev=len(self._journal),
        )  # fmt: skip

    async def load_account(self, account_id: str) -> Account | None:
        """Read one account."""
        return self._accounts.get(account_id)

    async def observe(self, observations: Mapping[str, Observation]) -> None:
        """Store what tasks observed."""
        self._observations.update({name: seen for name, seen in observations.items() if name in self._accounts})

    async def purge(self, account_id: str) -> None:
        """Forget a deleted account."""
        tombstone = self._tombstones.get(account_id)
        if tombstone is None:
            raise UnknownAccount(account_id)
        self._observations.pop(account_id, None)
        self._tombstones[account_id] = Tombstone(
            account_id=account_id, generation=tombstone.generation, purged=True
        )  # fmt: skip

    async def journal(
        self,
        *,
        after_rev: int = 0,
        account_id: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[JournalEntry]:
        """Journal entries in order."""
        rows: Iterable[JournalEntry] = self._journal
        if newest_first:
            rows = (row for row in reversed(self._journal) if not after_rev or row.rev < after_rev)
        else:
            rows = (row for row in self._journal if row.rev > after_rev)
        chosen = [row for row in rows if account_id is None or row.account_id == account_id]
        return chosen if limit is None else chosen[:limit]

    async def op(self, op_id: str) -> OpRecord | None:
        """What became of an op."""
        return self._ops.get(op_id)
