"""The newest log lines, in the REST dialect of the system that sellers come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel

from shoal.api.http.caller import TheServer, WhoReads
from shoal.api.http.openapi_errors import READING
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example, rfc3339
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.users import Role
from shoal.logs.log_lines import MOST_LINES, NEWEST, LogLine, Named
from shoal.logs.redaction import HIDDEN

routes = Routes(tags=["system"])

_LINE = {
    "timestamp": "2026-01-02T03:04:05.000Z", "level": "INFO", "source": "shoal.tasks", "function": "_move",
    "line": 120, "message": "account state account=my-shop reason= state=running",
}  # fmt: skip


class LogLineShape(BaseModel):
    """One log line: time, level, logger, place in the code, and message."""

    model_config = example(**_LINE)
    timestamp: str
    level: str
    source: str
    function: str
    line: int
    message: str


class LogsAnswer(BaseModel):
    """The lines, oldest first."""

    model_config = example(success=True, logs=[_LINE])
    success: Literal[True] = True
    logs: list[LogLineShape]


@routes.get("/logs", summary="List the newest log lines", responses=READING)
async def get_logs(
    server: TheServer,
    who: WhoReads,
    *,
    lines: Annotated[
        int, Query(ge=1, le=MOST_LINES, description="Maximum number of lines; the newest are returned.")
    ] = 200,
    level: Annotated[
        str | None, Query(max_length=20, description="Only lines of this level.", examples=["ERROR"])
    ] = None,
    source: Annotated[
        str | None, Query(max_length=200, description="Only lines whose source contains this text.", examples=["tasks"])
    ] = None,
) -> LogsAnswer:
    """List the log lines about the caller's own accounts; for an administrator also those that name no account.

    Of a line that names another user's account, anywhere in it, an administrator sees time, level, source and place;
    `message` is `***`. Other users do not see such a line, even if the account is shared with them. Cookies, tokens and
    passwords are removed from every line before it is stored. The newest 2000 lines are kept until the process ends.
    """
    wanted = (
        found
        for found in reversed(list(NEWEST))
        if (not level or found.level.casefold() == level.casefold()) and (not source or source in found.source)
    )
    shown = _to_the_administrator(server, who, wanted) if _administers(who) else _to_the_owner(server, who, wanted)
    return LogsAnswer(logs=list(islice(shown, lines))[::-1])


def _administers(who: Principal) -> bool:
    return who.user.role is Role.ADMIN and who.token is None


def _to_the_owner(server: Server, who: Principal, lines: Iterable[LogLine]) -> Iterator[LogLineShape]:
    for line in lines:
        if line.accounts and _are_own(server, who, line):
            yield _shape(line)


def _to_the_administrator(server: Server, who: Principal, lines: Iterable[LogLine]) -> Iterator[LogLineShape]:
    everywhere = frozenset().union(server.manager.accounts, *(line.accounts for line in NEWEST))
    others = Named(
        account_id
        for account_id in everywhere
        if (account := server.manager.accounts.get(account_id)) is None or account.owner_id != who.id
    )
    for line in lines:
        is_clear = _are_own(server, who, line) if line.accounts else True
        yield _shape(line, hidden=not is_clear or others.are_in(line.message))


def _are_own(server: Server, who: Principal, line: LogLine) -> bool:
    return all(_is_own(server, who, account_id, line.at_ms) for account_id in line.accounts)


def _is_own(server: Server, who: Principal, account_id: str, at_ms: int) -> bool:
    """Return whether the account belongs to the caller, and did when the line was written."""
    account = server.manager.accounts.get(account_id)
    return (
        account is not None and account.owner_id == who.id and who.covers(account_id) and at_ms >= account.created_at_ms
    )


def _shape(line: LogLine, *, hidden: bool = False) -> LogLineShape:
    return LogLineShape(
        timestamp=rfc3339(line.at_ms),
        level=line.level.upper(),
        source=line.source,
        function=line.function,
        line=line.line,
        message=HIDDEN if hidden else line.message,
    )
