"""Webhooks as JSON. No answer has the secret but that to its creation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from shoal.api.schemas.request_texts import Secret, Text, body_example
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.api.schemas.shown_once import ShownOnce
from shoal.webhooks.webhooks import StoredAttempt, Webhook

KindShape = Literal["incident", "state", "message", "order", "delivery", "change"]

_WEBHOOK: dict[str, Any] = {
    "id": 2, "url": "https://hooks.example.com/***", "kinds": ["incident", "order"], "accounts": [], "active": True,
    "off_reason": "", "position": "120.s88.m4051.o17.i5", "tries": 0, "failing_since": None,
    "arrived_at": "2026-01-02T03:04:05.000Z", "next_try_at": None, "created_at": "2026-01-02T03:04:05.000Z",
    "changed_at": "2026-01-02T03:04:05.000Z",
}  # fmt: skip
_ATTEMPT: dict[str, Any] = {
    "id": 31, "event": "m4051-1767323045000", "type": "message.received", "at": "2026-01-02T03:04:05.000Z",
    "status": 200, "took_ms": 43, "arrived": True, "error": "", "answer": "ok",
}  # fmt: skip


class WebhookBody(BaseModel):
    """A new webhook. Without `secret` one is made. Empty lists do not limit."""

    model_config = body_example(url="https://hooks.example.com/shoal", kinds=["incident", "order"], accounts=[])
    url: Secret
    secret: Secret | None = None
    kinds: list[KindShape] = []
    accounts: list[Text] = []


class WebhookPatch(BaseModel):
    """What to change; what is left out stays. `active: true` lets one that was switched off go on where it stopped."""

    model_config = body_example(active=True)
    url: Secret | None = None
    secret: Secret | None = None
    kinds: list[KindShape] | None = None
    accounts: list[Text] | None = None
    active: bool | None = None


class ReplayBody(BaseModel):
    """From where a webhook goes on: an event's id (`webhook-id`), or a time. Exactly one of them."""

    model_config = body_example(from_event="m4051-1767323045000")
    from_event: Text | None = None
    from_ms: int | None = Field(None, ge=0)


class WebhookShape(BaseModel):
    """One webhook. `failing_since`: since when nothing arrives. `off_reason`: why the server switched it off."""

    model_config = example(**_WEBHOOK)
    id: int
    url: str = Field(
        description="Without path and query, which are often secrets. "
        "Empty: it cannot be read; remove the webhook and add it again."
    )
    kinds: list[KindShape]
    accounts: list[str]
    active: bool
    off_reason: Literal["", "down", "gone"]
    position: str = Field(description="How far its events arrived.")
    tries: int
    failing_since: str | None
    arrived_at: str | None
    next_try_at: str | None
    created_at: str
    changed_at: str


class WebhookMade(WebhookShape, ShownOnce):
    """A new webhook, and its secret: it is shown only here."""

    model_config = example(**_WEBHOOK, secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", already_shown=False)  # noqa: S106
    secrets = ("secret",)
    secret: str


class WebhookList(BaseModel):
    """The caller's webhooks, in the order in which they were made."""

    model_config = example(items=[_WEBHOOK])
    items: list[WebhookShape]


class WebhookRemoved(BaseModel):
    """The webhook was removed."""

    model_config = example(msg="removed", id=2)
    msg: str = "removed"
    id: int


class AttemptShape(BaseModel):
    """One call: the receiver's `status` (`null` without an answer), what failed, the first characters of the answer."""

    model_config = example(**_ATTEMPT)
    id: int
    event: str
    type: str
    at: str
    status: int | None
    took_ms: int
    arrived: bool
    error: str
    answer: str


class AttemptList(BaseModel):
    """Calls of a webhook, newest first."""

    model_config = example(items=[_ATTEMPT], next=None)
    items: list[AttemptShape]
    next: str | None = None


class WebhookTested(BaseModel):
    """How the test went: what the receiver answered, or what failed."""

    model_config = example(sent=True, status=200, took_ms=43, error="", answer="ok")
    sent: bool
    status: int | None
    took_ms: int
    error: str
    answer: str


def webhook_shape(webhook: Webhook) -> WebhookShape:
    """Return a webhook as it is shown."""
    return WebhookShape.model_validate(_values(webhook))


def webhook_made(webhook: Webhook, secret: str) -> WebhookMade:
    """Return a new webhook with its secret."""
    return WebhookMade.model_validate({**_values(webhook), "secret": secret})


def _values(webhook: Webhook) -> dict[str, Any]:
    plain = {name: getattr(webhook, name) for name in ("id", "active", "off_reason", "tries")}
    return {
        **plain,
        "url": webhook.address,
        "kinds": list(webhook.kinds),
        "accounts": list(webhook.accounts),
        "position": str(webhook.position),
        "failing_since": maybe_rfc3339(webhook.failing_since_ms),
        "arrived_at": maybe_rfc3339(webhook.arrived_at_ms),
        "next_try_at": maybe_rfc3339(webhook.due_at_ms),
        "created_at": rfc3339(webhook.created_at_ms),
        "changed_at": rfc3339(webhook.changed_at_ms),
    }


def attempt_shape(attempt: StoredAttempt) -> AttemptShape:
    """Return a call as it is shown."""
    plain = {name: getattr(attempt, name) for name in ("id", "type", "status", "took_ms", "arrived", "error", "answer")}
    return AttemptShape(**plain, event=attempt.event_id, at=rfc3339(attempt.at_ms))
