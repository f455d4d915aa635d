"""The plans of imports on all servers: a plan is at the server that has read its file, which its id names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

from pydantic import BaseModel

from shoal.api.schemas.cursors import cursor_of
from shoal.api.schemas.imports import (
    ImportPlan,
    ImportRows,
    ImportRun,
    PlanForgotten,
    plan_shape,
    row_shape,
    run_shape,
)
from shoal.api.server import Server
from shoal.auth.users import User
from shoal.cluster.node_calls import OwnerAway, RefusedThere
from shoal.language.choice import Language
from shoal.maintenance.moving.kept_plans import UnknownPlan

PLAN: Final = "import_plan"
ROWS: Final = "import_rows"
FORGET: Final = "import_forget"
BEGIN: Final = "import_begin"
ASK_SECONDS: Final = 20.0

Shape = TypeVar("Shape", bound=BaseModel)


async def with_plan(server: Server, me: User, operation: str, shape: type[Shape], plan_id: str, **asked: Any) -> Shape:
    """Carry out an operation with a plan of a user, on whatever server the plan is.

    Raise ``UnknownPlan`` and what the operation raises, and of several servers ``OwnerAway``, ``AnswerLost``,
    ``RefusedThere``.
    """
    body, calls, node = {"plan": plan_id, **asked}, server.node_calls, _node_of(plan_id)
    if calls is None or node in {"", calls.me[0]}:
        return cast("Shape", await _HERE[operation](server, me, body))
    try:
        answer = await calls.ask_node(node, operation, {"user": me.id, **body}, seconds=ASK_SECONDS)
    except OwnerAway as away:
        if away.code == "node_gone":
            raise UnknownPlan from None
        raise
    except RefusedThere as refusal:
        if refusal.code == UnknownPlan.code:
            raise UnknownPlan from None
        raise
    return shape.model_validate(answer)


def plan_home(server: Server) -> str:
    """Return what the ids of this server's plans begin with."""
    calls = server.node_calls
    return "" if calls is None else calls.me[0].replace("/", "_") + "."


def _node_of(plan_id: str) -> str:
    return plan_id.rpartition(".")[0].replace("_", "/")


async def _plan(server: Server, me: User, asked: dict[str, Any]) -> ImportPlan:
    language = Language(asked.get("language", Language.ZH))  # a server of before asks without it
    return plan_shape(server.moving_plans.get(me.id, str(asked["plan"])), language)


async def _rows(server: Server, me: User, asked: dict[str, Any]) -> ImportRows:
    rows = server.moving_plans.get(me.id, str(asked["plan"])).plan.oddities
    start, limit, fate = int(asked["start"]), int(asked["limit"]), asked["fate"]
    found = [(at, odd) for at, odd in enumerate(rows[start:], start) if fate is None or odd.fate == fate][: limit + 1]
    following = cursor_of(found[limit][0]) if len(found) > limit else None
    language = Language(asked["language"])
    return ImportRows(items=[row_shape(odd, language) for _, odd in found[:limit]], next=following)


async def _forget(server: Server, me: User, asked: dict[str, Any]) -> PlanForgotten:
    server.moving_plans.forget(me.id, str(asked["plan"]))
    return PlanForgotten()


async def _begin(server: Server, me: User, asked: dict[str, Any]) -> ImportRun:
    kept = server.moving_plans.get(me.id, str(asked["plan"]))
    run = await server.moving.begin(kept.plan, me, file_name=kept.file_name, origin=str(asked["origin"]))
    server.moving_plans.forget(me.id, kept.id)
    return run_shape(run, Language(asked["language"]))


_HERE: Final[dict[str, Callable[[Server, User, dict[str, Any]], Awaitable[BaseModel]]]] = {
    PLAN: _plan,
    ROWS: _rows,
    FORGET: _forget,
    BEGIN: _begin,
}


async def answer_with_plan(server: Server, asked: dict[str, Any], *, operation: str) -> dict[str, Any]:
    """Carry out an operation with a plan for another server, which has checked the user."""
    me = await server.users.get(int(asked["user"]))
    if me is None:
        raise UnknownPlan
    return (await _HERE[operation](server, me, asked)).model_dump(mode="json")
