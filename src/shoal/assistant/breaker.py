"""The breaker of a provider: one that fails often is not asked for a while, and then by one question at a time.

Five failures within ten minutes let it rest for ten minutes, each further rest for twice as long, an hour at most.
After a rest one question tries it, and no other until that is answered. It is a row, so it holds for all servers.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, RowMapping, select, update

from shoal.storage.assistant_tables import ai_provider_states, ai_providers
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, close_incidents, open_incidents, provider_subject

MOST_FAILURES: Final = 5
WINDOW_MS: Final = 10 * 60_000
FIRST_REST_MS: Final = 10 * 60_000
LONGEST_REST_MS: Final = 60 * 60_000
TRY_MS: Final = 60_000
"""How long one try of a resting provider keeps others away: longer than a call and its repetition. One whose process
died is over then."""


def resting_until_ms(connection: Connection, provider_id: int, now_ms: int, *, owner_id: int) -> int | None:
    """Return until when a provider of the owner's rests; ``None`` when it may be asked, or is another's."""
    query = (
        select(ai_provider_states.c.resting_until_ms)
        .join(ai_providers, ai_providers.c.id == ai_provider_states.c.provider_id)
        .where(ai_providers.c.id == provider_id, ai_providers.c.owner_id == owner_id)
    )
    until = connection.scalar(query) or 0
    return until if until > now_ms else None


def note_failure(connection: Connection, provider_id: int, why: str, *, now_ms: int, is_try: bool = False) -> bool:
    """Count a failure. Return whether the provider rests because of it; then an incident is opened.

    A question that was asked before the rest began counts no more: only the one that tries (``is_try``) may begin
    another.
    """
    state = _locked(connection, provider_id)
    if state is None or (state["rests"] and not is_try):
        return False
    began = state["failing_since_ms"]
    is_new = began is None or not 0 <= now_ms - began < WINDOW_MS
    failures = 1 if is_new else state["failures"] + 1
    values: dict[str, Any] = {"failures": failures, "failing_since_ms": now_ms if is_new else began, "last_error": why}
    rests = is_try or failures >= MOST_FAILURES
    if rests:
        pause = min(FIRST_REST_MS << min(state["rests"], 8), LONGEST_REST_MS)
        values |= {"failures": 0, "failing_since_ms": None, "resting_until_ms": now_ms + pause}
        values["rests"] = state["rests"] + 1
    connection.execute(_mine(provider_id).values(**values))
    if rests:
        _open_incident(connection, provider_id, why, now_ms)
    return rests


def note_success(connection: Connection, provider_id: int, *, now_ms: int) -> None:
    """End the rest of a provider: the question that tried it was answered."""
    fresh = {"failures": 0, "failing_since_ms": None, "resting_until_ms": 0, "rests": 0, "last_error": ""}
    connection.execute(_mine(provider_id).values(**fresh))
    close_incidents(connection, [provider_subject(provider_id)], [IncidentKind.MODEL_RESTING], now_ms)


def _mine(provider_id: int) -> Any:
    return update(ai_provider_states).where(ai_provider_states.c.provider_id == provider_id)


def _locked(connection: Connection, provider_id: int) -> RowMapping | None:
    query = select(ai_provider_states).where(ai_provider_states.c.provider_id == provider_id).with_for_update()
    return connection.execute(query).mappings().one_or_none()


def _open_incident(connection: Connection, provider_id: int, why: str, now_ms: int) -> None:
    query = select(ai_providers.c.owner_id, ai_providers.c.name).where(ai_providers.c.id == provider_id)
    owner_id, name = connection.execute(query).one()
    opening = Opening(
        subject=provider_subject(provider_id),
        kind=IncidentKind.MODEL_RESTING,
        at_ms=now_ms,
        user_id=owner_id,
        detail=why,
        facts={"provider": name, "provider_id": provider_id},
    )
    open_incidents(connection, [opening])
