"""Changes of many accounts in one request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel

from shoal.accounts.account import AccountState
from shoal.accounts.change_path import Caller
from shoal.accounts.status_batch import BatchResult, StatusBatch
from shoal.api.http.caller import AcceptLanguage, TheCaller, TheServer, WhoOperatesNamed
from shoal.api.http.idempotency import PASSING, leave_open
from shoal.api.http.openapi_errors import CHANGING
from shoal.api.http.problems import problem_of
from shoal.api.http.routing import Routes
from shoal.api.http.states_elsewhere import found_account
from shoal.api.schemas.account_requests import BatchStatusBody
from shoal.api.schemas.op_ids import shown_op_id
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.errors import Forbidden, InvalidInput, UnknownAccount
from shoal.language.choice import Language, language_of

routes = Routes(tags=["accounts"])

MOST_NAMED = 20
"""How many accounts a refusal names."""

_ROW = {
    "id": "my-shop", "outcome": "changed", "code": "", "detail": "", "generation": 8, "state": "starting",
    "op_id": "nightly:my-shop", "rev": 120,
}  # fmt: skip


class BatchRow(BaseModel):
    """The result for one account: `changed`, `unchanged`, `would_change`, or `failed` with a code and a sentence.

    `rev`: that of the change, for an undo.
    """

    id: str
    outcome: Literal["changed", "unchanged", "would_change", "failed"]
    code: str
    detail: str
    generation: int | None
    state: AccountState | None
    op_id: str
    rev: int | None = None


class BatchAnswer(BaseModel):
    """One result for each account, in the order of the request."""

    model_config = example(results=[_ROW])
    results: list[BatchRow]


@routes.put(
    "/cookies/status",
    summary="Enable or disable several accounts",
    responses={207: {"model": BatchAnswer, "description": "Some of the accounts failed"}, **CHANGING},
)
async def batch_update_cookie_status(
    body: BatchStatusBody,
    server: TheServer,
    who: WhoOperatesNamed,
    caller: TheCaller,
    request: Request,
    response: Response,
    *,
    mode: Annotated[
        Literal["each", "atomic"],
        Query(description="`each` changes every account by itself; `atomic` changes all or none."),
    ] = "each",
    dry_run: Annotated[bool, Query(description="Only report what would change; change nothing.")] = False,
    accept_language: AcceptLanguage = None,
) -> BatchAnswer:
    """Enable or disable accounts: each by itself (207 when some failed), or all or none. Parked accounts stay parked.

    A batch has no ETag, and refuses an `If-Match`. It does not wait for the accounts to start or stop, unless `?wait=`
    is set.
    """
    if caller.if_match is not None:
        raise InvalidInput("a batch has no ETag", code="bad_if_match/batch")
    atomic = mode == "atomic"
    if atomic:
        StatusBatch.require_size(body.updates)
    refused = await accounts_refused(server, who, body.updates)
    mine = {name: enabled for name, enabled in body.updates.items() if name not in refused}
    if atomic and refused:
        raise first_refusal(refused)
    results = await server.manager.batch_update_cookie_status(mine, caller=caller, atomic=atomic, dry_run=dry_run)
    by_id = {result.account_id: result for result in results}
    strange = [name for name in body.updates if name not in by_id]
    by_id |= {name: await result_of_refused(server, caller, name, refused) for name in strange}
    language = language_of(accept_language)
    rows = [batch_row(by_id[name], caller.op_id, language) for name in body.updates]
    if any(isinstance(result.error, PASSING) for result in results):
        leave_open(request)
    response.status_code = 207 if any_failed(rows) else 200
    return BatchAnswer(results=rows)


async def accounts_refused(
    server: Server, who: Principal, names: Iterable[str]
) -> dict[str, UnknownAccount | Forbidden]:
    """Return the accounts that the caller may not switch, with the reason."""
    refused: dict[str, UnknownAccount | Forbidden] = {}
    for name in names:
        try:
            await found_account(server, who, name, Permission.OPERATE)
        except (UnknownAccount, Forbidden) as error:
            refused[name] = error
    return refused


def first_refusal(refused: Mapping[str, UnknownAccount | Forbidden]) -> UnknownAccount | Forbidden:
    """Return the error that refuses an all-or-nothing batch."""
    strangers = [name for name, error in refused.items() if isinstance(error, UnknownAccount)]
    if strangers:
        return UnknownAccount(code="unknown_account/batch", ids=strangers[:MOST_NAMED])
    return next(iter(refused.values()))


async def result_of_refused(
    server: Server, caller: Caller, account_id: str, refused: Mapping[str, UnknownAccount | Forbidden]
) -> BatchResult:
    """Return the result for an account that the caller may not switch or that does not exist.

    A repeated request may have changed an account that was deleted afterwards: then its first result counts.
    """
    error = refused.get(account_id, UnknownAccount())
    gone = caller.repeats and isinstance(error, UnknownAccount)
    made = await server.store.op(f"{caller.op_id}:{account_id}") if gone else None
    if made is None:
        return BatchResult(account_id=account_id, outcome="failed", error=error)
    outcome = "changed" if made.changed else "unchanged"
    return BatchResult(account_id=account_id, outcome=outcome, generation=made.generation, rev=made.rev)


def any_failed(rows: Sequence[BatchRow]) -> bool:
    """Return whether the answer is 207."""
    return any(row.outcome == "failed" for row in rows)


def batch_row(result: BatchResult, op_id: str, language: Language) -> BatchRow:
    """Return the result for an account as JSON."""
    seen, error = result.observation, result.error
    return BatchRow.model_validate(
        {
            "id": result.account_id,
            "outcome": result.outcome,
            "code": error.code if error else "",
            "detail": problem_of(error).sentence(language, error.params) if error else "",
            "generation": result.generation,
            "state": seen.state if seen else None,
            "op_id": shown_op_id(f"{op_id}:{result.account_id}"),
            "rev": result.rev if result.outcome == "changed" else None,
        }
    )
