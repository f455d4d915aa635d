"""The one path of every change: lock, compare, memory (an invisible draft), database, publish.

Publishing and unlocking belong to the database writer's completion (``_settle``), not to the request: a caller who
goes away, a time-out or a cancellation cannot separate a commit from its publication.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import structlog

from shoal.accounts.account import Account
from shoal.accounts.account_locks import AccountLocks, Hold
from shoal.accounts.account_task import now_ms
from shoal.accounts.drift import OUTSIDE, Difference, difference, differing, is_same, taken_over
from shoal.accounts.edits import Edit, RuleEdit
from shoal.accounts.events import AccountChanged, EventBus
from shoal.accounts.journal import JournalEntry
from shoal.accounts.store import (
    AccountStore,
    Change,
    Committed,
    Contents,
    Glimpse,
    Op,
    OpRecord,
    Refused,
    Settlement,
    Unsettled,
)
from shoal.concurrency.fair_threads import beside
from shoal.errors import (
    AccountExists,
    AccountVanishing,
    AlreadyRemoved,
    DuplicateUnb,
    OutcomeUnknown,
    ShoalError,
    StaleGeneration,
    StoreDegraded,
    StoreError,
    TooManyShops,
    Unauthenticated,
    UnknownAccount,
)

log = structlog.get_logger("shoal.changes")

STALE_RETRIES = 3
"""How often a change is built anew when the row moved under it (another machine wrote it)."""


COMPARED_AT_ONCE = 50
"""How many accounts are compared with their rows at a time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Who asks, from where, under which op id, and what they assume. ``wait_seconds`` ``None`` means the usual wait.

    ``owner_id``: the account must be that person's when its turn comes, not only when the request arrived.
    ``permit``: raises what the caller hears when they may not do it (any more). Asked in the account's turn, too.
    ``most_shops``: no shop is added for an owner who has so many; ``None`` is no limit.
    ``repeats``: this op may have been tried before; what it did then is not done again.
    """

    actor: str
    owner_id: int | None = None
    permit: Callable[[Account], None] | None = None
    most_shops: int | None = None
    op_id: str = ""
    repeats: bool = False
    if_match: int | frozenset[int] | None = None
    wait_seconds: float | None = None
    origin: str = ""

    def is_mistaken_about(self, account: Account) -> bool:
        """Whether the caller assumes another generation (or any of others) than the account has."""
        assumed = {self.if_match} if isinstance(self.if_match, int) else self.if_match
        return assumed is not None and account.generation not in assumed

    def op(self, suffix: str = "") -> Op:
        """The op of this call, with an id made here when the caller gave none."""
        op_id = f"{self.op_id}{suffix}" if self.op_id else uuid.uuid4().hex
        return Op(op_id=op_id, actor=self.actor, at_ms=now_ms(), origin=self.origin)


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """What an op came to: the generation and rev that it made, and the account as it is now (removed: as it was)."""

    account: Account
    changed: bool
    generation: int
    rev: int
    op_id: str


class ChangePath:
    """Owns the published snapshots; nobody else writes them."""

    def __init__(
        self,
        store: AccountStore,
        locks: AccountLocks,
        events: EventBus,
        *,
        deadline_seconds: float,
        published_now: Callable[[str, Account | None], None],
        is_vanishing: Callable[[str], bool],
    ) -> None:
        """``published_now`` is told of each new snapshot (``None``: deleted), right after its event went out.

        ``is_vanishing`` says whether a deletion has not ended yet: asked only by who has the account's turn.
        """
        self._store = store
        self._locks = locks
        self._events = events
        self._deadline_seconds = deadline_seconds
        self._published_now = published_now
        self._is_vanishing = is_vanishing
        self._published: dict[str, Account] = {}
        self._pending: dict[str, Account | None] = {}
        self._of_number: dict[str, tuple[str, ...]] = {}
        self._shops_of: Counter[int] = Counter()
        self._unsettled: set[str] = set()
        self._loaded_rev = 0
        self._closed_to: set[int] = set()
        self._missed: dict[str, Sequence[JournalEntry]] = {}
        """Entries of other servers that are told before the one by which a row is taken over."""
        self._gone_at: dict[str, int] = {}
        """The rev of the deletion of each account that was told and is not there now."""
        self.newest_rev = 0
        self.published: Mapping[str, Account] = MappingProxyType(self._published)
        self.pending: Mapping[str, Account | None] = MappingProxyType(self._pending)

    def load(self, contents: Contents) -> None:
        """Publish what was read at start, without events."""
        self.newest_rev = self._loaded_rev = contents.newest_rev
        for account_id, account in contents.accounts.items():
            self._put(account_id, account)

    def current(self, account_id: str) -> Account:
        """The published snapshot. Raises ``UnknownAccount``."""
        account = self._published.get(account_id)
        if account is None:
            raise UnknownAccount(account_id)
        return account

    def of_number(self, number: str) -> tuple[str, ...]:
        """The published accounts that name that seller's number, each of another owner."""
        return self._of_number.get(number, ())

    def is_stale(self, account_id: str) -> bool:
        """Whether a change of the account is unsettled, so that what is shown may be old."""
        return account_id in self._unsettled

    def close_to(self, owner_id: int) -> None:
        """Let that person add no account from now on; what is being added shows in ``pending``."""
        self._closed_to.add(owner_id)

    # -- changes -------------------------------------------------------------------------------------------------

    async def create(self, account: Account, caller: Caller) -> Done:
        """Commit and publish a new account. Raises ``Conflict`` kinds or ``StoreError``; then nothing was touched."""
        op = caller.op()
        hold = await self._locks.acquire(account.id, "add_cookie")
        try:
            before = await self._done_before(account.id, op, caller.repeats)
            if before is None:
                self._refuse_taken(account)
                self._refuse_too_many(account.owner_id, caller.most_shops)
        except BaseException:
            hold.release()
            raise
        if before is not None:
            hold.release()
            return self._as_before(before, caller)
        change = Change(old=None, new=account, op=op)
        try:
            entries = await self._commit([change], [hold])
        except AccountExists:  # made elsewhere meanwhile
            await self.refresh(account.id)
            raise
        return self._done(change, entries)

    async def change(self, account_id: str, operation: str, edit: Edit, caller: Caller) -> Done:
        """Commit and publish what ``edit`` makes of the account."""
        op = caller.op()
        for attempt in range(STALE_RETRIES):
            hold = await self._locks.acquire(account_id, operation)
            try:
                before = await self._done_before(account_id, op, caller.repeats or attempt > 0)
                if before is None:
                    old = self._matching(account_id, caller)
                    change = _built(old, await apply_edit(edit, old), op)
            except BaseException:
                hold.release()
                raise
            if before is not None:
                hold.release()
                return self._as_before(before, caller)
            log.debug("draft made", account=account_id, operation=operation, op_id=op.op_id)
            entries = await self._committed_fresh([change], [hold], caller)
            if entries is not None:
                return self._done(change, entries)
        raise StaleGeneration(f"{account_id} keeps changing", id=account_id)

    async def delete(self, account_id: str, caller: Caller) -> Done:
        """Commit a tombstone; the account is invisible from then on.

        Raises ``AlreadyRemoved`` when this very op did so before.
        """
        op = caller.op()
        for attempt in range(STALE_RETRIES):
            hold = await self._locks.acquire(account_id, "remove_cookie")
            try:
                before = await self._done_before(account_id, op, caller.repeats or attempt > 0)
                if before is None:
                    old = self._matching(account_id, caller)
            except BaseException:
                hold.release()
                raise
            if before is not None:
                hold.release()
                raise AlreadyRemoved(account_id, generation=before.generation, rev=before.rev)
            change = Change(old=old, new=None, op=op)
            entries = await self._committed_fresh([change], [hold], caller)
            if entries is not None:
                return self._done(change, entries)
        raise StaleGeneration(f"{account_id} keeps changing", id=account_id)

    async def change_all(
        self, edits: Mapping[str, Edit], operation: str, caller: Caller, *, wait_seconds: float
    ) -> dict[str, Done]:
        """Change many accounts, all or none. Locks are taken in sorted order under one wait limit."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + wait_seconds
        holds: list[Hold] = []
        ops = {account_id: caller.op(f":{account_id}") for account_id in edits}
        try:
            for account_id in sorted(edits):
                remaining = max(0.0, ends_at - loop.time())
                hold = await self._locks.acquire(account_id, operation, wait_seconds=remaining)
                holds.append(hold)
            before = await self._all_done_before(ops, caller)
            changes = [
                _built(old := self._owned(account_id, caller), edit(old), ops[account_id])
                for account_id, edit in edits.items()
                if account_id not in before
            ]
        except BaseException:
            for hold in holds:
                hold.release()
            raise
        if before:  # all or none: what was not done then is not done now
            for hold in holds:
                hold.release()
            return {account_id: self._as_before(record, caller) for account_id, record in before.items()}
        entries = await self._committed_fresh(changes, holds, caller)
        if entries is None:
            raise StaleGeneration("an account of the batch was changed elsewhere meanwhile")
        return {change.account_id: self._done(change, entries) for change in changes}

    async def _done_before(self, account_id: str, op: Op, look: bool) -> OpRecord | None:
        """What this op did to the account when it was tried before. To be asked in the account's turn."""
        record = await self._store.op(op.op_id) if look else None
        return record if record is not None and record.account_id == account_id else None

    async def _all_done_before(self, ops: Mapping[str, Op], caller: Caller) -> dict[str, OpRecord]:
        found = [(await self._done_before(account_id, op, caller.repeats)) for account_id, op in ops.items()]
        return {record.account_id: record for record in found if record is not None}

    def _as_before(self, record: OpRecord, caller: Caller) -> Done:
        return Done(
            account=self._owned(record.account_id, caller),
            changed=record.changed,
            generation=record.generation,
            rev=record.rev,
            op_id=record.op_id,
        )

    def _done(self, change: Change, entries: Mapping[str, JournalEntry]) -> Done:
        account = change.old if change.new is None else self._published.get(change.account_id, change.new)
        if account is None:
            raise ValueError("a change has an old or a new account")
        stamp = entries.get(change.account_id, change.new or account)  # not what was published since
        return Done(
            account=account,
            changed=not change.is_noop,
            generation=stamp.generation,
            rev=stamp.rev,
            op_id=change.op.op_id,
        )

    def _refuse_taken(self, account: Account) -> None:
        if account.owner_id in self._closed_to:
            raise Unauthenticated("that person is being removed")
        if account.id in self._published:
            raise AccountExists(f"{account.id} exists", id=account.id)
        if self._is_vanishing(account.id):
            raise AccountVanishing(f"{account.id} is being deleted", id=account.id)
        for other in self.of_number(account.unb):
            if self._published[other].owner_id == account.owner_id:
                raise DuplicateUnb(f"this seller already stands under {other}", id=other, unb=account.unb)

    def _refuse_too_many(self, owner_id: int, limit: int | None) -> None:
        """Count those too that are on their way into the database: two that come at once must not both fit."""
        if limit is None or self._shops_of[owner_id] + len(self._pending) < limit:
            return
        coming = sum(
            draft is not None and draft.owner_id == owner_id and account_id not in self._published
            for account_id, draft in self._pending.items()
        )
        if self._shops_of[owner_id] + coming >= limit:
            raise TooManyShops(f"one person may have {limit} shops", limit=limit)

    def _matching(self, account_id: str, caller: Caller) -> Account:
        account = self._owned(account_id, caller)
        if caller.is_mistaken_about(account):
            raise StaleGeneration(f"{account_id} is at generation {account.generation}", id=account_id)
        return account

    def _owned(self, account_id: str, caller: Caller) -> Account:
        account = self.current(account_id)
        if caller.owner_id is not None and account.owner_id != caller.owner_id:
            raise UnknownAccount(account_id)  # deleted, and made anew by somebody else, during the wait
        if caller.permit is not None:
            caller.permit(account)
        return account

    async def _committed_fresh(
        self, changes: Sequence[Change], holds: Sequence[Hold], caller: Caller
    ) -> Mapping[str, JournalEntry] | None:
        """Commit; ``None`` when a row had moved on elsewhere (what is stored is published then, to build on)."""
        try:
            return await self._commit(changes, holds)
        except StaleGeneration:
            for change in changes:
                await self.refresh(change.account_id)
            if caller.if_match is not None:
                raise
            return None

    async def _commit(self, changes: Sequence[Change], holds: Sequence[Hold]) -> Mapping[str, JournalEntry]:
        """Hand the changes to the store and wait, at most the database deadline, for the entries they made."""
        settled: asyncio.Future[Settlement] = asyncio.get_running_loop().create_future()
        for change in changes:
            self._pending[change.account_id] = change.new

        def settle(settlement: Settlement) -> None:
            self._settle(changes, holds, settlement)
            if not settled.done():
                settled.set_result(settlement)

        try:
            self._store.submit(changes, settle)
        except BaseException:
            self._drop(changes, holds)
            raise
        try:
            async with asyncio.timeout(self._deadline_seconds):
                settlement = await asyncio.shield(settled)
        except TimeoutError:
            if not settled.done():
                self._unsettled.update(change.account_id for change in changes)
                raise OutcomeUnknown("the database has not answered yet", op_id=changes[0].op.op_id) from None
            settlement = settled.result()  # it came while the loop was busy, which saw the deadline in the same turn
        if not isinstance(settlement, Committed):
            raise _failure(settlement, changes[0].op)
        return {entry.account_id: entry for entry in settlement.entries}

    # -- the writer's completion ---------------------------------------------------------------------------------

    def _settle(self, changes: Sequence[Change], holds: Sequence[Hold], settlement: Settlement) -> None:
        """Called by the store, on the loop, in commit order: publish or drop, then let the next one in."""
        if isinstance(settlement, Unsettled):
            self._unsettled.update(change.account_id for change in changes)
            for hold in holds:
                hold.refuse_others(StoreDegraded)
            log.error("outcome unknown", accounts=[change.account_id for change in changes])
            return
        try:
            if isinstance(settlement, Committed):
                entries = {entry.account_id: entry for entry in settlement.entries}
                for change in changes:
                    entry = entries.get(change.account_id)
                    if entry is not None:
                        self._publish(change, entry)
            elif isinstance(settlement, Refused):
                why = settlement.error.code
                log.warning("change refused", accounts=[change.account_id for change in changes], why=why)
        finally:
            self._drop(changes, holds)

    def _drop(self, changes: Sequence[Change], holds: Sequence[Hold]) -> None:
        for change in changes:
            self._pending.pop(change.account_id, None)
            self._unsettled.discard(change.account_id)
        for hold in holds:
            hold.release()

    def _publish(self, change: Change, entry: JournalEntry) -> None:
        account_id = change.account_id
        new = None if change.new is None else change.new.evolve(generation=entry.generation, rev=entry.rev)
        self._put(account_id, new)
        try:
            self._fan_out(entry)
            self._published_now(account_id, new)
        except Exception:  # whoever listens badly must not keep the others of the group from being published
            log.exception("a committed change was not heard by all", account=account_id, rev=entry.rev)
        log.info(
            "change committed",
            account=account_id,
            generation=entry.generation,
            rev=entry.rev,
            fields=sorted(entry.changes),
            actor=entry.actor,
        )

    def _put(self, account_id: str, account: Account | None) -> None:
        old = self._published.get(account_id)
        if (old and old.unb) != (account and account.unb):
            self._count_number(account_id, old, account)
        if old is not None:
            self._shops_of[old.owner_id] -= 1
        if account is not None:
            self._shops_of[account.owner_id] += 1
        if account is None:
            self._published.pop(account_id, None)
        else:
            self._published[account_id] = account

    def _count_number(self, account_id: str, old: Account | None, new: Account | None) -> None:
        if old is not None:
            others = tuple(other for other in self._of_number[old.unb] if other != account_id)
            if others:
                self._of_number[old.unb] = others
            else:
                del self._of_number[old.unb]
        if new is not None:
            self._of_number[new.unb] = (*self._of_number.get(new.unb, ()), account_id)

    def _fan_out(self, entry: JournalEntry) -> None:
        for missed in self._missed.pop(entry.account_id, ()):
            self._fan_out(missed)
        self.newest_rev = max(self.newest_rev, entry.rev)
        if entry.is_deletion:
            self._gone_at[entry.account_id] = entry.rev
        else:
            self._gone_at.pop(entry.account_id, None)
        self._events.publish(AccountChanged(entry=entry))

    # -- what others wrote ---------------------------------------------------------------------------------------

    async def compare(self, *, take_over: bool) -> list[Difference]:
        """Read the whole store again and tell what differs from what is published; with ``take_over`` publish it.

        Each account for itself: one that cannot be taken over says why, and keeps no other from it.
        """
        contents = await self._store.load()
        names = await asyncio.to_thread(differing, dict(self._published), contents.accounts)
        room = asyncio.Semaphore(COMPARED_AT_ONCE)
        found = await asyncio.gather(*(self._compared(name, room, take_over=take_over) for name in names))
        return [one for one in found if one is not None]

    async def refresh(self, account_id: str) -> None:
        """Publish what is stored for one account, with the events that were missed. Takes its turn for it."""
        found = await self._compare(account_id, take_over=True)
        if found is not None and found.error is not None:
            raise found.error

    async def _compared(self, account_id: str, room: asyncio.Semaphore, *, take_over: bool) -> Difference | None:
        async with room:
            try:
                return await self._compare(account_id, take_over=take_over)
            except ShoalError as error:
                account = self._published.get(account_id)
                owner_id = 0 if account is None else account.owner_id
                return Difference(account_id=account_id, owner_id=owner_id, changes={}, error=error)

    async def _compare(self, account_id: str, *, take_over: bool) -> Difference | None:
        """What of one account is stored otherwise; with ``take_over`` it is published, by an entry if none tells it."""
        for _ in range(STALE_RETRIES):
            hold = await self._locks.acquire(account_id, "reload_from_db")
            try:
                self._missed.pop(account_id, None)  # of an entry that was refused
                old = self._published.get(account_id)
                told = old.rev if old else self._gone_at.get(account_id, self._loaded_rev)
                glimpse = await self._store.glimpse(account_id, after_rev=told)
                found = None if is_same(old, glimpse.account) else difference(account_id, old, glimpse)
                if found is not None and take_over and not found.outside:
                    self._history_sync(account_id, glimpse)
                change = taken_over(old, glimpse, _outside_op()) if found and found.outside else None
            except BaseException:
                hold.release()
                raise
            if change is None or not take_over:
                hold.release()
                return found
            self._missed[account_id] = glimpse.entries
            try:
                await self._commit([change], [hold])
            except StaleGeneration:  # it moved on meanwhile: look again
                continue
            except StoreError as error:
                return found and replace(found, error=error)
            return found
        raise StaleGeneration(f"{account_id} keeps changing", id=account_id)

    def _history_sync(self, account_id: str, glimpse: Glimpse) -> None:
        """Publish what another server wrote, with the events that were missed."""
        self._put(account_id, glimpse.account)
        for entry in glimpse.entries:
            self._fan_out(entry)
        self._published_now(account_id, glimpse.account)


def _failure(settlement: Refused | Unsettled, op: Op) -> ShoalError:
    """What the caller hears: where nobody knows, with the id by which to ask."""
    if isinstance(settlement, Refused):
        return settlement.error
    return OutcomeUnknown(str(settlement.error), op_id=op.op_id)


def _outside_op() -> Op:
    return Op(op_id=uuid.uuid4().hex, actor=OUTSIDE, at_ms=now_ms())


async def apply_edit(edit: Edit, account: Account) -> Account:
    """What the wish makes of the account. Many rules are compiled on another thread, while the loop goes on."""
    if isinstance(edit, RuleEdit) and edit.takes_long(account):
        return await beside(edit, account)
    return edit(account)


def _built(old: Account, new: Account, op: Op) -> Change:
    if new is old:
        return Change(old=old, new=old, op=op)
    return Change(old=old, new=new.evolve(generation=old.generation + 1), op=op)
