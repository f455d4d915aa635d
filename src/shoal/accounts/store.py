"""The ``AccountStore`` port: how accounts are stored, and what a store guarantees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
from msgspec.structs import replace

from shoal.accounts.account import Account, Observation, StateMove
from shoal.accounts.journal import Baseline, Changes, JournalEntry, advance, differences
from shoal.accounts.journal_stream import StreamPlace
from shoal.errors import CommitUnknown, ShoalError, StoreError
from shoal.rules.matcher import MANY_RULES


class Op(msgspec.Struct, frozen=True, kw_only=True):
    """The caller, their origin, and the id under which the outcome can be looked up while ops are kept."""

    op_id: str
    actor: str
    at_ms: int
    origin: str = ""


class Found(msgspec.Struct, frozen=True):
    """A change by another program: the generation of the account's last journal entry, and what the journal lacks."""

    generation: int
    changes: Changes


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one account, built on the snapshot ``old`` and leading to ``new``.

    ``old is None`` creates, ``new is None`` deletes (a tombstone), ``old is new`` is an unchanged value: only its op is
    stored. ``new.generation`` is ``old.generation + 1``; the store fills in ``new.rev``.

    With ``found`` the row already holds ``old``, but the journal does not (``new is None``: the row no longer exists,
    and ``old`` is the last known value): the entry after ``found.generation`` and the row's position are written.

    ``most_shops``: an account is created only if its owner then has no more than so many (``None``: no limit).
    """

    old: Account | None
    new: Account | None
    op: Op
    found: Found | None = None
    most_shops: int | None = None

    @classmethod
    def between(cls, old: Account, new: Account, op: Op) -> Change:
        """Return the change from one snapshot to what an edit made of it."""
        if new is old:
            return cls(old=old, new=old, op=op)
        return cls(old=old, new=replace(new, generation=old.generation + 1), op=op)

    @property
    def account_id(self) -> str:
        """The id of the changed account."""
        account = self.new or self.old
        if account is None:
            raise ValueError("a change has an old or a new account")
        return account.id

    @property
    def is_noop(self) -> bool:
        """Whether only the op is to be stored."""
        return self.old is self.new

    @property
    def is_light(self) -> bool:
        """Whether its journal text is made at once: neither rules nor items nor delivery rules differ."""
        old, new = self.old, self.new
        if old is None or new is None:
            return False
        return old.keywords is new.keywords and old.items is new.items and old.deliveries is new.deliveries

    @property
    def has_many_rules(self) -> bool:
        """Whether rules differ, and comparing them takes long."""
        if self.is_light or self.is_noop or self.new is None:
            return False
        return len(self.new.keywords) + (len(self.old.keywords) if self.old else 0) >= MANY_RULES

    @property
    def changes(self) -> Changes:
        """The changes for the journal."""
        return differences(self.old, self.new) if self.found is None else self.found.changes


class Committed(msgspec.Struct, frozen=True):
    """The transaction is durable. ``entries`` are its journal rows, one per change that was not a no-op."""

    entries: tuple[JournalEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Certainly not applied; ``error`` says why."""

    error: ShoalError


class Unsettled(msgspec.Struct, frozen=True):
    """The outcome is unknown. A second settlement (``Committed`` or ``Refused``) follows when it is known."""

    error: ShoalError


def failure_of(settlement: Refused | Unsettled, op: Op) -> ShoalError:
    """Return the error for the caller; with an unknown outcome it carries the id for a look-up."""
    if isinstance(settlement, Refused):
        return settlement.error
    return CommitUnknown(str(settlement.error), op_id=op.op_id)


Settlement = Committed | Refused | Unsettled
Settle = Callable[[Settlement], None]


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """A deleted account. While ``purged`` is false its rows still exist and the id cannot be used again."""

    account_id: str
    generation: int
    purged: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class OpRecord:
    """The result of an op: its account, and the generation and rev it made (of a no-op: the current ones)."""

    op_id: str
    actor: str
    account_id: str
    generation: int
    rev: int
    changed: bool
    at_ms: int


class ShardContents(msgspec.Struct, frozen=True, kw_only=True):
    """What a node needs of shards that it has claimed, from one consistent read.

    ``revs``: the position of each existing account. ``to_purge``: deleted accounts whose rows still exist.
    """

    revs: Mapping[str, int]
    observations: Mapping[str, Observation]
    to_purge: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Contents:
    """Everything that the manager needs at start, from one consistent read."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    observations: Mapping[str, Observation] = field(default_factory=dict)
    tombstones: Mapping[str, Tombstone] = field(default_factory=dict)
    newest_rev: int = 0
    stream_start: StreamPlace | None = None
    """With several nodes: after which place of the stream everything comes that this read does not show."""


class Glimpse(msgspec.Struct, frozen=True, kw_only=True):
    """One account from one consistent read: its row, the fold of its journal, and the requested entries.

    ``folded`` is ``None`` when the journal has no entry of it.
    """

    account: Account | None = None
    folded: Baseline | None = None
    entries: tuple[JournalEntry, ...] = ()


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows were pruned."""

    entries: int = 0
    ops: int = 0
    moves: int = 0


class AccountStore(Protocol):
    """What the manager asks of a store. Every failure raises ``StoreError`` (or a ``Conflict``); none is guessed away.

    ``submit`` returns at once and calls ``settle`` on the event loop, in commit order, exactly once with a final
    settlement (before it, at most once with ``Unsettled``). The changes of one call are all or nothing. A settlement
    never depends on whether anybody still waits for it: that is why it is a call and not an awaited result.

    - The row of an update must still carry ``old.generation``: else ``Refused(StaleGeneration)``.
    - A creation needs a free id (``AccountExists``, ``AccountBeingDeleted`` while a tombstone is not purged) and a free
      ``unb`` among those of its owner (``DuplicateUnb``). After a purge the generations go on from the tombstone's.
    - A deletion leaves a tombstone with ``old.generation + 1``.
    - What was ``found`` must still stand so: else ``Refused(StaleGeneration)``.
    - ``Committed`` means durable: it survives the loss of power.
    """

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        """Write the changes in one transaction and settle."""

    async def load(self) -> Contents:
        """Read everything at once."""

    async def glimpse(self, account_id: str, *, after_rev: int) -> Glimpse:
        """Read one account beside its journal, with the entries beyond ``after_rev``.

        Its ``account`` is ``None`` when there is none (or only a tombstone). Raises ``StoreError``
        (``journal_broken``) when the journal does not fold.
        """

    async def stored(self, account_id: str) -> Account | Tombstone | None:
        """Read one account; a deleted one is its tombstone. Raises ``StoreError``."""

    async def load_shards(self, shards: Collection[int]) -> ShardContents:
        """Read where the accounts of these shards stand. Raises ``StoreError``."""

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        """Store observations and the moves that led to them, in one transaction.

        Those of accounts that do not exist are ignored. An account has one move into a state at a millisecond: the same
        move again is ignored too, so a caller with an unknown outcome can repeat the call.
        """

    async def timeline(self, account_id: str, *, since_ms: int = 0, limit: int | None = None) -> list[StateMove]:
        """Return the account's moves in the order in which they were stored, from ``since_ms`` on.

        The last move before ``since_ms`` comes first, so that the state at that time is known. With ``limit`` only the
        newest moves. Empty for an account that does not exist.
        """

    async def purge(self, account_id: str) -> None:
        """Delete every row of a deleted account except its journal, its baseline and its tombstone.

        Its number is free then. Repeating the call is harmless.
        """

    async def hold_number(self, number: str, account_id: str, at_ms: int) -> str | None:
        """Let an account hold a seller's number if no other does. Return its holder.

        The account then holds no other number. ``None``: the account does not exist any more.
        """

    async def free_number(self, number: str, holder: str) -> None:
        """Take a seller's number from that account, if it holds it. Repeating the call is harmless."""

    async def number_holders(self, *numbers: str) -> dict[str, str]:
        """Return account ids by the seller's number that they hold, of these numbers or, without any, of all."""

    async def journal(
        self,
        *,
        after_rev: int = 0,
        account_id: str | None = None,
        owner_id: int | None = None,
        or_accounts: Sequence[str] = (),
        before_ms: int | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[JournalEntry]:
        """Return journal entries beyond ``after_rev`` (with ``newest_first``: before it, when it is not 0).

        With ``owner_id`` those of one user's accounts, and of ``or_accounts``. With ``before_ms`` those made before
        that time.
        """

    async def op(self, op_id: str) -> OpRecord | None:
        """Return the result of an op, or ``None`` if it was never applied."""

    async def oldest_rev(self) -> int:
        """Return the smallest cursor after which the journal is complete: the position of the last pruned entry."""

    async def prune(self, *, journal_before_ms: int, ops_before_ms: int, moves_before_ms: int) -> Pruned:
        """Delete rows that are older than these times, in steps that each leave the store consistent.

        Journal entries are folded in order of ``rev`` into the baselines, up to the first that is not older. The last
        old move of an account stays: it says what the state was. An op stays while its idempotency key is valid. Raises
        ``StoreError``; what earlier steps deleted stays deleted.
        """


def fold_of(entries: Iterable[JournalEntry], starts: Iterable[Baseline], account_id: str) -> Baseline | None:
    """Return the fold of one account's entries. Raises ``StoreError`` (``journal_broken``) when they do not fold."""
    try:
        return advance(starts, entries).get(account_id)
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"the journal of {account_id} does not fold", code="journal_broken") from None
