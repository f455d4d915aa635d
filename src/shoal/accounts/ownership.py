"""Which machine may run an account, and the fence by which the database refuses the writes of one that no longer may.

A single machine owns all accounts. Several nodes divide the shards among them; a shard changes hands with a higher
epoch.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

SHARDS = 1024
"""How many shards the accounts are spread over. It never changes."""
NOT_OWNER = "not_owner"
"""The code of a write that was refused because the account's shard has changed hands."""


@lru_cache(maxsize=100_000)
def shard_of(account_id: str) -> int:
    """Return the shard of an account: the first 8 bytes of SHA-256 of its id, big-endian, modulo ``SHARDS``."""
    return int.from_bytes(hashlib.sha256(account_id.encode()).digest()[:8], "big") % SHARDS


@dataclass(frozen=True, slots=True, order=True)
class Fence:
    """One node's ownership of a shard: no other node ever has the same epoch of it."""

    shard: int
    epoch: int


class ShardListener(Protocol):
    """Runs the accounts of the shards that this node owns."""

    async def claimed(self, shards: Collection[int]) -> None:
        """Start the accounts of shards that are owned now."""

    async def losing(self, shards: Collection[int]) -> None:
        """End the accounts of shards that are about to be given up. Return when no connection of theirs is left."""

    async def lost(self, shards: Collection[int]) -> None:
        """End the accounts of shards that another node may own already. Return when no connection of theirs is left."""

    def lapsed(self) -> None:
        """Compare every account again: the lease ran out, or is valid again."""


class Ownership(Protocol):
    """Asked before an account is started, before every outgoing frame and call, and for each of its writes."""

    @property
    def is_shared(self) -> bool:
        """Whether other nodes may own accounts of the same database."""

    def owns(self, account_id: str) -> bool:
        """Return whether this process may run the account now."""

    def fence(self, account_id: str) -> Fence | None:
        """Return what the writes of the account's owner are checked against; ``None`` when nothing has to be."""


class LocalOwnership:
    """The only machine: always the owner. The lock on the data directory keeps a second process out of an SQLite file;
    a PostgreSQL database has a lease (``cluster/server_lease.py``)."""

    is_shared = False

    def owns(self, account_id: str) -> bool:  # noqa: ARG002  the port's signature
        """Return ``True``."""
        return True

    def fence(self, account_id: str) -> Fence | None:  # noqa: ARG002  the port's signature
        """Return ``None``: no other node writes."""
        return None


Standing = Callable[[], bool]
"""Whether the life of this node in which something began still goes on, so that it may be committed. It is asked
directly before the COMMIT, on the writer's thread, and may wait for a renewal that is due."""
_BEGAN: ContextVar[tuple[Standing, asyncio.Task[object] | None] | None] = ContextVar("began", default=None)


def always_stands() -> bool:
    """Return ``True``: a single server has one life."""
    return True


def began_in() -> Standing | None:
    """Return the life in which the current request began, where its request says so."""
    began = _BEGAN.get()
    return None if began is None else began[0]


def began_here() -> Standing | None:
    """Return the same in the task of the request itself; ``None`` in tasks that it started, which may outlive it."""
    began = _BEGAN.get()
    return None if began is None or began[1] is not asyncio.current_task() else began[0]


@contextmanager
def beginning_in(life: Standing) -> Iterator[None]:
    """Let the changes and jobs of the block be committed in this life only."""
    token = _BEGAN.set((life, asyncio.current_task()))
    try:
        yield
    finally:
        _BEGAN.reset(token)


_CARRIED: ContextVar[tuple[Fence, ...]] = ContextVar("fences", default=())


def carried_fences() -> tuple[Fence, ...]:
    """Return the fences of the current task: each write that it asks for is refused once one of them has fallen."""
    return _CARRIED.get()


def carry_fence(fence: Fence | None) -> None:
    """Let the current task, and those that it starts, write behind this fence only."""
    _CARRIED.set(() if fence is None else (fence,))


@contextmanager
def carrying(fences: Collection[Fence]) -> Iterator[None]:
    """Let the writes of the block stand behind these fences."""
    token = _CARRIED.set(tuple(fences))
    try:
        yield
    finally:
        _CARRIED.reset(token)
