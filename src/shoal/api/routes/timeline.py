"""The states that an account was in, and its uptime."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from shoal.accounts.account import AccountState
from shoal.accounts.state_history import Interval, intervals, uptime
from shoal.api.http.caller import ReadAccount, TheServer
from shoal.api.http.openapi_errors import READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.http.timestamps import Moment
from shoal.api.routes.history import Cursor, Limit
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.responses import example, rfc3339
from shoal.clock import now_ms

routes = Routes(tags=["history"])

DAY_MS = 24 * 3600 * 1000
WEEK_MS = 7 * DAY_MS

Since = Annotated[
    Moment | None,
    Query(
        description="Only states that ended after this time; if omitted, a week ago.",
        examples=["2026-01-01T00:00:00Z"],
    ),
]


class StretchShape(BaseModel):
    """One period in one state; ``until`` is null while it lasts."""

    state: AccountState
    reason: str
    since: str
    until: str | None


class UptimeShape(BaseModel):
    """The share (0 to 1) of the enabled time in which the account ran; null if it was not enabled."""

    day: float | None
    week: float | None


class Timeline(BaseModel):
    """States, newest first."""

    model_config = example(
        items=[
            {"state": "running", "reason": "", "since": "2026-01-02T03:04:05.000Z", "until": None},
            {
                "state": "retrying", "reason": "temporary_failure", "since": "2026-01-02T03:04:01.000Z",
                "until": "2026-01-02T03:04:05.000Z",
            },
        ],
        uptime={"day": 0.9998, "week": 0.9971},
        next=None,
    )  # fmt: skip
    items: list[StretchShape]
    uptime: UptimeShape
    next: str | None


@routes.get("/cookies/{cid}/timeline", summary="List past states of an account", responses=READING_ONE)
async def get_timeline(
    account: ReadAccount, server: TheServer, since: Since = None, cursor: Cursor = None, limit: Limit = 50
) -> Timeline:
    """List the account's states, newest first, and its uptime of the last day and week.

    Uptime counts the time in which the account was enabled and this machine owned it, or was down.
    """
    now = now_ms()
    start, left = place_of(cursor, 2) if cursor else (_moment(since, now), None)
    moves = await server.store.timeline(account.id, since_ms=min(start, now - WEEK_MS))
    stretches = [stretch for stretch in intervals(moves, now) if stretch.to_ms > start]
    end = len(stretches) if left is None else min(left, len(stretches))
    begin = max(0, end - limit)
    newest = stretches[-1] if stretches else None
    return Timeline(
        items=[_shape(stretch, is_over=stretch is not newest) for stretch in reversed(stretches[begin:end])],
        uptime=UptimeShape(
            day=_share(uptime(moves, since_ms=now - DAY_MS, now_ms=now)),
            week=_share(uptime(moves, since_ms=now - WEEK_MS, now_ms=now)),
        ),
        next=cursor_of(start, begin) if begin else None,
    )


def _moment(since: datetime | None, now: int) -> int:
    return now - WEEK_MS if since is None else max(0, round(since.timestamp() * 1000))


def _shape(stretch: Interval, *, is_over: bool) -> StretchShape:
    return StretchShape(
        state=stretch.state,
        reason=stretch.reason,
        since=rfc3339(stretch.from_ms),
        until=rfc3339(stretch.to_ms) if is_over else None,
    )


def _share(share: float | None) -> float | None:
    return None if share is None else round(share, 4)
