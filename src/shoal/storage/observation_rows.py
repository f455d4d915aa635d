"""Observations of tasks, as rows of ``observed``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Select, not_, select

from shoal.accounts.account import AccountState, Observation, ParkReason
from shoal.errors import StoreError
from shoal.storage.change_statements import OBSERVED_COLUMNS, SEEN_FIELDS, statements_of
from shoal.storage.history_tables import observed
from shoal.storage.incident_kinds import IncidentKind
from shoal.storage.incident_rows import Opening, account_subject, close_incidents, open_incidents
from shoal.storage.schema import accounts

_STATES = {state.value: state for state in AccountState}
OBSERVED = select(*(observed.c[name] for name in OBSERVED_COLUMNS))
"""By position: to look up each value of a row by its name takes as long as to read it."""
_seen_values = attrgetter("state.value", *SEEN_FIELDS[1:])


def read_observations(connection: Connection, shards: Collection[int] | None = None) -> dict[str, Observation]:
    """Return the last observation of every existing account, or of those of some shards."""
    query = OBSERVED.join(accounts).where(not_(accounts.c.deleted))
    if shards is not None:
        query = query.where(accounts.c.shard.in_(shards))
    return observations_in(connection, query)


def observations_in(connection: Connection, query: Select[Any]) -> dict[str, Observation]:
    """Return what ``OBSERVED``, further limited, finds. Raises ``StoreError`` when a state is unknown."""
    rows = connection.execute(query).all()
    return {name: _observation_of(name, cookie, nonce, values) for name, cookie, nonce, *values in rows}


def _observation_of(account_id: str, cookie: int | None, nonce: int | None, seen: list[Any]) -> Observation:
    values: dict[str, Any] = dict(zip(SEEN_FIELDS, seen, strict=True))
    state = _STATES.get(values["state"])
    if state is None:
        raise StoreError(f"the observed state of account {account_id} is unknown", code="unreadable_account")
    values["state"] = state
    if cookie is not None:
        values["parked_for"] = (cookie, nonce)
    return Observation(**values)


def write_observations(connection: Connection, seen: Mapping[str, Observation]) -> None:
    """Store observations of accounts that exist, and the incidents that begin or end with them."""
    rows = [(name, *(seen[name].parked_for or (None, None)), *_seen_values(seen[name])) for name in sorted(seen)]
    if rows:
        statements_of(connection).store_observations(rows)
        _note_incidents(connection, seen)


_TROUBLE = (IncidentKind.PARKED, IncidentKind.RETRYING, IncidentKind.CRASH_LOOP)


def _note_incidents(connection: Connection, seen: Mapping[str, Observation]) -> None:
    """Open and close incidents by what accounts are observed to do.

    An account that starts, waits or stops is still in its trouble, and one that stopped with the server is too. A
    missing cookie is none: its owner left it out.
    """
    openings: list[Opening] = []
    running: list[str] = []
    stopped: list[str] = []
    last_ms = max((observation.since_ms for observation in seen.values()), default=0)
    for name, observation in seen.items():
        match observation.state:
            case AccountState.PARKED if observation.reason != ParkReason.NO_COOKIE:
                kind, at_ms = IncidentKind.PARKED, observation.parked_since_ms or observation.since_ms
            case AccountState.RETRYING:
                kind = IncidentKind.CRASH_LOOP if observation.crash_loop else IncidentKind.RETRYING
                at_ms = observation.since_ms
            case AccountState.RUNNING | AccountState.STOPPED if not observation.reason:
                is_running = observation.state is AccountState.RUNNING
                (running if is_running else stopped).append(account_subject(name))
                continue
            case _:
                continue
        openings.append(
            Opening(subject=account_subject(name), kind=kind, at_ms=at_ms, account_id=name, detail=observation.reason)
        )
    close_incidents(connection, running, _TROUBLE, last_ms)
    close_incidents(connection, stopped, _TROUBLE, last_ms, is_well=False)
    for kind in {opening.kind for opening in openings}:
        others = [other for other in _TROUBLE if other is not kind]
        mine = [opening for opening in openings if opening.kind is kind]
        close_incidents(connection, [opening.subject for opening in mine], others, last_ms, is_well=False)
    open_incidents(connection, openings)
