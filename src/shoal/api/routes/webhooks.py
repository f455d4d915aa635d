"""Webhooks: where the caller's events are posted, what became of each, and again from an event or a time on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Path, Response
from fastapi.encoders import jsonable_encoder

from shoal.api.http.caller import Me, Origin, TheNote, TheServer, actor_of, generations_of
from shoal.api.http.openapi_errors import ASKING, OF_ONE, POSTING, TRYING, problems
from shoal.api.http.routing import Routes
from shoal.api.routes.channels import IfMatch
from shoal.api.routes.history import Cursor, Limit
from shoal.api.schemas.cursors import cursor_of, place_of
from shoal.api.schemas.responses import etag
from shoal.api.schemas.webhooks import (
    AttemptList,
    ReplayBody,
    WebhookBody,
    WebhookList,
    WebhookMade,
    WebhookPatch,
    WebhookRemoved,
    WebhookShape,
    WebhookTested,
    attempt_shape,
    webhook_made,
    webhook_shape,
)
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.auth.users import User
from shoal.clock import now_ms
from shoal.errors import InvalidInput, StaleGeneration
from shoal.webhooks.posted_bodies import body_of_test
from shoal.webhooks.webhooks import Webhook

routes = Routes(tags=["webhooks"])

WebhookId = Annotated[int, Path(ge=1, le=2**53, description="The webhook's id.", examples=[2])]
_ONE = OF_ONE


@routes.get("/webhooks", summary="List your webhooks", responses=ASKING)
async def list_webhooks(server: TheServer, me: Me) -> WebhookList:
    """List where the caller's events are posted. Of an address only the host is shown."""
    return WebhookList(items=[webhook_shape(one) for one in await server.notices.webhooks.store.list(me.id)])


@routes.post("/webhooks", summary="Add a webhook", responses=POSTING)
async def add_webhook(
    body: WebhookBody, server: TheServer, me: Me, origin: Origin, also: TheNote, response: Response
) -> WebhookMade:
    """Add a webhook: from now on what happens to the caller's accounts is posted to it, signed by Standard Webhooks.

    The secret is shown only in this answer. An address inside the server's network needs `SHOAL_ALLOW_PRIVATE_TARGETS`.
    """
    _check_accounts(server, me, body.accounts)
    made, secret = await server.notices.webhooks.store.create(
        me.id,
        body.url.get_secret_value(),
        secret=body.secret.get_secret_value() if body.secret else "",
        kinds=body.kinds,
        accounts=body.accounts,
        also=also,
    )
    await _noted(server, me, origin, AuditEvent.WEBHOOK_ADDED, made)
    response.headers["ETag"] = etag(made.version)
    return webhook_made(made, secret)


@routes.get("/webhooks/{webhook_id}", summary="Get a webhook", responses=_ONE)
async def get_webhook(webhook_id: WebhookId, server: TheServer, me: Me, response: Response) -> WebhookShape:
    """Return a webhook, and the ETag for a change."""
    return _answered(response, await server.notices.webhooks.store.get(me.id, webhook_id))


@routes.patch(
    "/webhooks/{webhook_id}", summary="Change a webhook", responses=problems(400, 401, 403, 404, 412, 413, 422, 503)
)
async def change_webhook(
    webhook_id: WebhookId,
    body: WebhookPatch,
    server: TheServer,
    me: Me,
    origin: Origin,
    response: Response,
    *,
    if_match: IfMatch = None,
) -> WebhookShape:
    """Change where and what is posted. One that is switched on goes on where it stopped."""
    values = {name: value for name in body.model_fields_set if (value := getattr(body, name)) is not None}
    for name in ("url", "secret"):
        if name in values:
            values[name] = values[name].get_secret_value()
    _check_accounts(server, me, values.get("accounts", ()))
    store = server.notices.webhooks.store
    try:
        after = await store.change(me.id, webhook_id, values, versions=generations_of(if_match))
    except StaleGeneration as error:
        now = await store.get(me.id, webhook_id)
        more: dict[str, Any] = {"generation": now.version, "etag": etag(now.version)}
        error.params.update(more, current=jsonable_encoder(webhook_shape(now)))
        raise
    await _noted(server, me, origin, AuditEvent.WEBHOOK_CHANGED, after)
    return _answered(response, after)


@routes.delete("/webhooks/{webhook_id}", summary="Remove a webhook", responses=_ONE)
async def remove_webhook(webhook_id: WebhookId, server: TheServer, me: Me, origin: Origin) -> WebhookRemoved:
    """Remove a webhook with its attempts. What waits for it is not posted."""
    removed = await server.notices.webhooks.store.remove(me.id, webhook_id)
    await _noted(server, me, origin, AuditEvent.WEBHOOK_REMOVED, removed)
    return WebhookRemoved(id=removed.id)


@routes.post("/webhooks/{webhook_id}/test", summary="Post a test", responses=problems(401, 403, 404, 422, 429, 503))
async def try_webhook(webhook_id: WebhookId, server: TheServer, me: Me) -> WebhookTested:
    """Post a `webhook.test` now, also to a webhook that is off, and return what the receiver answered."""
    target = await server.notices.webhooks.store.target(me.id, webhook_id)
    await server.rate_limits.count_channel_test(me.id)
    at_ms = now_ms()
    called = await server.notices.webhooks.calls.post(target, f"test-{at_ms}", "webhook.test", body_of_test(at_ms))
    await server.notices.webhooks.store.note(me.id, webhook_id, called.attempt)
    one = called.attempt
    return WebhookTested(
        sent=one.arrived, status=one.status, took_ms=one.took_ms, error=one.error, answer=one.answer
    )  # fmt: skip


@routes.get("/webhooks/{webhook_id}/attempts", summary="List calls of a webhook", responses=_ONE)
async def list_attempts(
    webhook_id: WebhookId, server: TheServer, me: Me, *, cursor: Cursor = None, limit: Limit = 50
) -> AttemptList:
    """List the last calls of a webhook, newest first: the newest thousand of it are kept."""
    before = place_of(cursor, 1)[0] if cursor else None
    found = await server.notices.webhooks.store.attempts(me.id, webhook_id, before=before, limit=limit + 1)
    page = found[:limit]
    following = cursor_of(page[-1].id) if len(found) > limit else None
    return AttemptList(items=[attempt_shape(one) for one in page], next=following)


@routes.post("/webhooks/{webhook_id}/replay", summary="Post again from a place on", responses=TRYING)
async def replay_webhook(
    webhook_id: WebhookId, body: ReplayBody, server: TheServer, me: Me, origin: Origin, response: Response
) -> WebhookShape:
    """Let a webhook go on from an event or a time: everything since is posted again, with the same ids.

    A time that is ahead of what waits passes over what waits.
    """
    if (body.from_event is None) is (body.from_ms is None):
        raise InvalidInput("one of both", code="replay_from")
    after = await server.notices.webhooks.store.replay(
        me.id, webhook_id, from_event=body.from_event, from_ms=body.from_ms
    )  # fmt: skip
    await _noted(server, me, origin, AuditEvent.WEBHOOK_CHANGED, after)
    return _answered(response, after)


def _check_accounts(server: Server, me: User, accounts: Sequence[str]) -> None:
    for account_id in accounts:
        server.authorization.require(Principal(user=me), account_id, Permission.READ)


def _answered(response: Response, webhook: Webhook) -> WebhookShape:
    response.headers["ETag"] = etag(webhook.version)
    return webhook_shape(webhook)


async def _noted(server: Server, me: User, origin: str, event: AuditEvent, webhook: Webhook) -> None:
    await server.audit_log.record(
        event, actor=actor_of(me), user_id=me.id, origin=origin, webhook_id=webhook.id, url=webhook.address
    )
