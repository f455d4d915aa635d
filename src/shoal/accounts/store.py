"""The ``AccountStore`` port: where accounts are kept, and what a store promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shoal.accounts.account import Account, Observation, StateMove
from shoal.accounts.journal import Baseline, Changes, JournalEntry, advance, changes_between
from shoal.errors import ShoalError, StoreError


@dataclass(frozen=True, kw_only=True, slots=True)
class Op:
    """Who asked, from where, and under which id the outcome can be looked up for as long as ops are kept."""

    op_id: str
    actor: str
    at_ms: int
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What another program wrote: the generation of the account's last journal entry, and what that does not tell."""

    generation: int
    changes: Changes


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One change of one account, built on the snapshot ``old`` and leading to ``new``.

    ``old is None`` creates, ``new is None`` deletes (a tombstone), ``old is new`` is an unchanged value: only its
    op is stored. ``new.generation`` is ``old.generation + 1``; ``new.rev`` is filled in by the store.

    With ``found`` the row holds ``old`` already, which nobody but it tells of (``new is None``: there is no living row
    any more, and ``old`` is what was known): written are the entry after ``found.generation`` and the row's position.
    """

    old: Account | None
    new: Account | None
    op: Op
    found: Found | None = None

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
        return changes_between(self.old, self.new) if self.found is None else self.found.changes


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Glimpse:
    """One account from one consistent read: its row, what its journal folds to, and the entries that were asked for.

    ``told`` is ``None`` when the journal never heard of it.
    """

    account: Account | None = None
    told: Baseline | None = None
    entries: tuple[JournalEntry, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruned:
    """How many rows a pruning removed."""

    entries: int = 0
    ops: int = 0
    moves: int = 0


class AccountStore(Protocol):
    """What the manager asks of a store. Every failure raises ``StoreError`` (or a ``Conflict``); none is guessed away.

    ``submit`` returns at once and calls ``settle`` on the event loop, in commit order, exactly once with a final
    settlement (before it, at most once with ``Unsettled``). The changes of one call are all or nothing. A settlement
    never depends on whether anybody still waits for it: that is why it is a call and not an awaited result.

    - The row of an update must still carry ``old.generation``: else ``Refused(StaleGeneration)``.
    - A creation needs a free id (``AccountExists``, ``AccountVanishing`` while a tombstone is not purged) and a free
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

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        """Store what tasks observed and the moves that led there, in one transaction.

        Those of accounts that do not exist are left out. An account has one move into a state at a millisecond: the
        same move again is left out too, so that a caller who does not know what became of his call may repeat it.
        """

    async def timeline(self, account_id: str, *, since_ms: int = 0, limit: int | None = None) -> list[StateMove]:
        """The account's moves in the order in which they were stored, from ``since_ms`` on.

        The last move before ``since_ms`` comes first, so that the state at that moment is known. With ``limit`` only
        the newest moves. Empty for an account that does not exist.
        """

    async def purge(self, account_id: str) -> None:
        """Remove every row of a deleted account but its journal, its baseline and its tombstone.

        The number that it held is free then. Repeating it is harmless.
        """

    async def hold_number(self, number: str, account_id: str, at_ms: int) -> str | None:
        """Let an account hold a seller's number if no other does. Returns who holds it from then on.

        It holds no other one then. ``None``: nobody, since there is no such account any more.
        """

    async def free_number(self, number: str, holder: str) -> None:
        """Take a seller's number from that account, if it holds it. Repeating it is harmless."""

    async def number_holders(self) -> dict[str, str]:
        """Which account holds which seller's number: account ids by number."""

    async def journal(
        self,
        *,
        after_rev: int = 0,
        account_id: str | None = None,
        owner_id: int | None = None,
        or_accounts: Sequence[str] = (),
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[JournalEntry]:
        """Journal entries beyond ``after_rev`` (with ``newest_first``: before it, when it is not 0).

        With ``owner_id`` those of one person's accounts, and of ``or_accounts``.
        """

    async def op(self, op_id: str) -> OpRecord | None:
        """What became of an op, or ``None``: it was never applied."""

    async def oldest_rev(self) -> int:
        """The smallest cursor after which the journal is still complete: the position of the last pruned entry."""

    async def prune(self, *, journal_before_ms: int, ops_before_ms: int, moves_before_ms: int) -> Pruned:
        """Remove what is older than these moments, in steps of which each leaves the store whole.

        Journal entries go in order of ``rev`` into the baselines, up to the first that is not older. Of an account's
        moves the last old one stays: it says what the state was. An op stays while its idempotency key is valid.
        Raises ``StoreError``; what earlier steps removed stays removed then.
        """


def told_by(entries: Iterable[JournalEntry], starts: Iterable[Baseline], account_id: str) -> Baseline | None:
    """What one account's entries fold to. Raises ``StoreError`` (``journal_broken``) when they do not fold."""
    try:
        return advance(starts, entries).get(account_id)
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"the journal of {account_id} does not fold", code="journal_broken") from None
