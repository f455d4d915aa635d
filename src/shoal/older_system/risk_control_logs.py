"""When the site asked shops for verification, as scripts for the older system ask for it: a view of incidents."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel

from shoal.accounts.account import ParkReason
from shoal.api.http.caller import Administrator, TheServer
from shoal.api.http.openapi_errors import READING_COMPAT
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example, old_time
from shoal.api.schemas.rules import TheLanguage
from shoal.auth.authorization import Principal
from shoal.language.choice import Language
from shoal.notices.incident_history import Incident, Sight
from shoal.notices.incident_texts import title_of
from shoal.storage.incident_kinds import IncidentKind

routes = Routes(tags=["notices"])

MOST_LOOKED_AT = 10_000
"""How many of the newest incidents of parked accounts are looked at."""
_ROW: dict[str, Any] = {
    "id": 7, "cookie_id": "my-shop", "cookie_name": "my-shop", "event_type": "risk_control",
    "event_description": "店铺“my-shop”需要处理：闲鱼要求验证（风控）", "processing_result": "",
    "processing_status": "processing", "error_message": "", "created_at": "2026-01-02 03:04:05",
    "updated_at": "2026-01-02 03:04:05",
}  # fmt: skip


class RiskControlLog(BaseModel):
    """One time that the site asked for verification; ``processing`` until the account could go on."""

    model_config = example(**_ROW)
    id: int
    cookie_id: str
    cookie_name: str
    event_type: str
    event_description: str
    processing_result: str
    processing_status: Literal["processing", "success"]
    error_message: str
    created_at: str
    updated_at: str


class RiskControlLogs(BaseModel):
    """A part of them, the newest first; ``total`` is how many there are."""

    model_config = example(success=True, data=[_ROW], total=1, limit=100, offset=0)
    success: bool = True
    data: list[RiskControlLog]
    total: int
    limit: int
    offset: int


@routes.get("/risk-control-logs", summary="List verifications (older system)", responses=READING_COMPAT)
@routes.get("/admin/risk-control-logs", include_in_schema=False)
async def list_risk_control_logs(
    server: TheServer,
    me: Administrator,
    language: TheLanguage,
    *,
    cookie_id: Annotated[str | None, Query(description="Only of this account.", examples=["my-shop"])] = None,
    limit: Annotated[int, Query(ge=1, le=1_000, description="Maximum number of rows.")] = 100,
    offset: Annotated[int, Query(ge=0, le=MOST_LOOKED_AT, description="How many newer ones are left out.")] = 0,
) -> RiskControlLogs:
    """List when the site asked an account for verification: of the accounts that the caller may see."""
    mine = [account.id for account in server.authorization.accounts_of(Principal(user=me))]
    sight = Sight(accounts=[one for one in mine if cookie_id in {None, "", one}])
    parked = await server.notices.history.incidents(sight, kind=IncidentKind.PARKED, limit=MOST_LOOKED_AT)
    found = [one for one in parked if one.detail == ParkReason.RISK_CONTROL]
    rows = [_row(one, language) for one in found[offset : offset + limit]]
    return RiskControlLogs(data=rows, total=len(found), limit=limit, offset=offset)


def _row(one: Incident, language: Language) -> RiskControlLog:
    account_id = one.account_id or ""
    title = title_of(one.kind, one.detail, {**one.facts, "shop": account_id}, language)
    changed_at_ms = one.closed_at_ms or one.opened_at_ms
    return RiskControlLog(
        id=one.id,
        cookie_id=account_id,
        cookie_name=account_id,
        event_type=one.detail,
        event_description=title,
        processing_result="",
        processing_status="processing" if one.closed_at_ms is None else "success",
        error_message="",
        created_at=old_time(one.opened_at_ms),
        updated_at=old_time(changed_at_ms),
    )
