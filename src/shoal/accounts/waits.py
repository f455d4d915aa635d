"""Waits for the tasks of changed accounts to start or stop, here or at the node that runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import structlog

from shoal.accounts.account import Observation
from shoal.accounts.callers import LONGEST_WAIT_SECONDS, Caller, Done, Outcome
from shoal.accounts.remote_states import OtherNodes, RemoteStates, Stand
from shoal.accounts.task_manager import TaskManager
from shoal.errors import ShoalError, StoreError

log = structlog.get_logger("shoal.tasks")

PURGED_SECONDS: Final = (0.05, 0.5)
"""First and longest pause between two looks whether another node has purged an account."""


class Waits:
    """Gives each task the time that its caller allows. Nothing goes on for a caller who has left."""

    def __init__(self, tasks: TaskManager, remote: RemoteStates) -> None:
        self._tasks = tasks
        self._remote = remote

    @staticmethod
    def limit(caller: Caller, usual: float) -> float:
        """Return how long the caller waits for a task."""
        return usual if caller.wait_seconds is None else min(caller.wait_seconds, LONGEST_WAIT_SECONDS)

    async def outcome(self, done: Done, caller: Caller, *, wait: float, revive: bool = False) -> Outcome:
        """Give the task time to start or stop (``wait`` is the default). Return its state then.

        ``revive``: wake the task first, whatever it waits for. Raises why the node that runs the account could not do
        so.
        """
        name, limit = done.account.id, self.limit(caller, wait) if wait else 0.0
        ends_at = asyncio.get_running_loop().time() + limit
        observation = None
        if self._tasks.has_place(name):
            if revive:
                self._tasks.revive(name)
                revive = False
            observation = await self._tasks.settled(name, limit)
        if observation is None or not self._tasks.has_place(name):
            rest = max(0.0, ends_at - asyncio.get_running_loop().time())
            stands = {name: Stand(done.rev, done.generation)}
            seen, failures = await self.settled(stands, rest, revive=(name,) if revive else ())
            if revive and name in failures:
                raise failures[name]
            observation = seen[name]
        return Outcome(
            changed=done.changed,
            account=done.account,
            generation=done.generation,
            rev=done.rev,
            observation=observation,
            op_id=done.op_id,
        )

    async def settled(
        self, stands: Mapping[str, Stand], seconds: float, *, revive: Collection[str] = ()
    ) -> tuple[dict[str, Observation], Mapping[str, ShoalError]]:
        """Give all these tasks together this long to start or stop. Return their states, and why the node of an account
        could not be asked.

        An account that moves to another node in the meantime is waited for there.
        """
        loop, has_place = asyncio.get_running_loop(), self._tasks.has_place
        ends_at = loop.time() + seconds
        seen: dict[str, Observation] = {}
        failures: dict[str, ShoalError] = {}
        left, asleep = dict(stands), set(revive)
        while left:
            here = [name for name in left if has_place(name)]
            there = {name: stand for name, stand in left.items() if not has_place(name)}
            for name in asleep.intersection(here):
                self._tasks.revive(name)
            asleep &= there.keys()
            rest = max(0.0, ends_at - loop.time())
            observed, failed = await asyncio.gather(
                self._settled_here(here, rest),
                self._settled_there(there, rest, asleep),
            )
            seen |= observed | {name: self._remote.of(name) for name in there}
            failures = {name: why for name, why in failures.items() if name not in left} | dict(failed)
            asleep &= failed.keys()
            left = {name: stands[name] for name in left if has_place(name) is (name in there)}
            if loop.time() >= ends_at:
                break
        for name in filter(has_place, asleep):  # it came here as the time was over
            self._tasks.revive(name)
        gone = [name for name in left if not has_place(name)]
        await self._remote.look(gone)
        failures = {name: why for name, why in failures.items() if not has_place(name)}
        return seen | {name: self._remote.of(name) for name in gone}, failures

    async def _settled_here(self, names: Sequence[str], seconds: float) -> dict[str, Observation]:
        states = await asyncio.gather(*(self._tasks.settled(name, seconds) for name in names))
        return dict(zip(names, states, strict=True))

    async def _settled_there(
        self, stands: Mapping[str, Stand], seconds: float, revive: Collection[str]
    ) -> Mapping[str, ShoalError]:
        try:
            return await self._remote.settled(stands, seconds, revive=revive, is_here=self._tasks.has_place)
        except StoreError as error:  # the changes are made: what was last known of the tasks is returned
            return dict.fromkeys(stands, error)

    async def wait_until_purged(self, account_id: str, *, within_seconds: float | None = None) -> bool:
        """Wait until a deleted account's connection has ended and its rows are purged, no matter where it ran.

        Return whether that happened in time.
        """
        loop = asyncio.get_running_loop()
        ends_at = None if within_seconds is None else loop.time() + within_seconds
        while self._tasks.has_place(account_id):
            rest = None if ends_at is None else max(0.0, ends_at - loop.time())
            is_gone = await self._tasks.wait_until_purged(account_id, within_seconds=rest)
            if self._tasks.has_place(account_id):
                return is_gone
        return await self._purged_there(account_id, ends_at)

    @staticmethod
    async def _is_purged(nodes: OtherNodes, account_id: str) -> bool:
        try:
            return await nodes.is_purged(account_id)
        except StoreError as error:  # the account is deleted all the same
            log.debug("it is not known whether an account is purged", account=account_id, why=error.code)
            return False

    async def _purged_there(self, account_id: str, ends_at: float | None) -> bool:
        nodes, loop, (pause, longest) = self._remote.nodes, asyncio.get_running_loop(), PURGED_SECONDS
        if nodes is None:
            return True
        while not await self._is_purged(nodes, account_id):
            if ends_at is not None and loop.time() + pause > ends_at:
                return False
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)
        return True
