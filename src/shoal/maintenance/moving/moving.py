"""``Moving``: imports from other systems: a plan shows what would be taken, a run takes it, then it is turned on."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Set
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import msgspec
import structlog
from sqlalchemy import Connection, func, select

from shoal.accounts.change_path import Caller
from shoal.auth.users import Role, User
from shoal.clock import now_ms
from shoal.cluster.turns import Turn
from shoal.concurrency.fair_threads import beside
from shoal.errors import Conflict, ShoalError, StoreError, UnknownAccount
from shoal.goods.goods import Goods
from shoal.goods.unit_texts import folded_unit
from shoal.language.folding import folded
from shoal.maintenance.moving.carry_out import CarryOut, Tools
from shoal.maintenance.moving.old_shop import CardKind, Oddity, OldShop
from shoal.maintenance.moving.plan import Here, Kind, Plan
from shoal.maintenance.moving.plan_rules import PICTURE_NOT_HERE
from shoal.maintenance.moving.run_store import Run, RunState
from shoal.maintenance.moving.whole_plan import make_plan
from shoal.notices.channels import UnknownChannel
from shoal.storage.assistant_tables import ai_providers
from shoal.storage.goods_tables import goods
from shoal.storage.notice_tables import channels
from shoal.storage.order_tables import orders

log = structlog.get_logger("shoal.moving")

CallerOf = Callable[[str], Caller]
"""Returns who turns on an account, with their permission, for its id."""


class StartOutcome(StrEnum):
    """What became of something that was on."""

    ON = "on"
    """It is on now."""
    WAS_ON = "was_on"
    """It was on here already."""
    GONE = "gone"
    """It was removed here."""
    STAYS_OFF = "stays_off"
    """It could do here what it must not. Its owner decides, and turns it on."""
    FAILED = "failed"


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one account or channel when what was on was turned on. ``why``: the code of a failure, or why it
    stays off."""

    kind: Kind
    id: str
    name: str
    outcome: StartOutcome
    why: str = ""


class Moving:
    """Plans imports, runs them one at a time, and turns on what they brought. ``close`` ends the run in progress."""

    def __init__(self, tools: Tools, *, shops_per_owner: int, turn: Turn | None = None) -> None:
        """``turn``: of several servers, one runs an import at a time."""
        self._tools = tools
        self._turn = turn
        self._shops_per_owner = shops_per_owner
        self._is_busy = False
        self._task: asyncio.Task[None] | None = None
        self._running: Run | None = None
        self._done = 0

    async def open(self) -> None:
        """Mark the runs that a crash cut off. A store that takes no writes now does not prevent the start."""
        with suppress(StoreError):
            async with self._taken() as is_mine:
                if is_mine:
                    await self._tools.runs.stop_all(now_ms())

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[bool]:
        """Take the turn for the block; yield whether no other server that lives runs an import."""
        if self._turn is None:
            yield True
            return
        async with self._turn.taken() as is_mine:
            yield is_mine

    async def close(self) -> None:
        """End the run in progress between two steps; the same file goes on with it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    # ── before ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def plan(
        self, old: OldShop, me: User, *, only_user: str = "", pictures: Mapping[str, Path] | None = None
    ) -> Plan:
        """Return what an import would do; nothing is stored. Raises like ``make_plan``."""
        here = replace(
            await self._here(me, {account.id for account in old.accounts}), stocked=await self._stocked(old, me)
        )
        return await beside(make_plan, old, here, only_user=only_user, pictures=pictures)

    async def _stocked(self, old: OldShop, me: User) -> dict[str, list[Goods]]:
        """Return the goods that have a code of the file, of the caller and of the users who are in the file too."""
        stocks = [card.content for card in old.cards if card.kind is CardKind.DATA]
        lines = await beside(lambda: list({folded_unit(line) for text in stocks for line in text.splitlines()} - {""}))
        if not lines:
            return {}
        names = {folded(user.name) for user in old.users}
        owners = {user.id for user in await self._tools.users.list_users() if folded(user.username) in names} | {me.id}
        some = [goods for owner in sorted(owners) for goods in await self._tools.goods.store.list(owner)]
        return await self._tools.goods.imports.places(some, lines)

    async def _here(self, me: User, account_ids: Set[str]) -> Here:
        tools = self._tools
        everybody = await tools.users.list_users()

        def counted(connection: Connection) -> tuple[dict[int, int], dict[int, int], dict[int, int], frozenset[str]]:
            of_goods = select(goods.c.owner_id, func.count()).group_by(goods.c.owner_id)
            new_channels = select(channels.c.id).where(channels.c.version == 1, ~channels.c.active)
            of_channels = select(channels.c.user_id, func.count()).group_by(channels.c.user_id)
            of_providers = select(ai_providers.c.owner_id, func.count()).group_by(ai_providers.c.owner_id)
            return (
                {int(user): int(count) for user, count in connection.execute(of_goods)},
                {int(user): int(count) for user, count in connection.execute(of_channels)},
                {int(user): int(count) for user, count in connection.execute(of_providers)},
                frozenset(map(str, connection.scalars(new_channels))),
            )

        goods_of, channels_of, providers_of, new_channels = await tools.database.read(counted)
        shared = sorted(account_ids & tools.manager.accounts.keys())
        query = select(orders.c.account_id, orders.c.order_id).where(orders.c.account_id.in_(shared))
        known: defaultdict[str, set[str]] = defaultdict(set)
        for account_id, order_id in await tools.database.read(lambda connection: connection.execute(query).all()):
            known[account_id].add(order_id)
        taken = await tools.runs.taken()
        without_picture = await tools.runs.rows_of(PICTURE_NOT_HERE) if shared else frozenset[str]()
        limit = self._shops_per_owner
        return Here(
            caller=me,
            users={folded(user.username): user for user in everybody},
            emails={user.email for user in everybody if user.email},
            accounts=dict(tools.manager.accounts),
            taken=taken,
            most_shops=None if me.role is Role.ADMIN or not limit else limit,
            goods_of=goods_of,
            channels_of=channels_of,
            providers_of=providers_of,
            orders=known,
            new_channels=new_channels,
            without_picture=without_picture,
        )

    # ── the run ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self, plan: Plan, me: User, *, file_name: str = "", origin: str = "") -> Run:
        """Start to carry out a plan. Raises ``Conflict`` (``moving_under_way``) and ``StoreError``."""
        if self._is_busy or (self._task is not None and not self._task.done()):
            raise Conflict("another import runs", code="moving_under_way")
        self._is_busy = True
        async with AsyncExitStack() as turn:
            turn.callback(self._is_free)
            if not await turn.enter_async_context(self._taken()):
                raise Conflict("another server runs an import", code="moving_under_way")
            if self._turn is not None:
                await self._tools.runs.stop_all(now_ms())  # who ran one has died since this server started
            run = await self._tools.runs.begin(me.id, plan, file_name, now_ms())
            held = turn.pop_all()
        self._running, self._done = run, 0
        self._task = asyncio.create_task(self._in_turn(held, run, plan, me, origin), name=f"moving {run.id}")
        self._is_busy = False
        return run

    def _is_free(self) -> None:
        self._is_busy = False

    async def _in_turn(self, turn: AsyncExitStack, run: Run, plan: Plan, me: User, origin: str) -> None:
        async with turn:
            await self._carry_out(run, plan, me, origin)

    async def _carry_out(self, run: Run, plan: Plan, me: User, origin: str) -> None:
        state, why = RunState.STOPPED, "server_ended"
        try:
            await CarryOut(self._tools, run, plan, me, origin=origin, progress=self._progress).everything()
            state, why = RunState.DONE, ""
        except ShoalError as error:
            why = error.code
            log.warning("an import ended early", run=run.id, why=error.code)
        except Exception:  # the run must say that it ended, whatever failed; the log has the cause
            why = "internal_error"
            log.exception("an import failed", run=run.id)
        finally:
            with suppress(StoreError):
                await self._tools.runs.end(run.id, state, now_ms(), why)
            self._running = None

    async def ended(self, me: User, run_id: int) -> Run:
        """Return a run once it is over; it goes on when the caller leaves. Raises ``UnknownImport``."""
        if self._task is not None and self._running is not None and self._running.id == run_id:
            await asyncio.wait({self._task})
        return await self.run(me, run_id)

    def _progress(self, steps: int) -> None:
        self._done += steps

    async def run(self, me: User, run_id: int) -> Run:
        """Return a run of the user, with how far it has come. Raises ``UnknownImport``."""
        return self._seen(await self._tools.runs.get(me.id, run_id))

    async def runs(self, me: User) -> list[Run]:
        """Return the runs of the user, the newest first."""
        return [self._seen(run) for run in await self._tools.runs.all_of(me.id)]

    def _seen(self, run: Run) -> Run:
        if run.state is RunState.DONE:
            return replace(run, done=run.total)
        if self._running is not None and self._running.id == run.id:
            return replace(run, done=min(self._done, run.total))
        return run

    async def oddities(
        self, me: User, run_id: int, *, after: int = 0, limit: int = 100, table: str = "", fate: str = ""
    ) -> list[tuple[int, Oddity]]:
        """Return rows of the report of a run. Raises ``UnknownImport``."""
        await self._tools.runs.get(me.id, run_id)
        return await self._tools.runs.oddities(run_id, after=after, limit=limit, table=table, fate=fate)

    # ── afterwards ──────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self, me: User, run_id: int, *, caller_of: CallerOf) -> list[Started]:
        """Turn on what was on in the old system. It must be stopped: else buyers hear both.

        Raises ``UnknownImport``, and ``Conflict`` (``moving_not_done``) before the run is done.
        """
        run = await self._tools.runs.get(me.id, run_id)
        if run.state is not RunState.DONE:
            raise Conflict("the import is not done", code="moving_not_done")
        taken = await self._tools.runs.taken()
        users = {folded(user.username): user for user in await self._tools.users.list_users()}
        found: Counter[StartOutcome] = Counter()
        started: list[Started] = []
        for one in run.was_on:
            if one.kind is Kind.ACCOUNTS:
                outcome, why = await self._start_account(one.id, caller_of, stays_off=one.stays_off)
            else:
                owner = users.get(one.owner)
                known = {} if owner is None else taken.get((owner.id, one.kind.value), {})
                outcome, why = await self._start_channel(owner, known.get(one.id))
            found[outcome] += 1
            started.append(Started(kind=one.kind, id=one.id, name=one.name, outcome=outcome, why=why))
        await self._tools.runs.note_started(run.id, now_ms())
        log.info("what was on is on", run=run.id, **{name.value: count for name, count in found.items()})
        return started

    async def _start_account(self, account_id: str, caller_of: CallerOf, *, stays_off: str) -> tuple[StartOutcome, str]:
        manager = self._tools.manager
        account = manager.accounts.get(account_id)
        if account is None:
            return StartOutcome.GONE, ""
        if account.enabled:
            return StartOutcome.WAS_ON, ""
        if stays_off:
            return StartOutcome.STAYS_OFF, stays_off
        try:
            caller = replace(caller_of(account_id), wait_seconds=0.0)
            await manager.update_cookie_status(account_id, True, caller=caller)
        except UnknownAccount:
            return StartOutcome.GONE, ""
        except ShoalError as error:
            return StartOutcome.FAILED, error.code
        return StartOutcome.ON, ""

    async def _start_channel(self, owner: User | None, channel_id: str | None) -> tuple[StartOutcome, str]:
        if owner is None or channel_id is None:
            return StartOutcome.GONE, ""
        store = self._tools.channels
        try:
            if (await store.get(owner.id, int(channel_id))).active:
                return StartOutcome.WAS_ON, ""
            await store.change(owner.id, int(channel_id), {"active": True})
        except UnknownChannel:
            return StartOutcome.GONE, ""
        except ShoalError as error:
            return StartOutcome.FAILED, error.code
        return StartOutcome.ON, ""
