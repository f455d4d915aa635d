"""Channels: where the caller is notified of incidents, and of which."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Path, Response
from fastapi.encoders import jsonable_encoder

from shoal.api.http.caller import AcceptLanguage, Me, Origin, TheNote, TheServer, actor_of, generations_of
from shoal.api.http.openapi_errors import ASKING, OF_ONE, READING_COMPAT, TRYING, problems
from shoal.api.http.routing import Routes
from shoal.api.schemas.channels import (
    ChannelBody,
    ChannelList,
    ChannelPatch,
    ChannelRemoved,
    ChannelShape,
    ServiceList,
    SubscriptionBody,
    SubscriptionList,
    SubscriptionShape,
    TestAnswer,
    channel_shape,
    channel_subscription_shape,
    listed_channel,
    service_list,
    subscription_shape,
)
from shoal.api.schemas.responses import etag
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.auth.users import User
from shoal.errors import StaleGeneration
from shoal.language.catalogue import translate
from shoal.language.choice import Language, language_of
from shoal.notices.channels import Channel
from shoal.notices.subscriptions import Subscription
from shoal.notices.transport import Level, Message, Outcome, answer_text

routes = Routes(tags=["notices"])

ChannelId = Annotated[int, Path(ge=1, le=2**53, description="The channel's id.", examples=[3])]
IfMatch = Annotated[
    str | None,
    Header(description="The ETag from the last read. If it no longer matches, the change is refused (412)."),
]
_ONE = OF_ONE


@routes.get("/channels/services", summary="List services for notices", responses=problems(401, 403))
async def list_channel_services(_: Me) -> ServiceList:
    """List the services that a channel may use, each with its fields. The address that a service shows may be pasted
    into the field of its token.
    """
    return service_list()


@routes.get("/channels", summary="List your channels", responses=READING_COMPAT)
async def list_channels(server: TheServer, me: Me, *, accept_language: AcceptLanguage = None) -> ChannelList:
    """List where the caller is told of incidents, and how the newest notice of each went. Addresses are secrets and
    never shown.
    """
    last = await server.notices.history.last_tried(me.id)
    mine = await server.notices.channels.list(me.id)
    language = language_of(accept_language)
    return ChannelList(items=[listed_channel(one, last.get(one.id), language) for one in mine])


@routes.post("/channels", summary="Add a channel", responses=problems(400, 401, 403, 409, 413, 422, 503))
async def add_channel(
    body: ChannelBody, server: TheServer, me: Me, origin: Origin, also: TheNote, response: Response
) -> ChannelShape:
    """Add a channel. It tells about everything until `PUT /channels/{channel_id}/subscriptions` names what.

    A service inside the server's network (ntfy or Gotify at home) needs `SHOAL_ALLOW_PRIVATE_TARGETS`.
    """
    made = await server.notices.channels.create(
        me.id, body.service, _plain(body.fields), _values(body), also=lambda connection, _: also(connection)
    )
    await note_change(server, me, origin, AuditEvent.CHANNEL_ADDED, made)
    return _answered(response, made)


@routes.get("/channels/{channel_id}", summary="Get a channel", responses=_ONE)
async def get_channel(channel_id: ChannelId, server: TheServer, me: Me, response: Response) -> ChannelShape:
    """Return a channel, and the ETag for a change."""
    return _answered(response, await server.notices.channels.get(me.id, channel_id))


@routes.patch(
    "/channels/{channel_id}", summary="Change a channel", responses=problems(400, 401, 403, 404, 412, 413, 422, 503)
)
async def change_channel(
    channel_id: ChannelId,
    body: ChannelPatch,
    server: TheServer,
    me: Me,
    origin: Origin,
    response: Response,
    *,
    if_match: IfMatch = None,
) -> ChannelShape:
    """Change what is sent. The service never changes: add another channel."""
    store = server.notices.channels
    fields = None if body.fields is None else _plain(body.fields)
    try:
        after = await store.change(
            me.id, channel_id, _values(body), fields=fields, versions=generations_of(if_match)
        )  # fmt: skip
    except StaleGeneration as error:
        now = await store.get(me.id, channel_id)
        more: dict[str, Any] = {"generation": now.version, "etag": etag(now.version)}
        error.params.update(more, current=jsonable_encoder(channel_shape(now)))
        raise
    await note_change(server, me, origin, AuditEvent.CHANNEL_CHANGED, after)
    return _answered(response, after)


@routes.delete("/channels/{channel_id}", summary="Remove a channel", responses=_ONE)
async def remove_channel(channel_id: ChannelId, server: TheServer, me: Me, origin: Origin) -> ChannelRemoved:
    """Remove a channel with its history. What waits to be told over it is not told."""
    removed = await server.notices.channels.remove(me.id, channel_id)
    await note_change(server, me, origin, AuditEvent.CHANNEL_REMOVED, removed)
    return ChannelRemoved(id=removed.id)


@routes.post("/channels/{channel_id}/test", summary="Send a test", responses=problems(401, 403, 404, 422, 429, 503))
async def test_channel(
    channel_id: ChannelId,
    server: TheServer,
    me: Me,
    *,
    accept_language: AcceptLanguage = None,  # noqa: PT028  a route
) -> TestAnswer:
    """Send a test message now, also in quiet hours, and return the service's own answer."""
    channel = await server.notices.channels.get(me.id, channel_id)
    await server.rate_limits.count_channel_test(me.id)
    language = Language(channel.language)
    message = Message(
        title=translate("channels.test_title", language),
        body=translate("channels.test_body", language, name=channel.name),
        level=Level.INFO,
        language=channel.language,
    )
    sent = await server.notices.transport.send(channel.id, message)
    answer = answer_text(sent.answer, sent.failure, sent.host, language_of(accept_language))
    return TestAnswer(sent=sent.outcome is Outcome.SENT, answer=answer)


@routes.get("/subscriptions", summary="List what your channels tell about", responses=ASKING)
async def list_subscriptions(server: TheServer, me: Me) -> SubscriptionList:
    """List of what each of the caller's channels tells."""
    found = await server.notices.channels.subscriptions(me.id)
    return SubscriptionList(items=[channel_subscription_shape(number, one) for number, one in found.items()])


@routes.get("/channels/{channel_id}/subscriptions", summary="Get what a channel tells about", responses=_ONE)
async def get_subscriptions(channel_id: ChannelId, server: TheServer, me: Me) -> SubscriptionShape:
    """Return the kinds of incidents and the accounts of which the channel tells. An empty list does not limit."""
    await server.notices.channels.get(me.id, channel_id)
    return subscription_shape(await server.notices.channels.subscription(channel_id))


@routes.put("/channels/{channel_id}/subscriptions", summary="Set what a channel tells about", responses=TRYING)
async def set_subscriptions(
    channel_id: ChannelId, body: SubscriptionBody, server: TheServer, me: Me, origin: Origin
) -> SubscriptionShape:
    """Set of what the channel tells: only these kinds, of these accounts. `tags` is empty: accounts have no tags yet.

    Accounts must be the caller's or shared with the caller; when a share ends, the channel tells no more of it.
    """
    wanted = Subscription(kinds=tuple(body.kinds), accounts=tuple(body.accounts), tags=tuple(body.tags))
    for account_id in wanted.accounts:
        server.authorization.require(Principal(user=me), account_id, Permission.READ)
    channel, found = await server.notices.channels.subscribe(me.id, channel_id, lambda _: wanted)
    await note_change(server, me, origin, AuditEvent.CHANNEL_CHANGED, channel)
    return subscription_shape(found)


def _plain(fields: Any) -> dict[str, str]:
    return {name: secret.get_secret_value() for name, secret in fields.items()}


def _values(body: ChannelBody | ChannelPatch) -> dict[str, Any]:
    """Return the values that were sent, without the address."""
    sent = {name: getattr(body, name) for name in body.model_fields_set - {"service", "fields"}}
    values = {name: value for name, value in sent.items() if value is not None or name == "quiet"}
    if values.get("quiet") is not None:
        values["quiet"] = values["quiet"].value()
    if "least" in values:
        values["least"] = Level(values["least"])
    return values


def _answered(response: Response, channel: Channel) -> ChannelShape:
    response.headers["ETag"] = etag(channel.version)
    return channel_shape(channel)


async def note_change(server: Server, me: User, origin: str, event: AuditEvent, channel: Channel) -> None:
    """Note in the audit log what was done to a channel, without its address."""
    await server.audit_log.record(
        event,
        actor=actor_of(me),
        user_id=me.id,
        origin=origin,
        channel_id=channel.id,
        name=channel.name,
        service=channel.service,
    )
