"""Retention: deletes rows that are older than the settings allow, once a day."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from shoal.accounts.store import AccountStore
from shoal.assistant.old_runs import OldRuns
from shoal.auth.audit_log import AuditLog
from shoal.clock import Witness, present_clock
from shoal.clock import now_ms as wall_clock_ms
from shoal.config import Settings
from shoal.errors import StoreError
from shoal.messages.message_log import MessageLog
from shoal.notices.incident_history import IncidentHistory
from shoal.pictures.pictures import Pictures
from shoal.storage.idempotency_keys import IdempotencyKeys

log = structlog.get_logger("shoal.retention")

FIRST_AFTER_SECONDS = 300.0
"""The first run waits, so that it does not slow down the start of the server."""
EVERY_SECONDS = 86_400.0
AGAIN_SECONDS = 600.0
"""How soon it is tried again when nothing was deleted because the machine's clock may be wrong."""
_DAY_MS = 86_400_000


class Retention:
    """Deletes old rows of the store, messages, runs of models, pictures, the audit log, incidents, answers to keyed
    requests, and nodes that are gone.

    Nothing is deleted while something contradicts the machine's clock. Owns one task, from ``start`` to ``close``.
    The first run waits until the store is ``checked``, however long that takes: nothing is written before.
    """

    def __init__(
        self,
        store: AccountStore,
        message_log: MessageLog,
        idempotency_keys: IdempotencyKeys,
        settings: Settings,
        *,
        pictures: Pictures,
        audit_log: AuditLog,
        incidents: IncidentHistory,
        old_runs: OldRuns,
        checked: Callable[[], Awaitable[None]],
        delete_old_nodes: Callable[[], Awaitable[int]] | None = None,
        ask_time: Callable[[], Awaitable[None]] | None = None,
        now_ms: Callable[[], int] = wall_clock_ms,
        first_after_seconds: float = FIRST_AFTER_SECONDS,
        every_seconds: float = EVERY_SECONDS,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        """``ask_time``: asks the site for its time, if no shop is on that will do so."""
        self._store = store
        self._message_log = message_log
        self._idempotency_keys = idempotency_keys
        self._settings = settings
        self._pictures = pictures
        self._audit_log = audit_log
        self._incidents = incidents
        self._old_runs = old_runs
        self._checked = checked
        self._delete_old_nodes = delete_old_nodes
        self._ask_time = ask_time
        self._now_ms = now_ms
        self._first_after_seconds = first_after_seconds
        self._every_seconds = every_seconds
        self._again_seconds = again_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task on the running loop."""
        self._task = asyncio.create_task(self.run(), name="retention")

    async def close(self) -> None:
        """Stop. The store finishes a running step; the other steps wait for the next day."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def run(self) -> None:
        """Delete what is old, day after day, until this is cancelled."""
        await asyncio.sleep(self._first_after_seconds)
        with suppress(StoreError):  # a damaged store ends the server
            await self._checked()
        while True:
            is_done = True
            try:
                is_done = await self.prune()
            except Exception:  # a defect here must not end the retention of later days
                log.exception("pruning met a defect")
            await asyncio.sleep(self._every_seconds if is_done else self._again_seconds)

    async def prune(self) -> bool:
        """Delete old rows now; ``False``: nothing, because the time is not sure. A failure of the store is logged, and
        tried again the next day."""
        clock = present_clock()
        if not clock.is_sure and clock.witness is not Witness.SITE and self._ask_time is not None:
            await self._ask_time()
        if not clock.is_sure:
            log.warning("nothing is deleted: the machine's clock may be wrong", ahead_seconds=clock.skew_ms // 1000)
            return False
        now, settings = self._now_ms(), self._settings
        await self._log_pruned("changes", self._prune_changes(now))
        messages_before_ms = now - settings.message_days * _DAY_MS
        await self._log_pruned("messages", self._message_log.forget_older_than(messages_before_ms))
        await self._log_pruned("runs of models", self._old_runs.forget_older_than(messages_before_ms))
        await self._log_pruned("answers to keyed requests", self._idempotency_keys.forget_expired())
        entries_before_ms = now - settings.security_log_days * _DAY_MS
        await self._log_pruned("audit log", self._audit_log.forget_older_than(entries_before_ms))
        await self._log_pruned("incidents", self._incidents.forget_older_than(entries_before_ms))
        await self._log_pruned("pictures", self._pictures.sweep(now / 1000))
        if self._delete_old_nodes is not None:
            await self._log_pruned("nodes", self._delete_old_nodes())
        return True

    async def _prune_changes(self, now: int) -> int:
        settings = self._settings
        pruned = await self._store.prune(
            journal_before_ms=now - settings.journal_days * _DAY_MS,
            ops_before_ms=now - settings.op_days * _DAY_MS,
            moves_before_ms=now - settings.state_history_days * _DAY_MS,
        )
        return pruned.entries + pruned.ops + pruned.moves

    async def _log_pruned(self, what: str, work: Awaitable[int]) -> None:
        try:
            log.info("pruned", what=what, rows=await work)
        except StoreError as error:
            log.warning("not pruned", what=what, why=error.code)
