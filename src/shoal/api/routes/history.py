"""The history of changes, and undo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query, Response
from pydantic import BaseModel

from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.accounts.journal import TIMES_DIFFER_MS, JournalEntry, changes_between
from shoal.accounts.undo import undo
from shoal.api.http.account_filter import OfAccount
from shoal.api.http.caller import ReadAccount, TheCaller, TheServer, WhoOperatesNamed, WhoReads, WhoReadsNamed
from shoal.api.http.changes import changed
from shoal.api.http.openapi_errors import CHANGING, READING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.http.rule_goods import is_done, require_own_goods
from shoal.api.http.states_elsewhere import found_account
from shoal.api.http.timestamps import Since, Until, ms_of
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.responses import CHANGE_EXAMPLE, ChangeFacts, HistoryRow, etag_of, example, history_row
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission, permission_to_change
from shoal.errors import InvalidInput, StaleGeneration

routes = Routes(tags=["history"])

Limit = Annotated[int, Query(ge=1, le=200, description="Maximum number of rows.")]
Cursor = Annotated[
    str | None, Query(max_length=200, description="`next` from the previous page; omit it for the first page.")
]
"""Refuses a NUL character: not every database can store one."""
_PAGE = 500
_MOST_PAGES = 10


class HistoryList(BaseModel):
    """Changes, newest first."""

    model_config = example(
        items=[
            {
                "rev": 120, "generation": 7, "changes": {"enabled": [True, False]}, "actor": "user:admin",
                "op_id": "7d0c1f7a4b6e4f0e9d1b0c7a5e2f3a41", "at": "2026-01-02T03:04:05.000Z",
                "origin": "console 192.0.2.7", "undoable": True,
            }
        ],
        next=None,
    )  # fmt: skip
    items: list[HistoryRow]
    next: str | None


class AccountHistoryRow(HistoryRow):
    """One change, and the account that it changed."""

    account: str


class WholeHistory(BaseModel):
    """Changes of all accounts, newest first."""

    model_config = example(
        items=[
            {
                "rev": 120, "account": "my-shop", "generation": 7, "changes": {"enabled": [True, False]},
                "actor": "user:admin", "op_id": "7d0c1f7a4b6e4f0e9d1b0c7a5e2f3a41", "at": "2026-01-02T03:04:05.000Z",
                "origin": "console 192.0.2.7", "undoable": True,
            }
        ],
        next=None,
    )  # fmt: skip
    items: list[AccountHistoryRow]
    next: str | None


class _Sought(msgspec.Struct, frozen=True, kw_only=True):
    """The filter of a request."""

    actor: str | None = None
    field: str | None = None
    since_ms: int | None = None

    def fits(self, entry: JournalEntry) -> bool:
        return (
            (self.actor is None or entry.actor == self.actor)
            and (self.field is None or self.field in entry.changes)
            and (self.since_ms is None or entry.at_ms >= self.since_ms)
        )

    def is_passed(self, entry: JournalEntry) -> bool:
        """Return whether no earlier entry can match: revs and times rise together, except within a day."""
        return self.since_ms is not None and entry.at_ms < self.since_ms - TIMES_DIFFER_MS


_EVERYTHING = _Sought()


class Undone(ChangeFacts):
    """The change was undone; ``rev`` is that of the new change."""

    model_config = example(msg="undone", **CHANGE_EXAMPLE)
    msg: str = "undone"


class UndoPreview(BaseModel):
    """What an undo would change, in the form of the history; empty when it would change nothing."""

    model_config = example(changes={"remark": ["new", "old"]})
    changes: dict[str, Any]


@routes.get("/history", summary="List changes of all accounts", responses=READING)
async def get_whole_history(
    server: TheServer,
    who: WhoReadsNamed,
    *,
    account_id: OfAccount,
    actor: Annotated[
        str | None, Query(max_length=200, description="Only changes by this actor.", examples=["user:admin"])
    ] = None,
    field: Annotated[
        str | None, Query(max_length=64, description="Only changes of this field.", examples=["enabled"])
    ] = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> WholeHistory:
    """List the committed changes of all accounts of the caller, including deleted ones, newest first.

    A page may hold fewer than `limit` rows although `next` is set, because one request checks a limited number of
    changes.
    """
    before = place_of(cursor, 1)[0] if cursor else 0
    shared = server.authorization.shared_with(who)
    sought = _Sought(actor=actor, field=field, since_ms=ms_of(since))
    size = limit + 1 if sought == _EVERYTHING and who.token is None else _PAGE
    rows: list[AccountHistoryRow] = []
    for _ in range(_MOST_PAGES):
        entries = await server.store.journal(
            owner_id=who.id,
            or_accounts=shared,
            account_id=account_id,
            after_rev=before,
            before_ms=ms_of(until),
            limit=size,
            newest_first=True,
        )
        for entry in entries:
            if len(rows) == limit:
                return WholeHistory(items=rows, next=cursor_of(before))
            before = entry.rev
            if sought.fits(entry) and server.authorization.may_see_entry(who, entry):
                rows.append(_row(server, who, entry))
        if len(entries) < size or sought.is_passed(entries[-1]):
            if not rows:
                await _require_known(server, who, account_id, shared)
            return WholeHistory(items=rows, next=None)
    return WholeHistory(items=rows, next=cursor_of(before))


async def _require_known(server: Server, who: Principal, account_id: str | None, shared: Sequence[str]) -> None:
    """Raise ``UnknownAccount`` for an account of which the caller has neither a row nor a past."""
    if account_id is not None and not await server.store.journal(
        owner_id=who.id, or_accounts=shared, account_id=account_id, limit=1, newest_first=True
    ):
        await found_account(server, who, account_id, Permission.READ)


def _row(server: Server, who: Principal, entry: JournalEntry) -> AccountHistoryRow:
    account = server.manager.accounts.get(entry.account_id)
    return AccountHistoryRow(
        account=entry.account_id, **history_row(entry, _changeable(server, who, account)).model_dump()
    )


def _changeable(server: Server, who: Principal, account: Account | None) -> Account | None:
    """Return the account if the caller may undo changes of it, else ``None``."""
    return (
        account if account and (server.authorization.permission_on(who, account) or 0) >= Permission.OPERATE else None
    )


@routes.get("/cookies/{cid}/history", summary="List changes of an account", responses=READING_ONE)
async def get_history(
    account: ReadAccount, server: TheServer, who: WhoReads, cursor: Cursor = None, limit: Limit = 50
) -> HistoryList:
    """List the account's committed changes, newest first."""
    before = place_of(cursor, 1)[0] if cursor else 0
    entries = await server.store.journal(account_id=account.id, after_rev=before, limit=limit + 1, newest_first=True)
    page = entries[:limit]
    undoable = _changeable(server, who, account)
    rows = [history_row(entry, undoable) for entry in page if server.authorization.may_see_entry(who, entry)]
    return HistoryList(items=rows, next=cursor_of(page[-1].rev) if len(entries) > limit else None)


@routes.post("/history/{rev}/undo", summary="Undo a change", responses=CHANGING)
async def undo_change(
    rev: Annotated[
        int, Path(ge=1, le=2**63 - 1, description="The `rev` of the change in the history.", examples=[120])
    ],
    server: TheServer,
    who: WhoOperatesNamed,
    caller: TheCaller,
    response: Response,
    *,
    dry_run: Annotated[bool, Query(description="Only report what would change; change nothing.")] = False,
) -> Undone | UndoPreview:
    """Restore the old values of one change, as a new change. Answers 409 when one of them was changed again since.

    A new cookie, the creation and the deletion of an account cannot be undone. Restored rules and items keep their ids.
    """
    entry, account = await undoable_entry(server, who, rev)
    if "deliveries" in entry.changes and not await is_done(server, caller):
        await require_own_goods(server, account, undo(entry)(account).deliveries, caller)
    if dry_run:
        await server.manager.row_reads.read_if_behind(account.id, caller)
        return _preview(entry, server.manager.account(account.id), caller, response)
    return Undone(**await changed(server, response, account.id, server.manager.undo(entry, caller=caller)))


async def undoable_entry(server: Server, who: Principal, rev: int) -> tuple[JournalEntry, Account]:
    """Return a change that the caller may see, and its account, if the caller may change every field of it."""
    entries = await server.store.journal(after_rev=rev - 1, limit=1)
    if not entries or entries[0].rev != rev or not server.authorization.may_see_entry(who, entries[0]):
        raise InvalidInput("there is no such change", code="unknown_entry")
    account = server.manager.accounts.get(entries[0].account_id)
    if account is None or account.owner_id != entries[0].owner_id:
        raise InvalidInput("the account of that change is gone", code="not_undoable/gone")
    server.authorization.check(who, account, permission_to_change(entries[0].changes))
    return entries[0], account


def _preview(entry: JournalEntry, account: Account, caller: Caller, response: Response) -> UndoPreview:
    if caller.is_mistaken_about(account):
        raise StaleGeneration(f"{account.id} is at generation {account.generation}", id=account.id)
    response.headers["ETag"] = etag_of(account)
    new = undo(entry)(account)
    return UndoPreview(changes={} if new is account else changes_between(account, new))
