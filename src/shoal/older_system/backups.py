"""Backups in the REST dialect of the system that sellers come from: settings as a file, and the list of backups."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import File, Request, Response, UploadFile
from pydantic import BaseModel

from shoal.accounts.account import Account
from shoal.api.http.caller import Administrator, Origin, TheServer, WhoReads
from shoal.api.http.disconnects import while_here
from shoal.api.http.json_bodies import large_answer
from shoal.api.http.openapi_errors import ASKING, READING, problems
from shoal.api.http.routing import Routes
from shoal.api.http.table_files import file_headers
from shoal.api.routes.imports import Mover
from shoal.api.schemas.responses import example
from shoal.api.schemas.rules import TheLanguage
from shoal.language.catalogue import translate
from shoal.maintenance.backup.keeping import all_backups_in
from shoal.maintenance.moving.plan import Plan
from shoal.maintenance.moving.run_store import RunState
from shoal.rules.rule import RuleKind

routes = Routes(tags=["system"])

_BLOCK_BYTES: Final = 1 << 16
_MANY: Final = 20
"""From so many accounts on the file is made on another thread."""


class OldTable(BaseModel):
    """A table of the older system."""

    columns: list[str]
    rows: list[list[Any]]


class OldBackup(BaseModel):
    """One's own accounts with their rules and replies, as the older system's tables. No cookie is in it."""

    model_config = example(
        version="1.0", timestamp=1_767_323_045.0, user_id=2,
        data={"cookie_status": {"columns": ["cookie_id", "enabled", "updated_at"], "rows": [["my-shop", 1, ""]]}},
    )  # fmt: skip
    version: str
    timestamp: float
    user_id: int
    data: dict[str, OldTable]


class OldBackupImported(BaseModel):
    """An import of a backup is done. `import_id`: its report is `GET /imports/{run_id}`."""

    model_config = example(message="已导入，店铺都还没有启用。请在“设置 → 搬家”里查看和启用。", import_id=3)
    message: str
    import_id: int


class OldBackupFile(BaseModel):
    """A daily backup."""

    filename: str
    size: int
    size_mb: float
    modified_time: str


class OldBackupList(BaseModel):
    """The daily backups of the directory `backup_dir`, the newest first."""

    model_config = example(
        backups=[{
            "filename": "shoal-1a2b3c4d-20260102-040003.shoalbackup", "size": 1_234_567, "size_mb": 1.18,
            "modified_time": "2026-01-02 04:00:03",
        }],
        total=1,
    )  # fmt: skip
    backups: list[OldBackupFile]
    total: int


@routes.get(
    "/backup/export", summary="Export one's own settings (old path)", response_model=OldBackup, responses=READING
)
async def export_backup(server: TheServer, who: WhoReads) -> Response:
    """Return one's own accounts, rules and replies as a file of the older system's form, without cookies.

    For reading only: a shop cannot be imported without its cookie. `shoal export` moves rules, `shoal backup make` is
    the backup of the server.
    """
    mine = [account for account in server.authorization.accounts_of(who) if account.owner_id == who.id]
    now = time.time()
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d_%H%M%S")
    headers = file_headers(f"xianyu_backup_{who.user.username}_{stamp}.json")

    def made() -> OldBackup:
        return OldBackup(version="1.0", timestamp=now, user_id=who.id, data=_tables(mine))

    return await large_answer(made, large=len(mine) >= _MANY, headers=headers)


@routes.post(
    "/backup/import",
    summary="Import a backup of the older system (old path)",
    responses=problems(400, 401, 403, 409, 413, 422, 503),
)
async def import_backup(
    request: Request,
    file: Annotated[UploadFile, File(description="The older system's JSON backup.")],
    server: TheServer,
    me: Mover,
    origin: Origin,
    language: TheLanguage,
) -> OldBackupImported:
    """Import a backup as `POST /imports` does: all that is new comes switched off, and nothing that is here is changed.

    It is answered when the import has ended.
    """

    async def planned(path: Path) -> Plan:
        found = await server.moving_uploads.read(path)
        return await server.moving.plan(found.shop, me, pictures=found.pictures)

    async with server.moving_uploads.taken(me.id, _blocks(file)) as path:
        plan = await while_here(request, planned(path))
    run = await server.moving.begin(plan, me, file_name=file.filename or "", origin=origin)
    run = await server.moving.ended(me, run.id)
    is_done = run.state is RunState.DONE
    message = translate("moving.old_backup.imported" if is_done else "moving.old_backup.cut_off", language)
    return OldBackupImported(message=message, import_id=run.id)


async def _blocks(file: UploadFile) -> AsyncIterator[bytes]:
    """Yield the file's bytes."""
    while block := await file.read(_BLOCK_BYTES):
        yield block


@routes.get("/admin/backup/list", summary="List the daily backups (old path)", responses=ASKING)
async def list_backups(server: TheServer, _: Administrator) -> OldBackupList:
    """List the daily backups. They are sealed; `shoal restore` restores one on the server's machine."""
    directory = server.settings.backup_dir
    found = [] if directory is None else await asyncio.to_thread(_files, directory)
    return OldBackupList(backups=found, total=len(found))


def _files(directory: Path) -> list[OldBackupFile]:
    return [
        OldBackupFile(
            filename=path.name,
            size=size,
            size_mb=round(size / 2**20, 2),
            modified_time=datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        )
        for path, at_ms, size in all_backups_in(directory)
    ]


def _tables(mine: Iterable[Account]) -> dict[str, OldTable]:
    """Return the tables, each row in the order of its columns."""
    accounts = list(mine)
    return {
        "cookies": OldTable(
            columns=["id", "value", "user_id", "auto_confirm", "remark", "pause_duration", "created_at"],
            rows=[
                [
                    one.id,
                    "",
                    one.owner_id,
                    int(one.auto_confirm),
                    one.remark,
                    one.pause_duration,
                    _time(one.created_at_ms),
                ]
                for one in accounts
            ],
        ),
        "keywords": OldTable(
            columns=["cookie_id", "keyword", "reply", "item_id", "type", "image_url"],
            rows=[
                [
                    one.id,
                    rule.keyword,
                    "" if is_image else rule.reply,
                    rule.item_id,
                    str(rule.kind),
                    rule.image_url or None,
                ]
                for one in accounts
                for rule in one.keywords
                for is_image in (rule.kind is RuleKind.IMAGE,)
            ],
        ),
        "cookie_status": OldTable(
            columns=["cookie_id", "enabled"], rows=[[one.id, int(one.enabled)] for one in accounts]
        ),
        "default_replies": OldTable(
            columns=["cookie_id", "enabled", "reply_content", "reply_once"],
            rows=[
                [one.id, int(one.default_reply_enabled), one.default_reply, int(one.default_reply_once)]
                for one in accounts
            ],
        ),
        "item_replay": OldTable(
            columns=["item_id", "cookie_id", "reply_content"],
            rows=[[item.item_id, one.id, item.reply] for one in accounts for item in one.items if item.reply],
        ),
    }


def _time(at_ms: int) -> str:
    """Return a time as the older system stores it, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
