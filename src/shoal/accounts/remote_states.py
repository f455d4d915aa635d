"""``RemoteStates``: what other nodes observe of the accounts that they run, as far as this node knows it.

A node that is asked about one account asks the node that runs it, which also waits for it to start or stop. Lists show
what that node stored: it does so within a quarter of a second, and one statement reads it of all accounts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from shoal.accounts.account import AccountState, Observation
from shoal.clock import now_ms
from shoal.errors import ShoalError, StoreError

log = structlog.get_logger("shoal.tasks")

FRESH_SECONDS: Final = (0.25, 2.0)
"""How long at least, and at most, what is stored is shown without reading it again: its owner gathers as long before it
stores. In between, four times as long as the last reading took: that of 3,000 accounts takes some 80 ms."""
PUSHED_SECONDS: Final = 2.0
"""How long what an owner pushed counts more than what it stored: that may be older."""
MOVING: Final = "owner_changing"
"""The code of the failure to ask about an account that no node runs at that moment."""
READ_SECONDS: Final = 1.0
"""How long a list waits for what is stored, before it shows what was known."""
LONGEST_CALL_SECONDS: Final = 10.0
"""How long one call waits for an account; longer waits are several calls."""
AGAIN_SECONDS: Final = (0.2, 1.0)
"""First and longest pause before a node is asked again that gave no answer."""


class RemoteState(msgspec.Struct, frozen=True):
    """The last known observation of an account, and the name of the node that runs it; empty when none does now."""

    observation: Observation
    node: str = ""


class Stand(NamedTuple):
    """The last change of an account that a node knows."""

    rev: int
    generation: int


@dataclass(frozen=True, slots=True)
class Watched:
    """What nodes reported of accounts; ``failures``: why nothing was reported of the others."""

    seen: Mapping[str, RemoteState] = field(default_factory=dict)
    failures: Mapping[str, ShoalError] = field(default_factory=dict)


class OtherNodes(Protocol):
    """How a node learns what others observe."""

    @property
    def me(self) -> str:
        """Return the name of this node."""

    @property
    def lease_seconds(self) -> float:
        """Return how long a node certainly may run its accounts after it was seen to."""

    async def stored(self, names: Collection[str]) -> Mapping[str, RemoteState]:
        """Return what is stored of existing accounts, with the living node that runs each. Raises ``StoreError``."""

    async def watched(self, stands: Mapping[str, Stand], *, revive: Collection[str], within_seconds: float) -> Watched:
        """Ask the nodes that run accounts, once each, what they observe, after at most this wait for their tasks.

        Each node first waits until it knows these changes too. Those of ``revive`` are woken there, whatever they wait
        for. Raises ``StoreError``.
        """

    async def is_purged(self, account_id: str) -> bool:
        """Return whether no row of a deleted account is left to be purged. Raises ``StoreError``."""


class _Known:
    __slots__ = ("at", "is_pushed", "node", "observation")

    def __init__(self, observation: Observation, node: str, *, at: float, is_pushed: bool) -> None:
        self.observation = observation
        self.node = node
        self.at = at
        self.is_pushed = is_pushed
        """Whether the node that runs it pushed it, rather than stored it."""


class RemoteStates:
    """Holds what is known of accounts that run at other nodes. A single server has none."""

    def __init__(self, nodes: OtherNodes | None = None) -> None:
        self.nodes = nodes
        self._known: dict[str, _Known] = {}
        self._fresh_seconds = FRESH_SECONDS[0]
        self._unknown = Observation(state=AccountState.ELSEWHERE, since_ms=now_ms())
        """What is returned for an account of which nothing is known."""
        self.version = 0
        """Rises with each observation, or node, that differs."""

    def of(self, account_id: str) -> Observation:
        """Return the last known observation; its state is ``elsewhere`` when no node is known to run it."""
        known = self._known.get(account_id)
        return self._unknown if known is None else known.observation

    def node_of(self, account_id: str) -> str:
        """Return the node that is known to run the account, or nothing."""
        known = self._known.get(account_id)
        return "" if known is None else known.node

    def note_pushed(self, account_id: str, observation: Observation, node: str) -> None:
        """Keep what the node that runs the account pushed just now."""
        self._keep(account_id, RemoteState(observation, node), at=asyncio.get_running_loop().time(), is_pushed=True)

    def remember(self, seen: Mapping[str, Observation]) -> None:
        """Keep what was stored when this node started; which nodes run these accounts is not known yet."""
        for account_id, observation in seen.items():
            self._keep(account_id, RemoteState(observation), at=0.0, is_pushed=False)

    def forget(self, names: Iterable[str]) -> None:
        """Drop what is known of accounts that run here now, or are deleted."""
        for account_id in names:
            if self._known.pop(account_id, None) is not None:
                self.version += 1

    def _keep(self, account_id: str, state: RemoteState, *, at: float, is_pushed: bool) -> None:
        observation = state.observation
        if not state.node and observation.state is not AccountState.ELSEWHERE:
            observation = _nowhere(observation)
        known = self._known.get(account_id)
        if known is None:
            self._known[account_id] = _Known(observation, state.node, at=at, is_pushed=is_pushed)
            self.version += 1
            return
        known.at, known.is_pushed = at, is_pushed
        if known.node != state.node or known.observation != observation:  # an equal one stays: answers are kept by it
            known.node, known.observation = state.node, observation
            self.version += 1

    # -- what is stored --------------------------------------------------------------------------------------------

    async def look(self, names: Iterable[str]) -> None:
        """Read what is stored of accounts that run elsewhere, unless that was just done. After a failure what was last
        known is shown for as long as a lease is valid (see ``_let_go``)."""
        now = asyncio.get_running_loop().time()
        due = [name for name in names if not self._is_fresh(name, now)]
        if not due or self.nodes is None:
            return
        try:
            async with asyncio.timeout(READ_SECONDS):
                await self.read(due)
        except (StoreError, TimeoutError) as error:
            log.debug("states of other nodes are not read", why=getattr(error, "code", "timeout"))
            self._let_go(due)

    async def read(self, names: Collection[str]) -> None:
        """Read what is stored of accounts that run elsewhere. Raises ``StoreError``."""
        if self.nodes is None:
            return
        began = asyncio.get_running_loop().time()
        found = await self.nodes.stored(names)
        took = asyncio.get_running_loop().time() - began
        self._fresh_seconds = min(max(4 * took, FRESH_SECONDS[0]), FRESH_SECONDS[1])
        for name in names:
            known, state = self._known.get(name), found.get(name, RemoteState(self._unknown))
            if known is not None and known.at > began - (PUSHED_SECONDS if known.is_pushed and state.node else 0.0):
                continue
            self._keep(name, state, at=began, is_pushed=False)

    def _let_go(self, names: Iterable[str]) -> None:
        """Hold accounts that cannot be read for run by no node when they were last seen longer ago than a lease is
        valid: the node that ran them may have lost it since. They are elsewhere since they were last seen. Of a
        disabled one nothing more needs to be known: it stays stopped."""
        if self.nodes is None:
            return
        now, lease = asyncio.get_running_loop().time(), self.nodes.lease_seconds
        for name in names:
            known = self._known.get(name)
            if known is None or not known.node or known.observation.state is AccountState.STOPPED:
                continue
            if now - known.at > lease:
                seen_ms = now_ms() - round((now - known.at) * 1000)
                self._keep(name, RemoteState(_nowhere(known.observation, seen_ms)), at=known.at, is_pushed=False)

    def _is_fresh(self, account_id: str, now: float) -> bool:
        known = self._known.get(account_id)
        return known is not None and now - known.at < self._fresh_seconds

    # -- what its node reports -------------------------------------------------------------------------------------

    async def observe(self, account_id: str, stand: Stand) -> ShoalError | None:
        """Ask the node that runs the account what it observes now. Return why it did not answer.

        What is stored is known then. Raises ``StoreError``.
        """
        failures = await self.settled({account_id: stand}, 0.0, ask=True)
        return failures.get(account_id)

    async def settled(
        self,
        stands: Mapping[str, Stand],
        seconds: float,
        *,
        revive: Collection[str] = (),
        is_here: Callable[[str], bool] = lambda _: False,
        ask: bool = False,
    ) -> Mapping[str, ShoalError]:
        """Give the tasks of accounts that run elsewhere this long to start or stop, and keep what is observed then.

        Without any time their nodes are not asked, unless some are to be revived or ``ask`` says so: what is stored is
        read. What is stored also counts while a node gives no answer. An account that runs here in the meantime is no
        longer waited for. Return why nothing was reported of an account, or it was not revived; also of one that came
        here. Raises ``StoreError``.
        """
        if self.nodes is None or not stands:
            return {}
        if not seconds and not revive and not ask:
            await self.look(stands)
            return {}
        try:
            return await self._asked(self.nodes, stands, seconds, revive, is_here)
        except StoreError:
            self._let_go(name for name in stands if not is_here(name))
            raise

    async def _asked(
        self,
        nodes: OtherNodes,
        stands: Mapping[str, Stand],
        seconds: float,
        revive: Collection[str],
        is_here: Callable[[str], bool],
    ) -> Mapping[str, ShoalError]:
        """Ask the nodes that run accounts until all are settled, or the time is over (see ``settled``)."""
        loop = asyncio.get_running_loop()
        ends_at, (pause, longest) = loop.time() + seconds, AGAIN_SECONDS
        left, failures = dict(stands), dict[str, ShoalError]()
        while left:
            within = min(max(0.0, ends_at - loop.time()), LONGEST_CALL_SECONDS)
            watched = await nodes.watched(left, revive=set(revive) & left.keys(), within_seconds=within)
            for name, state in watched.seen.items():
                self.note_pushed(name, state.observation, state.node)
                failures.pop(name, None)
            revive = set(revive) - watched.seen.keys()
            failures.update(watched.failures)
            if watched.failures:
                await self.read(watched.failures.keys())
            left = {
                name: stand
                for name, stand in left.items()
                if not is_here(name) and (name in revive or not self._is_settled(name, stand, watched))
            }
            if not left or loop.time() >= ends_at:
                break
            if watched.failures:
                await asyncio.sleep(min(pause, max(0.0, ends_at - loop.time())))
                pause = min(pause * 2, longest)
        return failures

    def _is_settled(self, account_id: str, stand: Stand, watched: Watched) -> bool:
        """Return whether its node reported so, or stored so and cannot be asked. Of one that moves, the node before it
        stored something else."""
        known = self._known.get(account_id)
        if known is None or not known.observation.state.settled:
            return False
        failure = watched.failures.get(account_id)
        if failure is None or failure.code == MOVING:
            return failure is None
        return bool(known.node) and known.observation.observed_generation >= stand.generation


def _nowhere(observation: Observation, since_ms: int | None = None) -> Observation:
    """Return the observation of an account that no node runs; what is known of its seller and its login stays."""
    since_ms = observation.since_ms if since_ms is None else since_ms
    return observation.evolve(
        state=AccountState.ELSEWHERE,
        reason="",
        detail="",
        since_ms=since_ms,
        next_attempt_at_ms=None,
        crash_loop=False,
    )
