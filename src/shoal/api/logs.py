"""The newest log lines about the caller's own accounts: the route of the system that sellers come from."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from shoal.access import Principal
from shoal.api.caller import TheServer, WhoReads
from shoal.api.documented import READING
from shoal.api.shapes import example, rfc3339
from shoal.log_lines import MOST_LINES, NEWEST, LogLine
from shoal.server import Server
from shoal.users import Role

routes = APIRouter(tags=["system"])

_LINE = {
    "timestamp": "2026-01-02T03:04:05.000Z", "level": "INFO", "source": "shoal.tasks", "function": "_move",
    "line": 120, "message": "account state account=my-shop reason= state=running",
}  # fmt: skip


class LogLineShape(BaseModel):
    """One line: when, how grave, who wrote it and where, and what."""

    model_config = example(**_LINE)
    timestamp: str
    level: str
    source: str
    function: str
    line: int
    message: str


class LogsAnswer(BaseModel):
    """The lines, the oldest first."""

    model_config = example(success=True, logs=[_LINE])
    success: Literal[True] = True
    logs: list[LogLineShape]


@routes.get("/logs", summary="Read the newest log lines", responses=READING)
async def get_logs(
    server: TheServer,
    who: WhoReads,
    *,
    lines: Annotated[int, Query(ge=1, le=MOST_LINES, description="How many at most, the newest.")] = 200,
    level: Annotated[str | None, Query(max_length=20, description="Only of this level.", examples=["ERROR"])] = None,
    source: Annotated[
        str | None, Query(max_length=200, description="Only with this in the source.", examples=["tasks"])
    ] = None,
) -> LogsAnswer:
    """What this process logged about the caller's own accounts; an administrator also reads what names no account.

    Lines about accounts of others are for their owners alone, also where they are shared. Cookies, tokens and
    passwords are taken out of every line before it is kept; the newest 2000 are kept, until the process ends.
    """
    wanted = (
        found
        for found in reversed(list(NEWEST))
        if (not level or found.level.casefold() == level.casefold())
        and (not source or source in found.source)
        and _may_read(server, who, found)
    )
    return LogsAnswer(logs=[_shape(found) for found in reversed(list(islice(wanted, lines)))])


def _may_read(server: Server, who: Principal, line: LogLine) -> bool:
    if not line.accounts:
        return who.user.role is Role.ADMIN and who.token is None
    return all(_is_own(server, who, account_id, line.at_ms) for account_id in line.accounts)


def _is_own(server: Server, who: Principal, account_id: str, at_ms: int) -> bool:
    """Whether the account is theirs, and was when the line was written."""
    account = server.manager.accounts.get(account_id)
    return (
        account is not None and account.owner_id == who.id and who.covers(account_id) and at_ms >= account.created_at_ms
    )


def _shape(line: LogLine) -> LogLineShape:
    return LogLineShape(
        timestamp=rfc3339(line.at_ms),
        level=line.level.upper(),
        source=line.source,
        function=line.function,
        line=line.line,
        message=line.message,
    )
