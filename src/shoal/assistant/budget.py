"""The budget of a model: tokens of a shop and money of a provider on one day, and calls in a minute, with a hard stop.

What a call may use is reserved before it, in the transaction that stores that it is made, and corrected afterwards.
So no two callers spend the same rest, on any server, and a call whose process dies stays spent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, RowMapping, and_, case, func, or_, select, update

from shoal.assistant.breaker import TRY_MS, note_failure, note_success
from shoal.assistant.model_calls import ModelFailed
from shoal.assistant.providers import Provider
from shoal.rules.schedule import DEFAULT_TIMEZONE
from shoal.storage.assistant_tables import ai_provider_states, ai_providers, ai_usage
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, open_incidents
from shoal.storage.notice_tables import incidents
from shoal.storage.upserts import insert_or

MICROFEN: Final = 1_000_000
"""A fen in the unit of costs: tokens times the price in fen for a million tokens."""
_MINUTE_MS: Final = 60_000


class NoRoomWhy(StrEnum):
    """Why a model is not asked."""

    TOKENS = "tokens"
    """The shop's tokens of the day do not suffice."""
    MONEY = "money"
    """The provider's money of the day does not suffice."""
    PACE = "pace"
    """The provider got as many calls in this minute as it may."""
    RESTING = "resting"
    """The provider rests, or one question tries it."""
    CONSENT = "consent"
    """The provider is gone, or its owner does not agree any more."""


class NoRoom(Exception):
    """A model may not be asked now; nothing was reserved. ``until_ms``: when a rest or a minute is over."""

    def __init__(self, why: NoRoomWhy, until_ms: int | None = None) -> None:
        super().__init__(why.value)
        self.why = why
        self.until_ms = until_ms


class Spending(msgspec.Struct, frozen=True):
    """Who spends, at which provider, on which day of the shop (``day_of``)."""

    account_id: str
    provider: Provider
    day: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation:
    """What one call may use. ``is_try``: it tries a provider that rested."""

    account_id: str
    provider_id: int
    day: str
    tokens_in: int
    tokens_out: int
    price_in_fen: int
    price_out_fen: int
    is_try: bool = False

    def cost_of(self, tokens_in: int, tokens_out: int) -> int:
        """Return what so many tokens cost, in millionths of a fen."""
        return tokens_in * self.price_in_fen + tokens_out * self.price_out_fen


def day_of(timezone: str, now_ms: int) -> str:
    """Return the day of a shop in that zone, as ``YYYY-MM-DD``."""
    there = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(timezone or DEFAULT_TIMEZONE))
    return there.date().isoformat()


def reserve(
    connection: Connection, spending: Spending, tokens_in: int, tokens_out: int, tokens_per_day: int, *, now_ms: int
) -> Reservation:
    """Reserve one call in the caller's transaction. Raises ``NoRoom``, which leaves the transaction usable.

    ``tokens_in`` and ``tokens_out``: the most that it may use. The provider's row is locked first, so that reservations
    with one provider follow one another. A day that is spent opens its incident, once.
    """
    provider_id = spending.provider.id
    state = _locked(connection, provider_id)
    if state is None or not state["consented_host"] or state["consented_host"] != state["host"]:
        raise NoRoom(NoRoomWhy.CONSENT)
    if state["resting_until_ms"] > now_ms:
        raise NoRoom(NoRoomWhy.RESTING, state["resting_until_ms"])
    began, is_new_minute = state["minute_began_ms"], not 0 <= now_ms - state["minute_began_ms"] < _MINUTE_MS
    if not is_new_minute and state["minute_calls"] >= state["calls_per_minute"]:
        raise NoRoom(NoRoomWhy.PACE, began + _MINUTE_MS)
    made = Reservation(
        account_id=spending.account_id,
        provider_id=provider_id,
        day=spending.day,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        price_in_fen=state["price_in_fen"],
        price_out_fen=state["price_out_fen"],
        is_try=state["rests"] > 0,
    )
    _require_room(connection, made, tokens_per_day, state, now_ms)
    _add(connection, made, calls=1, tokens_in=tokens_in, tokens_out=tokens_out)
    values: dict[str, Any] = {
        "minute_began_ms": now_ms if is_new_minute else began,
        "minute_calls": 1 if is_new_minute else state["minute_calls"] + 1,
    }
    if made.is_try:
        values["resting_until_ms"] = now_ms + TRY_MS
    mine = update(ai_provider_states).where(ai_provider_states.c.provider_id == provider_id)
    connection.execute(mine.values(**values))
    return made


def lacks_room(connection: Connection, spending: Spending, tokens: int, tokens_per_day: int, *, now_ms: int) -> bool:
    """Return whether ``reserve`` would find no room for so many tokens of output now. It reads, and locks nothing."""
    state = _state(connection, spending.provider.id)
    if state is None or state["resting_until_ms"] > now_ms:
        return True
    is_this_minute = 0 <= now_ms - state["minute_began_ms"] < _MINUTE_MS
    if is_this_minute and state["minute_calls"] >= state["calls_per_minute"]:
        return True
    made = Reservation(
        account_id=spending.account_id,
        provider_id=spending.provider.id,
        day=spending.day,
        tokens_in=0,
        tokens_out=tokens,
        price_in_fen=state["price_in_fen"],
        price_out_fen=state["price_out_fen"],
    )
    return _lacking(connection, made, tokens_per_day, state) is not None


def pace(connection: Connection, provider_id: int, tokens_in: int, tokens_out: int, *, now_ms: int) -> Reservation:
    """Reserve a call that is of no shop, such as a check, on the day in China. Raises ``NoRoom`` as ``reserve``.

    A rest is no reason: its owner wants to know whether the provider answers.
    """
    state = _locked(connection, provider_id)
    if state is None or not state["consented_host"] or state["consented_host"] != state["host"]:
        raise NoRoom(NoRoomWhy.CONSENT)
    is_new = not 0 <= now_ms - state["minute_began_ms"] < _MINUTE_MS
    if not is_new and state["minute_calls"] >= state["calls_per_minute"]:
        raise NoRoom(NoRoomWhy.PACE, state["minute_began_ms"] + _MINUTE_MS)
    made = Reservation(
        account_id="",
        provider_id=provider_id,
        day=day_of("", now_ms),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        price_in_fen=state["price_in_fen"],
        price_out_fen=state["price_out_fen"],
    )
    if state["fen_per_day"] is not None:
        its = and_(ai_usage.c.provider_id == provider_id, ai_usage.c.day == made.day)
        spent = int(connection.scalar(select(func.sum(ai_usage.c.cost_microfen)).where(its)) or 0)
        if spent + _checks_cost(state, made.day) + _reserved_cost(made) > state["fen_per_day"] * MICROFEN:
            raise NoRoom(NoRoomWhy.MONEY)
    values = {
        "minute_began_ms": now_ms if is_new else state["minute_began_ms"],
        "minute_calls": 1 if is_new else state["minute_calls"] + 1,
        "checks_day": made.day,
        "checks_cost_microfen": _checks_cost(state, made.day) + _reserved_cost(made),
    }
    mine = update(ai_provider_states).where(ai_provider_states.c.provider_id == provider_id)
    connection.execute(mine.values(**values))
    return made


def settle_check(connection: Connection, made: Reservation, tokens_in: int, tokens_out: int) -> int:
    """Put what a check used in place of what ``pace`` reserved. Return its cost in millionths of a fen."""
    cost, state = made.cost_of(tokens_in, tokens_out), ai_provider_states.c
    mine = update(ai_provider_states).where(state.provider_id == made.provider_id, state.checks_day == made.day)
    connection.execute(mine.values(checks_cost_microfen=state.checks_cost_microfen + cost - _reserved_cost(made)))
    return cost


def settle(connection: Connection, made: Reservation, tokens_in: int, tokens_out: int, *, now_ms: int) -> int:
    """Put what a call used in place of what was reserved for it. Return its cost in millionths of a fen.

    The first answer of a provider that rested ends its rests.
    """
    if made.is_try:
        note_success(connection, made.provider_id, now_ms=now_ms)
    _add(connection, made, tokens_in=tokens_in - made.tokens_in, tokens_out=tokens_out - made.tokens_out)
    return made.cost_of(tokens_in, tokens_out)


def settle_failure(connection: Connection, made: Reservation, failure: ModelFailed, *, now_ms: int) -> int:
    """Count a call without an answer for the breaker. Return its cost: what it reserved, or nothing when it is certain
    that nothing was used."""
    note_failure(connection, made.provider_id, failure.why.value, now_ms=now_ms, is_try=made.is_try)
    if not failure.spent_nothing:
        return made.cost_of(made.tokens_in, made.tokens_out)
    _add(connection, made, tokens_in=-made.tokens_in, tokens_out=-made.tokens_out)
    return 0


def tokens_today(connection: Connection, account_id: str, day: str) -> int:
    """Return how many tokens a shop used on that day, with what is reserved."""
    used = func.sum(ai_usage.c.tokens_in + ai_usage.c.tokens_out)
    query = select(used).where(ai_usage.c.account_id == account_id, ai_usage.c.day == day)
    return int(connection.scalar(query) or 0)


def _require_room(
    connection: Connection, made: Reservation, tokens_per_day: int, state: RowMapping, now_ms: int
) -> None:
    why = _lacking(connection, made, tokens_per_day, state)
    if why is not None:
        _open_incident(connection, made, why, now_ms)
        raise NoRoom(why)


def _lacking(connection: Connection, made: Reservation, tokens_per_day: int, state: RowMapping) -> NoRoomWhy | None:
    """Return what of the day does not suffice for a call: the shop's tokens, or the provider's money."""
    fen_per_day: int | None = state["fen_per_day"]
    mine, its = ai_usage.c.account_id == made.account_id, ai_usage.c.provider_id == made.provider_id
    tokens = func.sum(case((mine, ai_usage.c.tokens_in + ai_usage.c.tokens_out), else_=0))
    cost = func.sum(case((its, ai_usage.c.cost_microfen), else_=0))
    whose = mine if fen_per_day is None else or_(mine, its)
    used, spent = connection.execute(select(tokens, cost).where(ai_usage.c.day == made.day, whose)).one()
    if int(used or 0) + made.tokens_in + made.tokens_out > tokens_per_day:
        return NoRoomWhy.TOKENS
    if fen_per_day is None:
        return None
    all_spent = int(spent or 0) + _checks_cost(state, made.day) + _reserved_cost(made)
    return NoRoomWhy.MONEY if all_spent > fen_per_day * MICROFEN else None


def _open_incident(connection: Connection, made: Reservation, why: NoRoomWhy, now_ms: int) -> None:
    """Open the incident of a day that is spent, unless it was: questions go on to come."""
    subject, kind = f"model:{made.account_id}/{made.day}", IncidentKind.MODEL_BUDGET
    opened = select(incidents.c.id).where(incidents.c.subject == subject, incidents.c.kind == kind.value)
    if connection.execute(opened.limit(1)).first() is None:
        opening = Opening(
            subject=subject,
            kind=kind,
            at_ms=now_ms,
            account_id=made.account_id,
            detail=why.value,
            facts={"day": made.day, "provider_id": made.provider_id},
        )
        open_incidents(connection, [opening])


def _checks_cost(state: RowMapping, day: str) -> int:
    """Return what checks cost on that day, as the provider's own row knows it: no query more."""
    return int(state["checks_cost_microfen"]) if state["checks_day"] == day else 0


def _reserved_cost(made: Reservation) -> int:
    return made.cost_of(made.tokens_in, made.tokens_out)


def _add(connection: Connection, made: Reservation, *, tokens_in: int, tokens_out: int, calls: int = 0) -> None:
    """Add to the row of the day; what is put back is added below zero."""
    row = {
        "calls": calls,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "cost_microfen": made.cost_of(tokens_in, tokens_out),
    }
    key = {"account_id": made.account_id, "provider_id": made.provider_id, "day": made.day}
    statement = insert_or(connection, ai_usage).values(**key, **row)
    added = {name: ai_usage.c[name] + statement.excluded[name] for name in row}
    connection.execute(statement.on_conflict_do_update(index_elements=list(ai_usage.primary_key), set_=added))


def _locked(connection: Connection, provider_id: int) -> RowMapping | None:
    """Return limits and state of a provider, and hold them until the transaction ends."""
    return _state(connection, provider_id, is_held=True)


def _state(connection: Connection, provider_id: int, *, is_held: bool = False) -> RowMapping | None:
    query = (
        select(
            ai_provider_states,
            ai_providers.c.host,
            ai_providers.c.consented_host,
            ai_providers.c.price_in_fen,
            ai_providers.c.price_out_fen,
            ai_providers.c.calls_per_minute,
            ai_providers.c.fen_per_day,
        )
        .join_from(ai_provider_states, ai_providers, ai_providers.c.id == ai_provider_states.c.provider_id)
        .where(ai_provider_states.c.provider_id == provider_id)
    )
    if is_held:
        query = query.with_for_update(of=ai_provider_states)
    return connection.execute(query).mappings().one_or_none()
