"""Backups: the daily ones, one at once, and how one went that the operator's own program made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from fastapi import Query
from pydantic import BaseModel

from shoal.api.http.caller import Administrator, TheServer
from shoal.api.http.openapi_errors import ASKING, problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.filled import filled
from shoal.api.schemas.request_texts import body_example
from shoal.api.schemas.responses import example, rfc3339
from shoal.api.server import Server
from shoal.clock import now_ms
from shoal.concurrency.fair_threads import beside
from shoal.errors import ConfigError, Conflict
from shoal.maintenance.backup.keeping import Keep
from shoal.maintenance.backup.listing import BackupFile, backup_files, written_bytes
from shoal.maintenance.backup.signing import own_fingerprint
from shoal.notices.server_watch import note_backup

routes = Routes(tags=["system"])


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


class BackupFileShape(BaseModel):
    """A backup in the directory. `made_at`: of which moment it is.

    `verified`: it was restored and compared before it got its name, and its beginning can still be read. `sealed_to`:
    the public key whose private half opens it; empty: a passphrase does. `signed_by`: the server that says it signed
    it; a restore compares that with the file. `kept_until`: when it will be deleted; null:
    it stays, for it is of another database.
    """

    name: str
    made_at: str
    bytes: int
    verified: bool
    sealed_to: str
    is_present_key: bool
    signed_by: str
    kept_until: str | None


_FILE = {
    "name": "shoal-1a2b3c4d-20260102-040003.shoalbackup", "made_at": "2026-01-02T04:00:03.000Z", "bytes": 1_234_567,
    "verified": True, "sealed_to": "shoal-backup-public-AbC", "is_present_key": True,
    "signed_by": "1a2b-3c4d-5e6f-7a8b-9c0d-1e2f-3a4b-5c6d",
    "kept_until": "2026-01-09T04:00:00.000Z",
}  # fmt: skip


class BackupsShape(BaseModel):
    """The daily backups: the last one that went well, the failure since, if there was one, and when the next is due.

    Without the settings `backup_dir` and `backup_key` they are off. `began_at` and `written`: since when one is being
    made, and how many bytes it has; afterwards it is checked. `backups`: those in the directory, the newest 200.
    `unreadable`: why the directory cannot be read. `signed_by`: the fingerprint of this server, by which a restore
    knows its backups; empty before the first. Keep it apart from the server.
    """

    model_config = example(
        on=True, running=False, directory="/backup", last_at="2026-01-02T04:00:03.000Z",
        file="shoal-1a2b3c4d-20260102-040003.shoalbackup", bytes=1_234_567, rows=45_678,
        failed_at=None, code="", why="", next_at="2026-01-03T04:00:00.000Z", began_at=None, written=0,
        backups=[_FILE], unreadable="", signed_by="1a2b-3c4d-5e6f-7a8b-9c0d-1e2f-3a4b-5c6d",
    )  # fmt: skip
    on: bool
    running: bool
    began_at: str | None
    written: int
    directory: str
    last_at: str | None
    file: str
    bytes: int
    rows: int
    failed_at: str | None
    code: str
    why: str
    next_at: str | None
    backups: list[BackupFileShape]
    unreadable: str
    signed_by: str


@routes.get("/system/backups", summary="Look at the daily backups", responses=ASKING)
async def get_backups(server: TheServer, _: Administrator) -> BackupsShape:
    """Return when the last daily backup was made, what failed since, and when the next one is due."""
    return await _shown(server)


@routes.post("/system/backups/make", summary="Make a backup now", responses=problems(400, 401, 403, 409, 422, 503))
async def make_backup(
    server: TheServer,
    _: Administrator,
    *,
    wait: Annotated[bool, Query(description="`false`: answer at once; `running` then says until when.")] = True,
) -> BackupsShape:
    """Make a backup as every day, now. It is answered once it is made, or failed: `failed_at` and `why` say so.

    Answers 409 (`backups_off`) without the settings, and (`backup_running`) while one is being made.
    """
    if not server.backups.is_on:
        raise Conflict("the settings name no directory and no key", code="backups_off")
    if server.backups.is_running:
        raise Conflict("one is being made", code="backup_running")
    if wait:
        await server.backups.make_now()
    else:
        server.backups.begin()
    return await _shown(server)


async def _shown(server: Server) -> BackupsShape:
    schedule = server.backups
    began_at_ms = schedule.began_at_ms  # read first: who reads that none is being made sees what it became
    last = await schedule.last()
    directory = server.settings.backup_dir
    next_ms = max(schedule.due_at_ms(last), now_ms())
    found = _Found()
    if directory is not None:
        found = await beside(_look, server.settings.data_dir, directory, last.path, schedule.keep, next_ms)
    return BackupsShape(
        on=schedule.is_on,
        running=began_at_ms is not None,
        began_at=rfc3339(began_at_ms) if began_at_ms is not None else None,
        written=found.written if began_at_ms is not None else 0,
        backups=[_file_shape(one, server.settings.backup_key) for one in found.files],
        unreadable=found.unreadable,
        signed_by=found.signed_by,
        directory="" if directory is None else str(directory),
        last_at=rfc3339(last.at_ms) if last.at_ms else None,
        file=last.path.rpartition("/")[2],
        bytes=last.bytes,
        rows=last.rows,
        failed_at=rfc3339(last.failed_at_ms) if last.failed_at_ms else None,
        code=last.code,
        why=last.why,
        next_at=rfc3339(next_ms) if schedule.is_on else None,
    )


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the directory of backups."""

    files: Sequence[BackupFile] = ()
    written: int = 0
    unreadable: str = ""
    signed_by: str = ""


def _look(data_dir: Path, directory: Path, last_path: str, keep: Keep, next_ms: int) -> _Found:
    try:
        signer = own_fingerprint(data_dir)
    except ConfigError:  # the next backup says why
        signer = ""
    try:
        files = backup_files(directory, of=last_path.rpartition("/")[2], keep=keep, next_ms=next_ms)
        return _Found(files=files, written=written_bytes(directory), signed_by=signer)
    except OSError as error:  # as files vanish while they are looked at, or the disk is gone
        return _Found(unreadable=error.strerror or type(error).__name__, signed_by=signer)


def _file_shape(file: BackupFile, present_key: str) -> BackupFileShape:
    return filled(
        BackupFileShape,
        file,
        verified=file.is_readable,
        is_present_key=file.sealed_to == present_key.strip(),
        kept_until=rfc3339(file.kept_until_ms) if file.kept_until_ms is not None else None,
    )
