"""The only writer of account state: keeps memory, database and task of every account in step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from random import Random

import msgspec

from shoal.accounts import edits
from shoal.accounts.account import Account, AccountState, Observation, check_account_id
from shoal.accounts.account_locks import AccountLocks
from shoal.accounts.account_task import AccountTask, Connect
from shoal.accounts.backoff import BackoffLimits
from shoal.accounts.callers import Outcome
from shoal.accounts.change_path import Caller, ChangePath
from shoal.accounts.drift import Difference
from shoal.accounts.edits import Edit
from shoal.accounts.events import EventBus
from shoal.accounts.journal import JournalEntry
from shoal.accounts.ownership import Ownership
from shoal.accounts.published import PublishedAccounts, PublishedView
from shoal.accounts.remote_states import OtherNodes, RemoteStates, Stand
from shoal.accounts.row_reads import RowReads
from shoal.accounts.setting_changes import SettingChanges
from shoal.accounts.shard_tasks import ShardTasks
from shoal.accounts.shop_settings import OF_NEW_SHOPS
from shoal.accounts.status_batch import BatchResult, StatusBatch
from shoal.accounts.store import AccountStore
from shoal.accounts.task_manager import TaskManager
from shoal.accounts.undo import undo
from shoal.accounts.waits import Waits
from shoal.clock import now_ms
from shoal.concurrency.fair_limiter import StartLimiters
from shoal.config import Settings
from shoal.errors import AlreadyRemoved, Conflict, ShoalError, UnknownAccount, UnknownNumber
from shoal.rules.rule import Rule
from shoal.xianyu.browser import chrome
from shoal.xianyu.cookie_string import require_cookie
from shoal.xianyu.site_pages import SitePages


class CookieManager(SettingChanges):
    """All changes and all reads of accounts.

    All methods run on one event loop; another thread can use ``asyncio.run_coroutine_threadsafe``.
    """

    def __init__(
        self,
        store: AccountStore,
        connect: Connect,
        settings: Settings,
        *,
        published: PublishedAccounts | None = None,
        ownership: Ownership | None = None,
        nodes: OtherNodes | None = None,
        starts: StartLimiters | None = None,
        rng: Random | None = None,
        backoff: BackoffLimits | None = None,
    ) -> None:
        """``nodes``: how the nodes are asked that run other accounts of the same database."""
        self._store = store
        self._settings = settings
        self.default_browser = chrome(settings.chrome_version)
        self.site_pages = SitePages(
            (settings.site_mtop_url, settings.site_ws_url, settings.site_passport_url, settings.site_upload_url)
        )
        self._published = published or PublishedAccounts(EventBus())
        self.events = self._published.events
        self.remote_states = RemoteStates(nodes)
        self._task_manager = TaskManager(
            store, connect, settings, self._published, ownership=ownership, remote=self.remote_states,
            starts=starts, rng=rng, backoff=backoff,
        )  # fmt: skip
        self._waits = Waits(self._task_manager, self.remote_states)
        self.row_reads = RowReads(store, self._published)
        self._task_locks = self.locks = AccountLocks(wait_seconds=settings.lock_wait_seconds)
        self._path = ChangePath(
            store,
            self._task_locks,
            self._published,
            self.row_reads,
            deadline_seconds=settings.database_deadline_seconds,
            is_purging=self._task_manager.is_purging,
        )
        lock_wait = settings.lock_wait_seconds
        self.pending = self._path.pending  # the drafts of changes in progress; empty at rest
        self.changes, self.moves = self._path.outcomes, self._task_manager.moves
        self._batch = StatusBatch(
            self._path, self._task_manager, self._waits, self._published, lock_wait_seconds=lock_wait
        )
        self.update_deliveries_of = self._batch.deliveries
        self.add_account = self._path.create
        self.apply_edit, self.edit_many, self.preview_many = (
            self._batch.edited, self._batch.edit_many, self._batch.preview_many,
        )  # fmt: skip
        self._to_purge: list[str] = []
        accounts = self._published.accounts
        self.number_holders: Mapping[str, str] = self._task_manager.numbers.holders
        self.accounts: Mapping[str, Account] = accounts
        self.cookies: Mapping[str, str] = PublishedView(accounts, lambda account: account.cookie)
        self.keywords: Mapping[str, tuple[Rule, ...]] = PublishedView(accounts, lambda account: account.keywords)
        self.cookie_status: Mapping[str, bool] = PublishedView(accounts, lambda account: account.enabled)
        self.auto_confirm_settings: Mapping[str, bool] = PublishedView(accounts, lambda account: account.auto_confirm)
        self.tasks: Mapping[str, AccountTask] = self._task_manager.tasks

    # -- life ----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Load all accounts, then start the enabled ones. Raises ``StoreError``; then nothing was started."""
        await self.load()
        await self.start()

    async def start(self) -> None:
        """Start the enabled accounts, and go on with deletions that the last run did not end."""
        for account_id in self._to_purge:
            self._stop_cookie_task(account_id)
        await self._task_manager.start()

    def ownership_changed(self) -> None:
        """Stop what this process may no longer run, and start what it may run again."""
        self._task_manager.wake_all()

    def shard_tasks(self, forget: Callable[[str], None]) -> ShardTasks:
        """Return what runs the accounts of the shards that this node owns. ``forget``: see ``ShardTasks``."""
        return ShardTasks(self._task_manager, self._store, self._published, self._path.drift.refresh, forget)

    async def close(self) -> None:
        """End every connection within the stop wait. The desired state stays as it is."""
        await self._task_manager.close()

    async def load(self) -> None:
        """Load and publish all accounts; nothing is started. Raises ``StoreError``."""
        await self._task_manager.numbers.load()
        contents = await self._store.load()
        self._published.load(contents)
        seen = {name: contents.observations.get(name, Observation()) for name in contents.accounts}
        self._task_manager.load(seen)
        self._to_purge = [name for name, tombstone in contents.tombstones.items() if not tombstone.purged]

    async def reload_from_db(self) -> int:
        """Read the store again, publish what differs and update the tasks. Return how many accounts differed.

        When some could not be published, raises the reason of one of them after all others are done.
        """
        found = await self.compare_with_db(take_over=True)
        for one in found:
            if one.error is not None:
                raise one.error
        return len(found)

    async def compare_with_db(self, *, take_over: bool) -> list[Difference]:
        """Return the accounts whose row differs from the snapshot; with ``take_over`` publish the rows and update the
        tasks."""
        if take_over:
            await self._task_manager.numbers.load()
        return await self._path.drift.compare(take_over=take_over)

    # -- reading -------------------------------------------------------------------------------------------------

    def get_cookie_status(self, account_id: str) -> bool:
        """Return whether the account is enabled, from the published snapshot. Raises ``UnknownAccount``."""
        return self.account(account_id).enabled

    def account(self, account_id: str) -> Account:
        """Return the published snapshot. Raises ``UnknownAccount``."""
        return self._published.current(account_id)

    def observation(self, account_id: str) -> Observation:
        """Return the observed state; of an account that another node runs, as far as it is known here (see
        ``observe`` and ``look``). Raises ``UnknownAccount``."""
        if account_id not in self.accounts:
            raise UnknownAccount(account_id)
        return self._task_manager.observation(account_id)

    def runs_here(self, account_id: str) -> bool:
        """Return whether the account has its task in this process, as all have on a single server."""
        return self._task_manager.has_place(account_id)

    def node_of(self, account_id: str) -> str | None:
        """Return the node that runs the account, as far as it is known; ``None`` on a single server.

        A node whose lease has run out runs none.
        """
        nodes = self.remote_states.nodes
        if nodes is None:
            return None
        if not self.runs_here(account_id):
            return self.remote_states.node_of(account_id)
        return "" if self._task_manager.observation(account_id).state is AccountState.ELSEWHERE else nodes.me

    async def observe(self, account: Account) -> ShoalError | None:
        """Let ``observation`` be what the node that runs the account observes now. Return why it did not answer, if so.

        Raises ``StoreError``.
        """
        if self.runs_here(account.id):
            return None
        return await self.remote_states.observe(account.id, Stand(account.rev, account.generation))

    async def look(self, names: Iterable[str]) -> None:
        """Let ``observation`` be at least what the nodes that run these accounts have stored."""
        if self.remote_states.nodes is not None:
            await self.remote_states.look([name for name in names if not self.runs_here(name)])

    async def settled_here(
        self, names: Collection[str], seconds: float, *, revive: Collection[str]
    ) -> dict[str, Observation]:
        """Give tasks of this process this long to start or stop, for another node. Return the states of those that are
        still here. ``revive``: wake these first, whatever they wait for."""
        here = [name for name in names if self.runs_here(name)]
        for name in revive:
            self._task_manager.revive(name)
        states = await asyncio.gather(*(self._task_manager.settled(name, seconds) for name in here))
        return {name: state for name, state in zip(here, states, strict=True) if self.runs_here(name)}

    @property
    def version(self) -> tuple[int, int, int]:
        """What differs after each change of any account and after each move of its state."""
        return self._published.version, self._task_manager.reports, self.remote_states.version

    def is_stale(self, account_id: str) -> bool:
        """Return whether a change of the account is unsettled, so that the snapshot may be out of date."""
        return self._path.is_stale(account_id)

    @property
    def newest_rev(self) -> int:
        """The journal position up to which everything is published."""
        return self._published.newest_rev

    # -- changes -------------------------------------------------------------------------------------------------

    async def add_cookie(
        self,
        account_id: str,
        cookie: str,
        *,
        owner_id: int,
        caller: Caller,
        remark: str = "",
        proxy: str | None = None,
        browser: str | None = None,
    ) -> Outcome:
        """Create an account, enabled, and start it; with ``proxy`` even its first call uses the proxy.

        ``browser`` is the browser of the cookie in its stored form; by default it is read from the text.
        An account whose number another owner's account holds is parked (``number_taken``) until the number is free.
        Raises ``InvalidInput`` (id, cookie, proxy), ``AccountExists``, ``AccountBeingDeleted`` or ``DuplicateUnb``.
        """
        check_account_id(account_id)
        checked = require_cookie(cookie)
        cookie, browser = checked.header, browser or edits.browser_in_text(checked)
        fresh = Account(
            id=account_id, owner_id=owner_id, unb=checked.unb, cookie=cookie, browser=browser, created_at_ms=now_ms(),
            **OF_NEW_SHOPS,
        )  # fmt: skip
        account = edits.settings({"remark": remark, "proxy": proxy})(fresh)
        created = await self._path.create(account, caller)
        return await self._waits.outcome(created, caller, wait=self._settings.start_wait_seconds)

    async def update_cookie(
        self, account_id: str, cookie: str, *, caller: Caller, proxy: str | None = None, browser: str | None = None
    ) -> Outcome:
        """Replace the cookie and its browser (see ``edits.cookie``), and the proxy when one is given, in one change.

        A running account reconnects once; a parked one tries again. Raises ``OtherUnb`` when the new cookie belongs
        to another platform user.
        """
        edit = edits.cookie(require_cookie(cookie), browser=browser)
        if proxy is not None:
            edit = edits.both(edit, edits.settings({"proxy": proxy}))
        return await self._change(account_id, "update_cookie", edit, caller, wait=self._settings.start_wait_seconds)

    async def update_cookie_status(self, account_id: str, enabled: bool, *, caller: Caller) -> Outcome:
        """Enable or disable the account.

        ``True`` again restarts a failed task and skips a retry delay. Disabling and enabling a parked account makes it
        try again; ``True`` for a parked account that is enabled does not.
        """
        wait = self._settings.start_wait_seconds if enabled else self._settings.stop_wait_seconds
        if enabled and not self.runs_here(account_id):
            await self.remote_states.read((account_id,))  # its park record
        edit = edits.switched(enabled, self._task_manager.is_parked)
        return await self._change(account_id, "update_cookie_status", edit, caller, wait=wait, revive=enabled)

    async def resume(self, account_id: str, *, caller: Caller) -> Outcome:
        """Resume a parked account and reconnect, after the owner acted."""
        return await self._change(account_id, "resume", edits.resume, caller, wait=self._settings.start_wait_seconds)

    async def undo(self, entry: JournalEntry, *, caller: Caller) -> Outcome:
        """Undo a journal entry by a new change. Raises like ``shoal.accounts.undo.undo``."""
        enabled = entry.changes.get("enabled", [None])[0]
        waits = {True: self._settings.start_wait_seconds, False: self._settings.stop_wait_seconds}
        return await self._change(entry.account_id, "undo", undo(entry), caller, wait=waits.get(enabled, 0.0))

    async def remove_cookie(self, account_id: str, *, caller: Caller) -> Outcome:
        """Delete the account: invisible at once, then its task is stopped, then its rows are purged.

        Waits at most the stop wait; ``purged`` says whether all of it is done. Raises ``AlreadyRemoved``, after the
        same wait, when the same op already did so.
        """
        limit = self._waits.limit(caller, self._settings.stop_wait_seconds)
        try:
            removed = await self._path.delete(account_id, caller)
        except AlreadyRemoved as before:
            before.params["purged"] = await self.wait_until_purged(account_id, within_seconds=limit)
            raise
        purged = await self.wait_until_purged(account_id, within_seconds=limit)
        outcome = await self._waits.outcome(removed, caller, wait=0.0)
        return msgspec.structs.replace(outcome, observation=Observation(), purged=True) if purged else outcome

    def accounts_of_number(self, number: str) -> list[Account]:
        """Return every account with that seller's number."""
        return [self.accounts[account_id] for account_id in self._published.of_number(number)]

    async def free_number(self, number: str, *, caller: Caller, holder: str = "") -> str:
        """Take a seller's number from the account that holds it, and disable that account. Return its id.

        The other accounts with that number start; the first that the site accepts holds it from then on. Raises
        ``UnknownNumber`` when no account holds it, ``Conflict`` (``other_holder``) when another than ``holder`` does,
        and ``StoreError``, after which the call may be repeated.
        """
        await self._task_manager.numbers.look(number)
        if (holds := self.number_holders.get(number)) is None:
            raise UnknownNumber(number)
        if holder not in {"", holds}:
            raise Conflict("another account holds that number now", code="other_holder", number=number)
        with suppress(UnknownAccount):  # deletion in progress
            await self.update_cookie_status(holds, False, caller=caller)
        await self._task_manager.numbers.free(number, holds)
        return holds

    async def look_at_numbers(self) -> None:
        """Let ``number_holders`` be what is stored, where other nodes change it too. Raises ``StoreError``."""
        if self.remote_states.nodes is not None:
            await self._task_manager.numbers.load()

    def close_to(self, owner_id: int) -> None:
        """Refuse new accounts for this user, because the user is being removed."""
        self._path.close_to(owner_id)

    async def wait_until_purged(self, account_id: str, *, within_seconds: float | None = None) -> bool:
        """Wait until a deleted account's connection has ended and its rows are purged. Return whether that happened in
        time."""
        return await self._waits.wait_until_purged(account_id, within_seconds=within_seconds)

    async def batch_update_cookie_status(
        self, updates: Mapping[str, bool], *, caller: Caller, atomic: bool = False, dry_run: bool = False
    ) -> list[BatchResult]:
        """Enable or disable many accounts; one result per account, in the order of the request.

        ``atomic`` changes all or none (at most 500, locks in sorted order under one wait limit); otherwise each account
        stands alone. A batch never un-parks, and does not wait for accounts to start or stop unless the caller's
        ``wait_seconds`` says so.
        """
        if atomic:
            self._batch.require_size(updates)
        if dry_run:
            return self._batch.preview(updates)
        change = self._batch.all_or_none if atomic else self._batch.each
        return await change(updates, caller, wait_seconds=self._waits.limit(caller, 0.0))

    async def _change(
        self, account_id: str, operation: str, edit: Edit, caller: Caller, *, wait: float = 0.0, revive: bool = False
    ) -> Outcome:
        done = await self._path.change(account_id, operation, edit, caller)
        return await self._waits.outcome(done, caller, wait=wait, revive=revive and not done.changed)

    # -- tasks ---------------------------------------------------------------------------------------------------

    def _stop_cookie_task(self, account_id: str) -> None:
        """Stop a deleted account's connection, then purge its rows."""
        self._task_manager.purge_soon(account_id)
