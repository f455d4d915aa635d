"""Backups: how one went that the operator's own program made."""

from __future__ import annotations

from pydantic import BaseModel

from shoal.api.http.caller import Administrator, TheServer
from shoal.api.http.idempotency import ChangingRoute
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.request_texts import body_example
from shoal.api.schemas.responses import example
from shoal.clock import now_ms
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
