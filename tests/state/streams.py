"""The stream of events of a world, and a reader of it who is cut off now and then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from shoal.accounts.events import AccountChanged, Event, EventBus
from shoal.accounts.journal import JournalEntry
from shoal.errors import StoreError
from state.demands import demand

if TYPE_CHECKING:
    from state.world import World


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
