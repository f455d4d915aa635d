"""Stores what tasks observe: many accounts at a time, the latest of each, with every move of its state."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec
import structlog

from shoal.accounts.account import Observation, StateMove
from shoal.accounts.ownership import NOT_OWNER, Fence, carrying
from shoal.accounts.state_history import StateHistory
from shoal.accounts.store import AccountStore
from shoal.errors import StoreError

log = structlog.get_logger("shoal.tasks")

GATHER_SECONDS = 0.25
"""How long observations are gathered before they are stored together. A park record is stored at once: if a kill lost
it, the next start would ask the site again."""
GROUP_ACCOUNTS = 100
"""How many accounts' observations are stored in one transaction: it takes some 2 ms, and changes of owners wait for
no more than one."""
LAST_WRITE_WAITS_SECONDS = (0.1, 0.5)
"""The waits before the second and the third attempt to store the last observations."""


class _Group(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored together: observations, and the moves of the same accounts."""

    seen: dict[str, Observation]
    moves: list[StateMove]


class ObservationWriter:
    """What waits to be stored, behind the fences of its accounts: what another node owns, that node stores."""

    def __init__(self, store: AccountStore, history: StateHistory, fence: Callable[[str], Fence | None]) -> None:
        self._store = store
        self._history = history
        self._fence = fence
        self.dirty: dict[str, Observation] = {}
        self._dirt = asyncio.Event()
        self._urgent = asyncio.Event()

    def add(self, account_id: str, observation: Observation) -> None:
        """Store it soon; at once if the account is parked, in any state: it may be parked while it stops."""
        self.dirty[account_id] = observation
        self._dirt.set()
        if observation.parked_for is not None:
            self._urgent.set()

    def look(self) -> None:
        """Store moves that came without an observation."""
        self._dirt.set()

    def fences(self, names: Iterable[str]) -> set[Fence]:
        """Return the fences behind which these accounts are written."""
        return {fence for name in names if (fence := self._fence(name)) is not None}

    async def store_last(self) -> None:
        """Store the last observations: a park record that is lost here would be tried again at the next start."""
        groups = self._gathered()
        for wait in (*LAST_WRITE_WAITS_SECONDS, None):
            try:
                await self._store_groups(groups)
            except StoreError as error:
                accounts = sum(len(group.seen) for group in groups)
                log.warning("last observations not stored", why=error.code, accounts=accounts, again=wait)
                if wait is not None:
                    await asyncio.sleep(wait)
            else:
                return

    async def keep(self) -> None:
        """Store observations as they come, many at a time, the latest of each account, with every move."""
        while True:
            await self._dirt.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._urgent.wait()
            self._dirt.clear()
            self._urgent.clear()
            groups = self._gathered()
            try:
                await self._store_groups(groups)
            except StoreError as error:
                self._keep_for_later(groups)
                log.warning("observations not stored", why=error.code)
                await asyncio.sleep(1.0)
            except asyncio.CancelledError:  # the server closes, and the outcome of this write is unknown
                self._keep_for_later(groups)
                raise

    def _gathered(self) -> deque[_Group]:
        """Take what waits to be stored, in groups, each of which is one transaction. Park records come first."""
        seen = dict(self.dirty)
        self.dirty.clear()
        moves = self._history.take()
        names = list(dict.fromkeys([*seen, *moves]))
        names.sort(key=lambda name: name not in seen or seen[name].parked_for is None)
        parts = (names[at : at + GROUP_ACCOUNTS] for at in range(0, len(names), GROUP_ACCOUNTS))
        return deque(
            _Group(
                seen={name: seen[name] for name in part if name in seen},
                moves=[move for name in part for move in moves.get(name, ())],
            )
            for part in parts
        )

    async def _store_groups(self, groups: deque[_Group]) -> None:
        """Store group by group; those that are stored are taken out. Raises ``StoreError``."""
        while groups:
            group = groups[0]
            try:
                with carrying(self.fences([*group.seen, *(move.account_id for move in group.moves)])):
                    await self._store.observe(group.seen, group.moves)
                self._history.stored()
            except StoreError as error:
                if error.code != NOT_OWNER:
                    raise
                await self._store_singly(group)
            except Exception:  # one of them cannot be stored: that must not prevent the others
                log.exception("observations cannot be stored together")
                await self._store_singly(group)
            groups.popleft()

    async def _store_singly(self, group: _Group) -> None:
        """Store each account by itself; the log names those that cannot be stored and are lost."""
        for account_id in dict.fromkeys([*group.seen, *(move.account_id for move in group.moves)]):
            seen = {account_id: group.seen[account_id]} if account_id in group.seen else {}
            try:
                with carrying(self.fences([account_id])):
                    await self._store.observe(seen, [move for move in group.moves if move.account_id == account_id])
            except Exception as error:  # independent of each other
                if not (isinstance(error, StoreError) and error.code == NOT_OWNER):  # else its owner observes it
                    log.exception("an observation is lost", account=account_id)

    def _keep_for_later(self, groups: deque[_Group]) -> None:
        """Queue again what was not (or not certainly) stored; storing it twice is harmless."""
        for group in groups:
            for account_id, observation in group.seen.items():
                self.dirty.setdefault(account_id, observation)
            self._history.put_back(group.moves)
        self._dirt.set()
