"""How providers fare: whether an account's may be asked, whether one rests, and what its calls cost today."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, case, func, select

from shoal.accounts.account import Account
from shoal.accounts.model_settings import ModelLack, ModelMode
from shoal.assistant.budget import day_of
from shoal.storage.assistant_tables import ai_provider_states, ai_providers, ai_usage


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider fares. ``cost_today_microfen``: of all shops and checks, on the day that it is in China."""

    resting_until_ms: int | None = None
    failures: int = 0
    last_error: str = ""
    cost_today_microfen: int = 0


def lack_of(connection: Connection, account: Account) -> ModelLack | None:
    """Return what an account's model lacks while it is on; ``None`` for one that can be asked, and one that is off."""
    return model_now(connection, account, 0)[0]


def model_now(connection: Connection, account: Account, now_ms: int) -> tuple[ModelLack | None, int | None]:
    """Return what an account's model lacks while it is on, and until when its provider rests."""
    if account.ai_mode == ModelMode.OFF:
        return None, None
    query = (
        select(ai_providers.c.host, ai_providers.c.consented_host, ai_provider_states.c.resting_until_ms)
        .join_from(ai_providers, ai_provider_states, ai_provider_states.c.provider_id == ai_providers.c.id)
        .where(ai_providers.c.id == account.ai_provider_id, ai_providers.c.owner_id == account.owner_id)
    )
    found = connection.execute(query).one_or_none()
    if found is None:
        return ModelLack.NO_PROVIDER, None
    lack = None if found.host and found.consented_host == found.host else ModelLack.NO_CONSENT
    return lack, found.resting_until_ms if found.resting_until_ms > now_ms else None


def standings(connection: Connection, owner_id: int, now_ms: int) -> dict[int, Standing]:
    """Return how each provider of a user fares, by id."""
    day = day_of("", now_ms)
    today = (
        select(ai_usage.c.provider_id, func.sum(ai_usage.c.cost_microfen).label("cost"))
        .where(ai_usage.c.day == day)
        .group_by(ai_usage.c.provider_id)
        .subquery()
    )
    state = ai_provider_states.c
    checks = case((state.checks_day == day, state.checks_cost_microfen), else_=0).label("checks")
    query = (
        select(state.provider_id, state.resting_until_ms, state.failures, state.last_error, today.c.cost, checks)
        .join_from(ai_provider_states, ai_providers, ai_providers.c.id == state.provider_id)
        .outerjoin(today, today.c.provider_id == state.provider_id)
        .where(ai_providers.c.owner_id == owner_id)
    )
    return {
        row.provider_id: Standing(
            resting_until_ms=row.resting_until_ms if row.resting_until_ms > now_ms else None,
            failures=row.failures,
            last_error=row.last_error,
            cost_today_microfen=int(row.cost or 0) + row.checks,
        )
        for row in connection.execute(query)
    }
