"""Providers of language models: a user's own, with what each may cost, and a check that really asks one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Response
from fastapi.encoders import jsonable_encoder
from pydantic import SecretStr

from shoal.api.http.caller import Me, Origin, TheServer, actor_of, generations_of
from shoal.api.http.goods_caller import TheBy
from shoal.api.http.openapi_errors import ACTING, ASKING, OF_ONE, problems
from shoal.api.http.routing import Routes
from shoal.api.routes.channels import IfMatch
from shoal.api.schemas.ai_providers import (
    ProviderBody,
    ProviderChecked,
    ProviderList,
    ProviderPatch,
    ProviderRemoved,
    ProviderShape,
    checked_shape,
    provider_shape,
)
from shoal.api.schemas.responses import etag
from shoal.api.server import Server
from shoal.assistant.provider_check import check_provider
from shoal.assistant.provider_standing import Standing, standings
from shoal.assistant.providers import Provider
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.users import User
from shoal.clock import now_ms
from shoal.errors import StaleGeneration

routes = Routes(tags=["models"])

ProviderId = Annotated[int, Path(ge=1, le=2**53, description="The provider's id.", examples=[2])]
_ONE = OF_ONE


@routes.get("/ai-providers", summary="List your model providers", responses=ASKING)
async def list_providers(server: TheServer, me: Me) -> ProviderList:
    """List who answers the caller's questions. Of an address only the host is shown, and of a key that there is one."""
    found, how = await server.assistant.providers.list(me.id), await _standings(server, me)
    return ProviderList(items=[provider_shape(one, how.get(one.id, Standing())) for one in found])


@routes.post("/ai-providers", summary="Add a model provider", responses=problems(400, 401, 403, 409, 413, 422, 503))
async def add_provider(
    body: ProviderBody, server: TheServer, me: Me, origin: Origin, response: Response, by: TheBy
) -> ProviderShape:
    """Add a provider that speaks OpenAI's chat completions, or an `agent` of your own. Nothing is sent by that.

    With an `Idempotency-Key` it is added once, however often the request is repeated; its key is not kept with that.

    An address inside the server's network needs `SHOAL_ALLOW_PRIVATE_TARGETS`.
    """
    values = _plain(body.model_dump())
    made = await server.assistant.providers.create(me.id, values, op_id=by.op_id, repeats=by.repeats)
    await note_provider(server, me, origin, AuditEvent.PROVIDER_ADDED, made)
    return await _answered(server, me, response, made)


@routes.get("/ai-providers/{provider_id}", summary="Get a model provider", responses=_ONE)
async def get_provider(provider_id: ProviderId, server: TheServer, me: Me, response: Response) -> ProviderShape:
    """Return a provider, and the ETag for a change."""
    return await _answered(server, me, response, await server.assistant.providers.get(me.id, provider_id))


@routes.put(
    "/ai-providers/{provider_id}",
    summary="Change a model provider",
    responses=problems(400, 401, 403, 404, 412, 413, 422, 503),
)
async def change_provider(
    provider_id: ProviderId,
    body: ProviderPatch,
    server: TheServer,
    me: Me,
    origin: Origin,
    response: Response,
    *,
    if_match: IfMatch = None,
) -> ProviderShape:
    """Change a provider, or agree that buyers' questions go to its host. Another address or key ends its rest."""
    sent = body.model_dump(exclude_unset=True)
    values = _plain({name: value for name, value in sent.items() if value is not None or name == "fen_per_day"})
    store = server.assistant.providers
    try:
        after = await store.change(me.id, provider_id, values, versions=generations_of(if_match))
    except StaleGeneration as error:
        now = await store.get(me.id, provider_id)
        shown = provider_shape(now, (await _standings(server, me)).get(now.id, Standing()))
        more: dict[str, Any] = {"generation": now.version, "etag": etag(now.version)}
        error.params.update(more, current=jsonable_encoder(shown))
        raise
    await note_provider(server, me, origin, AuditEvent.PROVIDER_CHANGED, after)
    return await _answered(server, me, response, after)


@routes.delete("/ai-providers/{provider_id}", summary="Remove a model provider", responses=ACTING)
async def remove_provider(provider_id: ProviderId, server: TheServer, me: Me, origin: Origin) -> ProviderRemoved:
    """Remove a provider. What it cost stays known.

    Refused while the model of a shop is on with it (`provider_in_use`): a model without a provider would be silent.
    """
    removed = await server.assistant.providers.remove(me.id, provider_id)
    await note_provider(server, me, origin, AuditEvent.PROVIDER_REMOVED, removed)
    return ProviderRemoved(id=removed.id)


@routes.post(
    "/ai-providers/{provider_id}/check",
    summary="Check a model provider",
    responses=problems(401, 403, 404, 409, 422, 429, 503),
)
async def check_model_provider(provider_id: ProviderId, server: TheServer, me: Me) -> ProviderChecked:
    """Ask a provider one invented question now, also while it rests, and return what came back.

    An answer ends its rest. A check is not made (`money`) when the provider's money of the day has no room for it, by
    what shops and checks spent today in China; its own cost is in that sum, and in the cost of no shop.
    """
    target = await server.assistant.providers.target(me.id, provider_id)
    await server.rate_limits.count_channel_test(me.id)
    return checked_shape(await check_provider(server.database, server.assistant.calls, target))


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in values.items()}


async def _standings(server: Server, me: User) -> dict[int, Standing]:
    return await server.database.read(lambda connection: standings(connection, me.id, now_ms()))


async def _answered(server: Server, me: User, response: Response, provider: Provider) -> ProviderShape:
    response.headers["ETag"] = etag(provider.version)
    return provider_shape(provider, (await _standings(server, me)).get(provider.id, Standing()))


async def note_provider(server: Server, me: User, origin: str, event: AuditEvent, provider: Provider) -> None:
    """Note in the audit log what was done to a provider, and to which host its owner agrees."""
    await server.audit_log.record(
        event,
        actor=actor_of(me),
        user_id=me.id,
        origin=origin,
        provider_id=provider.id,
        host=provider.host,
        consented_host=provider.consented_host,
    )
