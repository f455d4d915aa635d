"""Channels as JSON. No answer has the address: it is shown as ``dingtalk://***``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from shoal.api.schemas.filled import filled
from shoal.api.schemas.request_texts import Secret, Text, body_example
from shoal.api.schemas.responses import example
from shoal.language.choice import Language
from shoal.notices.channels import Channel, Quiet
from shoal.notices.incident_history import Notice
from shoal.notices.plans import NoticeState
from shoal.notices.services import SERVICES, Service
from shoal.notices.subscriptions import Subscription
from shoal.notices.transport import answer_text

LanguageShape = Literal["zh", "en"]
LeastShape = Literal["info", "warning", "urgent"]

_QUIET = {"from": "23:00", "to": "08:00", "zone": "Asia/Shanghai"}
_CHANNEL: dict[str, Any] = {
    "id": 3, "name": "值班群", "service": "dingtalk", "address": "dingtalk://***", "language": "zh", "quiet": _QUIET,
    "least": "warning", "buyer_words": False, "active": True, "off_reason": "",
    "created_at": "2026-01-02T03:04:05.000Z", "changed_at": "2026-01-02T03:04:05.000Z",
}  # fmt: skip
_SUBSCRIPTION: dict[str, Any] = {"kinds": ["parked"], "accounts": ["my-shop"], "tags": [], "nothing": False}
_LAST: dict[str, Any] = {"state": "sent", "tries": 1, "error": "", "at_ms": 1767323046500}
_FIELD = {"name": "token", "optional": False, "secret": True, "default": "", "choices": []}


class QuietHours(BaseModel):
    """Hours in which notices wait for the end of them, by the clock of a time zone. They may pass midnight."""

    model_config = body_example(**_QUIET)
    start: Text = Field(alias="from")
    end: Text = Field(alias="to")
    zone: Text = "Asia/Shanghai"

    def value(self) -> Quiet:
        """Return the hours."""
        return Quiet(start=self.start, end=self.end, zone=self.zone)


class ChannelBody(BaseModel):
    """A new channel. ``fields`` are those that ``GET /channels/services`` names for the service."""

    model_config = body_example(
        name="值班群", service="dingtalk", fields={"token": "0a1b2c"}, language="zh", quiet=_QUIET, least="warning"
    )
    name: Text
    service: Text
    fields: dict[Text, Secret]
    language: LanguageShape = "zh"
    quiet: QuietHours | None = None
    least: LeastShape = "info"
    buyer_words: bool = False
    active: bool = True


class ChannelPatch(BaseModel):
    """What to change; what is left out stays. ``fields`` replaces the whole address, ``quiet: null`` ends the hours."""

    model_config = body_example(least="urgent")
    name: Text | None = None
    fields: dict[Text, Secret] | None = None
    language: LanguageShape | None = None
    quiet: QuietHours | None = None
    least: LeastShape | None = None
    buyer_words: bool | None = None
    active: bool | None = None


class SubscriptionBody(BaseModel):
    """What a channel tells about. An empty list does not limit; an incident must fit each list. ``tags`` is empty."""

    model_config = body_example(kinds=["parked"], accounts=["my-shop"], tags=[])
    kinds: list[Text] = []
    accounts: list[Text] = []
    tags: list[Text] = []


class QuietShape(BaseModel):
    """Hours in which notices wait."""

    model_config = example(**_QUIET)
    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    zone: str


class ChannelShape(BaseModel):
    """One channel. ``buyer_words``: its notices may quote buyers. ``off_reason``: why the server switched it off
    (``gone``: the browser ended its subscription).
    """

    model_config = example(**_CHANNEL)
    id: int
    name: str
    service: str
    address: str
    language: LanguageShape
    quiet: QuietShape | None
    least: LeastShape
    buyer_words: bool
    active: bool
    off_reason: str
    created_at: str
    changed_at: str


class LastNotice(BaseModel):
    """The newest notice of a channel that was tried. ``error``: why the last try failed."""

    model_config = example(**_LAST)
    state: NoticeState
    tries: int
    error: str
    at_ms: int


class ListedChannel(ChannelShape):
    """One channel, and how its newest notice went; ``null``: it had none."""

    model_config = example(**_CHANNEL, last=_LAST)
    last: LastNotice | None = None


class ChannelList(BaseModel):
    """The caller's channels, in the order in which they were made."""

    model_config = example(items=[{**_CHANNEL, "last": _LAST}])
    items: list[ListedChannel]


class ChannelRemoved(BaseModel):
    """The channel was removed."""

    model_config = example(msg="removed", id=3)
    msg: str = "removed"
    id: int


class TestAnswer(BaseModel):
    """Whether the service took the test, and its own answer."""

    model_config = example(sent=True, answer='HTTP 200 {"errcode":0,"errmsg":"ok"}')
    sent: bool
    answer: str


class SubscriptionShape(BaseModel):
    """What a channel tells about. An empty list does not limit; with ``nothing`` it tells about nothing at all."""

    model_config = example(**_SUBSCRIPTION)
    kinds: list[str]
    accounts: list[str]
    tags: list[str]
    nothing: bool


class ChannelSubscription(SubscriptionShape):
    """Of what one channel tells."""

    model_config = example(channel_id=3, **_SUBSCRIPTION)
    channel_id: int


class SubscriptionList(BaseModel):
    """Of what each channel of the caller tells."""

    model_config = example(items=[{"channel_id": 3, **_SUBSCRIPTION}])
    items: list[ChannelSubscription]


class FieldShape(BaseModel):
    """One field of a service. ``choices``: the only values, when there are any."""

    model_config = example(**_FIELD)
    name: str
    optional: bool
    secret: bool
    default: str
    choices: list[str]


class ServiceShape(BaseModel):
    """A service and the fields that it needs."""

    model_config = example(name="dingtalk", fields=[_FIELD])
    name: str
    fields: list[FieldShape]


class ServiceList(BaseModel):
    """Every service that a channel may use."""

    model_config = example(items=[{"name": "dingtalk", "fields": [_FIELD]}])
    items: list[ServiceShape]


def channel_shape(channel: Channel) -> ChannelShape:
    """Return a channel as JSON."""
    quiet = channel.quiet
    return filled(
        ChannelShape,
        channel,
        address=f"{channel.service}://***",
        language="en" if channel.language == "en" else "zh",
        quiet=None if quiet is None else QuietShape(start=quiet.start, end=quiet.end, zone=quiet.zone),
        least=channel.least.value,
    )


def listed_channel(channel: Channel, last: Notice | None, language: Language) -> ListedChannel:
    """Return a channel as JSON, with how its newest notice went. ``language``: that of the reader."""
    shape = ListedChannel(**channel_shape(channel).model_dump())
    if last is not None:
        at_ms = last.settled_at_ms or last.created_at_ms
        error = answer_text(last.last_error, last.failure, last.failure_host, language)
        shape.last = LastNotice(state=last.state, tries=last.tries, error=error, at_ms=at_ms)
    return shape


def subscription_shape(found: Subscription) -> SubscriptionShape:
    """Return what a channel reports."""
    return SubscriptionShape(**_fields(found))


def channel_subscription_shape(channel_id: int, found: Subscription) -> ChannelSubscription:
    """Return what one channel reports, with its id."""
    return ChannelSubscription(channel_id=channel_id, **_fields(found))


def _fields(found: Subscription) -> dict[str, Any]:
    lists = {name: list(getattr(found, name)) for name in ("kinds", "accounts", "tags")}
    return {**lists, "nothing": found.nothing}


def service_list() -> ServiceList:
    """Return every service."""
    return ServiceList(items=[_service(service) for service in SERVICES.values()])


def _service(service: Service) -> ServiceShape:
    fields = [
        FieldShape(
            name=field.name,
            optional=field.optional,
            secret=field.secret,
            default=field.default,
            choices=list(field.choices),
        )
        for field in service.fields
    ]
    return ServiceShape(name=service.name, fields=fields)
