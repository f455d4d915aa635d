"""The language model of a shop: its settings, and trials of it: real calls that reach no buyer."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response
from sqlalchemy import Connection

from shoal.accounts.account import Account
from shoal.accounts.model_settings import ModelMode
from shoal.accounts.shop_settings import SETTINGS
from shoal.api.http.caller import OperateAccount, ReadAccount, TheCaller, TheServer
from shoal.api.http.changes import facts_of, made
from shoal.api.http.disconnects import while_here
from shoal.api.http.openapi_errors import CHANGING, POSTING, READING_ONE
from shoal.api.http.routing import Routes
from shoal.api.schemas.ai_settings import (
    ModelSettings,
    ModelSettingsBody,
    ModelSettingsChanged,
    TriedModel,
    TryModelBody,
    facts_in,
    settings_of,
    tried_shape,
    turns_in,
)
from shoal.api.schemas.responses import etag_of
from shoal.api.server import Server
from shoal.assistant.breaker import resting_until_ms
from shoal.assistant.budget import day_of, tokens_today
from shoal.assistant.contexts import context_of
from shoal.assistant.provider_standing import lack_of
from shoal.clock import now_ms

routes = Routes(tags=["assistant"])


@routes.get("/cookies/{cid}/ai", summary="Get the settings of a shop's model", responses=READING_ONE)
async def get_model_settings(account: ReadAccount, server: TheServer, response: Response) -> ModelSettings:
    """Return what the shop's language model may do, and what it has used today."""
    response.headers["ETag"] = etag_of(account)
    return ModelSettings(**await _settings(server, account))


@routes.put("/cookies/{cid}/ai", summary="Change the settings of a shop's model", responses=CHANGING)
async def change_model_settings(
    body: ModelSettingsBody, account: OperateAccount, server: TheServer, caller: TheCaller, response: Response
) -> ModelSettingsChanged:
    """Change the settings that are sent, in one change; the others stay.

    A model is switched on only with a provider of the shop's owner who agreed to its host: else 409 (`no_provider`,
    `no_consent`).
    """
    values: dict[str, Any] = {name: getattr(body, name) for name in body.model_fields_set}
    if "ai_facts" in values:
        values["ai_facts"] = [[fact.question, fact.answer] for fact in body.ai_facts]
    is_on = values.get("ai_mode", account.ai_mode) != ModelMode.OFF
    if is_on and values.keys() & {"ai_mode", "ai_provider_id"}:
        number = values.get("ai_provider_id", account.ai_provider_id)
        # no database looks for a number that it cannot hold
        SETTINGS["ai_provider_id"].checked(number, "ai_provider_id")
        await server.assistant.trials.target_of(account, number)
    change = server.manager.update_settings(account.id, values, caller=caller)
    outcome = await made(server, response, account.id, change)
    return ModelSettingsChanged(**await _settings(server, outcome.account), **facts_of(outcome))


async def _settings(server: Server, account: Account) -> dict[str, Any]:
    now = now_ms()

    def job(connection: Connection) -> tuple[int | None, int]:
        number, until = account.ai_provider_id, None
        if number:
            until = resting_until_ms(connection, number, now, owner_id=account.owner_id)
        return until, tokens_today(connection, account.id, day_of(account.timezone, now))

    lacks = await server.database.read(lambda connection: lack_of(connection, account))
    return settings_of(account, *await server.database.read(job), lacks=lacks)


@routes.post("/cookies/{cid}/ai/try", summary="Test a shop's model with a question", responses=POSTING)
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
