"""Channels and whose notices they send, in the dialect of the system that sellers come from."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, RootModel

from shoal.api.schemas.request_texts import Text
from shoal.api.schemas.responses import example, old_time
from shoal.notices.channels import Channel
from shoal.notices.old_channels import old_type

_CONFIG = '{"webhook_url": "***", "secret": "***"}'
_CHANNEL: dict[str, Any] = {
    "id": 3, "name": "值班群", "type": "dingtalk", "config": _CONFIG, "enabled": True,
    "created_at": "2026-01-02 03:04:05", "updated_at": "2026-01-02 03:04:05",
}  # fmt: skip
_EXAMPLE: dict[str, Any] = {
    "id": 163511209731241, "channel_id": 3, "enabled": True, "channel_name": "值班群", "channel_type": "dingtalk",
    "channel_config": _CONFIG,
}  # fmt: skip


def _body(**shown: Any) -> ConfigDict:
    """Return the configuration of a body to which old scripts may add fields."""
    return ConfigDict(strict=True, extra="ignore", hide_input_in_errors=True, json_schema_extra={"examples": [shown]})


class NotificationChannelBody(BaseModel):
    """A new channel. ``config``: a text with JSON, as the older system's page wrote it."""

    model_config = _body(
        name="值班群", type="dingtalk",
        config='{"webhook_url": "https://oapi.dingtalk.com/robot/send?access_token=0a1b2c"}',
    )  # fmt: skip
    name: Text
    type: Text = "qq"
    config: Text


class NotificationChannelChange(BaseModel):
    """A channel after a change. The type stays; a value in ``config`` that is `***` stays too."""

    model_config = _body(name="值班群", config=_CONFIG, enabled=True)
    name: Text
    config: Text
    enabled: bool = True


class NotificationChannelShape(BaseModel):
    """A channel. Secrets in ``config`` are shown as `***`."""

    model_config = example(**_CHANNEL)
    id: int
    name: str
    type: str
    config: str
    enabled: bool
    created_at: str
    updated_at: str


class NotificationChannelMade(BaseModel):
    """The channel was added."""

    model_config = example(msg="notification channel created", id=3)
    msg: str = "notification channel created"
    id: int


class MessageNotificationBody(BaseModel):
    """Whether a channel tells about an account."""

    model_config = _body(channel_id=3, enabled=True)
    channel_id: int = Field(ge=1, le=2**53)
    enabled: bool = True


class MessageNotificationShape(BaseModel):
    """One channel that tells about an account. ``enabled`` is always true: others are left out."""

    model_config = example(**_EXAMPLE)
    id: int
    channel_id: int
    enabled: bool
    channel_name: str
    channel_type: str
    channel_config: str


class MessageNotifications(RootModel[dict[str, list[MessageNotificationShape]]]):
    """The channels that tell about each account, by its id; accounts without any are left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"my-shop": [_EXAMPLE]}]})


class NotificationDone(BaseModel):
    """It was done."""

    model_config = example(msg="message notification set")
    msg: str


def notification_channel_shape(channel: Channel, config: str) -> NotificationChannelShape:
    """Return a channel as JSON."""
    return NotificationChannelShape(
        id=channel.id,
        name=channel.name,
        type=old_type(channel.service),
        config=config,
        enabled=channel.active,
        created_at=old_time(channel.created_at_ms),
        updated_at=old_time(channel.changed_at_ms),
    )


def message_notification_shape(number: int, channel: Channel, config: str) -> MessageNotificationShape:
    """Return as JSON that a channel reports an account."""
    return MessageNotificationShape(
        id=number,
        channel_id=channel.id,
        enabled=True,
        channel_name=channel.name,
        channel_type=old_type(channel.service),
        channel_config=config,
    )
