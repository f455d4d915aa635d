"""The single path of every change: lock, compare, memory (an unpublished draft), database, publish.

Publishing and unlocking belong to the completion by the database writer (``_settle``), not to the request: a
disconnect, a timeout or a cancellation cannot separate a commit from its publication.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import structlog
from msgspec.structs import replace

from shoal.accounts.account import Account
from shoal.accounts.account_locks import AccountLocks, Hold
from shoal.accounts.callers import Caller, Done
from shoal.accounts.drift import STALE_RETRIES, Drift
from shoal.accounts.edits import Edit, apply_edit
from shoal.accounts.journal import JournalEntry
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.row_reads import RowReads
from shoal.accounts.store import (
    AccountStore,
    Change,
    Committed,
    Op,
    OpRecord,
    Refused,
    Settlement,
    Unsettled,
    failure_of,
)
from shoal.errors import (
    AccountBeingDeleted,
    AccountExists,
    AlreadyRemoved,
    CommitUnknown,
    DuplicateUnb,
    StaleGeneration,
    StoreDegraded,
    TooManyShops,
    Unauthenticated,
    UnknownAccount,
)
from shoal.measures import Tally
from shoal.traces import Trace, request_age
from shoal.traces import begin as begin_trace
from shoal.traces import current as current_trace

__all__ = ["Caller", "ChangePath", "Done"]

log = structlog.get_logger("shoal.changes")
_debugs = logging.getLogger("shoal.changes").isEnabledFor
"""Asked before a line is put together: that takes longer than to ask."""


class ChangePath:
    """Carries out each change, from its check to its publication."""

    def __init__(
        self,
        store: AccountStore,
        locks: AccountLocks,
        published: PublishedAccounts,
        row_reads: RowReads,
        *,
        deadline_seconds: float,
        is_purging: Callable[[str], bool],
    ) -> None:
        """``is_purging`` returns whether a deletion is still in progress; called only under the account's lock."""
        self._store = store
        self._locks = locks
        self._published = published
        self._row_reads = row_reads
        self._deadline_seconds = deadline_seconds
        self._is_purging = is_purging
        self._pending: dict[str, Account | None] = {}
        self._unsettled: set[str] = set()
        self._closed_to: set[int] = set()
        self.outcomes = Tally()
        """How often a change came to which outcome, by its operation."""
        self.drift = Drift(store, locks, published, self._commit)
        self.pending: Mapping[str, Account | None] = MappingProxyType(self._pending)

    def is_stale(self, account_id: str) -> bool:
        """Whether a change of the account is unsettled, so that the published snapshot may be out of date."""
        return account_id in self._unsettled

    def close_to(self, owner_id: int) -> None:
        """Refuse new accounts for this user. An addition in progress shows in ``pending``."""
        self._closed_to.add(owner_id)

    # -- changes -------------------------------------------------------------------------------------------------

    async def create(self, account: Account, caller: Caller) -> Done:
        """Commit and publish a new account. Raises ``Conflict`` kinds or ``StoreError``; then nothing was changed."""
        op, account = caller.op(), account.storable()
        with _traced("add_cookie", account.id) as trace:
            with await self._locks.acquire(account.id, "add_cookie") as hold:
                trace.step("lock")
                before = await self._done_before(account.id, op, caller.repeats)
                if before is None:
                    await self._refuse_taken(account)
                    self._refuse_too_many(account.owner_id, caller.most_shops)
            if before is not None:
                hold.release()
                return self._as_before(before, caller)
            change = Change(old=None, new=account, op=op, most_shops=caller.most_shops)
            try:
                entries = await self._commit([change], [hold])
            except AccountExists:  # created by another server in the meantime
                await self.drift.refresh(account.id)
                raise
            return self._done(change, entries)

    async def change(self, account_id: str, operation: str, edit: Edit, caller: Caller) -> Done:
        """Commit and publish the result of ``edit`` on the account."""
        done = await self._change(account_id, operation, edit, caller)
        return done if isinstance(done, Done) else self._as_before(done, caller)

    async def delete(self, account_id: str, caller: Caller) -> Done:
        """Commit a tombstone; the account is invisible from then on.

        Raises ``AlreadyRemoved`` when the same op already did so.
        """
        done = await self._change(account_id, "remove_cookie", None, caller)
        if isinstance(done, Done):
            return done
        raise AlreadyRemoved(account_id, generation=done.generation, rev=done.rev)

    async def _change(self, account_id: str, operation: str, edit: Edit | None, caller: Caller) -> Done | OpRecord:
        """Commit and publish an edit (``None``: a deletion), or return what this op did before."""
        op = caller.op()
        with _traced(operation, account_id) as trace:
            for attempt in range(STALE_RETRIES):
                with await self._locks.acquire(account_id, operation) as hold:  # the commit releases it
                    trace.step("lock")
                    before = await self._done_before(account_id, op, caller.repeats or attempt > 0)
                    if before is None:
                        await self._row_reads.read_if_behind(account_id, caller)
                        change = await _drafted(self._matching(account_id, caller), edit, op, caller)
                if before is not None:
                    hold.release()
                    return before
                entries = await self._committed_fresh([change], [hold], caller)
                if entries is not None:
                    return self._done(change, entries)
        raise StaleGeneration(f"{account_id} keeps changing", id=account_id)

    async def change_all(
        self, edits: Mapping[str, Edit], operation: str, caller: Caller, *, wait_seconds: float
    ) -> dict[str, Done]:
        """Change many accounts, all or none. The locks are taken in sorted order under one wait limit."""
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
                await _drafted(self._owned(account_id, caller), edit, ops[account_id], caller)
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
            raise StaleGeneration("another server changed an account of the batch")
        return {change.account_id: self._done(change, entries) for change in changes}

    async def _done_before(self, account_id: str, op: Op, look: bool) -> OpRecord | None:
        """Return what this op did to the account in an earlier try. Call it under the account's lock."""
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
        account = change.old if change.new is None else self._published.accounts.get(change.account_id, change.new)
        if account is None:
            raise ValueError("a change has an old or a new account")
        stamp = entries.get(change.account_id, change.new or account)  # not what was published since then
        return Done(
            account=account,
            changed=not change.is_noop,
            generation=stamp.generation,
            rev=stamp.rev,
            op_id=change.op.op_id,
        )

    async def _refuse_taken(self, account: Account) -> None:
        """Refuse an id or a number that is in use, once their rows say so too."""
        try:
            self._check_free(account)
        except (AccountExists, DuplicateUnb) as taken:
            await self._row_reads.read(taken.params["id"])
            self._check_free(account)

    def _check_free(self, account: Account) -> None:
        if account.owner_id in self._closed_to:
            raise Unauthenticated("that user is being removed")
        if account.id in self._published.accounts:
            raise AccountExists(f"{account.id} exists", id=account.id)
        if self._is_purging(account.id):
            raise AccountBeingDeleted(f"{account.id} is being deleted", id=account.id)
        for other in self._published.of_number(account.unb):
            if self._published.accounts[other].owner_id == account.owner_id:
                raise DuplicateUnb(f"this seller already stands under {other}", id=other, unb=account.unb)

    def _refuse_too_many(self, owner_id: int, limit: int | None) -> None:
        """Also count additions in progress: two at the same time must not both fit. Those of other nodes are counted
        when the account is stored."""
        if limit is None or len(self._published.of_owner(owner_id)) + len(self._pending) < limit:
            return
        coming = sum(
            draft is not None and draft.owner_id == owner_id and account_id not in self._published.accounts
            for account_id, draft in self._pending.items()
        )
        if len(self._published.of_owner(owner_id)) + coming >= limit:
            raise TooManyShops(f"one user may have {limit} shops", limit=limit)

    def _matching(self, account_id: str, caller: Caller) -> Account:
        account = self._owned(account_id, caller)
        if caller.is_mistaken_about(account):
            raise StaleGeneration(f"{account_id} is at generation {account.generation}", id=account_id)
        return account

    def _owned(self, account_id: str, caller: Caller) -> Account:
        account = self._published.current(account_id)
        if caller.owner_id is not None and account.owner_id != caller.owner_id:
            raise UnknownAccount(account_id)  # deleted, and created again by another user, during the wait
        if caller.permit is not None:
            caller.permit(account)
        return account

    async def _committed_fresh(
        self, changes: Sequence[Change], holds: Sequence[Hold], caller: Caller
    ) -> Mapping[str, JournalEntry] | None:
        """Commit. Return ``None`` when another server changed a row (its value is published then, to build on)."""
        try:
            return await self._commit(changes, holds)
        except StaleGeneration:
            for change in changes:
                await self.drift.refresh(change.account_id)
            if caller.if_match is not None:
                raise
            return None

    async def _commit(
        self, changes: Sequence[Change], holds: Sequence[Hold], missed: Sequence[JournalEntry] = ()
    ) -> Mapping[str, JournalEntry]:
        """Send the changes to the store and wait, at most the database deadline, for their entries.

        ``missed``: entries of other servers, to publish before the entry by which a row is adopted.
        """
        loop = asyncio.get_running_loop()
        settled: asyncio.Future[None] = loop.create_future()
        outcome: list[Settlement] = []
        for change in changes:
            self._pending[change.account_id] = change.new

        def end() -> None:
            if not settled.done():
                settled.set_result(None)

        trace = current_trace()
        trace.step("draft")

        def settle(settlement: Settlement) -> None:
            trace.step("write")
            self._settle(changes, holds, settlement, missed)
            trace.step("apply")
            outcome.append(settlement)
            end()

        try:
            self._store.submit(changes, settle)
        except BaseException:
            self._drop(changes, holds)
            raise
        late = loop.call_later(self._deadline_seconds, end)
        try:
            await settled
        finally:
            late.cancel()
        if not outcome:
            self._unsettled.update(change.account_id for change in changes)
            raise CommitUnknown("the database has not answered yet", op_id=changes[0].op.op_id)
        settlement = outcome[0]
        if not isinstance(settlement, Committed):
            raise failure_of(settlement, changes[0].op)
        return {entry.account_id: entry for entry in settlement.entries}

    # -- the writer's completion ---------------------------------------------------------------------------------

    def _settle(
        self, changes: Sequence[Change], holds: Sequence[Hold], settlement: Settlement, missed: Sequence[JournalEntry]
    ) -> None:
        """Called by the store, on the loop, in commit order: publish or drop, then let the next caller in."""
        if isinstance(settlement, Unsettled):
            self._unsettled.update(change.account_id for change in changes)
            for hold in holds:
                self.outcomes.add(hold.operation, "unknown")
                hold.refuse_others(StoreDegraded)
            log.error("outcome unknown", accounts=[change.account_id for change in changes])
            return
        try:
            if isinstance(settlement, Committed):
                entries = {entry.account_id: entry for entry in settlement.entries}
                for change in changes:
                    entry = entries.get(change.account_id)
                    self.outcomes.add(holds[0].operation, "unchanged" if entry is None else "changed")
                    if entry is not None:
                        self._publish(change, entry, missed)
            elif isinstance(settlement, Refused):
                why = settlement.error.code
                for hold in holds:
                    self.outcomes.add(hold.operation, "refused")
                log.warning("change refused", accounts=[change.account_id for change in changes], why=why)
        finally:
            self._drop(changes, holds)

    def _drop(self, changes: Sequence[Change], holds: Sequence[Hold]) -> None:
        for change in changes:
            self._pending.pop(change.account_id, None)
            self._unsettled.discard(change.account_id)
        for hold in holds:
            hold.release()

    def _publish(self, change: Change, entry: JournalEntry, missed: Sequence[JournalEntry] = ()) -> None:
        new = None if change.new is None else replace(change.new, generation=entry.generation, rev=entry.rev)
        self._published.publish(change.account_id, new, (*missed, entry))
        if _debugs(logging.DEBUG):  # the journal is the record
            log.debug(
                "change committed", account=entry.account_id, generation=entry.generation, rev=entry.rev,
                fields=sorted(entry.changes), actor=entry.actor,
            )  # fmt: skip


async def _drafted(old: Account, edit: Edit | None, op: Op, caller: Caller) -> Change:
    if edit is None:
        return Change(old=old, new=None, op=op)
    after = await apply_edit(edit, old)
    caller.require_goods(old, after.deliveries)
    return Change.between(old, after, op)


def _traced(operation: str, account_id: str) -> Trace:
    """Begin the trace of a change, with the time that its request has been here."""
    trace = begin_trace("change", age_seconds=request_age(), kind=operation, account=account_id)
    trace.step("request")
    return trace
