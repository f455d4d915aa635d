"""Several changes undone in one request: the way back of a batch."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel

from shoal.accounts import edits
from shoal.accounts.account import Account, AccountState
from shoal.accounts.change_path import Caller
from shoal.accounts.journal import JournalEntry
from shoal.accounts.undo import undo
from shoal.api.http.caller import AcceptLanguage, TheCaller, TheServer, WhoOperatesNamed
from shoal.api.http.idempotency import PASSING, leave_open
from shoal.api.http.openapi_errors import CHANGING
from shoal.api.http.problems import problem_of
from shoal.api.http.routing import Routes
from shoal.api.http.rule_goods import is_done, require_own_goods
from shoal.api.routes.history import undoable_entry
from shoal.api.schemas.account_requests import UndoManyBody
from shoal.api.schemas.op_ids import shown_op_id
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.errors import InvalidInput, ShoalError
from shoal.language.choice import Language, language_of

routes = Routes(tags=["history"])

UNDONE_AT_ONCE = 50
"""How many accounts are changed back at a time."""


class UndoneRow(BaseModel):
    """The undo of one change. ``id``: its account, empty when the change is unknown; ``new_rev``: that of the undo."""

    rev: int
    id: str
    outcome: Literal["changed", "unchanged", "would_change", "failed"]
    code: str = ""
    detail: str = ""
    generation: int | None = None
    state: AccountState | None = None
    op_id: str
    new_rev: int | None = None


class UndoneAnswer(BaseModel):
    """One result for each change, in the order of the request."""

    model_config = example(
        results=[
            {
                "rev": 120, "id": "my-shop", "outcome": "changed", "code": "", "detail": "", "generation": 9,
                "state": "running", "op_id": "7d0c1f7a4b6e4f0e9d1b0c7a5e2f3a41:120", "new_rev": 131,
            }
        ]
    )  # fmt: skip
    results: list[UndoneRow]


@routes.post(
    "/history/undo",
    summary="Undo several changes",
    responses={207: {"model": UndoneAnswer, "description": "Some of the changes were not undone"}, **CHANGING},
)
async def undo_changes(
    body: UndoManyBody,
    server: TheServer,
    who: WhoOperatesNamed,
    caller: TheCaller,
    request: Request,
    response: Response,
    *,
    dry_run: Annotated[bool, Query(description="Only report what would change; change nothing.")] = False,
    accept_language: AcceptLanguage = None,
) -> UndoneAnswer:
    """Undo each of several changes by itself, as `POST /history/{rev}/undo` does; 207 when some were not undone.

    Of several changes of one account the newest is undone first. A dry run looks at each as if it were the only one.
    """
    if caller.if_match is not None:
        raise InvalidInput("a batch has no ETag", code="bad_if_match/batch")
    by_account: dict[str, list[tuple[JournalEntry, Account]]] = {}
    errors: dict[int, ShoalError] = {}
    done: dict[int, UndoneRow] = {}
    for rev in sorted(set(body.revs), reverse=True):
        try:
            entry, account = await undoable_entry(server, who, rev)
            by_account.setdefault(account.id, []).append((entry, account))
        except ShoalError as error:
            errors[rev] = error
    room = asyncio.Semaphore(UNDONE_AT_ONCE)

    async def one_account(entries: list[tuple[JournalEntry, Account]]) -> None:
        async with room:
            for entry, account in entries:
                try:
                    done[entry.rev] = await _undone(server, account, entry, caller, dry_run=dry_run)
                except ShoalError as error:
                    errors[entry.rev] = error
                    done[entry.rev] = UndoneRow(rev=entry.rev, id=account.id, outcome="failed", op_id="")

    await asyncio.gather(*map(one_account, by_account.values()))
    language = language_of(accept_language)
    rows = [_row(rev, done.get(rev), errors.get(rev), caller, language) for rev in dict.fromkeys(body.revs)]
    if any(isinstance(error, PASSING) for error in errors.values()):
        leave_open(request)
    response.status_code = 207 if errors else 200
    return UndoneAnswer(results=rows)


async def _undone(server: Server, account: Account, entry: JournalEntry, caller: Caller, *, dry_run: bool) -> UndoneRow:
    edit, own = undo(entry), replace(caller, op_id=f"{caller.op_id}:{entry.rev}")
    if dry_run or ("deliveries" in entry.changes and not await is_done(server, own)):
        now = server.manager.account(account.id)
        after = await edits.apply_edit(edit, now)
        await require_own_goods(server, now, after.deliveries, caller)
        if dry_run:
            return UndoneRow(
                rev=entry.rev,
                id=account.id,
                outcome="unchanged" if after is now else "would_change",
                generation=now.generation,
                op_id="",
            )
    outcome = await server.manager.undo(entry, caller=own)
    return UndoneRow(
        rev=entry.rev,
        id=account.id,
        outcome="changed" if outcome.changed else "unchanged",
        generation=outcome.generation,
        state=outcome.observation.state,
        op_id="",
        new_rev=outcome.rev if outcome.changed else None,
    )


def _row(rev: int, found: UndoneRow | None, error: ShoalError | None, caller: Caller, language: Language) -> UndoneRow:
    row = found or UndoneRow(rev=rev, id="", outcome="failed", op_id="")
    row.op_id = shown_op_id(f"{caller.op_id}:{rev}")
    if error is not None:
        row.code, row.detail = error.code, problem_of(error).sentence(language, error.params)
    return row
