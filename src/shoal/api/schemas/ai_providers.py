"""Providers of language models as JSON. No answer has an address or a key."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from shoal.api.schemas.filled import filled
from shoal.api.schemas.request_texts import Secret, Text, body_example
from shoal.api.schemas.responses import example, maybe_rfc3339, rfc3339
from shoal.assistant.provider_check import Checked
from shoal.assistant.provider_standing import Standing
from shoal.assistant.providers import (
    MOST_CALLS,
    MOST_FEN_PER_DAY,
    MOST_PRICE_FEN,
    Provider,
)

ProviderKindShape = Literal["openai", "agent"]

_PROVIDER: dict[str, Any] = {
    "id": 2, "name": "small model", "kind": "openai", "host": "api.example.com", "model": "tiny",
    "price_in_fen": 200, "price_out_fen": 800, "calls_per_minute": 30, "fen_per_day": 500,
    "consented_host": "api.example.com", "consented_at": "2026-01-02T03:04:05.000Z", "has_key": True,
    "resting_until": None, "failures": 0, "last_error": "", "cost_today_microfen": 1_280_000,
    "created_at": "2026-01-02T03:04:05.000Z", "changed_at": "2026-01-02T03:04:05.000Z",
}  # fmt: skip


class ProviderBody(BaseModel):
    """A new provider. `base_url` is what stands before `/chat/completions`, or the endpoint of an `agent`.

    `consented_host` is the host of `base_url` (with `http://` before it when it is called without encryption): by it
    the owner agrees that buyers' questions go there. Without it nothing is sent.
    """

    model_config = body_example(
        name="small model", base_url="https://api.example.com/v1", key="sk-0123456789", model="tiny",
        price_in_fen=200, price_out_fen=800, fen_per_day=500, consented_host="api.example.com",
    )  # fmt: skip
    name: Text
    kind: ProviderKindShape = "openai"
    base_url: Secret
    key: Secret | None = None
    model: Text = ""
    price_in_fen: int = Field(0, ge=0, le=MOST_PRICE_FEN, description="Fen for a million tokens of questions.")
    price_out_fen: int = Field(0, ge=0, le=MOST_PRICE_FEN, description="Fen for a million tokens of answers.")
    calls_per_minute: int = Field(30, ge=1, le=MOST_CALLS)
    fen_per_day: int | None = Field(
        None, ge=0, le=MOST_FEN_PER_DAY, description="The most that a day may cost, all shops together."
    )
    consented_host: Text = ""


class ProviderPatch(BaseModel):
    """What to change; what is left out stays. Another host ends the agreement and needs the key again. An empty
    `consented_host` ends the agreement."""

    model_config = body_example(consented_host="api.example.com")
    name: Text | None = None
    kind: ProviderKindShape | None = None
    base_url: Secret | None = None
    key: Secret | None = None
    model: Text | None = None
    price_in_fen: int | None = Field(None, ge=0, le=MOST_PRICE_FEN)
    price_out_fen: int | None = Field(None, ge=0, le=MOST_PRICE_FEN)
    calls_per_minute: int | None = Field(None, ge=1, le=MOST_CALLS)
    fen_per_day: int | None = Field(None, ge=0, le=MOST_FEN_PER_DAY, description="`null` ends the limit.")
    consented_host: Text | None = None


class ProviderShape(BaseModel):
    """One provider. Only while `consented_host` is `host` is it asked; `resting_until`: after failures it is not."""

    model_config = example(**_PROVIDER)
    id: int
    name: str
    kind: ProviderKindShape
    host: str
    model: str
    price_in_fen: int
    price_out_fen: int
    calls_per_minute: int
    fen_per_day: int | None
    consented_host: str
    consented_at: str | None
    has_key: bool
    resting_until: str | None
    failures: int
    last_error: str
    cost_today_microfen: int = Field(description="In millionths of a fen, of all shops, today in China.")
    created_at: str
    changed_at: str


class ProviderList(BaseModel):
    """The caller's providers, in the order in which they were made."""

    model_config = example(items=[_PROVIDER], next=None)
    items: list[ProviderShape]
    next: None = None


class ProviderRemoved(BaseModel):
    """The provider was removed."""

    model_config = example(msg="removed", id=2)
    msg: str = "removed"
    id: int


class ProviderChecked(BaseModel):
    """What came back. `why` says why it is not `ok`; it may end in the HTTP status. `text` is the raw output."""

    model_config = example(
        ok=True, text='{"action": "reply", "text": "包邮的"}', why="", tokens_in=612, tokens_out=18,
        cost_microfen=136_800, duration_ms=840,
    )  # fmt: skip
    ok: bool
    text: str
    why: str
    tokens_in: int
    tokens_out: int
    cost_microfen: int
    duration_ms: int


def provider_shape(provider: Provider, standing: Standing) -> ProviderShape:
    """Return a provider as it is shown."""
    plain = (
        "id", "name", "host", "model", "price_in_fen", "price_out_fen", "calls_per_minute", "fen_per_day",
        "consented_host", "has_key",
    )  # fmt: skip
    return ProviderShape(
        **{name: getattr(provider, name) for name in plain},
        kind=provider.kind.value,
        consented_at=maybe_rfc3339(provider.consented_at_ms),
        resting_until=maybe_rfc3339(standing.resting_until_ms),
        failures=standing.failures,
        last_error=standing.last_error,
        cost_today_microfen=standing.cost_today_microfen,
        created_at=rfc3339(provider.created_at_ms),
        changed_at=rfc3339(provider.changed_at_ms),
    )


def checked_shape(checked: Checked) -> ProviderChecked:
    """Return what came back of a check."""
    return filled(ProviderChecked, checked, ok=not checked.why, duration_ms=checked.ms)
