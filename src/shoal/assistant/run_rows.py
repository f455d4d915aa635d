"""Runs as they are stored: one question to a model, and what became of it. It only reads them."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, RowMapping, select

from shoal.accounts.events import MessageEvent
from shoal.messages import model_runs
from shoal.messages.model_source import RunState
from shoal.storage.among import among
from shoal.storage.assistant_tables import ai_runs


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One run. ``why`` says what its state does not; ``rail`` held its text back; ``actor`` sent or dropped a draft."""

    id: int
    account_id: str
    chat_id: str
    buyer_id: str
    message_ids: tuple[str, ...]
    item_id: str
    provider_id: int
    model: str
    mode: str
    state: RunState
    why: str
    rail: str
    tokens_in: int
    tokens_out: int
    cost_microfen: int
    duration_ms: int
    offered_fen: int | None
    text: str
    raw: str
    actor: str
    outbox_id: int | None
    created_at_ms: int
    decided_at_ms: int | None


def run_of(row: RowMapping) -> Run:
    """Return the run of a row."""
    values = {key: value for key, value in row.items() if key not in {"message_ids", "state", "prompt_hash"}}
    return Run(**values, message_ids=tuple(json.loads(row["message_ids"])), state=RunState(row["state"]))


def read_run(connection: Connection, run_id: int) -> Run | None:
    """Return a run."""
    row = connection.execute(select(ai_runs).where(ai_runs.c.id == run_id)).mappings().one_or_none()
    return run_of(row) if row is not None else None


def read_runs(
    connection: Connection,
    account_ids: Collection[str],
    *,
    chat_id: str | None = None,
    state: RunState | None = None,
    before_id: int | None = None,
    limit: int,
) -> list[Run]:
    """Return runs of these accounts, newest first."""
    query = select(ai_runs).where(among(ai_runs.c.account_id, account_ids)).order_by(ai_runs.c.id.desc()).limit(limit)
    if chat_id is not None:
        query = query.where(ai_runs.c.chat_id == chat_id)
    if state is not None:
        query = query.where(ai_runs.c.state == state.value)
    if before_id is not None:
        query = query.where(ai_runs.c.id < before_id)
    return [run_of(row) for row in connection.execute(query).mappings()]


def run_event(run: Run, state: RunState, at_ms: int) -> MessageEvent:
    """Return the event that tells of a run's new state."""
    return model_runs.run_event(run.account_id, run.chat_id, run.id, state, at_ms)
