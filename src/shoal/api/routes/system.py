"""The server's status: versions, database, memory, and counts of accounts by state."""

from __future__ import annotations

import asyncio
import platform
from collections import Counter
from typing import Literal

import psutil
from pydantic import BaseModel, Field

from shoal import __version__
from shoal.accounts.account import AccountState
from shoal.api.http.caller import TheServer, WhoReads
from shoal.api.http.openapi_errors import READING
from shoal.api.http.routing import Routes
from shoal.api.http.states_elsewhere import looked_elsewhere
from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import example, rfc3339

routes = Routes(tags=["system"])


class StoreStatus(BaseModel):
    """The database. Sizes are in bytes; ``null``: it could not be read."""

    kind: Literal["sqlite", "postgresql"]
    version: str | None
    schema_revision: str | None
    size: int | None
    free: int | None = Field(description="Free bytes on the disk of the data directory.")
    waiting: int = Field(description="Number of writes that wait for the next commit.")
    degraded: bool = Field(description="Whether writes are refused until the outcome of a commit is known.")
    checking: bool = Field(description="Whether writes are refused until the file is checked, after a start.")


class ProcessStatus(BaseModel):
    """This process. Memory in bytes; CPU time in percent of one core since the last request."""

    memory: int
    cpu_percent: float
    threads: int
    tasks: int = Field(description="Number of tasks on the event loop; several per connected account.")


class KeptDays(BaseModel):
    """How many days each kind of record is kept."""

    messages: int
    changes: int
    outcomes: int
    states: int
    audit_log: int


class SystemStatus(BaseModel):
    """The server's status. ``accounts`` counts the caller's accounts by state."""

    model_config = example(
        version="0.1.0", python="3.11.7", started_at="2026-01-01T00:00:00.000Z",
        store={
            "kind": "sqlite", "version": "3.45.1", "schema_revision": "0004", "size": 1_200_000,
            "free": 20_000_000_000, "waiting": 0, "degraded": False, "checking": False,
        },
        process={"memory": 90_000_000, "cpu_percent": 1.5, "threads": 9, "tasks": 40},
        kept_days={"messages": 90, "changes": 180, "outcomes": 180, "states": 30, "audit_log": 180},
        accounts={"running": 3, "stopped": 1},
        readers=2,
        node=None,
    )  # fmt: skip
    version: str
    python: str
    started_at: str
    store: StoreStatus
    process: ProcessStatus
    kept_days: KeptDays
    accounts: dict[str, int]
    node: str | None = Field(None, description="Of several servers on one database: the name of the one that answers.")
    readers: int = Field(description="Number of open event streams (console pages and scripts).")


_process = psutil.Process()


@routes.get("/system/status", summary="Get the server's status", responses=READING)
async def get_system_status(server: TheServer, who: WhoReads) -> SystemStatus:
    """Return versions, the database, this process, and how many of the caller's accounts are in each state.

    Simultaneous requests share one query of the database and the disk.
    """
    settings, manager = server.settings, server.manager
    figures = await server.database_stats.result()
    await looked_elsewhere(server, who)
    mine = (account.id for account in server.authorization.accounts_of(who))
    states = Counter(manager.observation(account_id).state for account_id in mine)
    with _process.oneshot():
        memory, cpu, threads = _process.memory_info().rss, _process.cpu_percent(), _process.num_threads()
    return SystemStatus(
        version=__version__,
        python=platform.python_version(),
        started_at=rfc3339(server.started_at_ms),
        store=filled(
            StoreStatus,
            figures,
            kind="sqlite" if figures.kind == "sqlite" else "postgresql",
            schema_revision=figures.schema,
            checking=server.database.checking,
        ),
        process=ProcessStatus(memory=memory, cpu_percent=cpu, threads=threads, tasks=len(asyncio.all_tasks())),
        kept_days=KeptDays(
            messages=settings.message_days,
            changes=settings.journal_days,
            outcomes=settings.op_days,
            states=settings.state_history_days,
            audit_log=settings.security_log_days,
        ),
        accounts={state.value: states[state] for state in AccountState if states[state]},
        node=server.nodes.name,
        readers=server.events.readers,
    )
