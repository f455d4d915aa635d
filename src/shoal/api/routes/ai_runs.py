"""Runs of language models: what was asked, what was said, what it cost, and drafts to send or drop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated

from fastapi import Path, Query

from shoal.accounts.account import Account
from shoal.api.http.account_filter import NO_NUL, OfAccount, asked_for
from shoal.api.http.caller import TheCaller, TheServer, WhoReadsNamed, WhoRepliesNamed
from shoal.api.http.openapi_errors import POSTING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.routes.history import Limit
from shoal.api.routes.manual_sending import send_for
from shoal.api.routes.send import Sending
from shoal.api.schemas.ai_runs import ApproveBody, RunList, RunShape, UsageList, run_shape, usage_row
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.server import Server
from shoal.assistant.drafts import UnknownRun
from shoal.assistant.run_rows import Run, read_runs, with_words
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.errors import UnknownAccount
from shoal.messages.manual_sending import NotSent
from shoal.messages.model_source import RunState
from shoal.messages.outgoing import OutgoingMessage

routes = Routes(tags=["assistant"])

RunId = Annotated[int, Path(ge=1, le=2**53, description="The run's id.", examples=[7])]
_ONE_RUN = POSTING
_ZONES_AHEAD = timedelta(days=1)
"""A shop's day may begin before that of UTC, and end after it."""


@routes.get("/ai-runs", summary="List the runs of models", responses=READING_ONE)
async def list_runs(
    server: TheServer,
    who: WhoReadsNamed,
    *,
    account_id: OfAccount,
    chat_id: Annotated[str | None, Query(max_length=200, pattern=NO_NUL, description="Only for this chat.")] = None,
    state: Annotated[RunState | None, Query(description="Only runs in this state.")] = None,
    called: Annotated[
        bool | None,
        Query(
            description="`false`: only those without a call, for want of budget, pace or answers, or while it rests."
        ),
    ] = None,
    before: Annotated[
        str | None, Query(max_length=200, description="`next` from the previous page; omit it for the first page.")
    ] = None,
    limit: Limit = 50,
) -> RunList:
    """List what the models of the caller's accounts were asked, newest first; `raw` is left out."""
    account_ids = await asked_for(server, who, account_id)
    before_id = place_of(before, 1)[0] if before else None
    wanted = partial(
        read_runs, account_ids=account_ids, chat_id=chat_id, state=state, called=called, before_id=before_id,
        limit=limit + 1,
    )  # fmt: skip
    found = await server.database.read(lambda connection: with_words(connection, wanted(connection)))
    page = found[:limit]
    following = cursor_of(page[-1].id) if len(found) > limit else None
    return RunList(items=[run_shape(run, with_raw=False) for run in page], next=following)


@routes.get("/ai-runs/{run_id}", summary="Get a run of a model", responses=READING_ONE)
async def get_run(run_id: RunId, server: TheServer, who: WhoReadsNamed) -> RunShape:
    """Return one run, with what the model said."""
    run, _ = await _run_of(server, who, run_id, Permission.READ)
    return run_shape(run)


@routes.post("/ai-runs/{run_id}/approve", summary="Send a draft", responses=_ONE_RUN)
async def approve_draft(
    run_id: RunId, body: ApproveBody, server: TheServer, who: WhoRepliesNamed, caller: TheCaller
) -> Sending:
    """Send a draft, or another text in its place, and wait for the site's answer.

    A draft is sent once, also when several approve it: later callers get 409 (`run_closed`). A text in
    which the output filter finds something is refused with 409 (`filtered`), unless the body says `send_anyway`.
    """
    run, account = await _run_of(server, who, run_id, Permission.REPLY)
    text = run.text if body.text is None else body.text
    drafts = server.assistant.drafts
    outgoing = OutgoingMessage(
        chat_id=run.chat_id, buyer_id=run.buyer_id, text=text, actor=caller.actor, op_id=caller.op_id
    )
    if not caller.repeats:
        drafts.require_open(run)
    try:
        sent = await send_for(
            server, account, outgoing, repeats=caller.repeats, anyway=body.send_anyway, draft_id=run.id
        )
    except NotSent:
        await drafts.not_sent(run, caller.op_id)
        raise
    await drafts.sent(run, sent.id)
    return Sending(id=sent.id, outcome=sent.outcome, reason=sent.reason, message_id=sent.message_id)


@routes.post("/ai-runs/{run_id}/drop", summary="Drop a draft", responses=_ONE_RUN)
async def drop_draft(run_id: RunId, server: TheServer, who: WhoRepliesNamed, caller: TheCaller) -> RunShape:
    """Drop a draft: nothing is sent. A draft that is dropped already stays so."""
    run, _ = await _run_of(server, who, run_id, Permission.REPLY)
    return run_shape(await server.assistant.drafts.drop(run, caller.actor))


@routes.get("/ai-usage", summary="List what models used", responses=READING_ONE)
async def list_usage(
    server: TheServer,
    who: WhoReadsNamed,
    *,
    account_id: OfAccount,
    days: Annotated[int, Query(ge=1, le=366, description="How many days, up to today.")] = 30,
) -> UsageList:
    """List calls, tokens and cost of the caller's accounts, by day and account, reservations included."""
    account_ids = await asked_for(server, who, account_id)
    first = (datetime.now(UTC) + _ZONES_AHEAD - timedelta(days=days)).date().isoformat()
    found = await server.assistant.usage.days(account_ids, first)
    return UsageList(items=[usage_row(one) for one in found])


async def _run_of(server: Server, who: Principal, run_id: int, permission: Permission) -> tuple[Run, Account]:
    """Return a run and its account. Raise ``UnknownRun``, also for a run that the caller may not see."""
    run = await server.assistant.drafts.find(run_id)
    try:
        return run, server.authorization.require(who, run.account_id, permission)
    except UnknownAccount:
        raise UnknownRun(f"no run {run_id}") from None
