"""Counts of messages: per time span, and of each account since a moment."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from shoal.api.http.account_filter import OfAccount, asked_for
from shoal.api.http.caller import TheServer, WhoReads, WhoReadsNamed
from shoal.api.http.openapi_errors import READING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.http.timestamps import Moment
from shoal.api.schemas.responses import example, rfc3339
from shoal.clock import now_ms
from shoal.errors import InvalidInput
from shoal.messages.activity import Span, activity

routes = Routes(tags=["messages"])

MOST_SPANS = 1_000
_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS


class ActivitySpan(BaseModel):
    """One time span starting at ``at``: buyers' messages, replies sent, and replies that did not arrive."""

    at: str
    messages: int
    sent: int
    failed: int


class Activity(BaseModel):
    """Equal time spans, oldest first, including empty ones; the last one has not ended yet."""

    model_config = example(
        items=[{"at": "2026-01-02T03:00:00.000Z", "messages": 12, "sent": 11, "failed": 0}], next=None
    )
    items: list[ActivitySpan]
    next: str | None = None


@routes.get("/activity", summary="Count messages over time", responses=READING_ONE)
async def get_activity(
    server: TheServer,
    who: WhoReadsNamed,
    *,
    since: Annotated[
        Moment | None,
        Query(description="Start of the first time span; if omitted, a day ago.", examples=["2026-01-01T00:00:00Z"]),
    ] = None,
    minutes: Annotated[int, Query(ge=1, le=24 * 60, description="Length of a time span, in minutes.")] = 60,
    account_id: OfAccount,
) -> Activity:
    """Count buyers' messages, sent replies, and refused or uncertain replies, in equal time spans."""
    now = now_ms()
    start = now - _DAY_MS if since is None else round(since.timestamp() * 1000)
    if start < 0 or start > now or now - start > MOST_SPANS * minutes * _MINUTE_MS:
        raise InvalidInput(
            f"at most {MOST_SPANS} spans, and none that is yet to come", code="bad_span", limit=MOST_SPANS
        )
    spans = await activity(
        server.database,
        await asked_for(server, who, account_id),
        since_ms=start,
        until_ms=now + 1,
        span_ms=minutes * _MINUTE_MS,
    )
    return Activity(items=[_shape(span) for span in spans])


def _shape(span: Span) -> ActivitySpan:
    return ActivitySpan(at=rfc3339(span.from_ms), messages=span.messages, sent=span.sent, failed=span.failed)


LONGEST_DAYS = 7


class ShopCountShape(BaseModel):
    """One account: buyers' messages, and replies that were sent."""

    account: str
    messages: int
    replies: int


class ShopCountList(BaseModel):
    """The accounts that had messages or replies."""

    model_config = example(items=[{"account": "my-shop", "messages": 212, "replies": 198}], next=None)
    items: list[ShopCountShape]
    next: str | None = None


@routes.get("/activity/shops", summary="Count messages of each account", responses=READING)
async def get_shop_counts(
    server: TheServer,
    who: WhoReads,
    *,
    since: Annotated[
        Moment | None,
        Query(
            description="Start of the count, at most 7 days ago; if omitted, a day ago.",
            examples=["2026-01-02T00:00:00Z"],
        ),
    ] = None,
) -> ShopCountList:
    """Count buyers' messages and sent replies of each account of the caller. The counts may be 10 s old."""
    now = now_ms()
    start = (now - _DAY_MS) // 60_000 * 60_000 if since is None else round(since.timestamp() * 1000)
    if not now - LONGEST_DAYS * _DAY_MS <= start <= now:
        raise InvalidInput(f"at most {LONGEST_DAYS} days ago, and not yet to come", code="bad_count_start")
    names = [account.id for account in server.authorization.accounts_of(who)]
    counts = await server.shop_counts.of(names, start) if names else {}
    rows = [
        ShopCountShape(account=name, messages=counts[name].messages, replies=counts[name].replies)
        for name in names
        if name in counts
    ]
    return ShopCountList(items=rows)
