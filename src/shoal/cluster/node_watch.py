"""Reads, and asks for, what other nodes observe of the accounts that they run."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec
import structlog
from sqlalchemy import Connection, text

from shoal.accounts.account import OBSERVED_FIELDS, Observation
from shoal.accounts.ownership import shard_of
from shoal.accounts.remote_states import MOVING, RemoteState, Stand, Watched
from shoal.cluster.node_calls import AnswerLost, NodeCalls, OwnerAway
from shoal.cluster.node_rows import NOW
from shoal.errors import ShoalError
from shoal.storage.among import among
from shoal.storage.database import Database
from shoal.storage.history_tables import observed
from shoal.storage.observation_rows import OBSERVED, observations_in

log = structlog.get_logger("shoal.calls")

WATCH: Final = "watch"
NAMES_AT_ONCE: Final = 200
"""How many accounts one call asks about."""
READ_SECONDS: Final = 1.0
"""How long a read waits for an answer."""
ANSWER_SECONDS: Final = 3.0
"""How much longer than its wait for the tasks a call may take: the node may have to read the change first."""
SILENT_SECONDS: Final = 2.0
"""How long reads show what a node has stored that gave no answer, before one of them asks it again."""
_OWNERS: Final = text(f"""
    SELECT shards.shard, nodes.name FROM shards
    JOIN nodes ON nodes.name = shards.owner AND nodes.inc = shards.owner_inc
    WHERE shards.shard = ANY(CAST(:shards AS integer[])) AND NOT nodes.dead AND nodes.expires_at_ms >= {NOW}
""")  # noqa: S608  no value from a request is in it
_UNPURGED: Final = text("SELECT 1 FROM accounts WHERE id = :id AND deleted AND NOT purged")
_NOTHING_SEEN: Final = Observation()


class NodeWatch:
    """The ``OtherNodes`` of a node. It remembers which node ran a shard; one that does not run it any more says so."""

    def __init__(self, database: Database, calls: NodeCalls) -> None:
        self._database = database
        self._calls = calls
        self._owners: dict[int, str] = {}
        self._silent: dict[str, tuple[float, ShoalError]] = {}
        """Until when a node that gave no answer is not asked again only to see, and why."""

    @property
    def me(self) -> str:
        """Return the name of this node."""
        return self._calls.me[0]

    @property
    def lease_seconds(self) -> float:
        """Return how long a node may run its accounts after it was seen to."""
        return self._calls.lease_seconds

    async def stored(self, names: Collection[str]) -> Mapping[str, RemoteState]:
        """Return what is stored of accounts, with the living node that runs each. Raises ``StoreError``."""

        def job(connection: Connection) -> dict[str, RemoteState]:
            owners = {shard: node for shard, node in read_owners(connection, names).items() if node != self.me}
            seen = observations_in(connection, OBSERVED.where(among(observed.c.account_id, names)))
            return {name: RemoteState(seen.get(name, _NOTHING_SEEN), owners.get(shard_of(name), "")) for name in names}

        return await self._database.read(job)

    async def is_purged(self, account_id: str) -> bool:
        """Return whether no row of a deleted account is left to be purged. Raises ``StoreError``."""
        return await self._database.read(
            lambda connection: connection.execute(_UNPURGED, {"id": account_id}).first() is None
        )

    async def watched(self, stands: Mapping[str, Stand], *, revive: Collection[str], within_seconds: float) -> Watched:
        """Ask the nodes that run these accounts, all at once, what they observe (see ``OtherNodes``)."""
        await self._find_owners(stands)
        seen: dict[str, RemoteState] = {}
        failures: dict[str, ShoalError] = {}
        parts: defaultdict[str, list[str]] = defaultdict(list)
        for name in stands:
            node = self._owners.get(shard_of(name), "")
            if node in {"", self.me}:
                self._owners.pop(shard_of(name), None)
                failures[name] = OwnerAway("the account is moving", code=MOVING)
            else:
                parts[node].append(name)

        async def ask(node: str, some: list[str]) -> None:
            reported = await self._reported_by(node, {name: stands[name].rev for name in some}, revive, within_seconds)
            if isinstance(reported, ShoalError):
                failures.update(dict.fromkeys(some, reported))
            else:
                seen.update(reported)
            for name in some:
                if name not in seen:
                    self._owners.pop(shard_of(name), None)
                    failures.setdefault(name, OwnerAway("the account is moving", code=MOVING))

        pieces = [
            (node, some[at : at + NAMES_AT_ONCE])
            for node, some in parts.items()
            for at in range(0, len(some), NAMES_AT_ONCE)
        ]
        await asyncio.gather(*(ask(node, some) for node, some in pieces))
        return Watched(seen, failures)

    async def _reported_by(
        self, node: str, revs: Mapping[str, int], revive: Collection[str], within_seconds: float
    ) -> dict[str, RemoteState] | ShoalError:
        """Return what a node reports, or why it reports nothing. One that was silent is not asked again at once only to
        see."""
        now = asyncio.get_running_loop().time()
        until, before = self._silent.get(node, (0.0, None))
        woken = [name for name in revs if name in revive]
        if before is not None and now < until and not within_seconds and not woken:
            return before
        body = {"revs": revs, "revive": woken, "seconds": within_seconds}
        try:
            seconds = within_seconds + ANSWER_SECONDS if within_seconds or woken else READ_SECONDS
            answer = await self._calls.ask_node(node, WATCH, body, seconds=seconds)
            seen = _read_states(answer, node)
        except ShoalError as error:
            self._silent[node] = (now + within_seconds + SILENT_SECONDS, error)
            return error
        self._silent.pop(node, None)
        return seen

    async def _find_owners(self, names: Collection[str]) -> None:
        unknown = [name for name in names if shard_of(name) not in self._owners]
        if unknown:
            self._owners |= await self._database.read(lambda connection: read_owners(connection, unknown))


def read_owners(connection: Connection, names: Collection[str]) -> dict[int, str]:
    """Return the living nodes that run these accounts, by their shards."""
    shards = sorted({shard_of(name) for name in names})
    return {row.shard: row.name for row in connection.execute(_OWNERS, {"shards": shards})}


def _read_states(answer: Mapping[str, Any], node: str) -> dict[str, RemoteState]:
    """Return observations as another node sent them. Raises ``AnswerLost`` for what only a newer version understands:
    the node has not reported it then."""
    try:
        seen = msgspec.convert(answer.get("seen"), dict[str, Observation])
    except msgspec.ValidationError as error:
        log.warning("what a node observes is not understood", node=node, why=str(error))
        raise AnswerLost("the answer is not understood", code="node_silent", node=node) from None
    return {name: RemoteState(observation, node) for name, observation in seen.items()}


def facts_of(observation: Observation) -> dict[str, Any]:
    """Return the facts of an observation, as one node sends them to another: those that are not as usual."""
    usual = _NOTHING_SEEN
    return {name: value for name in OBSERVED_FIELDS if (value := getattr(observation, name)) != getattr(usual, name)}
