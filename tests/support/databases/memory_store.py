"""``MemoryStore``: an ``AccountStore`` that forgets at exit and passes the same contract tests as the database."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from shoal.accounts.account import Account, Observation, StateMove
from shoal.accounts.journal import Baseline, JournalEntry, advance
from shoal.accounts.ownership import shard_of
from shoal.accounts.store import (
    Change,
    Committed,
    Contents,
    Glimpse,
    Op,
    OpRecord,
    Pruned,
    Refused,
    Settle,
    ShardContents,
    Tombstone,
    fold_of,
)
from shoal.errors import (
    AccountBeingDeleted,
    AccountExists,
    DuplicateUnb,
    NotApplied,
    ShoalError,
    StaleGeneration,
    UnknownAccount,
)
from shoal.rules.rule_rows import plain


class MemoryStore:
    """The shortest statement of what a store promises."""

    def __init__(self, *, delay_seconds: float = 0.0) -> None:
        self._accounts: dict[str, Account] = {}
        self._observations: dict[str, Observation] = {}
        self._tombstones: dict[str, Tombstone] = {}
        self._journal: list[JournalEntry] = []
        self._newest_rev = 0
        self._baselines: dict[str, Baseline] = {}
        self._moves: dict[str, list[StateMove]] = {}
        self._ops: dict[str, OpRecord] = {}
        self._holders: dict[str, str] = {}
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
        if change.found is not None:
            if stored != (None if change.new is None else change.old):
                raise StaleGeneration(f"{change.account_id} has moved on")
        elif change.old is not None:
            if stored is None or stored.generation != change.old.generation:
                raise StaleGeneration(f"{change.account_id} has moved on")
        else:
            if stored is not None:
                raise AccountExists(f"{change.account_id} exists")
            tombstone = self._tombstones.get(change.account_id)
            if tombstone is not None and not tombstone.purged:
                raise AccountBeingDeleted(f"{change.account_id} is being deleted")
        if change.new is not None:
            leaving = {other.account_id for other in beside if other.new is None}
            for other in self._accounts.values():
                same = (other.owner_id, other.unb) == (change.new.owner_id, change.new.unb)
                if same and other.id != change.new.id and other.id not in leaving:
                    raise DuplicateUnb("this seller already stands under another id", id=other.id)

    def _write(self, change: Change) -> JournalEntry | None:
        account = change.new or change.old
        if account is None:
            raise ValueError("a change has an old or a new account")
        if change.is_noop:
            self._record(change.op, account, account.generation, account.rev, changed=False)
            return None
        generation = self._next_generation(change)
        rev = self._newest_rev = self._newest_rev + 1
        entry = JournalEntry(
            rev=rev, account_id=account.id, owner_id=account.owner_id, generation=generation,
            changes=plain(change.changes),
            actor=change.op.actor, op_id=change.op.op_id, at_ms=change.op.at_ms, origin=change.op.origin,
        )  # fmt: skip
        self._journal.append(entry)
        if change.new is None:
            self._accounts.pop(account.id, None)
            self._tombstones[account.id] = Tombstone(account_id=account.id, generation=generation, purged=False)
        else:
            self._tombstones.pop(account.id, None)
            self._accounts[account.id] = change.new.evolve(generation=generation, rev=rev)
        self._record(change.op, account, generation, rev, changed=True)
        return entry

    def _next_generation(self, change: Change) -> int:
        if change.found is not None:
            return change.found.generation + 1
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
            tombstones=dict(self._tombstones), newest_rev=self._newest_rev,
        )  # fmt: skip

    async def glimpse(self, account_id: str, *, after_rev: int) -> Glimpse:
        """Read one account beside its journal."""
        entries = [entry for entry in self._journal if entry.account_id == account_id]
        starts = [self._baselines[account_id]] if account_id in self._baselines else []
        return Glimpse(
            account=self._accounts.get(account_id),
            folded=fold_of(entries, starts, account_id),
            entries=tuple(entry for entry in entries if entry.rev > after_rev),
        )

    async def stored(self, account_id: str) -> Account | Tombstone | None:
        """The account, or what is left of it."""
        return self._accounts.get(account_id) or self._tombstones.get(account_id)

    async def load_shards(self, shards: Collection[int]) -> ShardContents:
        """Where the accounts of these shards stand."""
        mine = {name: account for name, account in self._accounts.items() if shard_of(name) in shards}
        return ShardContents(
            revs={name: account.rev for name, account in mine.items()},
            observations={name: seen for name, seen in self._observations.items() if name in mine},
            to_purge=tuple(
                name for name, stone in self._tombstones.items() if not stone.purged and shard_of(name) in shards
            ),
        )

    async def observe(self, observations: Mapping[str, Observation], moves: Sequence[StateMove] = ()) -> None:
        """Store what tasks observed, and the moves that led there."""
        self._observations.update({name: seen for name, seen in observations.items() if name in self._accounts})
        for move in (move for move in moves if move.account_id in self._accounts):
            known = self._moves.setdefault(move.account_id, [])
            if all((move.at_ms, move.state) != (other.at_ms, other.state) for other in known):
                known.append(move)

    async def timeline(self, account_id: str, *, since_ms: int = 0, limit: int | None = None) -> list[StateMove]:
        """The account's moves in order."""
        moves = self._moves.get(account_id, [])
        before = [place for place, move in enumerate(moves) if move.at_ms < since_ms]
        moves = moves[before[-1] if before else 0 :]
        return moves if limit is None else moves[max(0, len(moves) - limit) :]

    async def purge(self, account_id: str) -> None:
        """Forget a deleted account."""
        tombstone = self._tombstones.get(account_id)
        if tombstone is None:
            raise UnknownAccount(account_id)
        self._observations.pop(account_id, None)
        self._moves.pop(account_id, None)
        self._holders = {number: holder for number, holder in self._holders.items() if holder != account_id}
        self._tombstones[account_id] = Tombstone(
            account_id=account_id, generation=tombstone.generation, purged=True
        )  # fmt: skip

    async def hold_number(self, number: str, account_id: str, at_ms: int) -> str | None:
        """Let an account hold a free number."""
        if account_id in self._accounts:
            self._holders = {held: holder for held, holder in self._holders.items()
                             if holder != account_id or held == number}  # fmt: skip
            self._holders.setdefault(number, account_id)
        return self._holders.get(number)

    async def free_number(self, number: str, holder: str) -> None:
        """Take a number from that account."""
        if self._holders.get(number) == holder:
            del self._holders[number]

    async def number_holders(self, *numbers: str) -> dict[str, str]:
        """Who holds which number."""
        return {held: holder for held, holder in self._holders.items() if not numbers or held in numbers}

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
        """Journal entries in order."""
        rows: Iterable[JournalEntry] = self._journal
        if newest_first:
            rows = (row for row in reversed(self._journal) if not after_rev or row.rev < after_rev)
        else:
            rows = (row for row in self._journal if row.rev > after_rev)
        chosen = [
            row
            for row in rows
            if account_id in {None, row.account_id}
            and (owner_id in {None, row.owner_id} or row.account_id in or_accounts)
            and (before_ms is None or row.at_ms < before_ms)
        ]
        return chosen if limit is None else chosen[:limit]

    async def op(self, op_id: str) -> OpRecord | None:
        """What became of an op."""
        return self._ops.get(op_id)

    async def oldest_rev(self) -> int:
        """The position of the last pruned entry."""
        return max((baseline.rev for baseline in self._baselines.values()), default=0)

    async def prune(self, *, journal_before_ms: int, ops_before_ms: int, moves_before_ms: int) -> Pruned:
        """Remove what is old."""
        young = (place for place, entry in enumerate(self._journal) if entry.at_ms >= journal_before_ms)
        cut = next(young, len(self._journal))
        self._baselines = advance(self._baselines.values(), self._journal[:cut])
        self._journal = self._journal[cut:]
        old_ops = [op_id for op_id, record in self._ops.items() if record.at_ms < ops_before_ms]
        for op_id in old_ops:
            del self._ops[op_id]
        moves = 0
        for name, known in self._moves.items():
            old = [place for place, move in enumerate(known) if move.at_ms < moves_before_ms]
            gone = set(old[:-1])
            self._moves[name] = [move for place, move in enumerate(known) if place not in gone]
            moves += len(gone)
        return Pruned(entries=cut, ops=len(old_ops), moves=moves)


class RefusingStore(MemoryStore):
    """Refuses as many writes as it is told to."""

    refusals = 0

    def submit(self, changes: Sequence[Change], settle: Settle) -> None:
        if self.refusals:
            self.refusals -= 1
            asyncio.get_running_loop().call_soon(settle, Refused(NotApplied("database is locked")))
        else:
            super().submit(changes, settle)
