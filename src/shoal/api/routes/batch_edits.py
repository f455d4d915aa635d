"""The same settings, tags and rules for many accounts in one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from pydantic import BaseModel, Field

from shoal.accounts import edits, shared_edits
from shoal.accounts.account import Account
from shoal.accounts.change_path import Caller
from shoal.accounts.delivery_rule import DeliveryRule
from shoal.accounts.edits import Edit
from shoal.accounts.journal import PARTS, differences
from shoal.accounts.status_batch import BatchResult, StatusBatch
from shoal.api.http.caller import AcceptLanguage, TheCaller, TheServer, WhoOperatesNamed
from shoal.api.http.idempotency import PASSING, leave_open
from shoal.api.http.openapi_errors import CHANGING
from shoal.api.http.routing import Routes
from shoal.api.http.rule_goods import is_done, require_own_goods
from shoal.api.http.states_elsewhere import found_account
from shoal.api.routes.batch import BatchRow, accounts_refused, any_failed, batch_row, first_refusal, result_of_refused
from shoal.api.routes.rule_changes import new_rule_ids
from shoal.api.schemas.account_requests import BatchBody, CopyBody
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.errors import InvalidInput, ShoalError
from shoal.language.choice import Language, language_of

routes = Routes(tags=["accounts"])

MOST_SHOWN = 120
"""How many characters of a text a preview shows."""
MOST_RULES = 200_000
"""How many rules one request may write: those of the source, times the accounts."""
Mode = Annotated[
    Literal["each", "atomic"],
    Query(description="`each` changes every account by itself; `atomic` changes all or none."),
]
DryRun = Annotated[bool, Query(description="Only report what would change; change nothing.")]


class EditedRow(BatchRow):
    """The result for one account. ``changes``, of a dry run: each field with its old and new value, long texts cut; of
    rules the numbers of those that are added, edited and removed."""

    changes: dict[str, list[Any] | dict[str, int]] = Field(default_factory=dict)


_ROW: dict[str, Any] = {
    "id": "my-shop", "outcome": "would_change", "code": "", "detail": "", "generation": 8, "state": "running",
    "op_id": "nightly:my-shop", "rev": None,
    "changes": {"default_reply": ["", "在的，请说"], "keywords": {"added": 12}},
}  # fmt: skip


class EditsAnswer(BaseModel):
    """One result for each account, in the order of the request."""

    model_config = example(results=[_ROW])
    results: list[EditedRow]


@routes.put(
    "/cookies/batch",
    summary="Change several accounts alike",
    responses={207: {"model": EditsAnswer, "description": "Some of the accounts failed"}, **CHANGING},
)
async def edit_accounts(
    body: BatchBody,
    server: TheServer,
    who: WhoOperatesNamed,
    caller: TheCaller,
    request: Request,
    response: Response,
    *,
    mode: Mode = "each",
    dry_run: DryRun = False,
    accept_language: AcceptLanguage = None,
) -> EditsAnswer:
    """Change settings, tags, rules and delivery rules of several accounts: each by itself (207 when some failed), or
    all or none. What is not sent stays as it is.

    Each account gets one change in the history. The `rev` of the results undoes the request: `POST /history/undo`. A
    batch has no ETag, and refuses an `If-Match`.
    """
    if caller.if_match is not None:
        raise InvalidInput("a batch has no ETag", code="bad_if_match/batch")
    names, atomic = list(dict.fromkeys(body.accounts)), mode == "atomic"
    if atomic:
        StatusBatch.require_size(names)
    parts = await _parts(server, who, body, caller, len(names))
    refused: dict[str, Any] = dict(await accounts_refused(server, who, names))
    wanted = {name: shared_edits.combined(parts) for name in names if name not in refused}
    if body.deliveries is not None:
        refused |= await _without_goods(server, caller, wanted)
        wanted = {name: edit for name, edit in wanted.items() if name not in refused}
    if atomic and refused:
        raise first_refusal(refused)
    if dry_run:
        results = await server.manager.preview_many(wanted, caller=caller)
    else:
        results = await server.manager.edit_many(wanted, caller=caller, atomic=atomic)
    by_id = {result.account_id: result for result in results}
    for name in names:
        if name not in by_id:
            by_id[name] = await result_of_refused(server, caller, name, refused)
    language = language_of(accept_language)
    rows = [_row(by_id[name], caller.op_id, language) for name in names]
    if any(isinstance(result.error, PASSING) for result in results):
        leave_open(request)
    response.status_code = 207 if any_failed(rows) else 200
    return EditsAnswer(results=rows)


async def _parts(server: Server, who: Principal, body: BatchBody, caller: Caller, number: int) -> list[Edit]:
    """Return what is asked for as edits. Raises ``InvalidInput`` (``nothing_given``), and as the edits do."""
    parts: list[Edit] = []
    if body.settings is not None and (sent := body.settings.model_fields_set):
        parts.append(edits.settings(body.settings.model_dump(include=sent)))
    if body.add_tags or body.remove_tags:
        parts.append(shared_edits.tagged(body.add_tags, body.remove_tags))
    if body.rules is not None:
        source = await _source(server, who, body.rules)
        _require_room(len(source.keywords), number)
        parts.append(shared_edits.rules_like(source, new_rule_ids(caller, len(source.keywords)), body.rules.mode))
    if body.deliveries is not None:
        source = await _source(server, who, body.deliveries)
        _require_room(len(source.deliveries), number)
        parts.append(shared_edits.deliveries_like(source, body.deliveries.mode))
    if not parts:
        raise InvalidInput("nothing was given", code="nothing_given")
    return parts


async def _source(server: Server, who: Principal, copy: CopyBody) -> Account:
    return await found_account(server, who, copy.account, Permission.READ)


def _require_room(rules: int, accounts: int) -> None:
    if rules * accounts > MOST_RULES:
        limit = MOST_RULES // rules
        raise InvalidInput(f"with {rules} rules at most {limit} accounts", code="batch_too_large", limit=limit)


async def _without_goods(server: Server, caller: Caller, wanted: Mapping[str, Edit]) -> dict[str, ShoalError]:
    """Return the accounts whose delivery rules would name goods that are not their owner's, with the reason."""
    refused: dict[str, ShoalError] = {}
    for name, edit in wanted.items():
        account = server.manager.account(name)
        try:
            after = await edits.apply_edit(edit, account)
            if _names_goods(after.deliveries) and not await is_done(server, caller, f":{name}"):
                await require_own_goods(server, account, after.deliveries, caller)
        except InvalidInput as error:
            refused[name] = error
    return refused


def _names_goods(rules: Sequence[DeliveryRule]) -> bool:
    return any(rule.goods_id is not None for rule in rules)


def _row(result: BatchResult, op_id: str, language: Language) -> EditedRow:
    changes = {}
    if result.account is not None and result.after is not None:
        changes = _shown_changes(result.account, result.after)
    return EditedRow(**batch_row(result, op_id, language).model_dump(), changes=changes)


def _shown_changes(before: Account, after: Account) -> dict[str, list[Any] | dict[str, int]]:
    return {
        name: {kind: len(rows) for kind, rows in change.items()} if name in PARTS else [_cut(value) for value in change]
        for name, change in differences(before, after).items()
    }


def _cut(value: Any) -> Any:
    return f"{value[:MOST_SHOWN]}…" if isinstance(value, str) and len(value) > MOST_SHOWN else value
