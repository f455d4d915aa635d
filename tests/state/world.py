"""A world under proof: the real manager, a store, a site, callers; watched at every step, judged at rest."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Hashable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any, TypeVar

from shoal.accounts.account import Account, AccountState, ParkReason
from shoal.accounts.callers import Outcome
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager
from shoal.accounts.edits import all_rules
from shoal.accounts.events import AccountChanged, Event
from shoal.accounts.journal import JournalEntry
from shoal.accounts.published import PublishedAccounts
from shoal.config import Settings, load_settings
from shoal.errors import ShoalError
from state.answers import GONE, Said, told_twice
from state.demands import Violation, demand
from state.faulty_stores import FaultySqlite, FaultyStore
from state.figures import Figures
from state.judge import check_stream, judge
from state.model import CHANGED, UNCHANGED, Call, ModelAccount, full_rules
from state.sites import ACCOUNTS, Site
from state.streams import WatchedBus, follow
from state.versions import Versions
from state.virtual_loop import VirtualLoop, interrupted
from support.site.standins import cookie_of

T = TypeVar("T")

TEN_MINUTES = 600.0
LONGEST_CALL_SECONDS = 120.0
"""No caller waits longer than the lock, the database and the task together may take."""


@cache
def settings() -> Settings:
    """The defaults: on a virtual clock five minutes cost nothing."""
    return load_settings()


class World:
    """One run. ``run`` a scenario in it, ``rest`` and ``judge`` now and then, ``close`` at the end."""

    def __init__(
        self, figures: Figures, seed: int | None = None, sqlite: Callable[[VirtualLoop], FaultySqlite] | None = None
    ) -> None:
        self.figures = figures
        self.broken = False
        self.loop = VirtualLoop(seed)
        self.store: FaultyStore | FaultySqlite = FaultyStore() if sqlite is None else sqlite(self.loop)
        self.site = Site()
        self._seed = seed or 0
        self._ids = itertools.count()
        self.clock = itertools.count()
        self._calls: set[asyncio.Task[None]] = set()
        self._leaving: dict[asyncio.Task[Any], int] = {}
        self.suspensions = 0
        self.stamps: dict[str, tuple[int, int]] = {}
        self.said: list[Said] = []
        self.reads: list[tuple[str, int, Account | None]] = []
        self._to_read: set[str] = set()
        """Accounts of which a call began or ended since they were read."""
        self._last_seen: dict[str, Account] = {}
        self.returned: list[Account] = []
        self.versions = Versions()
        self.start: dict[str, ModelAccount] = {name: ModelAccount() for name in ACCOUNTS}
        self.followed: list[int] = []
        self.numbers: dict[str, int] = {}
        self.manager = self._new_manager()
        self.run(self._open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let it run to its end on this world's loop."""
        before = self.loop.steps, self.loop.choices
        try:
            return self.loop.run_until_complete(work)
        except BaseException:
            self.broken = True
            raise
        finally:
            self.figures.callbacks += self.loop.steps - before[0]
            self.figures.choices += self.loop.choices - before[1]

    # -- life ----------------------------------------------------------------------------------------------------

    def _new_manager(self) -> CookieManager:
        self.fanned_out: list[JournalEntry] = []
        self._bus = WatchedBus(self._event_went_out)
        return CookieManager(
            self.store, self.site.connect, settings(), published=PublishedAccounts(self._bus), rng=Random(7)
        )

    async def _open(self) -> None:
        if isinstance(self.store, FaultySqlite) and self.store.database._threads is None:
            await self.store.database.open()
        await self.manager.open()
        self.opened_at = self.manager.newest_rev
        self.followed = []
        cuts = Random(self._seed)
        self._follower = asyncio.create_task(follow(self, self._bus, self.opened_at, cuts.randint(2, 40), cuts))
        self._last_seen = dict(self.manager.accounts)
        self.loop.after_step = self._look

    async def restart(self) -> None:
        """Close the manager, whatever is going on, and open another one on the same store."""
        await self.manager.close()
        known = set(self.site.refused)  # what a connection learns after the close has no reader
        self.site.all_well()
        await self.until(lambda: not any(self.site.live.values()), "every connection ends when the manager closes")
        await self._calls_end()
        await self.until(lambda: self.store.idle, "the store comes to rest")
        self._stop_faults()
        check_stream(self, await self.store.journal(), followed=False)
        await self._dismiss_follower()
        self.site.refused &= known
        if self.store.lost_observations:
            self.site.refused.clear()
            self.store.lost_observations = False
        self.loop.after_step = None
        self.manager = self._new_manager()
        await self._open()
        self._to_read.update(ACCOUNTS)
        self._note_reads()

    async def _dismiss_follower(self) -> None:
        self._follower.cancel()
        try:
            await self._follower
        except asyncio.CancelledError:
            return

    def close(self) -> None:
        """End everything; of a world that broke nothing more is asked."""
        if self.broken:
            self.site.all_well()
            with suppress(RuntimeError, AssertionError):
                self.loop.finish()
            if not self.loop.is_closed():
                self.loop.finish()
            return

        async def end() -> None:
            self.site.all_well()
            self._stop_faults()
            await self.manager.close()
            await self._dismiss_follower()
            if isinstance(self.store, FaultySqlite):
                await self.store.database.close()

        try:
            self.loop.after_step = None
            self.loop.run_until_complete(end())
        finally:
            self.loop.finish()

    # -- callers -------------------------------------------------------------------------------------------------

    def launch(self, call: Call) -> asyncio.Task[None]:
        """One call, beside others."""
        task = self.loop.create_task(self._perform(call), name=f"caller:{call.kind}")
        self._calls.add(task)
        return task

    async def group(self, calls: Iterable[Call]) -> None:
        """Calls made together; returns when each was answered."""
        self.figures.groups += 1
        for call in calls:
            self.launch(call)
        await self._calls_end()

    async def group_begun(self, calls: Iterable[Call], seconds: float) -> None:
        """Calls made together; time goes on, and some may not be answered yet."""
        self.figures.groups += 1
        for call in calls:
            self.launch(call)
        await asyncio.sleep(seconds)

    async def pass_time(self, seconds: float) -> None:
        """No call is made."""
        await asyncio.sleep(seconds)

    async def _calls_end(self) -> None:
        while self._calls:
            done, self._calls = await asyncio.wait(self._calls, timeout=LONGEST_CALL_SECONDS)
            demand(done, "a caller waits for ever")
            for task in done:
                task.result()

    async def _perform(self, call: Call) -> None:
        self.figures.calls += 1
        op_id = f"{call.kind}-{next(self._ids)}"
        caller = Caller(actor="user:ann", op_id=op_id, if_match=call.if_match)
        began = next(self.clock)
        self._to_read.update(call.accounts)
        self._note_reads()
        answers = await self._attempt(call, caller)
        if call.again:
            again = await self._attempt(replace(call, cancel_at=0, cancel_step=0), replace(caller, repeats=True))
            answers = {name: told_twice(op_id, answers[name], again[name]) for name in call.accounts}
        self._note_reads()
        ended = next(self.clock)
        self._to_read.update(call.accounts)
        for account, answer in answers.items():
            self.figures.answers[str(answer)] = self.figures.answers.get(str(answer), 0) + 1
            one = f"{op_id}:{account}" if call.kind in {"batch", "atomic"} else op_id
            self.said.append(Said(call, account, one, answer, began, ended))

    async def _attempt(self, call: Call, caller: Caller) -> dict[str, Hashable]:
        work = self._told(call, caller)
        task = asyncio.current_task()
        assert task is not None
        if call.cancel_step:
            self._leaving[task] = self.loop.steps + call.cancel_step
        try:
            if call.cancel_at:
                return await interrupted(work, call.cancel_at, late=call.late, suspended=self._suspended)
            return await work
        except asyncio.CancelledError:
            demand(call.cancel_at or call.cancel_step, "a call ended as cancelled without a cancellation")
            self.figures.cancellations += 1
            return dict.fromkeys(call.accounts, GONE)
        finally:
            self._leaving.pop(task, None)

    def _suspended(self, count: int) -> None:
        self.suspensions = count

    async def _told(self, call: Call, caller: Caller) -> dict[str, Hashable]:
        try:
            if call.kind in {"batch", "atomic"}:
                return await self._batch(call, caller)
            outcome = await self._dispatch(call, caller)
        except ShoalError as error:
            return dict.fromkeys(call.accounts, error.code)
        self.returned.append(outcome.account)
        if outcome.changed:
            self.stamps[caller.op_id] = (outcome.generation, outcome.rev)
        return {call.account: CHANGED if outcome.changed else UNCHANGED}

    async def _batch(self, call: Call, caller: Caller) -> dict[str, Hashable]:
        updates = dict.fromkeys(call.accounts, call.flag)
        results = await self.manager.batch_update_cookie_status(
            updates, caller=replace(caller, if_match=None), atomic=call.kind == "atomic"
        )
        self.returned += [result.account for result in results if result.account is not None]
        answers: dict[str, Hashable] = {
            result.account_id: result.outcome if result.error is None else result.error.code for result in results
        }
        for account in set(updates) - set(answers):
            answers[account] = GONE  # removed in between
        return answers

    def _dispatch(self, call: Call, caller: Caller) -> Coroutine[Any, Any, Outcome]:
        manager, name = self.manager, call.account
        ways: dict[str, Callable[[], Coroutine[Any, Any, Outcome]]] = {
            "add": lambda: manager.add_cookie(
                name, cookie_of(call.number), owner_id=1, caller=caller, remark=call.text
            ),
            "remove": lambda: manager.remove_cookie(name, caller=caller),
            "status": lambda: manager.update_cookie_status(name, call.flag, caller=caller),
            "auto_confirm": lambda: manager.update_auto_confirm_setting(name, call.flag, caller=caller),
            "remark": lambda: manager.update_settings(name, {"remark": call.text}, caller=caller),
            "keywords": lambda: manager.update_keywords(name, call.rules, caller=caller),
            "rules": lambda: manager.update_rules(name, all_rules(full_rules(call.rules)), caller=caller),
            "remove_keyword": lambda: manager.remove_keyword(name, call.number, caller=caller),
            "cookie": lambda: manager.update_cookie(name, cookie_of(call.number, secret=call.text), caller=caller),
            "resume": lambda: manager.resume(name, caller=caller),
        }
        return ways[call.kind]()

    async def reload(self) -> None:
        """Ask the manager to read the store again; a store that cannot be read changes nothing."""
        try:
            differing = await self.manager.reload_from_db()
        except ShoalError:
            return
        demand(differing >= 0, "a count")

    # -- watched at every step -----------------------------------------------------------------------------------

    def _note_reads(self) -> None:
        """Read what ``_to_read`` names: the others, where ``_look`` notes each change, have nothing more to tell."""
        for name in sorted(self._to_read):
            self.reads.append((name, next(self.clock), self.manager.accounts.get(name)))
        self._to_read.clear()

    def _look(self) -> None:
        """Between any two callbacks: what any reader would see now must be right."""
        accounts = self.manager.accounts
        self.figures.reads += 1
        demand(not self.site.offences, "; ".join(self.site.offences))
        if self._leaving:
            for task in [task for task, at in self._leaving.items() if self.loop.steps >= at]:
                del self._leaving[task]
                task.cancel()
        if accounts != self._last_seen:
            self._note_changes(accounts)
        for name, run_key, link in self.site.links:
            wanted = accounts.get(name)
            if wanted is None or not wanted.enabled or wanted.run_key != run_key:
                demand(not link.allows(), f"the gate of {name} is open for an unwanted connection")
        if isinstance(self.store, FaultyStore):
            for name in self.store.unsettled:
                demand(self.manager.is_stale(name), f"{name} is unsettled, and not shown as stale")
            for name in self.store.in_flight:
                demand(name in self.manager.pending, f"{name} is being written, and its draft is gone")
                demand(self.manager.locks.holder(name), f"{name} is being written, and its turn was given away")

    def _note_changes(self, accounts: Mapping[str, Account]) -> None:
        for name, account in accounts.items():
            if self._last_seen.get(name) is not account:
                self._last_seen[name] = account
                self.reads.append((name, next(self.clock), account))
                durable = (name, account.generation, account.rev) in self.store.durable.versions
                demand(durable, f"{name} was published before it was durable")
        for name in [name for name in self._last_seen if name not in accounts]:
            del self._last_seen[name]
            self.reads.append((name, next(self.clock), None))
            self.site.refused = {key for key in self.site.refused if key[0] != name}

    def _event_went_out(self, event: Event) -> None:
        if not isinstance(event, AccountChanged):
            return
        entry = event.entry
        shown = self.manager.accounts.get(entry.account_id)
        if "deleted" in entry.changes:
            demand(shown is None, f"{entry.account_id}: the event of its removal went out before it was published")
        else:
            published = shown is not None and shown.generation >= entry.generation
            demand(published, f"{entry.account_id}: an event went out before its change was published")
        self.fanned_out.append(entry)

    # -- at rest -------------------------------------------------------------------------------------------------

    def _stop_faults(self) -> None:
        if isinstance(self.store, FaultySqlite):
            self.store.stop_failing()
        else:
            self.store.weather.clear()
            self.store.read_failures = self.store.observe_failures = 0

    async def until(
        self, condition: Callable[[], bool], sentence: str | Callable[[], str], within: float = TEN_MINUTES
    ) -> None:
        ends_at = self.loop.time() + within
        pause = 0.01
        while not condition():
            if self.loop.time() >= ends_at:
                told = sentence if isinstance(sentence, str) else sentence()
                raise Violation(f"not within {within:g} seconds: {told}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    async def rest(self) -> None:
        """The faults stop; within ten minutes everything is where its owner wants it, or says why not."""
        self.site.all_well()
        self._stop_faults()
        await asyncio.sleep(1.0)
        await self._calls_end()
        await self.until(lambda: self.store.idle and not self.manager.pending, "every change is settled")
        await self.until(
            lambda: all(map(self._is_settled, ACCOUNTS)), lambda: f"every account is settled: {self._unsettled()}"
        )
        await self.until(
            lambda: self.store.idle and not self.manager._task_manager._dirty, "what was observed is stored"
        )
        await judge(self)

    def _unsettled(self) -> str:
        return "; ".join(
            f"{name}: {self.manager.accounts.get(name)} {self.site.live[name]} connections "
            f"{self.manager.tasks[name].observation if name in self.manager.tasks else None}"
            for name in ACCOUNTS
            if not self._is_settled(name)
        )

    def _is_settled(self, name: str) -> bool:
        account, task = self.manager.accounts.get(name), self.manager.tasks.get(name)
        if account is None:
            return task is None and not self.site.live[name]
        if task is None:
            return False
        if self.site.parting[name]:
            return False
        seen = task.observation
        if not account.enabled:
            return seen.state is AccountState.STOPPED and not self.site.live[name]
        if seen.state is AccountState.PARKED:
            return seen.reason in set(ParkReason) and bool(seen.action_url) and not self.site.live[name]
        return seen.state is AccountState.RUNNING and self.site.live[name] == 1
