"""The outcome of a change by its op id, for a client that lost its connection."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Final, Literal

from fastapi import Path
from pydantic import BaseModel

from shoal.api.http.caller import TheServer, WhoReads, actor_of
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.op_ids import stored_op_id
from shoal.api.schemas.responses import example
from shoal.api.server import Server
from shoal.auth.authorization import Principal
from shoal.cluster.node_calls import AnswerLost, NodeCalls, OwnerAway, RefusedThere

OPS: Final = "ops"
ASKED_SECONDS: Final = 3.0
"""How long another server is waited for."""
routes = Routes(tags=["history"])

_LEAVES_ENTRY = re.compile(
    r"/apply|/cookies(/status|/batch|/[^/]+)?|/cookie/[^/]+/account-info"
    r"|/cookies/[^/]+/(status|auto-confirm|remark|pause-duration|settings|ai|deliveries(/file)?|items/[^/]+)"
    r"|/cookies/[^/]+/rules(/[^/]+)?|/(default-replies|ai-reply-settings)/[^/]+|/item-reply/.+"
    r"|/keywords(-with-item-id|-import)?/.+|/history/([^/]+/)?undo"
)
"""The paths whose requests write an entry of the history in the transaction of what they change."""


class OpAnswer(BaseModel):
    """`applied` with its generation and rev, `not_applied`, or `unknown` while the outcome is not known.

    For a batch, ask for each account's own `op_id`: the batch itself has no generation, and is `unknown` while it runs.
    """

    model_config = example(state="applied", generation=7, rev=120)
    state: Literal["applied", "not_applied", "unknown"]
    generation: int | None = None
    rev: int | None = None


@routes.get("/ops/{op_id}", summary="Get the outcome of an operation", responses=problems(401, 422, 503))
async def get_op(
    op_id: Annotated[
        str,
        Path(
            max_length=200,
            pattern=r"^[^\x00-\x1f]+$",
            description="The `op_id` of a response, or the Idempotency-Key of the request.",
            examples=["7d0c1f7a4b6e4f0e9d1b0c7a5e2f3a41"],
        ),
    ],
    server: TheServer,
    who: WhoReads,
) -> OpAnswer:
    """Look up a change. `not_applied` is final unless the request is repeated.

    Requests without an entry in the history (a message sent by hand, a takeover, an order action, goods, users,
    notices) are `unknown` when they were not answered to the end: repeat them with their key.
    """
    key, token_id = op_id.partition(":")[0], None if who.token is None else who.token.id
    # Checked first: a decision made after this check is found below.
    here = _undecided(server, who) or server.idempotency_keys.is_under_way(who.id, key, token_id)
    answer = await _decided(server, who, op_id, undecided=here)
    calls = server.node_calls
    if calls is None or answer.state == "applied":
        return answer
    there = await _undecided_elsewhere(calls, {"user_id": who.id, "key": key, "token_id": token_id})
    return await _decided(server, who, op_id, undecided=here or there)


async def _decided(server: Server, who: Principal, op_id: str, *, undecided: bool) -> OpAnswer:
    """Return what the database says. ``undecided``: some change was not decided before it is read."""
    key, colon, part = op_id.partition(":")
    token_id = None if who.token is None else who.token.id
    keyed = await server.idempotency_keys.newest(who.id, actor_of(who.user), key, token_id)
    undecided = undecided or (keyed is not None and keyed.is_held)
    stored = stored_op_id(who.id, op_id) if keyed is None else keyed.op_id + colon + part
    record = await server.store.op(stored)
    if record is not None:
        return OpAnswer(state="applied", generation=record.generation, rev=record.rev)
    if keyed is not None and not colon:  # each part of a batch has an op; the batch itself has only an answer
        answered = keyed.answer is not None and keyed.answer.status < 300
        if answered or await server.idempotency_keys.is_noted_done(stored):
            return OpAnswer(state="applied")
        unrecorded = keyed.answer is None and _LEAVES_ENTRY.fullmatch(keyed.path) is None
        undecided = undecided or unrecorded or await server.idempotency_keys.begun(stored)
    return OpAnswer(state="unknown" if undecided else "not_applied")


async def _undecided_elsewhere(calls: NodeCalls, asked: dict[str, Any]) -> bool:
    """Return whether another server has not decided the op, or gives no answer."""

    async def is_decided(node: str) -> bool:
        try:
            answer = await calls.ask_node(node, OPS, asked, seconds=ASKED_SECONDS)
        except (OwnerAway, AnswerLost, RefusedThere) as error:
            return error.code == "node_gone"  # what it had begun has ended with it
        return answer.get("undecided") is False

    return not all(await asyncio.gather(*(is_decided(node.name) for node in await calls.others())))


async def answer_op(server: Server, asked: dict[str, Any]) -> dict[str, Any]:
    """Tell another server whether this one has decided an op of a user."""
    user_id, key, token_id = int(asked["user_id"]), str(asked["key"]), asked["token_id"]
    user = await server.users.get(user_id)
    undecided = server.database.degraded if user is None else _undecided(server, Principal(user=user))
    return {"undecided": undecided or server.idempotency_keys.is_under_way(user_id, key, token_id)}


def _undecided(server: Server, who: Principal) -> bool:
    """Return whether a change of an account that the caller may see is not yet decided."""
    manager = server.manager
    if server.database.degraded or any(
        manager.is_stale(account.id) for account in server.authorization.accounts_of(who)
    ):
        return True
    return any(
        server.authorization.may_see(who, account_id, owner)
        for account_id, draft in manager.pending.items()
        if (owner := _owner(server, account_id, draft.owner_id if draft else None)) is not None
    )


def _owner(server: Server, account_id: str, of_draft: int | None) -> int | None:
    account = server.manager.accounts.get(account_id)
    return account.owner_id if account is not None else of_draft
