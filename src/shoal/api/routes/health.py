"""The health of the server, and figures of its account locks."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Literal

import psutil
from fastapi import Response
from pydantic import BaseModel

from shoal.accounts.follower import Follower
from shoal.api.http.caller import TheServer, WhoReads
from shoal.api.http.openapi_errors import READING
from shoal.api.http.route_rules import ANYBODY
from shoal.api.http.routing import Routes
from shoal.api.schemas.responses import example
from shoal.api.server import Server

routes = Routes(tags=["system"])

PROBE_SECONDS = 2.0
LONGEST_SOUND_HOLD_SECONDS = 60.0
"""A lock held longer than any deadline of the server means that the manager hangs."""

LONGEST_LAG_SECONDS = 5.0
"""A transaction that is open for longer than this holds up what several servers send each other."""

Word = Literal["ok", "error"]


class Services(BaseModel):
    """The status of each service."""

    cookie_manager: Word
    database: Literal["ok", "checking", "error"]
    """``checking``: the server has just started and looks for damage; reads are served, changes are refused."""
    stream: Literal["ok", "lagging", "error"] | None = None
    """Of several servers on one database: whether this one hears of the others' changes. ``lagging``: an old
    transaction holds them up; ``error``: it has heard nothing for 10 s."""


class SystemFigures(BaseModel):
    """The machine's load; memory in bytes."""

    cpu_percent: float
    memory_percent: float
    memory_available: int


class HealthAnswer(BaseModel):
    """The health of the server. ``timestamp`` is in seconds since 1970."""

    model_config = example(
        status="healthy",
        timestamp=1767323045.123,
        services={"cookie_manager": "ok", "database": "ok"},
        system={"cpu_percent": 3.1, "memory_percent": 41.0, "memory_available": 8_000_000_000},
    )
    status: Literal["healthy", "unhealthy"]
    timestamp: float
    services: Services
    system: SystemFigures
    journal_lag_seconds: float | None = None
    """Of several servers: how long the next change has waited for an older transaction."""


class AccountFigures(BaseModel):
    """How many accounts should be connected, and how many of them are in each state; at most one second old."""

    wanted: int
    running: int
    waiting: int
    starting: int
    retrying: int
    parked: int


class ReadyAnswer(BaseModel):
    """Whether changes are accepted. ``accounts`` does not affect it: a parked account waits for its owner.

    ``draining``: of several servers, this one gives up its shops and is about to be stopped. It still answers, but a
    load balancer should send new requests to the others, so it is not ready.
    """

    model_config = example(
        ready=True,
        services={"cookie_manager": "ok", "database": "ok"},
        accounts={"wanted": 3, "running": 2, "waiting": 0, "starting": 0, "retrying": 0, "parked": 1},
    )
    ready: bool
    services: Services
    accounts: AccountFigures
    draining: bool | None = None


class LocksAnswer(BaseModel):
    """Figures of the account locks since start. The oldest holder is named only to users who may see the account."""

    model_config = example(
        held=0, waiting=0, acquired_total=120, timeouts_total=0, wait_seconds_total=0.4, hold_seconds_total=1.9,
        longest_wait_seconds=0.1, longest_hold_seconds=0.2, oldest_account="", oldest_operation="",
        oldest_held_seconds=0.0,
    )  # fmt: skip
    held: int
    waiting: int
    acquired_total: int
    timeouts_total: int
    wait_seconds_total: float
    hold_seconds_total: float
    longest_wait_seconds: float
    longest_hold_seconds: float
    oldest_account: str
    oldest_operation: str
    oldest_held_seconds: float


@routes.get(
    "/health",
    summary="Check the server's health",
    dependencies=[ANYBODY],
    response_model_exclude_none=True,
    responses={503: {"model": HealthAnswer, "description": "The database or the manager is not well"}},
)
async def get_health(server: TheServer, response: Response) -> HealthAnswer:
    """Check the database and the manager. Answers 503 when either fails, and within about 2 s."""
    services = await _services(server)
    well = "error" not in {services.cookie_manager, services.database, services.stream}
    response.status_code = 200 if well else 503
    memory = psutil.virtual_memory()
    return HealthAnswer(
        status="healthy" if well else "unhealthy",
        timestamp=time.time(),
        services=services,
        system=SystemFigures(
            cpu_percent=psutil.cpu_percent(interval=None),
            memory_percent=memory.percent,
            memory_available=memory.available,
        ),
        journal_lag_seconds=None if server.follower is None else round(server.follower.lag_seconds, 3),
    )


@routes.get(
    "/health/ready",
    summary="Check that changes can be stored",
    dependencies=[ANYBODY],
    response_model_exclude_none=True,
    responses={503: {"model": ReadyAnswer, "description": "Not ready"}},
)
async def get_ready(server: TheServer, response: Response) -> ReadyAnswer:
    """Return whether a change sent now can be stored: by a write of the last 5 s, otherwise by an empty test write.

    Also return how many accounts should be connected and how many are, without their names.
    """
    services = await _services(server)
    draining = server.nodes.draining
    ready = _all_ok(services) and not draining
    response.status_code = 200 if ready else 503
    accounts = AccountFigures(**asdict(server.account_counter.counts()))
    return ReadyAnswer(ready=ready, services=services, accounts=accounts, draining=draining or None)


@routes.get("/system/locks", summary="Get account lock statistics", responses=READING)
async def get_locks(server: TheServer, who: WhoReads) -> LocksAnswer:
    """Return holders, waiters and times of the account locks since start."""
    figures = asdict(server.manager.locks.figures())
    account = server.manager.accounts.get(figures["oldest_account"])
    if account is None or server.authorization.permission_on(who, account) is None:
        figures["oldest_account"] = ""
    return LocksAnswer(**figures)


async def is_ready(server: Server) -> bool:
    """Return whether a change sent now can be stored."""
    return _all_ok(await _services(server))


async def _services(server: Server) -> Services:
    held = server.manager.locks.figures().oldest_held_seconds
    # An unsettled commit keeps its account's lock, which is correct.
    sound = held < LONGEST_SOUND_HOLD_SECONDS or server.database.degraded
    if server.database.checking:
        return Services(cookie_manager="ok" if sound else "error", database="checking")
    return Services(
        cookie_manager="ok" if sound else "error",
        database="ok" if await server.database_probe.answers(within_seconds=PROBE_SECONDS) else "error",
        stream=None if server.follower is None else _stream(server.follower),
    )


def _stream(follower: Follower) -> Literal["ok", "lagging", "error"]:
    if follower.is_stale:
        return "error"
    return "lagging" if follower.lag_seconds > LONGEST_LAG_SECONDS else "ok"


def _all_ok(services: Services) -> bool:
    return services.cookie_manager == services.database == "ok" and services.stream != "error"
