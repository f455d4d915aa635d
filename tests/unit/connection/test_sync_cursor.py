"""A connection's place in the site's feed: what the site is told when it has none of its own."""

from __future__ import annotations

from random import Random
from typing import Any, cast

from shoal.clock import SiteClock, reading
from shoal.connection.sync_cursor import SyncCursor
from shoal.xianyu.frames import Frame
from shoal.xianyu.identity import FrameNames

NOW_MS = 1_750_000_000_000
HOUR_MS = 3_600_000


class Socket:
    """A site without a place: it takes every one."""

    def __init__(self) -> None:
        self.names = FrameNames(Random(1))
        self.said: list[Any] = []

    async def request(self, frame: Frame, _: float) -> Frame:
        if str(frame["lwp"]).endswith("ackDiff"):
            (said,) = cast("list[object]", frame["body"])
            self.said.append(said)
        return {"code": 200, "body": {}}


class Kept:
    """Stores the place."""

    def __init__(self) -> None:
        self.places: list[tuple[int, int]] = []

    async def keep(self, _: str, pts: int, ahead_ms: int, **_more: bool) -> None:
        self.places.append((pts, ahead_ms))


async def test_a_new_account_begins_now_by_the_clock_of_the_site() -> None:
    socket: Any = Socket()
    kept: Any = Kept()
    with reading(lambda: NOW_MS):
        cursor = SyncCursor("shop", socket, kept, None, site_clock=SiteClock(NOW_MS + HOUR_MS), timeout_seconds=60)
        await cursor.agree()
    assert [(place["pts"], place["timestamp"]) for place in socket.said] == [
        ((NOW_MS + HOUR_MS) * 1000, NOW_MS + HOUR_MS)
    ]
    assert kept.places == [((NOW_MS + HOUR_MS) * 1000, HOUR_MS)]
