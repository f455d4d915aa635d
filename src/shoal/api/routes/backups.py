"""Backups: the daily ones, one at once, and how one went that the operator's own program made."""

from __future__ import annotations

from pydantic import BaseModel

from shoal.api.http.caller import Administrator, TheServer
from shoal.api.http.idempotency import ChangingRoute
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.request_texts import body_example
from shoal.api.schemas.responses import example, rfc3339
from shoal.api.server import Server
from shoal.clock import now_ms
from shoal.errors import Conflict
from shoal.notices.server_watch import note_backup

routes = Routes(tags=["system"], route_class=ChangingRoute)


class BackupOutcome(BaseModel):
    """Whether a backup went well."""

    model_config = body_example(ok=False)
    ok: bool


class BackupNoted(BaseModel):
    """It was noted."""

    model_config = example(msg="noted", ok=False)
    msg: str = "noted"
    ok: bool


@routes.post("/system/backups", summary="Note how a backup went", responses=problems(400, 401, 403, 413, 422, 503))
async def add_backup_outcome(body: BackupOutcome, server: TheServer, _: Administrator) -> BackupNoted:
    """Note how a backup went, from the program that makes yours.

    One that failed is an incident, of which administrators are told, until one goes well.
    """
    await note_backup(server.database, is_well=body.ok, at_ms=now_ms())
    return BackupNoted(ok=body.ok)


class BackupsShape(BaseModel):
    """The daily backups: the last one that went well, the failure since, if there was one, and when the next is due.

    Without the settings `backup_dir` and `backup_key` they are off.
    """

    model_config = example(
        on=True, running=False, directory="/backup", last_at="2026-01-02T04:00:03.000Z",
        file="shoal-1a2b3c4d-20260102-040003.shoalbackup", bytes=1_234_567, rows=45_678,
        failed_at=None, code="", why="", next_at="2026-01-03T04:00:00.000Z",
    )  # fmt: skip
    on: bool
    running: bool
    directory: str
    last_at: str | None
    file: str
    bytes: int
    rows: int
    failed_at: str | None
    code: str
    why: str
    next_at: str | None


@routes.get("/system/backups", summary="Look at the daily backups", responses=problems(401, 403, 503))
async def get_backups(server: TheServer, _: Administrator) -> BackupsShape:
    """Return when the last daily backup was made, what failed since, and when the next one is due."""
    return await _shown(server)


@routes.post("/system/backups/make", summary="Make a backup now", responses=problems(400, 401, 403, 409, 503))
async def make_backup(server: TheServer, _: Administrator) -> BackupsShape:
    """Make a backup as every day, now. It is answered once it is made, or failed: `failed_at` and `why` say so.

    Answers 409 (`backups_off`) without the settings, and (`backup_running`) while one is being made.
    """
    if not server.backups.is_on:
        raise Conflict("the settings name no directory and no key", code="backups_off")
    if server.backups.is_running:
        raise Conflict("one is being made", code="backup_running")
    await server.backups.make_now()
    return await _shown(server)


async def _shown(server: Server) -> BackupsShape:
    schedule, last = server.backups, await server.backups.last()
    directory = server.settings.backup_dir
    return BackupsShape(
        on=schedule.is_on,
        running=schedule.is_running,
        directory="" if directory is None else str(directory),
        last_at=rfc3339(last.at_ms) if last.at_ms else None,
        file=last.path.rpartition("/")[2],
        bytes=last.bytes,
        rows=last.rows,
        failed_at=rfc3339(last.failed_at_ms) if last.failed_at_ms else None,
        code=last.code,
        why=last.why,
        next_at=rfc3339(max(schedule.due_at_ms(last), now_ms())) if schedule.is_on else None,
    )
