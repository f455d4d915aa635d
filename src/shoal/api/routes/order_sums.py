"""Sums of orders by day, shop or item, and the orders as a file."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import Query, Request
from fastapi.responses import StreamingResponse

from shoal.api.http.account_filter import OfAccount, asked_for
from shoal.api.http.caller import AcceptLanguage, TheServer, WhoReadsNamed
from shoal.api.http.disconnects import while_here
from shoal.api.http.openapi_errors import READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.http.table_files import file_headers
from shoal.api.routes.order_filters import Sought
from shoal.api.schemas.order_sums import OrderSumsShape, order_sums_shape
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.clock import now_ms
from shoal.errors import InvalidInput
from shoal.language.choice import language_of
from shoal.orders.order_export import OrderFile, file_of
from shoal.orders.order_lists import SoughtOrders
from shoal.orders.order_sums import DAY_MS, MOST_DAYS, By, order_sums
from shoal.rules.schedule import DEFAULT_TIMEZONE, day_began_ms
from shoal.sheets.csv_rows import CSV
from shoal.sheets.xlsx import XLSX

routes = Routes(tags=["orders"])

_DAYS: Final = 30
"""How many days are summed when the request names no beginning."""
_FILES: Final[dict[int | str, dict[str, Any]]] = {
    **READING_ONE,
    200: {
        "description": "The file",
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in (CSV, XLSX)},
    },
}

Zone = Annotated[
    str,
    Query(
        max_length=64,
        description="Whose days and times are meant. If omitted, those of `account`, else of Shanghai.",
        examples=["Asia/Shanghai"],
    ),
]


@routes.get("/orders/sums", summary="Sum orders", responses=READING_ONE)
async def sum_orders(
    request: Request,
    server: TheServer,
    who: WhoReadsNamed,
    *,
    by: Annotated[By, Query(description="What the sums are by.")] = By.DAY,
    account_id: OfAccount,
    sought: Sought,
    tz: Zone = "",
) -> OrderSumsShape:
    """Sum the orders of the caller's accounts that were received from `since` to `until`, the last 30 days otherwise.

    By day at most 400 days are summed.
    """
    account_ids = await asked_for(server, who, account_id)
    zone = _zone_of(server, account_id, tz)
    until_ms = now_ms() + 1 if sought.until_ms is None else sought.until_ms
    since_ms = sought.since_ms
    if since_ms is None:
        since_ms = day_began_ms(zone.key, max(0, until_ms - 1 - (_DAYS - 1) * DAY_MS))
    if by is By.DAY and until_ms - since_ms > (MOST_DAYS + 1) * DAY_MS:
        raise InvalidInput("too many days", code="too_many_days", limit=MOST_DAYS)
    narrow = replace(sought, since_ms=since_ms, until_ms=until_ms)
    job = partial(order_sums, account_ids=account_ids, sought=narrow, by=by, zone=zone)
    found = await while_here(request, server.database.search(job))
    return order_sums_shape(found, by, zone.key, since_ms, until_ms)


@routes.get("/orders/export", summary="Export orders", response_class=StreamingResponse, responses=_FILES)
async def export_orders(
    request: Request,
    server: TheServer,
    who: WhoReadsNamed,
    *,
    form: Annotated[Literal["csv", "xlsx"], Query(alias="format", description="The kind of the file.")] = "csv",
    account_id: OfAccount,
    sought: Sought,
    tz: Zone = "",
    accept_language: AcceptLanguage = None,
) -> StreamingResponse:
    """Return the orders of the caller's accounts as a CSV or Excel file, shop by shop, newest first; at most 100,000.

    Numbers of orders, items and buyers are texts. In a CSV file a tab stands before long ones, so that programs that
    open it do not round them.
    """
    shops = {name: _name_of(server, name) for name in await asked_for(server, who, account_id)}
    until_ms = now_ms() + 1 if sought.until_ms is None else sought.until_ms  # later orders are not in the file
    narrow: SoughtOrders = replace(sought, until_ms=until_ms)
    file = OrderFile(shops, narrow, language_of(accept_language), _zone_of(server, account_id, tz), file_of(form))
    await while_here(request, file.checked(server.database.search))
    headers = {**file_headers(f"orders_{now_ms() // 1000}.{form}"), "Cache-Control": "no-store"}
    return StreamingResponse(
        file.chunks(server.database.search, _check_of(server, who, shops)),
        media_type=XLSX if form == "xlsx" else CSV,
        headers=headers,
    )


def _check_of(server: Server, who: Principal, shops: Collection[str]) -> Callable[[], None]:
    """Return a check that raises ``UnknownAccount`` once the caller may not read all of these accounts any more."""
    seen = server.authorization.version

    def check() -> None:
        nonlocal seen
        if seen != server.authorization.version:
            for name in shops:
                server.authorization.require(who, name, Permission.READ)
            seen = server.authorization.version

    return check


def _zone_of(server: Server, account_id: str | None, tz: str) -> ZoneInfo:
    """Return the zone that is meant. Raise ``InvalidInput`` (``bad_timezone``)."""
    account = server.manager.accounts.get(account_id) if account_id is not None else None
    name = tz or (account.timezone if account is not None else "") or DEFAULT_TIMEZONE
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise InvalidInput("there is no such time zone", code="bad_timezone") from None


def _name_of(server: Server, account_id: str) -> str:
    """Return the name by which the owner knows a shop."""
    account = server.manager.accounts.get(account_id)
    given = account.name if account is not None else ""
    return given or server.manager.observation(account_id).seller_name or account_id
