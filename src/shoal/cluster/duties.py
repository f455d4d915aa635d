"""What is done once for the whole database, however many servers share it: the owner of a fixed shard does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

import structlog

from shoal.accounts.ownership import NOT_OWNER, Fence, ShardListener, carry_fence
from shoal.cluster.cluster_ownership import ClusterOwnership
from shoal.errors import StoreError

log = structlog.get_logger("shoal.duties")

AGAIN_SECONDS: Final = (1.0, 60.0)
"""First and longest wait before a duty that failed is begun again."""

Work = Callable[[], Coroutine[Any, Any, None]]
End = Callable[[], Awaitable[None]]


class Duty(StrEnum):
    """The work that is done once for the whole database."""

    NOTICES = "notices"
    WEBHOOKS = "webhooks"
    RETENTION = "retention"
    WORD_INDEX = "word_index"
    KEYS = "keys"
    USER_REMOVAL = "user_removal"
    SNOOZES = "snoozes"
    WAITING_ORDERS = "waiting_orders"
    """Reports paid orders that wait for long."""
    FIGURES = "figures"
    """Shows the figures of the database to Prometheus."""


SHARD_OF: Final = MappingProxyType(
    {
        Duty.NOTICES: 0,
        Duty.WEBHOOKS: 0,
        Duty.RETENTION: 300,
        Duty.WORD_INDEX: 300,
        Duty.KEYS: 600,
        Duty.USER_REMOVAL: 900,
        Duty.SNOOZES: 0,
        Duty.WAITING_ORDERS: 600,
        Duty.FIGURES: 300,
    }
)
"""A shard is never changed: servers of an older version go by it too."""


class Duties(Protocol):
    """Does the work of a duty where, and as long as, this server certainly is the one to do it."""

    def owns(self, duty: Duty) -> bool:
        """Return whether this server certainly is the one that does it now."""

    def keep(self, duty: Duty, work: Work) -> End:
        """Do the work from now on, whenever this server is the one to do it. Return what ends that.

        ``work`` is cancelled when this server no longer is, and called again when it is once more; what it writes
        stands behind the fence of the duty's shard. Work that returns is done until the next claim.
        """


class LocalDuties:
    """The duties of a single server: all of them, from ``keep`` on."""

    def __init__(self, owned: Callable[[], bool]) -> None:
        """``owned`` returns whether no other server has taken the database over."""
        self._owned = owned

    def owns(self, duty: Duty) -> bool:  # noqa: ARG002  the port's signature
        """Return whether this server still has the database."""
        return self._owned()

    def keep(self, duty: Duty, work: Work) -> End:
        """Do the work at once, until it is ended."""
        task = asyncio.create_task(_until_done(duty, work), name=f"duty:{duty}")

        async def end() -> None:
            task.cancel()
            await asyncio.wait({task})

        return end


class ClusterDuties:
    """The duties of one of several servers; a ``ShardListener``, notified of the shards that it claims and loses."""

    def __init__(self, ownership: ClusterOwnership) -> None:
        self._ownership = ownership
        self._kept: dict[Duty, _Kept] = {}
        self._given_up: set[int] = set()
        """Shards that are about to be given up, while they are still owned."""

    def owns(self, duty: Duty) -> bool:
        """Return whether the duty's shard is this server's, and the lease certainly valid."""
        shard = SHARD_OF[duty]
        return shard not in self._given_up and self._ownership.owns_shard(shard)

    def keep(self, duty: Duty, work: Work) -> End:
        """Do the work whenever the duty's shard is this server's."""
        kept = self._kept[duty] = _Kept(duty, work)
        self._compare(kept)

        async def end() -> None:
            del self._kept[duty]
            await kept.end()

        return end

    async def claimed(self, shards: Collection[int]) -> None:
        """Begin the duties of these shards."""
        self._given_up.difference_update(shards)
        for kept in self._of(shards):
            self._compare(kept)

    async def losing(self, shards: Collection[int]) -> None:
        """End the duties of these shards. Return when nothing of them is under way."""
        self._given_up.update(shards)
        await asyncio.gather(*(kept.end() for kept in self._of(shards)))

    async def lost(self, shards: Collection[int]) -> None:
        """End the duties of these shards: another server may do them already, and nothing of theirs is stored here."""
        await asyncio.gather(*(kept.end() for kept in self._of(shards)))

    def lapsed(self) -> None:
        """End what may not be done while the lease has run out; begin it again when it is valid again."""
        for kept in self._kept.values():
            self._compare(kept)

    def _of(self, shards: Collection[int]) -> list[_Kept]:
        return [kept for duty, kept in self._kept.items() if SHARD_OF[duty] in shards]

    def _compare(self, kept: _Kept) -> None:
        if not self.owns(kept.duty):
            kept.cancel()
        elif kept.fence != (fence := self._ownership.shard_fence(SHARD_OF[kept.duty])):
            kept.begin(fence)


class _Kept:
    """The work of one duty, and the fence behind which it is done now."""

    def __init__(self, duty: Duty, work: Work) -> None:
        self.duty = duty
        self.fence: Fence | None = None
        self._work = work
        self._tasks: set[asyncio.Task[None]] = set()
        """The one that works, and those before it that have not ended yet."""

    def begin(self, fence: Fence) -> None:
        """Do the work behind this fence, once what was under way before has ended."""
        self.cancel()
        self.fence = fence
        task = asyncio.create_task(self._do(fence, set(self._tasks)), name=f"duty:{self.duty}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _do(self, fence: Fence, before: set[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        carry_fence(fence)
        log.info("duty begun", duty=self.duty, shard=fence.shard, epoch=fence.epoch)
        await _until_done(self.duty, self._work)

    def cancel(self) -> None:
        """Cancel what is under way."""
        self.fence = None
        for task in self._tasks:
            task.cancel()

    async def end(self) -> None:
        """Cancel what is under way, and wait until it has ended."""
        self.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks))


async def _until_done(duty: Duty, work: Work) -> None:
    """Do the work until it returns, this server does not own its shard any more, or the store is closed."""
    wait, longest = AGAIN_SECONDS
    while True:
        try:
            return await work()
        except StoreError as error:
            if error.code in {NOT_OWNER, "store_closed"}:
                return None
            log.warning("a duty could not be done, trying again", duty=duty, why=error.code, wait_seconds=wait)
        except Exception:  # a defect must not end the duty for good
            log.exception("a duty met a defect", duty=duty)
        await asyncio.sleep(wait)
        wait = min(wait * 2, longest)


class InTurn:
    """Several listeners as one: each learns of claimed shards after the one before has begun; of losses at once."""

    def __init__(self, listeners: Iterable[ShardListener]) -> None:
        self._listeners = tuple(listeners)

    async def claimed(self, shards: Collection[int]) -> None:
        """Notify one after the other."""
        for listener in self._listeners:
            await listener.claimed(shards)

    async def losing(self, shards: Collection[int]) -> None:
        """Return when nothing of these shards is under way at any."""
        await asyncio.gather(*(listener.losing(shards) for listener in self._listeners))

    async def lost(self, shards: Collection[int]) -> None:
        """Return when nothing of these shards is under way at any."""
        await asyncio.gather(*(listener.lost(shards) for listener in self._listeners))

    def lapsed(self) -> None:
        """Let each compare."""
        for listener in self._listeners:
            listener.lapsed()
