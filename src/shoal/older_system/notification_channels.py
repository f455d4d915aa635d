"""Channels, and which accounts they report, as scripts for the older system ask for them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from typing import Annotated

from fastapi import Path, Request

from shoal.api.http.caller import Me, Origin, TheNote, TheServer
from shoal.api.http.openapi_errors import ASKING, OF_ONE, POSTING
from shoal.api.http.routing import Routes
from shoal.api.routes.channels import ChannelId, note_change
from shoal.api.server import Server
from shoal.auth.audit_entries import AuditEvent
from shoal.auth.authorization import Principal
from shoal.auth.permission import Permission
from shoal.auth.users import User
from shoal.errors import InvalidInput
from shoal.notices.channels import Channel, UnknownChannel
from shoal.notices.old_channels import changed_fields, fields_of_old, shown_config
from shoal.notices.services import Fields, Service
from shoal.notices.subscriptions import Subscription
from shoal.older_system.channel_bodies import (
    MessageNotificationBody,
    MessageNotifications,
    MessageNotificationShape,
    NotificationChannelBody,
    NotificationChannelChange,
    NotificationChannelMade,
    NotificationChannelShape,
    NotificationDone,
    message_notification_shape,
    notification_channel_shape,
)

routes = Routes(tags=["notices"])

Cid = Annotated[str, Path(description="The account's id.", examples=["my-shop"])]
NotificationId = Annotated[int, Path(ge=1, le=2**53, description="The `id` of a message notification.")]
_READ = ASKING
_ONE = OF_ONE
_CHANGE = POSTING


@routes.get("/notification-channels", summary="List your channels (older system)", responses=_READ)
async def list_notification_channels(server: TheServer, me: Me) -> list[NotificationChannelShape]:
    """List the caller's channels. Secrets are shown as `***`."""
    return [await _shape(server, one) for one in await server.notices.channels.list(me.id)]


@routes.post("/notification-channels", summary="Add a channel (older system)", responses=_CHANGE)
async def add_notification_channel(
    body: NotificationChannelBody, server: TheServer, me: Me, origin: Origin, also: TheNote
) -> NotificationChannelMade:
    """Add a channel. It tells about nothing until `POST /message-notifications/{cid}` names an account.

    Types: dingtalk (ding_talk), feishu, lark, bark, email, webhook, wechat, telegram, and the other services of Shoal.
    qq takes a key of Qmsg: the older system sent to a QQ number by way of its author's server.
    """
    service, fields = fields_of_old(body.type, body.config)
    nothing, values = Subscription(nothing=True), {"name": body.name}
    made = await server.notices.channels.create(
        me.id, service.name, fields, values, subscription=nothing, also=lambda connection, _: also(connection)
    )
    await note_change(server, me, origin, AuditEvent.CHANNEL_ADDED, made)
    return NotificationChannelMade(id=made.id)


@routes.get("/notification-channels/{channel_id}", summary="Get a channel (older system)", responses=_ONE)
async def get_notification_channel(channel_id: ChannelId, server: TheServer, me: Me) -> NotificationChannelShape:
    """Return one of the caller's channels."""
    return await _shape(server, await _mine(server, me, channel_id))


@routes.put("/notification-channels/{channel_id}", summary="Change a channel (older system)", responses=_CHANGE)
async def change_notification_channel(
    channel_id: ChannelId, body: NotificationChannelChange, server: TheServer, me: Me, origin: Origin
) -> NotificationDone:
    """Change a channel. A value of `config` that is sent back as `***` stays."""
    service, kept = await _address(server, await _mine(server, me, channel_id))
    fields = service.checked(changed_fields(service, body.config, kept))
    values = {"name": body.name, "active": body.enabled}
    store, sent = server.notices.channels, None if fields == kept else fields
    after = await store.change(me.id, channel_id, values, fields=sent)
    await note_change(server, me, origin, AuditEvent.CHANNEL_CHANGED, after)
    return NotificationDone(msg="notification channel updated")


@routes.delete("/notification-channels/{channel_id}", summary="Remove a channel (older system)", responses=_ONE)
async def remove_notification_channel(
    channel_id: ChannelId, server: TheServer, me: Me, origin: Origin
) -> NotificationDone:
    """Remove a channel. What waits to be told over it is not told."""
    await _mine(server, me, channel_id)
    removed = await server.notices.channels.remove(me.id, channel_id)
    await note_change(server, me, origin, AuditEvent.CHANNEL_REMOVED, removed)
    return NotificationDone(msg="notification channel deleted")


@routes.get("/message-notifications", summary="List which channels tell about your accounts", responses=_READ)
async def list_message_notifications(server: TheServer, me: Me) -> MessageNotifications:
    """List the caller's channels that tell about each account. One that tells about every account stands with each."""
    found: defaultdict[str, list[MessageNotificationShape]] = defaultdict(list)
    for channel, cids in await _channels_of(server, me):
        config = await _config(server, channel)
        for cid in cids:
            found[cid].append(message_notification_shape(_id_of(channel, cid), channel, config))
    return MessageNotifications(dict(found))


@routes.get("/message-notifications/{cid}", summary="List which channels tell about an account", responses=_ONE)
async def list_message_notifications_of(
    cid: Cid, server: TheServer, me: Me, request: Request
) -> list[MessageNotificationShape]:
    """List the caller's channels that tell about an account."""
    _require(server, me, cid, request, "unknown_account/read")
    return [
        message_notification_shape(_id_of(channel, cid), channel, await _config(server, channel))
        for channel, cids in await _channels_of(server, me)
        if cid in cids
    ]


@routes.post("/message-notifications/{cid}", summary="Let a channel tell about an account, or not", responses=_CHANGE)
async def set_message_notification(
    cid: Cid, body: MessageNotificationBody, server: TheServer, me: Me, request: Request, origin: Origin
) -> NotificationDone:
    """Let one of the caller's channels tell about an account, or no longer."""
    _require(server, me, cid, request, "unknown_account/change")
    await _set(server, me, origin, await _mine(server, me, body.channel_id), cid, on=body.enabled)
    return NotificationDone(msg="message notification set")


@routes.delete("/message-notifications/account/{cid}", summary="Let no channel tell about an account", responses=_ONE)
async def remove_message_notifications_of(
    cid: Cid, server: TheServer, me: Me, request: Request, origin: Origin
) -> NotificationDone:
    """Let none of the caller's channels tell about an account any more. The answer is the same when none did."""
    _require(server, me, cid, request, "unknown_account/change")
    for channel, cids in await _channels_of(server, me):
        if cid in cids:
            await _set(server, me, origin, channel, cid, on=False)
    return NotificationDone(msg="account notifications deleted")


@routes.delete(
    "/message-notifications/{notification_id}", summary="Let a channel tell about an account no longer", responses=_ONE
)
async def remove_message_notification(
    notification_id: NotificationId, server: TheServer, me: Me, origin: Origin
) -> NotificationDone:
    """Let a channel tell about an account no longer. Its other accounts stay."""
    for channel, cids in await _channels_of(server, me):
        for cid in cids:
            if _id_of(channel, cid) == notification_id:
                await _set(server, me, origin, channel, cid, on=False)
                return NotificationDone(msg="message notification deleted")
    raise InvalidInput("there is no such notification", code="no_message_notification")


async def _mine(server: Server, me: User, channel_id: int) -> Channel:
    try:
        return await server.notices.channels.get(me.id, channel_id)
    except UnknownChannel:
        raise UnknownChannel(code="unknown_channel/old") from None


async def _address(server: Server, channel: Channel) -> tuple[Service, Fields]:
    opened = await server.notices.channels.opened(channel.id)
    if opened is None:  # removed at this moment
        raise UnknownChannel(code="unknown_channel/old")
    return opened[1], opened[2]


async def _config(server: Server, channel: Channel) -> str:
    return shown_config(*await _address(server, channel))


async def _shape(server: Server, channel: Channel) -> NotificationChannelShape:
    return notification_channel_shape(channel, await _config(server, channel))


def _require(server: Server, me: User, cid: str, request: Request, unknown: str) -> None:
    request.state.unknown_account = unknown
    server.authorization.require(Principal(user=me), cid, Permission.READ)


def _accounts(server: Server, me: User) -> list[str]:
    return [account.id for account in server.authorization.accounts_of(Principal(user=me))]


async def _channels_of(server: Server, me: User) -> list[tuple[Channel, list[str]]]:
    """Return the channels that are on, each with the accounts that it reports."""
    store, mine = server.notices.channels, _accounts(server, me)
    subscriptions = await store.subscriptions(me.id)
    found = [channel for channel in await store.list(me.id) if channel.active and channel.id in subscriptions]
    return [(channel, [cid for cid in mine if subscriptions[channel.id].covers(cid)]) for channel in found]


async def _set(server: Server, me: User, origin: str, channel: Channel, cid: str, *, on: bool) -> None:
    mine = _accounts(server, me)
    await server.notices.channels.subscribe(
        me.id, channel.id, lambda now: now.with_account(cid) if on else now.without_account(cid, mine)
    )
    await note_change(server, me, origin, AuditEvent.CHANNEL_CHANGED, channel)


def _id_of(channel: Channel, cid: str) -> int:
    """Return the number of a channel and an account: the older system had a row for each."""
    return int.from_bytes(hashlib.blake2b(f"{channel.id}/{cid}".encode(), digest_size=6).digest()) + 1
