"""The follower: reads the journal of several nodes in the order of its stream, and publishes what it finds.

There is one on each node. A hint of another node wakes it; it looks every second in any case, so a lost hint costs a
second. It takes no account's lock: a snapshot is replaced by a higher generation only. Events of changes come from here
alone, those of this node's own changes too, so that every node publishes them in the same order.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from shoal.accounts.journal_stream import JournalStream, SettledIds, StreamPage, StreamPlace
from shoal.accounts.published import PublishedAccounts
from shoal.errors import StoreError

log = structlog.get_logger("shoal.follower")

POLL_SECONDS: Final = 1.0
STALE_SECONDS: Final = 10.0
"""After so long without an answer of the database the snapshots are too old to be shown as those of now."""
LEAST_PAUSE_SECONDS: Final = 0.01
"""Changes that come within this time are read together."""
WAITING_SECONDS: Final = 0.02
"""When to look again for an entry that waits for an older transaction."""
PAGE: Final = 500
_REMEMBERED: Final = 10_000
"""Of how many entries that passed the place is known without a look into the database."""
_LOOKED_FOR: Final = 500
"""How many of them are looked for in a database that is another one."""


class Follower:
    """Owns one task, from ``start`` to ``close``. ``place`` is how far everything was published."""

    def __init__(
        self,
        stream: JournalStream,
        published: PublishedAccounts,
        *,
        poll_seconds: float = POLL_SECONDS,
        lost: Callable[[], None] | None = None,
    ) -> None:
        """``lost`` is called when the database does not have any more what was published, and the following ends."""
        self.stream = stream
        self._published = published
        self._poll_seconds = poll_seconds
        self._news = asyncio.Event()
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lost = lost
        self._life = ""
        self._passed: OrderedDict[int, None] = OrderedDict()
        self._read_at = time.monotonic()
        self._waiting: tuple[int, float] | None = None
        self._is_well = True
        self.place = StreamPlace()
        self.settled = SettledIds(published.events.position)
        """How far the streams of events can be read by their ids without missing one."""
        self.on_settled: Callable[[], object] | None = None
        """Called after each look that showed more of them."""

    @property
    def age_seconds(self) -> float:
        """How old the published snapshots may be."""
        return time.monotonic() - self._read_at

    @property
    def is_stale(self) -> bool:
        """Whether they are too old."""
        return self.age_seconds > STALE_SECONDS

    @property
    def lag_seconds(self) -> float:
        """How long the next committed entry has been waiting for an older transaction; 0 when none waits."""
        return 0.0 if self._waiting is None else time.monotonic() - self._waiting[1]

    def start(self, place: StreamPlace) -> None:
        """Follow from that place on. Call it after the accounts were loaded."""
        self.place = place
        self._read_at = time.monotonic()
        self._task = asyncio.create_task(self._follow(), name="follower")

    def wake(self) -> None:
        """Look now: something was committed."""
        self._news.set()

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def passed(self, rev: int, *, within_seconds: float) -> bool:
        """Wait until the entry with that rev is published here. Return whether it is; ``True`` for one that was
        pruned. Raises ``StoreError``."""
        if rev in self._passed or rev == self.place.rev:
            return True
        goal = await self.stream.place_of(rev)
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                while goal is not None and goal > self.place:
                    self._moved.clear()
                    self.wake()
                    await self._moved.wait()
        return goal is None or goal <= self.place

    # -- the task ------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        while True:
            self._news.clear()
            began = time.monotonic()
            try:
                page = await self.stream.read(self.place, limit=PAGE)
                if page.seen is not None and page.seen.life != self._life and await self._has_lost(page.seen.life):
                    return
                self._take(page)
                self._settle(page)
            except StoreError as error:
                self._note(well=False, why=error.code)
                await asyncio.sleep(self._poll_seconds)
                continue
            except Exception:  # a defect must not end the following: it would show in the readiness alone
                log.exception("the stream met a defect")
                await asyncio.sleep(self._poll_seconds)
                continue
            self._read_at = began
            self._note(well=True)
            if page.is_last:
                await asyncio.sleep(LEAST_PAUSE_SECONDS)
                is_behind = page.waiting is not None or self._hurries
                await self._pause(WAITING_SECONDS if is_behind else self._poll_seconds)

    async def _has_lost(self, life: str) -> bool:
        """Return whether the database, which is another one, lacks what was published. Raises ``StoreError``."""
        if self._life and self._lost is not None:
            known = {name: (account.generation, account.rev) for name, account in self._published.accounts.items()}
            if await self.stream.lacks(known, list(self._passed)[-_LOOKED_FOR:]):
                self._lost()
                return True
        self._life = life
        return False

    @property
    def _hurries(self) -> bool:
        """Whether somebody wants to know soon how far everything is decided."""
        return self.settled.waits and (not self.settled.is_known or self._published.events.readers > 0)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    def _note(self, *, well: bool, why: str = "") -> None:
        if well is not self._is_well:
            self._is_well = well
            if well:
                log.info("the changes of other nodes are read again")
            else:
                log.warning("the changes of other nodes cannot be read", why=why)

    def _settle(self, page: StreamPage) -> None:
        before = self.settled.position, self.settled.is_known
        if page.seen is not None:
            self.settled.note(page.seen)
        if (self.settled.position, self.settled.is_known) != before and self.on_settled is not None:
            self.on_settled()

    def _take(self, page: StreamPage) -> None:
        """Publish the accounts first, then the entries: who receives an entry finds its snapshot or a newer one.

        Of an account that is gone only the deletion itself is followed: it may be on a later page.
        """
        last = {entry.account_id: entry for entry in page.entries}
        for account_id, entry in last.items():
            account = page.accounts.get(account_id)
            if account is not None:
                self._published.follow(account_id, account, account.generation)
            elif entry.is_deletion:
                self._published.follow(account_id, None, entry.generation)
        for entry, place in zip(page.entries, page.places, strict=True):
            self._published.publish_entry(entry)
            self.place = place
            self._passed[entry.rev] = None
        while len(self._passed) > _REMEMBERED:
            self._passed.popitem(last=False)
        if page.waiting is None:
            self._waiting = None
        elif self._waiting is None or self._waiting[0] != page.waiting:
            self._waiting = (page.waiting, time.monotonic())
        if page.entries:
            self._moved.set()
