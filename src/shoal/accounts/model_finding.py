"""What a diagnosis finds of a shop's language model: can it be asked now, and what could it not answer? Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from shoal.accounts.account import Account
from shoal.accounts.model_settings import ModelLack, ModelMode
from shoal.rules.schedule import DEFAULT_TIMEZONE


class ModelFigures(Protocol):
    """What was counted of a model in the last 24 hours."""

    @property
    def model_answers(self) -> int:
        """Its replies and drafts."""

    @property
    def model_held(self) -> int:
        """The questions that it could not answer."""

    @property
    def model_reasons(self) -> object:
        """Why not."""


class ModelFinding(NamedTuple):
    """The key of the sentence, whether all is well, and what fills the sentence in."""

    finding: str
    ok: bool
    params: dict[str, Any]


def model_finding(
    account: Account, figures: ModelFigures, lack: ModelLack | None, rests_until_ms: int | None, now_ms: int
) -> ModelFinding:
    """Return the finding. A model that lacks something is never asked, and leaves no run that would say so."""
    if account.ai_mode == ModelMode.OFF:
        return ModelFinding("model_off", True, {})
    if lack is ModelLack.NO_PROVIDER or not account.ai_provider_id:
        return ModelFinding("model_no_provider", False, {})
    if lack is ModelLack.NO_CONSENT:
        return ModelFinding("model_no_consent", False, {})
    return _away(account, rests_until_ms, now_ms) or _held(figures)


def _away(account: Account, rests_until_ms: int | None, now_ms: int) -> ModelFinding | None:
    closed = account.model_closed_at(now_ms)
    if closed is not None and closed.until_ms is None:
        return ModelFinding("model_out_for_long", False, {})
    until_ms = rests_until_ms if closed is None else closed.until_ms
    if until_ms is None:
        return None
    params = {"until": moment_to_come(account.timezone, now_ms, until_ms)}
    return (
        ModelFinding("model_resting", False, params)
        if closed is None
        else ModelFinding("model_out_of_hours", True, params)
    )


def _held(figures: ModelFigures) -> ModelFinding:
    if not figures.model_held:
        return ModelFinding("model_answers", True, {"count": figures.model_answers})
    return ModelFinding("model_held", False, {"count": figures.model_held, "reasons": figures.model_reasons})


def moment_to_come(timezone: str, now_ms: int, then_ms: int) -> str:
    """Return a moment to come as the shop's clock shows it, with the day when it is not within a day."""
    zone = ZoneInfo(timezone or DEFAULT_TIMEZONE)
    now, then = (datetime.fromtimestamp(ms / 1000, zone) for ms in (now_ms, then_ms))
    return then.strftime("%H:%M" if then - now < timedelta(days=1) else "%Y-%m-%d %H:%M")
