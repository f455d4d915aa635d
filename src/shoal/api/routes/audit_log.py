"""The audit log, page by page or complete as lines of JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Annotated, Any

from fastapi import Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from shoal.api.http.account_filter import NO_NUL
from shoal.api.http.caller import Me, TheServer
from shoal.api.http.openapi_errors import READING_COMPAT
from shoal.api.http.routing import Routes
from shoal.api.http.table_files import file_headers
from shoal.api.http.timestamps import Since, Until, ms_of
from shoal.api.routes.auth import is_admin
from shoal.api.routes.history import Cursor, Limit
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.filled import filled
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent, Reader, Sought, StoredEntry
from shoal.auth.audit_log import AuditLog
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.auth.users import User

routes = Routes(tags=["security"])

LINES = "application/x-ndjson"
_PAGE = 500
_EXAMPLE: dict[str, Any] = {
    "id": 41, "at": "2026-01-02T03:04:05.000Z", "last_at": "2026-01-02T03:09:40.000Z", "times": 17, "kind": "sign_in",
    "outcome": "wrong_login", "actor": "", "user_id": 1, "username": "admin", "origin": "console 192.0.2.7",
    "account": None, "facts": {},
}  # fmt: skip


class AuditEntryShape(BaseModel):
    """One audit log entry: what happened, who did it, from where, and the result.

    ``outcome`` is ``ok`` or the code of the refusal. ``actor`` is who did it (empty: unknown); ``user_id`` and
    ``username`` are the user concerned. An event that repeats within ten minutes is counted in the first entry:
    ``times``, ``last_at``.
    """

    id: int
    at: str
    last_at: str
    times: int
    kind: str
    outcome: str
    actor: str
    user_id: int | None
    username: str | None
    origin: str
    account: str | None
    facts: dict[str, Any]


class AuditEntries(BaseModel):
    """Audit log entries, newest first."""

    model_config = example(items=[_EXAMPLE], next=None)
    items: list[AuditEntryShape]
    next: str | None


class Form(StrEnum):
    """The form of the answer."""

    PAGE = "page"
    LINES = "lines"


@routes.get(
    "/security-log",
    summary="List audit log entries",
    response_model=AuditEntries,
    responses={
        200: {
            "description": "A page of notes; or all of them as a file, one JSON object a line",
            "content": {LINES: {"schema": {"type": "string"}}},
        },
        **READING_COMPAT,
    },
)
async def get_security_log(
    server: TheServer,
    me: Me,
    *,
    kind: Annotated[AuditEvent | None, Query(description="Only entries of this kind.")] = None,
    user: Annotated[
        str | None,
        Query(max_length=100, pattern=NO_NUL, description="Only entries by or about this user.", examples=["ann"]),
    ] = None,
    outcome: Annotated[
        str | None,
        Query(
            max_length=64,
            pattern=NO_NUL,
            description="Only entries with this outcome: `ok`, an error code, or `refused` for everything except `ok`.",
            examples=["ok"],
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    form: Annotated[
        Form,
        Query(
            alias="format",
            description="`page` returns one page; `lines` returns all matching entries, one JSON object per line.",
        ),
    ] = Form.PAGE,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response | AuditEntries:
    """List logins, refusals, and changes of users, tokens, permissions and keys, newest first.

    Entries are kept for `security_log_days`. An administrator reads all of them; other users read those about
    themselves and their own accounts.
    """
    sought = Sought(kind=kind, user=user, outcome=outcome, since_ms=ms_of(since), until_ms=ms_of(until))
    reader = _reader(server, me)
    place = place_of(cursor, 2) if cursor else None
    before = (place[0], place[1]) if place else None
    if form is Form.LINES:
        first = await server.audit_log.entries(sought, reader=reader, before=before, limit=_PAGE)
        lines = _lines(server.audit_log, sought, reader, first)
        headers = {**file_headers("security-log.jsonl"), "Cache-Control": "no-store"}
        return StreamingResponse(lines, media_type=LINES, headers=headers)
    found = await server.audit_log.entries(sought, reader=reader, before=before, limit=limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return AuditEntries(items=[_shape(kept) for kept in page], next=cursor_of(*_place(page[-1])) if more else None)


def _reader(server: Server, me: User) -> Reader | None:
    if is_admin(me):
        return None
    own = server.authorization.accounts_of(Principal(user=me), Permission.OWN)
    return Reader(
        user_id=me.id,
        accounts=tuple((account.id, account.created_at_ms) for account in own),
    )


async def _lines(
    audit_log: AuditLog, sought: Sought, reader: Reader | None, page: list[StoredEntry]
) -> AsyncIterator[str]:
    while page:
        yield "".join(f"{_shape(kept).model_dump_json()}\n" for kept in page)
        if len(page) < _PAGE:
            return
        page = await audit_log.entries(sought, reader=reader, before=_place(page[-1]), limit=_PAGE)


def _place(kept: StoredEntry) -> tuple[int, int]:
    return kept.entry.at_ms, kept.id


def _shape(kept: StoredEntry) -> AuditEntryShape:
    entry = kept.entry
    return filled(AuditEntryShape, entry, id=kept.id, username=kept.username, account=entry.account_id)
