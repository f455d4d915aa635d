"""Trials of a shop's language model: a real call that reaches no buyer."""

from __future__ import annotations

from fastapi import Request

from shoal.api.http.caller import OperateAccount, TheServer
from shoal.api.http.disconnects import while_here
from shoal.api.http.openapi_errors import problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.ai_settings import TriedModel, TryModelBody, facts_in, tried_shape, turns_in
from shoal.assistant.contexts import context_of

routes = Routes(tags=["assistant"])


@routes.post(
    "/cookies/{cid}/ai/try",
    summary="Test a shop's model with a question",
    responses=problems(400, 401, 403, 404, 409, 413, 422, 503),
)
async def try_model(request: Request, body: TryModelBody, account: OperateAccount, server: TheServer) -> TriedModel:
    """Ask the model as for a buyer, also while it is off, and return what each check says. Nothing is sent to a buyer.

    It is a real call: it costs, and counts against the tokens and the money of the day.
    """
    context = await context_of(
        account,
        body.text,
        server.assistant.item_of,
        item_id=body.item_id,
        turns=turns_in(body.turns),
        facts=facts_in(body.facts),
    )
    asking = server.assistant.trials.run(account, context, body.item_id)
    return tried_shape(await while_here(request, asking, lasting=True), context, body.item_id)
