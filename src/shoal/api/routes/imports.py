"""Moving in: a file of another system is looked at, carried out as a plan, and what was on there is turned on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import Depends, Header, Path, Query, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from shoal.accounts.change_path import Caller
from shoal.api.http.account_filter import NO_NUL
from shoal.api.http.caller import Origin, TheServer, actor_of, signed_in
from shoal.api.http.disconnects import while_here
from shoal.api.http.idempotency import ignores_keys
from shoal.api.http.openapi_errors import OF_ONE, POSTING, READING_COMPAT, problems
from shoal.api.http.route_rules import Asks, RouteRule, ruled
from shoal.api.http.routing import Routes
from shoal.api.routes.history import Cursor, Limit
from shoal.api.routes.imports_anywhere import BEGIN, FORGET, PLAN, ROWS, plan_home, with_plan
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.imports import (
    BeginBody,
    FateShape,
    ImportPlan,
    ImportRows,
    ImportRun,
    ImportRunList,
    PlanForgotten,
    StartBody,
    StartedAll,
    plan_shape,
    row_shape,
    run_shape,
    started_shape,
)
from shoal.api.schemas.op_ids import new_op_id
from shoal.api.schemas.rules import TheLanguage
from shoal.auth.users import Role, User
from shoal.errors import Conflict, Forbidden
from shoal.language.folding import folded
from shoal.maintenance.moving.plan import Plan

routes = Routes(tags=["moving"])
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_FILE = {"requestBody": {"required": True, "content": _BYTES}}


@ruled(RouteRule(asks=Asks.SESSION, adds_shops=True))
async def mover(request: Request) -> User:
    """Return a signed-in user who may own accounts. Raises as ``signed_in``, and ``Forbidden`` for staff."""
    me = await signed_in(request)
    if me.role is Role.STAFF:
        raise Forbidden("staff own no shops", code="staff_owns_none")
    return me


Mover = Annotated[User, Depends(mover)]
PlanId = Annotated[
    str, Path(max_length=100, pattern=NO_NUL, description="The plan's id.", examples=["kQ3yXw0N9m2bV7aP"])
]
RunId = Annotated[int, Path(ge=1, le=2**53, description="The import's id.", examples=[3])]
Fate = Annotated[FateShape | None, Query(description="Only rows that meet this fate.")]


async def _blocks(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes."""
    try:
        async for block in request.stream():
            yield block
    except ClientDisconnect:
        raise HTTPException(400) from None  # the client is gone and receives no answer


@routes.post(
    "/imports/plans",
    summary="Look at a file of another system",
    responses=problems(400, 401, 403, 413, 422, 429, 503),
    openapi_extra=_FILE,
)
@ignores_keys
async def plan_import(
    request: Request,
    server: TheServer,
    me: Mover,
    language: TheLanguage,
    *,
    name: Annotated[str, Query(max_length=200, description="The file's name.")] = "",
    only_user: Annotated[str, Query(max_length=200, description="Take only what is of this user there.")] = "",
    x_data_key: Annotated[str, Header(max_length=1_000, description="What opens the secrets of Ydisks.")] = "",
) -> ImportPlan:
    """Read the body, a file of another system, and return what it would bring.

    Nothing is stored; the file is removed at once, the plan is forgotten after an hour.

    Administrators bring all users there, or `only_user`; others what is of one user, theirs by name or `only_user`.
    """

    async def planned(path: FilePath) -> tuple[Plan, int]:
        found = await server.moving_uploads.read(path, key=x_data_key)
        plan = await server.moving.plan(found.shop, me, only_user=only_user, pictures=found.pictures)
        return plan, found.size + sum(len(one.data) for one in plan.pictures)

    async with server.moving_uploads.taken(me.id, _blocks(request)) as path:
        plan, size = await while_here(request, planned(path))
    return plan_shape(server.moving_plans.keep(me.id, name, plan, size=size, home=plan_home(server)), language)


@routes.get("/imports/plans/{plan_id}", summary="Get a plan of an import", responses=OF_ONE)
async def get_import_plan(plan_id: PlanId, server: TheServer, me: Mover, language: TheLanguage) -> ImportPlan:
    """Return what a file would bring."""
    return await with_plan(server, me, PLAN, ImportPlan, plan_id, language=language.value)


@routes.get("/imports/plans/{plan_id}/rows", summary="List rows of a plan", responses=OF_ONE)
async def list_plan_rows(
    plan_id: PlanId,
    server: TheServer,
    me: Mover,
    language: TheLanguage,
    *,
    fate: Fate = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ImportRows:
    """List the rows that do not simply come, each with its reason, as they stand in the file."""
    start = place_of(cursor, 1)[0] if cursor else 0
    page = {"start": start, "limit": limit, "fate": fate, "language": language.value}
    return await with_plan(server, me, ROWS, ImportRows, plan_id, **page)


@routes.delete("/imports/plans/{plan_id}", summary="Forget a plan of an import", responses=OF_ONE)
async def forget_import_plan(plan_id: PlanId, server: TheServer, me: Mover) -> PlanForgotten:
    """Forget a plan at once."""
    return await with_plan(server, me, FORGET, PlanForgotten, plan_id)


@routes.post("/imports", summary="Begin an import", responses=POSTING)
async def begin_import(
    body: BeginBody, server: TheServer, me: Mover, origin: Origin, language: TheLanguage
) -> ImportRun:
    """Carry out a plan. Everything comes switched off, and nothing that is here already comes twice.

    `GET /imports/{run_id}` shows how far it is.
    """
    asked = {"origin": origin, "language": language.value}
    return await with_plan(server, me, BEGIN, ImportRun, body.plan_id, **asked)


@routes.get("/imports", summary="List imports", responses=READING_COMPAT)
async def list_imports(server: TheServer, me: Mover, language: TheLanguage) -> ImportRunList:
    """List the caller's imports, the newest first."""
    return ImportRunList(items=[run_shape(run, language) for run in await server.moving.runs(me)])


@routes.get("/imports/{run_id}", summary="Get an import", responses=OF_ONE)
async def get_import(run_id: RunId, server: TheServer, me: Mover, language: TheLanguage) -> ImportRun:
    """Return an import: how far it is, and what it brought."""
    return run_shape(await server.moving.run(me, run_id), language)


@routes.get("/imports/{run_id}/rows", summary="List rows of an import", responses=OF_ONE)
async def list_import_rows(
    run_id: RunId,
    server: TheServer,
    me: Mover,
    language: TheLanguage,
    *,
    fate: Fate = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ImportRows:
    """List the rows of the report that did not simply come, each with its reason."""
    after = place_of(cursor, 1)[0] if cursor else 0
    found = await server.moving.oddities(me, run_id, after=after, limit=limit + 1, fate=fate or "")
    following = cursor_of(found[limit - 1][0]) if len(found) > limit else None
    return ImportRows(items=[row_shape(odd, language) for _, odd in found[:limit]], next=following)


@routes.post("/imports/{run_id}/start", summary="Turn on what was on", responses=POSTING)
async def start_imported(
    run_id: RunId, body: StartBody, server: TheServer, me: Mover, origin: Origin, language: TheLanguage
) -> StartedAll:
    """Turn on the shops and channels that were on in the other system. It must be stopped: buyers would hear both."""
    if not body.old_system_stopped:
        raise Conflict("the other system may run", code="old_system_runs")
    run = await server.moving.run(me, run_id)
    ids = {folded(user.username): user.id for user in await server.users.list_users()}
    owners = {one.id: ids.get(one.owner) for one in run.was_on}
    op_id = new_op_id(me.id)

    def caller_of(account_id: str) -> Caller:
        owner = owners.get(account_id)
        return Caller(
            actor=actor_of(me),
            owner_id=me.id if owner is None else owner,
            op_id=f"{op_id}:{account_id}",
            wait_seconds=0.0,
            origin=origin,
        )

    return started_shape(await server.moving.start(me, run_id, caller_of=caller_of), language)
