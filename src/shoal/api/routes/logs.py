"""The newest log lines, in the REST dialect of the system that sellers come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Literal

from fastapi import Query
from pydantic import BaseModel

from shoal.api.http.caller import Administrator, TheServer, WhoReads
from shoal.api.http.openapi_errors import ASKING, READING, READING_COMPAT
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


class LogFigures(BaseModel):
    """How many lines there are, by level and by logger. There is no file: the log goes to standard error."""

    total_logs: int
    level_counts: dict[str, int]
    source_counts: dict[str, int]
    max_capacity: int = MOST_LINES
    log_file: str = ""


class LogStatsAnswer(BaseModel):
    """Figures of the lines that `GET /logs` lists for the caller."""

    model_config = example(
        success=True, stats={
            "total_logs": 12, "level_counts": {"INFO": 11, "ERROR": 1}, "source_counts": {"shoal.tasks": 12},
            "max_capacity": MOST_LINES, "log_file": "",
        },
    )  # fmt: skip
    success: Literal[True] = True
    stats: LogFigures


class TextLogsAnswer(BaseModel):
    """The newest lines as text, oldest first."""

    model_config = example(
        logs=["2026-01-02T03:04:05.000Z | INFO | shoal.tasks:_move:120 - account state account=my-shop state=running"],
        log_file="", total_lines=1, success=True,
    )  # fmt: skip
    logs: list[str]
    log_file: str = ""
    total_lines: int
    success: Literal[True] = True


class LogFilesAnswer(BaseModel):
    """No files: the log goes to standard error."""

    model_config = example(success=True, files=[])
    success: Literal[True] = True
    files: list[str]


Lines = Annotated[int, Query(ge=1, le=MOST_LINES, description="Maximum number of lines; the newest are returned.")]
OfLevel = Annotated[str | None, Query(max_length=20, description="Only lines of this level.", examples=["ERROR"])]


@routes.get("/logs", summary="List the newest log lines", responses=READING)
async def get_logs(
    server: TheServer,
    who: WhoReads,
    *,
    lines: Lines = 200,
    level: OfLevel = None,
    source: Annotated[
        str | None, Query(max_length=200, description="Only lines whose source contains this text.", examples=["tasks"])
    ] = None,
) -> LogsAnswer:
    """List the log lines about the caller's own accounts; for an administrator also those that name no account.

    Of a line that names another user's account, anywhere in it, an administrator sees time, level, source and place;
    `message` is `***`. Other users do not see such a line, even if the account is shared with them. Cookies, tokens and
    passwords are removed from every line before it is stored. The newest 2000 lines are kept until the process ends.
    """
    return LogsAnswer(logs=_shown(server, who, lines, level=level, source=source))


@routes.get("/logs/stats", summary="Count the newest log lines (older system)", responses=READING)
async def get_log_stats(server: TheServer, who: WhoReads) -> LogStatsAnswer:
    """Count the lines that `GET /logs` lists for the caller, by level and by logger."""
    everything = _administers(who)
    seen = [line for line in NEWEST if everything or (line.accounts and _are_own(server, who, line))]
    figures = LogFigures(
        total_logs=len(seen),
        level_counts=dict(Counter(line.level.upper() for line in seen)),
        source_counts=dict(Counter(line.source for line in seen)),
    )
    return LogStatsAnswer(stats=figures)


@routes.get("/admin/logs", summary="List log lines as text (older system)", responses=READING_COMPAT)
async def get_text_logs(
    server: TheServer, me: Administrator, *, lines: Lines = 100, level: OfLevel = None
) -> TextLogsAnswer:
    """List the newest lines as `GET /logs` does, each as one text."""
    found = _shown(server, Principal(user=me), lines, level=level)
    texts = [f"{one.timestamp} | {one.level} | {one.source}:{one.function}:{one.line} - {one.message}" for one in found]
    return TextLogsAnswer(logs=texts, total_lines=len(texts))


@routes.get("/admin/log-files", summary="List log files (older system)", responses=ASKING)
async def list_log_files(_: Administrator) -> LogFilesAnswer:
    """List no files: the log goes to standard error, and the system keeps it."""
    return LogFilesAnswer(files=[])


def _shown(
    server: Server, who: Principal, most: int, *, level: str | None = None, source: str | None = None
) -> list[LogLineShape]:
    """Return the newest lines for the caller, oldest first."""
    wanted = (
        found
        for found in reversed(list(NEWEST))
        if (not level or found.level.casefold() == level.casefold()) and (not source or source in found.source)
    )
    shown = _to_the_administrator(server, who, wanted) if _administers(who) else _to_the_owner(server, who, wanted)
    return list(islice(shown, most))[::-1]


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
