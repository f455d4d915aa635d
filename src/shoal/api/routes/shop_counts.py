"""Messages and replies of each account since a moment."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from shoal.api.http.caller import TheServer, WhoReads
from shoal.api.http.openapi_errors import READING
from shoal.api.http.routing import Routes
from shoal.api.http.timestamps import Moment
from shoal.api.schemas.responses import example
from shoal.clock import now_ms
from shoal.errors import InvalidInput

routes = Routes(tags=["messages"])

LONGEST_DAYS = 7
_DAY_MS = 24 * 3_600_000


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
