"""Changing many accounts in one call: each for itself, or all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Sized
from dataclasses import replace

import msgspec

from shoal.accounts import edits
from shoal.accounts.account import Account, Observation
from shoal.accounts.change_path import Caller, ChangePath, Done
from shoal.accounts.published import PublishedAccounts
from shoal.accounts.remote_states import Stand
from shoal.accounts.task_manager import TaskManager
from shoal.accounts.waits import Waits
from shoal.errors import InvalidInput, ShoalError, UnknownAccount

ATOMIC_BATCH_LIMIT = 500
BATCH_AT_ONCE = 250
"""How many accounts of a batch are changed at a time: the loop runs in between, and no account waits long for its
commit."""
RULES_AT_ONCE = 4
"""The same for changes of rules, which are checked on another thread."""
_OPERATION = "batch_update_cookie_status"
_EDITS = "apply_edit"


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """One account's part of a batch. ``outcome`` is ``changed``, ``unchanged``, ``would_change`` or ``failed``.

    ``rev``: that of the change. ``after``: the account as it would be.
    """

    account_id: str
    outcome: str
    error: ShoalError | None = None
    account: Account | None = None
    generation: int | None = None
    observation: Observation | None = None
    rev: int | None = None
    after: Account | None = None


class StatusBatch:
    """Carries out batches over the change path. A batch never un-parks an account."""

    def __init__(
        self,
        path: ChangePath,
        tasks: TaskManager,
        waits: Waits,
        published: PublishedAccounts,
        *,
        lock_wait_seconds: float,
    ) -> None:
        self._path = path
        self._lock_wait_seconds = lock_wait_seconds
        self._tasks = tasks
        self._waits = waits
        self._published = published

    @staticmethod
    def require_size(updates: Sized) -> None:
        """Raise ``InvalidInput`` (``batch_too_large``) for too many accounts in an all-or-none batch."""
        if len(updates) > ATOMIC_BATCH_LIMIT:
            raise InvalidInput(
                f"an atomic batch has at most {ATOMIC_BATCH_LIMIT} accounts",
                code="batch_too_large",
                limit=ATOMIC_BATCH_LIMIT,
            )

    def preview(self, updates: Mapping[str, bool]) -> list[BatchResult]:
        """Return the result that each account would have. Changes nothing."""
        return [self._preview(account_id, enabled) for account_id, enabled in updates.items()]

    def _preview(self, account_id: str, enabled: bool) -> BatchResult:
        account = self._published.accounts.get(account_id)
        if account is None:
            return BatchResult(account_id=account_id, outcome="failed", error=UnknownAccount(account_id))
        return BatchResult(
            account_id=account_id,
            outcome="unchanged" if account.enabled == enabled else "would_change",
            account=account,
            generation=account.generation,
            observation=self._tasks.observation(account_id),
        )

    async def each(self, updates: Mapping[str, bool], caller: Caller, *, wait_seconds: float) -> list[BatchResult]:
        """Change each account for itself, then wait at most this long for their tasks to start or stop."""
        wanted = {account_id: edits.switched(enabled) for account_id, enabled in updates.items()}
        made = await self._one_by_one(wanted, _OPERATION, caller, BATCH_AT_ONCE)
        return await self._results(made, updates, wait_seconds)

    async def _one_by_one(
        self, wanted: Mapping[str, edits.Edit], operation: str, caller: Caller, at_once: int
    ) -> list[BatchResult | Done]:
        room = asyncio.Semaphore(at_once)

        async def one(account_id: str, edit: edits.Edit) -> BatchResult | Done:
            op_id = f"{caller.op_id}:{account_id}" if caller.op_id else ""
            own = replace(caller, op_id=op_id, if_match=None)
            try:
                async with room:
                    return await self._path.change(account_id, operation, edit, own)
            except ShoalError as error:
                return BatchResult(account_id=account_id, outcome="failed", error=error)

        return await asyncio.gather(*(one(account_id, edit) for account_id, edit in wanted.items()))

    async def edit_many(
        self, wanted: Mapping[str, edits.Edit], *, caller: Caller, atomic: bool = False
    ) -> list[BatchResult]:
        """Apply an edit to each of many accounts, each for itself or all or none. Do not wait for their tasks."""
        if atomic:
            self.require_size(wanted)
            done = await self._path.change_all(wanted, _EDITS, caller, wait_seconds=self._lock_wait_seconds)
            made: Sequence[BatchResult | Done] = list(done.values())
        else:
            has_rules = any(isinstance(edit, edits.RuleEdit) for edit in wanted.values())
            made = await self._one_by_one(wanted, _EDITS, caller, RULES_AT_ONCE if has_rules else BATCH_AT_ONCE)
        return [
            one
            if isinstance(one, BatchResult)
            else _result(one, {one.account.id: self._tasks.observation(one.account.id)}, {})
            for one in made
        ]

    async def preview_many(self, wanted: Mapping[str, edits.Edit], *, caller: Caller) -> list[BatchResult]:
        """Return the result that each account would have, with the account as it would be. Changes nothing."""
        return [await self._preview_edit(account_id, edit, caller) for account_id, edit in wanted.items()]

    async def _preview_edit(self, account_id: str, edit: edits.Edit, caller: Caller) -> BatchResult:
        account = self._published.accounts.get(account_id)
        try:
            if account is None:
                raise UnknownAccount(account_id)
            if caller.permit is not None:
                caller.permit(account)
            after = await edits.apply_edit(edit, account)
        except ShoalError as error:
            return BatchResult(account_id=account_id, outcome="failed", error=error)
        return BatchResult(
            account_id=account_id,
            outcome="unchanged" if after is account else "would_change",
            account=account,
            generation=account.generation,
            observation=self._tasks.observation(account_id),
            after=after,
        )

    async def edited(self, account_id: str, edit: edits.Edit, caller: Caller) -> Done:
        """Change several kinds of settings of one account in one change. Do not wait for its task."""
        return await self._path.change(account_id, _EDITS, edit, caller)

    async def deliveries(self, wanted: Mapping[str, edits.Edit], *, caller: Caller) -> None:
        """Change the delivery rules of accounts, all or none; of more than 500 accounts, 500 at a time."""
        names = sorted(wanted)
        for first in range(0, len(names), ATOMIC_BATCH_LIMIT):
            some = {name: wanted[name] for name in names[first : first + ATOMIC_BATCH_LIMIT]}
            await self._path.change_all(some, "update_deliveries", caller, wait_seconds=self._lock_wait_seconds)

    async def all_or_none(
        self, updates: Mapping[str, bool], caller: Caller, *, wait_seconds: float
    ) -> list[BatchResult]:
        """Change all accounts or none, with the locks taken in sorted order under one wait limit."""
        switched = {account_id: edits.switched(enabled) for account_id, enabled in updates.items()}
        changed = await self._path.change_all(switched, _OPERATION, caller, wait_seconds=self._lock_wait_seconds)
        return await self._results(list(changed.values()), updates, wait_seconds)

    async def _results(
        self, made: Sequence[Done | BatchResult], updates: Mapping[str, bool], wait_seconds: float
    ) -> list[BatchResult]:
        """Give the tasks of all changed accounts together this long to start or stop."""
        done = {one.account.id: one for one in made if isinstance(one, Done)}
        again = [name for name, one in done.items() if updates[name] and not one.changed]
        stands = {name: Stand(one.rev, one.generation) for name, one in done.items()}
        seen, failures = await self._waits.settled(stands, wait_seconds, revive=again)
        unreached = {name: failures[name] for name in again if name in failures}
        return [one if isinstance(one, BatchResult) else _result(one, seen, unreached) for one in made]


def _result(done: Done, seen: Mapping[str, Observation], unreached: Mapping[str, ShoalError]) -> BatchResult:
    name = done.account.id
    if name in unreached:  # no server received the second "on"
        return BatchResult(account_id=name, outcome="failed", error=unreached[name])
    return BatchResult(
        account_id=name,
        outcome="changed" if done.changed else "unchanged",
        account=done.account,
        generation=done.generation,
        observation=seen[name],
        rev=done.rev,
    )
