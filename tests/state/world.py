"""A world under proof: the real manager, a store, a site, callers; watched at every step, judged at rest."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Hashable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random
from typing import Any, TypeVar

from shoal.accounts.account import Account, AccountState, ParkReason, RunKey
from shoal.accounts.account_task import Link
from shoal.accounts.change_path import Caller
from shoal.accounts.cookie_manager import CookieManager, Outcome
from shoal.accounts.edits import all_rules
from shoal.accounts.events import AccountChanged, Event, EventBus
from shoal.accounts.journal import JournalEntry, fold, projection
from shoal.accounts.published import PublishedAccounts
from shoal.config import Settings, load_settings
from shoal.errors import ActionRequired, ShoalError, StoreError, TemporaryFailure
from standins import cookie_of
from state.faulty_stores import FaultySqlite, FaultyStore
from state.linearizability import Operation, linearization
from state.model import CHANGED, FOOTPRINTS, UNCHANGED, Call, ModelAccount, Read, apply, full_rules, model_of, seen_as
from state.virtual_loop import VirtualLoop, interrupted

T = TypeVar("T")

TEN_MINUTES = 600.0
LONGEST_CALL_SECONDS = 120.0
"""No caller waits longer than the lock, the database and the task together may take."""

ACCOUNTS = ("ann", "bob", "cyd", "dan")
NUMBERS = {name: number for number, name in enumerate(ACCOUNTS, start=1)}


class Violation(AssertionError):
    """An invariant of the contract does not hold."""


def demand(condition: object, sentence: str) -> None:
    """Hold the contract to its word."""
    if not condition:
        raise Violation(sentence)


@cache
def settings() -> Settings:
    """The defaults: on a virtual clock nobody minds five minutes."""
    return load_settings()


# -- the site ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Climate:
    """How connections of one account fare."""

    mode: str = "fine"
    """``fine``, ``crash``, ``temporary``, ``owner``, ``end`` or ``hang`` (never registers)."""
    start_seconds: float = 0.0
    farewell_seconds: float = 0.0
    stuck: bool = False
    """Ignores its cancellation for as long as this holds."""


class Site:
    """Where connections live. It keeps count of them and of the gate."""

    def __init__(self) -> None:
        self.climates: dict[str, Climate] = {name: Climate() for name in ACCOUNTS}
        self.live: dict[str, int] = dict.fromkeys(ACCOUNTS, 0)
        self.started = 0
        self.links: list[tuple[str, RunKey, Link]] = []
        self.refused: set[tuple[str, RunKey]] = set()
        """What only an owner can bring back: it must not come by itself."""
        self.offences: list[str] = []
        self.parting: dict[str, int] = dict.fromkeys(ACCOUNTS, 0)
        """How many connections are saying farewell: their accounts are about to move."""
        self._broken: dict[str, asyncio.Event] = {}
        self._released: dict[str, asyncio.Event] = {}

    async def connect(self, account: Account, link: Link) -> None:
        """One connection, as its account's climate is."""
        name = account.id
        if (name, account.run_key) in self.refused:
            self.offences.append(f"{name} is parked, and was tried again")
        self.live[name] += 1
        if self.live[name] > 1:
            self.offences.append(f"{name} has {self.live[name]} connections")
        self.started += 1
        self.links.append((name, account.run_key, link))
        try:
            await self._converse(account, link, self.climates[name])
        except ActionRequired:
            self.refused.add((name, account.run_key))
            raise
        finally:
            self.live[name] -= 1
            self.links.remove((name, account.run_key, link))

    async def _converse(self, account: Account, link: Link, climate: Climate) -> None:
        broken = self._broken[account.id] = asyncio.Event()
        try:
            await asyncio.sleep(climate.start_seconds)
            await self._live(link, climate.mode, broken)
        finally:
            self.parting[account.id] += 1
            try:
                await self._part(account.id, self.climates[account.id])
            finally:
                self.parting[account.id] -= 1

    @staticmethod
    async def _live(link: Link, mode: str, broken: asyncio.Event) -> None:
        if mode == "owner":
            raise ActionRequired("risk_control", action_url="https://site.example/verify")
        if mode == "temporary":
            raise TemporaryFailure("come back later")
        if mode == "crash":
            raise RuntimeError("boom")
        if mode == "hang":
            await broken.wait()
        if mode != "end":
            link.running()
            link.received(message=True)
            await broken.wait()
            raise TemporaryFailure("the link was lost")

    async def _part(self, name: str, climate: Climate) -> None:
        if climate.stuck:
            released = self._released.setdefault(name, asyncio.Event())
            while not released.is_set():
                try:
                    await released.wait()
                except asyncio.CancelledError:
                    continue
        if climate.farewell_seconds:
            await asyncio.shield(asyncio.sleep(climate.farewell_seconds))

    def break_link(self, name: str) -> None:
        """The running connection of that account is lost."""
        if name in self._broken:
            self._broken[name].set()

    def set_climate(self, name: str, climate: Climate) -> None:
        """From now on connections fare like this. Those that hang are lost; those that were stuck part."""
        before, self.climates[name] = self.climates[name], climate
        if before.mode == "hang":
            self.break_link(name)
        if not climate.stuck and name in self._released:
            self._released.pop(name).set()

    def all_well(self) -> None:
        """No more faults."""
        for name in ACCOUNTS:
            self.set_climate(name, Climate())


# -- the stream --------------------------------------------------------------------------------------------------


class WatchedBus(EventBus):
    """Sees each event at the moment when it goes out."""

    def __init__(self, judge: Callable[[Event], None]) -> None:
        super().__init__()
        self._judge = judge

    def publish(self, event: Event) -> None:
        self._judge(event)
        super().publish(event)


async def read_on(world: World, cursor: int) -> list[JournalEntry]:
    """The journal beyond a cursor, however often it takes."""
    while True:
        try:
            return await world.store.journal(after_rev=cursor)
        except StoreError:
            await asyncio.sleep(1.0)


async def follow(world: World, bus: EventBus, cursor: int, limit: int, cuts: Random) -> None:
    """A reader of the stream who resumes where it was after every cut and every reset, and checks what it gets."""
    got = world.followed
    while True:
        with bus.subscribe(limit) as subscription:
            for entry in await read_on(world, cursor):
                cursor = entry.rev
                got.append(cursor)
            for _ in range(cuts.randint(1, 4)):
                events = await subscription.take()
                demand(bool(events) != subscription.lost, "a listener that lost nothing was given nothing")
                if subscription.lost:
                    break
                for event in events:
                    if isinstance(event, AccountChanged) and event.entry.rev > cursor:
                        cursor = event.entry.rev
                        got.append(cursor)


# -- the world ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Said:
    """What a caller was told, of one account."""

    call: Call
    account: str
    op_id: str
    answer: Hashable
    began: int
    ended: int


@dataclass(slots=True)
class Figures:
    """What was explored."""

    groups: int = 0
    calls: int = 0
    callbacks: int = 0
    choices: int = 0
    rests: int = 0
    reads: int = 0
    schedules: int = 0
    cancellations: int = 0
    answers: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        counts = {name: getattr(self, name) for name in self.__slots__ if name != "answers"}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) + f"; answers {self.answers}"


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
        self._clock = itertools.count()
        self._calls: set[asyncio.Task[None]] = set()
        self._leaving: dict[asyncio.Task[Any], int] = {}
        self.suspensions = 0
        self.stamps: dict[str, tuple[int, int]] = {}
        self.said: list[Said] = []
        self.reads: list[tuple[str, int, Account | None]] = []
        self._last_seen: dict[str, Account] = {}
        self.returned: list[Account] = []
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
        self._opened_at = self.manager.newest_rev
        self.followed = []
        cuts = Random(self._seed)
        self._follower = asyncio.create_task(follow(self, self._bus, self._opened_at, cuts.randint(2, 40), cuts))
        self._last_seen = dict(self.manager.accounts)
        self.loop.after_step = self._look

    async def restart(self) -> None:
        """Close the manager, whatever is going on, and open another one on the same store."""
        await self.manager.close()
        known = set(self.site.refused)  # of what a connection learns after the close nobody is left to hear
        self.site.all_well()
        await self._until(lambda: not any(self.site.live.values()), "every connection ends when the manager closes")
        await self._calls_end()
        await self._until(lambda: self.store.idle, "the store comes to rest")
        self._stop_faults()
        self._check_stream(await self.store.journal(), followed=False)
        await self._dismiss_follower()
        self.site.refused &= known
        if self.store.lost_observations:
            self.site.refused.clear()
            self.store.lost_observations = False
        self.loop.after_step = None
        self.manager = self._new_manager()
        await self._open()
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
        """Somebody calls, beside whoever else does."""
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
        """Nobody does anything."""
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
        began = next(self._clock)
        self._note_reads()
        answers = await self._attempt(call, caller)
        if call.again:
            again = await self._attempt(replace(call, cancel_at=0, cancel_step=0), replace(caller, repeats=True))
            answers = {name: _told_twice(op_id, answers[name], again[name]) for name in call.accounts}
        self._note_reads()
        ended = next(self._clock)
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
            demand(call.cancel_at or call.cancel_step, "a call was cancelled that nobody cancelled")
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
            answers[account] = GONE  # removed meanwhile
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
        for name in ACCOUNTS:
            self.reads.append((name, next(self._clock), self.manager.accounts.get(name)))

    def _look(self) -> None:
        """Between any two callbacks: what any reader would see now must be right."""
        accounts = self.manager.accounts
        self.figures.reads += 1
        demand(not self.site.offences, "; ".join(self.site.offences))
        for task in [task for task, at in self._leaving.items() if self.loop.steps >= at]:
            del self._leaving[task]
            task.cancel()
        for name, account in accounts.items():
            if self._last_seen.get(name) is not account:
                self._last_seen[name] = account
                self.reads.append((name, next(self._clock), account))
                durable = (name, account.generation, account.rev) in self.store.durable.versions
                demand(durable, f"{name} was published before it was durable")
        for name in [name for name in self._last_seen if name not in accounts]:
            del self._last_seen[name]
            self.reads.append((name, next(self._clock), None))
            self.site.refused = {key for key in self.site.refused if key[0] != name}
        for name, run_key, link in self.site.links:
            wanted = accounts.get(name)
            if wanted is None or not wanted.enabled or wanted.run_key != run_key:
                demand(not link.allows(), f"the gate of {name} is open though nobody wants this connection")
        if isinstance(self.store, FaultyStore):
            for name in self.store.unsettled:
                demand(self.manager.is_stale(name), f"{name} is unsettled, and nobody says so")
            for name in self.store.in_flight:
                demand(name in self.manager.pending, f"{name} is being written, and its draft is gone")
                turns = self.manager.locks._turns.get(name)
                demand(turns and turns.holder, f"{name} is being written, and its turn was given away")

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

    async def _until(
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
        await self._until(lambda: self.store.idle and not self.manager.pending, "every change is settled")
        await self._until(
            lambda: all(map(self._is_settled, ACCOUNTS)), lambda: f"every account is settled: {self._unsettled()}"
        )
        await self._until(
            lambda: self.store.idle and not self.manager._task_manager._dirty, "what was observed is stored"
        )
        await self.judge()

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

    async def judge(self) -> None:
        """Invariants 1 to 5, 7, 9 and 13, of everything since the last time."""
        self.figures.rests += 1
        demand(not self.loop.complaints, f"the loop complained: {self.loop.complaints}")
        demand(not self.manager.pending, "a draft was left behind")
        demand(len(self.manager.locks) == 0, "a lock is held, or was leaked")
        demand(not any(map(self.manager.is_stale, ACCOUNTS)), "an account is stale at rest")
        contents, journal = await self.store.load(), await self.store.journal()
        accounts = dict(self.manager.accounts)
        demand(accounts == dict(contents.accounts), "what is published is not what is stored")
        folded = fold(journal)
        demand(
            folded == {name: projection(account) for name, account in accounts.items()},
            "what is published is not what the journal says",
        )
        demand(len({entry.op_id for entry in journal}) == len(journal), "an op was carried out twice")
        if isinstance(self.store, FaultySqlite):
            rows = {name: (account.generation, account.rev, account.enabled) for name, account in accounts.items()}
            demand(self.store.rows() == rows, "the rows are not what is published")
        demand([entry.rev for entry in journal] == sorted({entry.rev for entry in journal}), "revs do not rise")
        demand(self.manager.newest_rev == max((entry.rev for entry in journal), default=0), "the newest rev is old")
        for name, seen in contents.observations.items():
            task = self.manager.tasks[name].observation
            demand((seen.state, seen.parked_for) == (task.state, task.parked_for), f"{name} is observed otherwise")
        await self._until(
            lambda: len(self.followed) == len(journal) - self._revs_before(journal), "readers catch up", 60
        )
        self._check_stream(journal, followed=True)
        self._check_footprints(journal)
        made = {entry.op_id: (entry.generation, entry.rev) for entry in journal}
        demand(all(made.get(op_id) == stamp for op_id, stamp in self.stamps.items()), "an answer names another change")
        self.stamps.clear()
        self._check_versions(journal)
        await self._check_answers({entry.op_id: entry for entry in journal})
        self._check_histories(accounts, journal)

    def _revs_before(self, journal: list[JournalEntry]) -> int:
        return sum(entry.rev <= self._opened_at for entry in journal)

    def _check_stream(self, journal: list[JournalEntry], *, followed: bool) -> None:
        since = [entry for entry in journal if entry.rev > self._opened_at]
        demand(
            [entry.rev for entry in self.fanned_out] == [entry.rev for entry in since],
            f"the stream is not the journal: {[entry.rev for entry in self.fanned_out]}",
        )
        demand(
            [entry.op_id for entry in self.fanned_out] == [entry.op_id for entry in since],
            "an event differs from its journal row",
        )
        if followed:
            demand(self.followed == [entry.rev for entry in since], f"a reader got {self.followed}")

    @staticmethod
    def _check_footprints(journal: list[JournalEntry]) -> None:
        for entry in journal:
            allowed = FOOTPRINTS.get(entry.op_id.partition("-")[0])
            demand(allowed is None or entry.changes.keys() <= allowed, f"{entry.op_id} touched {sorted(entry.changes)}")

    def _check_versions(self, journal: list[JournalEntry]) -> None:
        """Every value that was ever read, or returned, is a committed one."""
        versions: dict[tuple[str, int], dict[str, Any]] = {}
        histories: dict[str, list[JournalEntry]] = {}
        for entry in journal:
            history = histories.setdefault(entry.account_id, [])
            history.append(entry)
            living = fold(history).get(entry.account_id)
            if living is not None:
                versions[entry.account_id, entry.generation] = {**living, "rev": entry.rev}
        for account in [*(account for _, _, account in self.reads if account is not None), *self.returned]:
            committed = versions.get((account.id, account.generation))
            demand(
                committed == projection(account),
                f"{account.id} was shown at generation {account.generation} as it never was",
            )
        self.returned.clear()

    async def _check_answers(self, journal: dict[str, JournalEntry]) -> None:
        """What callers were told is what became of it; who was told nothing gets the true outcome now."""
        now = next(self._clock)
        kept: list[Said] = []
        fates: dict[str, set[bool]] = {}
        for said in self.said:
            record = await self.store.op(said.op_id)
            applied = record is not None
            if said.answer in UNSURE:
                said.ended = now
                if record is not None:
                    said.answer = CHANGED if record.changed else UNCHANGED
                    kept.append(said)
            elif said.answer in {CHANGED, UNCHANGED}:
                demand(record is not None, f"{said.op_id} was acknowledged and is not there")
                demand(
                    (said.op_id in journal) == (said.answer == CHANGED), f"{said.op_id}: {said.answer}, says the answer"
                )
                kept.append(said)
            else:
                demand(
                    not applied and said.op_id not in journal, f"{said.op_id} failed ({said.answer}) and left a trace"
                )
                if said.answer not in _NO_VERDICT and said.call.kind != "atomic":
                    kept.append(said)
            if said.call.kind == "atomic":
                fates.setdefault(said.op_id.partition(":")[0], set()).add(applied)
        for op_id, fate in fates.items():
            demand(len(fate) == 1, f"{op_id} was applied in part")
        self.said = kept

    def _check_histories(self, accounts: dict[str, Account], journal: list[JournalEntry]) -> None:
        for name in ACCOUNTS:
            operations: list[Operation[Call | Read]] = [
                Operation(call=said.call, answer=said.answer, began=said.began, ended=said.ended)
                for said in self.said
                if said.account == name
            ]
            operations += [
                Operation(call=Read(), answer=seen_as(account), began=at, ended=at)
                for account_name, at, account in self.reads
                if account_name == name
            ]
            found = linearization(operations, self.start[name], apply)
            demand(found is not None, f"the history of {name} has no order: {_told(operations)}")
            generation = max((entry.generation for entry in journal if entry.account_id == name), default=0)
            account = accounts.get(name)
            number = 0 if account is None else int(account.unb) - 2200000000000
            self.start[name] = model_of(account, number, generation)
        self.said.clear()
        self.reads.clear()


def _told_twice(op_id: str, first: Hashable, second: Hashable) -> Hashable:
    """What both answers to one op come to."""
    if first in {CHANGED, UNCHANGED}:
        allowed = second in {first, "unknown_account"} or second in _NO_VERDICT or second in UNSURE
        demand(allowed, f"{op_id} was answered {first}, and then {second}")
        return first
    if second in {CHANGED, UNCHANGED} or (first == second and first not in _NO_VERDICT):
        return second
    return GONE


GONE = "gone"
"""Nobody was told anything."""
UNSURE = frozenset({GONE, "outcome_unknown"})
_NO_VERDICT = {"not_applied", "lock_timeout", "store_degraded", "store_closed", "store_error"}
"""Answers that any call may get at any time."""


def _told(operations: list[Operation[Call | Read]]) -> str:
    return "\n".join(
        f"{operation.began}-{operation.ended} {operation.call} -> {operation.answer}"
        for operation in sorted(operations, key=lambda operation: operation.began)
    )
